"""What a microscope and its camera see of the tissue of `_tissue`.

Light passes the stains by Beer and Lambert's law, is blurred by the lens, uneven as the lamp has it, and counted.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from sklearn_magdg.datasets._tissue import draw_epithelial_nuclei, draw_glands, draw_stromal_nuclei, stain_tissue

# Rows: haematoxylin, eosin; columns: optical density in red, green, blue (Ruifrok and Johnston 2001).
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])


class Optics(NamedTuple):
    """How a field is seen.

    Parameters
    ----------
    field : float
        Width of the field of view in micrometres.
    blur : float
        Standard deviation of the point spread in field widths, the median over images.
    gain : float
        Brightness of bare glass at the lamp's centre, 1 being the camera's white.
    vignetting : float
        By how much half a diagonal from there is darker.
    warmth : float
        Factor of red, and divisor of blue.
    photons : float
        That a pixel counts at white; the shot noise is its square root.
    """

    field: float
    blur: float
    gain: float
    vignetting: float
    warmth: float
    photons: float


def render(traits, optics, image_size, seed):
    """Render one uint8 image (image_size, image_size, 3) of the patient with these traits.

    Parameters
    ----------
    traits : dict of str to float or array
        The patient: `_histology.TRAITS` by name, and `stains` (2, 3), each row of unit length.
    optics : Optics
    image_size : int
        Pixels along a side.
    seed : numpy.random.SeedSequence
        Of this image.

    Notes
    -----
    Light passes I = exp(-(h H + e E)), with concentrations h of haematoxylin and e of eosin in a pixel and their
    optical densities H and E in red, green and blue: overlapping layers add in the exponent.
    """
    # one stream a layer, so that a change to one leaves the others as they are
    architecture, epithelium, stroma, texture, camera = map(np.random.default_rng, seed.spawn(5))
    glands = draw_glands(traits, optics.field, architecture)
    nuclei = (
        draw_epithelial_nuclei(traits, glands, epithelium),
        draw_stromal_nuclei(traits, glands, optics.field, stroma),
    )
    concentrations = stain_tissue(traits, glands, nuclei, optics.field, image_size, texture)
    transmitted = np.exp(-concentrations @ traits["stains"])  # (h, w, 2) @ (2, 3) -> (h, w, 3)
    return photograph(transmitted, optics, camera)


def photograph(transmitted, optics, rng):
    """uint8 picture (h, h, 3) of the transmitted light (h, h, 3): blur, illumination, then the camera's shot noise.

    Focus, tint and the place of the lamp vary from image to image, as they do between sessions. Half a field's diagonal
    from the lamp's centre the light is 1 - `vignetting` of that at the centre. Counts of photons are normal with the
    variance of their mean, which for hundreds of them is nearly the Poisson distribution.
    """
    size = len(transmitted)
    focus, tint = np.exp(0.2 * rng.normal()), np.exp(0.02 * rng.normal(size=3))
    sigma = optics.blur * focus * size
    light = gaussian_filter(transmitted, (sigma, sigma, 0), mode="nearest")
    x = np.linspace(-1, 1, size) + 0.2 * rng.normal(size=(2, 1))
    illumination = (1 - optics.vignetting * (x[0] ** 2 + x[1][:, None] ** 2) / 2)[..., None]
    light *= illumination * optics.gain * tint * optics.warmth ** np.array([1, 0, -1])
    light += np.sqrt(light / optics.photons) * rng.normal(size=light.shape)
    return np.rint(255 * np.clip(light, 0, 1)).astype(np.uint8)
