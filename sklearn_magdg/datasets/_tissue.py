"""Breast tissue as geometry in micrometres, and the stains in it pixel by pixel.

Positions are complex numbers (x + iy, the field's centre at 0), so that a rotation is a product and a closed
outline a polynomial in exp(i angle). Every layer of tissue has a random stream of its own and is drawn from
the centre outwards, one row of numbers an object: a wider field appends objects, those inside stay. For the same
reason all of a layer is drawn before anything in it is left out.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

N_HARMONICS = 5  # of an outline, from the second on: the first would only move it
SLIT = 0.16  # of the radius: a narrower lumen is closed
WIDEST = 2.0  # nuclei are cut at this multiple of the patient's radius, so that their patches stay small


class Glands(NamedTuple):
    """Glands or nests, one per row; those of no lumen are solid.

    Parameters
    ----------
    centre : ndarray of shape (n,), dtype complex
        In micrometres, the field's centre at 0.
    radius : ndarray of shape (n,)
        Mean radius of the outline in micrometres.
    lumen : ndarray of shape (n,)
        Radius of the lumen as a fraction of that of the outline, in its direction; 0, or more than `SLIT`.
    outline : ndarray of shape (n, N_HARMONICS), dtype complex
        Coefficients, see `_wobble`.
    """

    centre: np.ndarray
    radius: np.ndarray
    lumen: np.ndarray
    outline: np.ndarray


class Nuclei(NamedTuple):
    """Nuclei, one per row: ellipses with a wavy outline.

    Parameters
    ----------
    centre : ndarray of shape (n,), dtype complex
        In micrometres.
    radius : ndarray of shape (n,)
        That of the circle of equal area, in micrometres.
    aspect : ndarray of shape (n,)
        Long over short axis.
    axis : ndarray of shape (n,), dtype complex
        Direction of the long axis, of length 1.
    outline : ndarray of shape (n, N_HARMONICS), dtype complex
        Coefficients, see `_wobble`.
    stain : ndarray of shape (n,)
        Haematoxylin in it, relative to that in an ordinary nucleus.
    nucleolus : ndarray of shape (n,)
        How much darker its middle is; 0 without a nucleolus.
    """

    centre: np.ndarray
    radius: np.ndarray
    aspect: np.ndarray
    axis: np.ndarray
    outline: np.ndarray
    stain: np.ndarray
    nucleolus: np.ndarray


def draw_glands(traits, field, rng):
    """Glands on a loose hexagonal lattice; the field's centre lies in the epithelium of the first one.

    A pathologist aims at epithelium: without this, a field at 400X would often be all lumen or all stroma.

    Parameters
    ----------
    traits : dict of str to float
        Read are `gland_radius` and `gap` in micrometres (the pitch of the lattice is 2 gland_radius + gap),
        `gland_irregularity` and `lumen`.
    field : float
        Width in micrometres. The lattice covers the circle around the field, and two glands more.
    rng : numpy.random.Generator
        Draws two numbers for the aim, then 4 + 2 `N_HARMONICS` a gland.

    Returns
    -------
    glands : Glands
        The first is the one aimed at.
    """
    pitch = 2 * traits["gland_radius"] + traits["gap"]
    centre = _lattice(pitch, field / np.sqrt(2) + 2 * pitch)
    aim, turn = np.exp(2j * np.pi * rng.random(2))
    variates = rng.normal(size=(len(centre), 4 + 2 * N_HARMONICS))
    centre = turn * (centre + 0.08 * pitch * (variates[:, 0] + 1j * variates[:, 1]))
    radius = traits["gland_radius"] * np.exp(0.15 * variates[:, 2])
    lumen = np.minimum(traits["lumen"] * np.exp(0.3 * variates[:, 3]), 0.75)
    lumen = np.where(lumen > SLIT, lumen, 0)
    outline = _outline(variates[:, 4:], traits["gland_irregularity"])
    target = centre[0] + aim * radius[0] * _wobble(aim, outline[0]) * (1 + lumen[0]) / 2
    return Glands(centre - target, radius, lumen, outline)


def _lattice(pitch, reach):
    """Points of a hexagonal lattice within `reach` of 0, nearest first.

    They are pitch (i + j exp(i pi / 3)) for whole i and j. Nearest first is what lets a wider field append: the first
    points are the same whatever `reach` is.
    """
    n = int(np.ceil(reach / pitch / np.sin(np.pi / 3)))
    i, j = np.mgrid[-n : n + 1, -n : n + 1]
    points = (pitch * (i + j * np.exp(1j * np.pi / 3))).ravel()
    distance = np.round(np.abs(points), 6)  # ties keep one order, whatever the reach
    order = np.lexsort((np.round(points.real, 6), np.round(points.imag, 6), distance))
    return points[order[: np.count_nonzero(distance <= reach)]]


def _outline(variates, irregularity):
    """Fourier coefficients of outlines whose radius varies by about `irregularity`, relatively.

    From 2 `N_HARMONICS` standard normal `variates` an outline, first the real parts. The k-th harmonic decays as 1 / k,
    which makes outlines smooth, and the squares of all decays sum to 1.
    """
    decay = 1 / np.arange(2, 2 + N_HARMONICS)
    decay /= np.linalg.norm(decay)
    return irregularity * decay * (variates[:, :N_HARMONICS] + 1j * variates[:, N_HARMONICS:])


def _wobble(direction, outline):
    """Relative radius 1 + Re(sum_k c_k u^(k + 2)) of an outline in the unit directions u, but at least 0.4."""
    # by Horner's rule, without a power or a sine
    polynomial = 0
    for k in reversed(range(N_HARMONICS)):
        polynomial = polynomial * direction + outline[..., k]
    return np.maximum(1 + (polynomial * direction**2).real, 0.4)


def _locate(points, glands):
    """Nearest gland of each point, and the point's depth: 0 at that gland's centre, 1 on its outline.

    The nearest is the gland at the least multiple of its radius, |p - c| / r, so that a large one reaches further than
    a small one beside it; a tree of neighbours knows no such weights. Points have any shape, and so have the two arrays
    that come back. A point outside all glands has a depth above 1 in the nearest.
    """
    # |p - c|^2 = |p|^2 - 2 p.c + |c|^2 as one matrix product: ten times as fast as the differences.
    flat, centre = points.ravel(), glands.centre
    terms = np.column_stack([np.abs(flat) ** 2, flat.real, flat.imag, np.ones(len(flat))])
    weights = np.stack([np.ones(len(centre)), -2 * centre.real, -2 * centre.imag, np.abs(centre) ** 2])
    nearest = (terms @ (weights / glands.radius**2)).argmin(axis=1)  # (n, 4) @ (4, glands)
    nearest = nearest.reshape(points.shape)
    offset = points - glands.centre[nearest]
    distance = np.abs(offset) + 1e-9  # the centre itself has no direction
    reach = glands.radius[nearest] * _wobble(offset / distance, glands.outline[nearest])
    return nearest, distance / reach


def draw_epithelial_nuclei(traits, glands, rng):
    """Nuclei in rings between lumen and outline: a thin epithelium has one ring, a solid nest a crowd.

    `disorder` displaces them and turns their axes away from the direction to the lumen, `pleomorphism` spreads their
    sizes and stain, `irregularity` roughens their outlines. Of any two closer than 0.55 spacings the later one is left
    out (Matern's second thinning): nuclei may touch, not coincide.

    Parameters
    ----------
    traits : dict of str to float
        Those named above, `nuclear_radius` in micrometres, `spacing` in nuclear radii, `chromatin`, `nucleolus`.
    glands : Glands
    rng : numpy.random.Generator
        Draws 6 + 2 `N_HARMONICS` numbers a nucleus, gland by gland.

    Returns
    -------
    nuclei : Nuclei
        Gland by gland, ring by ring.
    """
    spacing = traits["spacing"] * traits["nuclear_radius"]
    gland, ring, angle = _rings(glands, spacing)
    variates = rng.normal(size=(len(gland), 6 + 2 * N_HARMONICS))
    direction = np.exp(1j * angle)
    centre = glands.centre[gland] + direction * ring * _wobble(direction, glands.outline[gland])
    centre += traits["disorder"] * spacing * (variates[:, 0] + 1j * variates[:, 1])
    spread = np.exp(traits["pleomorphism"] * variates[:, 2])
    nuclei = Nuclei(
        centre,
        radius=traits["nuclear_radius"] * np.minimum(spread, WIDEST),
        aspect=1.25 * np.exp(0.12 * variates[:, 3]),
        axis=direction * np.exp(1j * traits["disorder"] * 2 * variates[:, 4]),
        outline=_outline(variates[:, 6:], traits["irregularity"]),
        stain=traits["chromatin"] * np.exp(0.6 * traits["pleomorphism"] * variates[:, 5]),
        nucleolus=np.full(len(gland), traits["nucleolus"]),
    )
    inside = _locate(centre, glands)[0] == gland  # a neighbour's territory is filled by the neighbour
    nuclei = _take(nuclei, inside)

    tree = cKDTree(np.column_stack([nuclei.centre.real, nuclei.centre.imag]))
    pairs = tree.query_pairs(0.55 * spacing, output_type="ndarray")
    keep = np.ones(len(nuclei.centre), dtype=bool)
    keep[pairs[:, 1]] = False  # a pair's first index is the smaller one
    return _take(nuclei, keep)


def _rings(glands, spacing):
    """Gland, ring radius and angle of every epithelial cell, three arrays `(n_cells,)`, gland by gland.

    An epithelium as thick as k spacings has k rings, one at least, each in the middle of its share of the thickness; a
    ring has as many cells as its circumference has spacings.
    """
    # all glands at once: one entry a ring first, then one a cell
    thickness = glands.radius * (1 - glands.lumen)
    n_rings = np.maximum(np.rint(thickness / spacing), 1).astype(int)
    gland = np.repeat(np.arange(len(n_rings)), n_rings)
    layer = _count_up(n_rings)
    ring = glands.radius[gland] - (layer + 0.5) * (thickness / n_rings)[gland]
    n_cells = np.maximum(2 * np.pi * ring / spacing, 1).astype(int)
    # each ring starts 2.4 radians on, about the golden angle, so that cells do not line up from ring to ring
    angle = np.repeat(2 * np.pi / n_cells, n_cells) * _count_up(n_cells) + np.repeat(2.4 * layer, n_cells)
    return np.repeat(gland, n_cells), np.repeat(ring, n_cells), angle


def _count_up(lengths):
    """0, 1, ... restarting for each length: [2, 3] -> [0, 1, 0, 1, 2]."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _take(nuclei, rows):
    """Some of the nuclei, by positions, which may repeat, or by a mask."""
    return Nuclei(*(column[rows] for column in nuclei))


def draw_stromal_nuclei(traits, glands, field, rng):
    """Sparse, small, elongated nuclei between the glands, along the glands' outlines.

    They stand on a loose lattice of `stromal_spacing` micrometres, and those within 1.5 micrometres of a gland are left
    out. Nothing in them depends on atypia: fibroblasts tell a patient's stroma, not the class.

    Returns
    -------
    nuclei : Nuclei
        From the field's centre outwards.
    """
    spacing = traits["stromal_spacing"]
    centre = _lattice(spacing, field / np.sqrt(2) + 2 * spacing)
    variates = rng.normal(size=(len(centre), 5 + 2 * N_HARMONICS))
    centre = centre + 0.3 * spacing * (variates[:, 0] + 1j * variates[:, 1])
    nearest, depth = _locate(centre, glands)
    radial = centre - glands.centre[nearest]
    nuclei = Nuclei(
        centre,
        radius=2.2 * np.exp(0.15 * variates[:, 2]),
        aspect=3.0 * np.exp(0.25 * variates[:, 3]),
        axis=1j * radial / np.abs(radial) * np.exp(0.35j * variates[:, 4]),
        outline=_outline(variates[:, 5:], 0.05),
        stain=np.full(len(centre), 0.9),
        nucleolus=np.zeros(len(centre)),
    )
    return _take(nuclei, (depth - 1) * glands.radius[nearest] > 1.5)


def stain_tissue(traits, glands, nuclei, field, image_size, rng):
    """Concentrations of haematoxylin and eosin in each pixel, (image_size, image_size, 2).

    Each pixel is lumen, cytoplasm and stroma in parts that sum to 1, soft over one pixel at the borders. Lumens are
    empty; cytoplasm is granular, stroma fibrous, both mostly of eosin; nuclei add haematoxylin.

    Parameters
    ----------
    traits : dict of str to float
        Read are the strengths of the two stains, `haematoxylin` and `eosin`.
    glands : Glands
    nuclei : sequence of Nuclei
        Layers that overlap: their stains add.
    field : float
        Width in micrometres.
    image_size : int
        Pixels along a side.
    rng : numpy.random.Generator
        Of the three textures.
    """
    pixel = field / image_size
    x = (np.arange(image_size) - (image_size - 1) / 2) * pixel
    nearest, depth = _locate(x + 1j * x[:, None], glands)
    radius = glands.radius[nearest] / pixel  # in pixels, as edges are one pixel soft
    lumen = np.clip((glands.lumen[nearest] - depth) * radius + 0.5, 0, 1)
    gland = np.clip((1 - depth) * radius + 0.5, 0, 1)
    cytoplasm, stroma = gland - lumen, 1 - gland
    fibres = np.maximum(1 + 0.4 * _texture(rng, x, wavelength=9.0, spread=0.4), 0.05)
    granules = 1 + 0.15 * _texture(rng, x, wavelength=4.0)
    clumps = np.maximum(1 + 0.3 * _texture(rng, x, wavelength=1.6), 0)
    chromatin = sum(_stamp(layer, pixel, image_size) for layer in nuclei) * clumps
    haematoxylin = chromatin + 0.16 * cytoplasm * granules + 0.03 * stroma * fibres
    eosin = 0.42 * cytoplasm * granules + 0.5 * stroma * fibres
    return np.stack([traits["haematoxylin"] * haematoxylin, traits["eosin"] * eosin], axis=-1)


def _texture(rng, x, wavelength, spread=np.pi, n_waves=32):
    """Sum of random plane waves, of unit variance before the pixel's own integration; square over `x`.

    `spread` is the standard deviation of the waves' directions around a common one: small for fibres. `wavelength` is
    the typical one in micrometres. A wave is exp(i k.p) = exp(i k_y y) exp(i k_x x), so that the sum over waves is a
    matrix product of rows and columns: (h, waves) by (waves, w).
    """
    direction = 2 * np.pi * rng.random() + spread * rng.normal(size=n_waves)
    frequency = np.exp(0.7 * rng.normal(size=n_waves)) / wavelength
    wave = frequency * np.exp(1j * direction)
    # A pixel averages what is finer than itself (a Gaussian of the pixel's variance); without that, aliasing.
    amplitude = np.sqrt(2 / n_waves) * np.exp(-((np.pi * frequency * (x[1] - x[0])) ** 2) / 6)
    rows = amplitude * np.exp(2j * np.pi * (np.outer(x, wave.imag) + rng.random(n_waves)))
    return (rows @ np.exp(2j * np.pi * np.outer(wave.real, x))).real  # (h, waves) @ (waves, w) -> (h, w)


def _stamp(nuclei, pixel, image_size):
    """Haematoxylin of the nuclei in each pixel; where two overlap, light passes both and they add.

    At t, the distance from a nucleus's centre relative to its outline, the density is
    stain * coverage * (0.8 + 0.4 t^4 + nucleolus * exp(-(t / 0.3)^2)): a soft edge, a dark rim, a nucleolus. Without a
    nucleolus its mean over a disc is 0.8 + 0.4 / 3, whatever the size.

    Only the pixels around each nucleus are computed, all nuclei at once: a pair of nucleus and pixel is a row, and the
    sum over the rows of a pixel is a count with weights.
    """
    bulge = 1 + np.abs(nuclei.outline).sum(axis=1)
    reach = bulge * nuclei.radius * np.sqrt(nuclei.aspect) / pixel + 1
    seen = np.maximum(np.abs(nuclei.centre.real), np.abs(nuclei.centre.imag)) / pixel < image_size / 2 + reach
    nuclei = _take(nuclei, seen)
    position = nuclei.centre / pixel + (1 + 1j) * (image_size - 1) / 2
    reach = reach[seen]

    # the pixels of a patch around each nucleus that lie in the image and within its reach
    half = int(np.max(reach, initial=0)) + 1
    steps = np.arange(-half, half + 1)
    column = np.rint(position.real).astype(int)[:, None] + steps  # (n, patch)
    row = np.rint(position.imag).astype(int)[:, None] + steps
    across = np.where((column >= 0) & (column < image_size), (column - position.real[:, None]) ** 2, np.inf)
    down = np.where((row >= 0) & (row < image_size), (row - position.imag[:, None]) ** 2, np.inf)
    within = down[:, :, None] + across[:, None, :] < reach[:, None, None] ** 2  # (n, patch, patch)
    owner, i, j = np.unravel_index(np.flatnonzero(within), within.shape)  # faster than nonzero()
    row, column = row[owner, i], column[owner, j]

    offset = column + 1j * row - position[owner]
    # each pair as a point of a circle: turned by the nucleus's axis, squeezed, the area kept
    nuclei = _take(nuclei, owner)
    turned = offset * nuclei.axis.conj()
    stretch = np.sqrt(nuclei.aspect)
    rounded = turned.real / stretch + 1j * turned.imag * stretch
    distance = np.abs(rounded) + 1e-9
    edge = nuclei.radius / pixel * _wobble(rounded / distance, nuclei.outline)
    # A soft edge adds 1/12 square pixel to the squared radius, which would darken small nuclei at 40X.
    coverage = np.clip(edge - distance + 0.5, 0, 1) * edge**2 / (edge**2 + 1 / 12)
    depth = distance / edge
    rim, nucleolus = np.minimum(depth, 1) ** 4, np.exp(-((depth / 0.3) ** 2))
    density = nuclei.stain * coverage * (0.8 + 0.4 * rim + nuclei.nucleolus * nucleolus)
    total = np.bincount(row * image_size + column, density, minlength=image_size**2)
    return total.reshape(image_size, image_size)
