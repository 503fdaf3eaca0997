"""Synthetic histology with a known truth: rendered tissue of benign and malignant patients.

Here stands what varies: the traits of patients, with what atypia does to each, and the laws by which a magnification
shows them. How traits become tissue is the matter of `_tissue`, how tissue becomes a picture that of `_microscope`.
"""

from itertools import product
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch, check_random_state

from sklearn_magdg.datasets._microscope import STAINS, Optics, render

# Of the two magnifications in the middle of the series, the one that still shows whole glands.
REFERENCE_MAGNIFICATION = 100

# BreaKHis, short side in micrometres: 460 camera pixels of the effective size on the data set's page.
FIELDS = {40: 460 * 0.49, 100: 460 * 0.20, 200: 460 * 0.10, 400: 460 * 0.05}


class Trait(NamedTuple):
    """A property of a patient: typical value, log-ratio per unit of atypia, the patients' own log-spread.

    A patient of atypia a has min(typical * exp(atypia * a + spread * z), highest), z standard normal: positive whatever
    is drawn, and in proportion rather than by steps, as sizes of cells and nuclei vary.

    Parameters
    ----------
    typical : float
        Median of a patient of atypia 0, greater than 0.
    atypia : float
        Log-ratio of a patient of atypia 1 to one of atypia 0; 0 for what does not tell the classes.
    spread : float
        Standard deviation of the logarithm among patients of one atypia.
    highest : float, default=inf
        Cap, above which tissue could not be drawn: nuclei wider than their glands, say.
    """

    typical: float
    atypia: float
    spread: float
    highest: float = np.inf


# Lengths in micrometres. What grows with atypia are the signs that pathologists grade by.
TRAITS = {
    "nuclear_radius": Trait(3.2, 0.20, 0.10, 8.0),
    "pleomorphism": Trait(0.18, 0.25, 0.20, 0.5),  # log-spread of nuclear size in a patient
    "irregularity": Trait(0.06, 0.35, 0.20, 0.25),  # relative roughness of a nuclear outline
    "chromatin": Trait(1.15, 0.07, 0.12, 4.0),  # haematoxylin in a nucleus
    "nucleolus": Trait(0.35, 0.40, 0.20, 1.5),
    "spacing": Trait(2.8, -0.03, 0.08),  # of epithelial cells, in nuclear radii
    "disorder": Trait(0.16, 0.35, 0.20, 0.5),  # displacement of a cell, in spacings
    "gland_radius": Trait(24.0, 0.05, 0.15, 60.0),
    "gland_irregularity": Trait(0.10, 0.30, 0.20, 0.3),
    "lumen": Trait(0.28, -0.35, 0.30, 0.75),  # in gland radii
    "gap": Trait(8.0, -0.35, 0.30, 30.0),  # of stroma between glands
    "stromal_spacing": Trait(12.0, 0.0, 0.12),
    "haematoxylin": Trait(1.0, 0.0, 0.20),
    "eosin": Trait(1.0, 0.0, 0.25),
}
ATYPIA_SPREAD = 0.6  # of patients within a class, the classes being at -1 and +1: bland cancers exist


class Law(NamedTuple):
    """An optical property at the reference magnification and its power of the magnification.

    At magnification m it is reference * (m / 100)^power, which is a straight line in logarithms: `shift` multiplies its
    slope.
    """

    reference: float
    power: float


OPTICS = {
    "blur": Law(0.006, 0.4),  # in field widths: depth of field shrinks faster than the field
    "gain": Law(0.90, -0.07),
    "vignetting": Law(0.10, -0.4),  # low-power objectives are lit less evenly
    "warmth": Law(1.0, -0.03),
    "photons": Law(2500.0, -0.7),  # at white: a smaller field sends less light
}

DESCR = """Synthetic histology
-------------------
Haematoxylin-eosin-stained tissue rendered in micrometres: glands with nuclei in order (benign) or crowded
nests of large, dark, irregular nuclei (malignant), seen at several magnifications. Nothing in it is measured
from a patient. See `sklearn_magdg.datasets.make_histology`.
"""


def make_histology(
    n_patients=24,
    *,
    images_per_cell=6,
    magnifications=(40, 100, 200, 400),
    image_size=64,
    shift=1.0,
    class_sep=1.0,
    random_state=None,
):
    """Render breast tissue of benign and malignant patients at several magnifications.

    Tissue is laid out in micrometres: glands on a loose lattice, epithelial nuclei in rings between lumen and
    outline, elongated nuclei in the stroma between. Each patient has a degree of atypia, higher on average in
    the malignant. Nuclear size and its spread, outlines, chromatin, crowding, lumens and gland architecture
    follow it, each with a deviation of the patient's own; stains vary by patient and not by class. Light is
    absorbed by Beer and Lambert's law, I = exp(-(h H + e E)) with concentrations h, e and stain vectors H, E
    [1]_, then blurred, unevenly lit and counted by a camera, as the magnification has it.

    Apparent nuclear size tells the class within a magnification and misleads across magnifications; the
    nuclear fraction, outlines and architecture tell it across.

    Parameters
    ----------
    n_patients : int, default=24
        At least 2; benign and malignant take turns.
    images_per_cell : int, default=6
        Images of each patient at each magnification, at least 1.
    magnifications : sequence of int, default=(40, 100, 200, 400)
        Positive and distinct. The field of view is that of the short side of BreaKHis images [2]_ (225.4, 92,
        46 and 23 micrometres), and 9200 micrometres over the magnification for others.
    image_size : int, default=64
        Pixels along a side, at least 8; the field of view does not depend on it.
    shift : float, default=1.0
        At least 0. Factor of the log-ratio between a magnification's field of view, blur, illumination and
        noise and those of 100X: at 0 all magnifications render alike, at 1 as in a microscope.
    class_sep : float, default=1.0
        At least 0. Factor of the distance between the classes: at 0 both have one distribution.
    random_state : int, RandomState instance or None, default=None
        Every image has a stream of its own, keyed by patient, magnification and its number in the cell:
        more patients, magnifications or images per cell leave the others as they are, and another
        `shift` shows the same tissue.

    Returns
    -------
    Bunch
        `data` uint8 (n, image_size, image_size, 3), `target` (n,) 0 for benign and 1 for malignant,
        `target_names` (2,), `patient`, `slide`, `magnification` and `subtype` (n,), `frame` (None), `DESCR`:
        the fields of `load_breakhis`.

    Raises
    ------
    ValueError
        If a parameter lies outside the range given above.

    References
    ----------
    .. [1] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining by color
       deconvolution", Anal. Quant. Cytol. Histol. 23(4):291-299, 2001.
    .. [2] F. A. Spanhol et al., "A dataset for breast cancer histopathological image classification",
       IEEE TBME 63(7):1455-1462, 2016.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> histology = make_histology(n_patients=4, images_per_cell=2, image_size=16, random_state=0)
    >>> histology.data.shape
    (32, 16, 16, 3)
    >>> print(histology.patient[0], histology.target_names[histology.target[0]])
    P01 benign
    """
    _check_number("n_patients", n_patients, 2, whole=True)
    _check_number("images_per_cell", images_per_cell, 1, whole=True)
    _check_number("image_size", image_size, 8, whole=True)
    _check_number("shift", shift, 0)
    _check_number("class_sep", class_sep, 0)
    _check_magnifications(magnifications)
    entropy = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
    optics = {int(magnification): _optics(magnification, shift) for magnification in magnifications}
    images, keys = [], []
    for patient in range(n_patients):
        traits = _draw_patient(patient % 2, class_sep, _seed(entropy, patient))
        for magnification, image in product(optics, range(images_per_cell)):
            seed = _seed(entropy, patient, magnification, image)
            images.append(render(traits, optics[magnification], image_size, seed))
            keys.append((patient, magnification))

    patient, magnification = np.array(keys).T
    target, target_names = patient % 2, np.array(["benign", "malignant"])
    names = np.array([f"P{number + 1:02d}" for number in patient])
    return Bunch(
        data=np.stack(images),
        target=target,
        target_names=target_names,
        patient=names,
        slide=np.char.add(names, "-A"),
        magnification=magnification,
        subtype=target_names[target],
        frame=None,
        DESCR=DESCR,
    )


def _check_number(name, value, lowest, whole=False):
    """Refuse a parameter below `lowest`, infinite or NaN, or where it counts something (`whole`) no integer."""
    if whole and not isinstance(value, Integral):
        raise ValueError(f"`{name}` must be a whole number, got {value!r}.")
    if not lowest <= value < np.inf:  # also for NaN, which is not at least anything
        raise ValueError(f"`{name}` must be at least {lowest} and finite, got {value}; try {lowest + 1}.")


def _check_magnifications(magnifications):
    """Refuse no magnification, one that is no positive integer, and one that stands twice.

    Integers, for each keys the random stream of its images: 100 and 100.5 must not share one.
    """
    values = list(magnifications)
    if not values:
        raise ValueError("`magnifications` is empty: name at least one, for example (40, 100, 200, 400).")
    if any(not isinstance(value, Integral) or value < 1 for value in values):
        raise ValueError(f"`magnifications` must be positive whole numbers, got {values}: write 40 for 40X.")
    if len(set(values)) < len(values):
        raise ValueError(f"`magnifications` must be distinct, got {values}: drop the repeated ones.")


def _seed(entropy, *key):
    """Seed of a patient (one number) or of an image (patient, magnification, image).

    Children by their key and not by the order of spawning: so that no image depends on how many others are drawn.
    """
    return np.random.SeedSequence(entropy, spawn_key=key)


def _draw_patient(is_malignant, class_sep, seed):
    """Traits of one patient: typical * exp(sensitivity * atypia + own deviation), and the stains.

    Atypia is normal around -`class_sep` (benign) or `class_sep` (malignant). The deviations are drawn in the order of
    `TRAITS`, so that to add a trait at its end leaves all others as they were.

    Returns
    -------
    traits : dict of str to float or array
        As `_microscope.render` takes them; of `stains` (2, 3) each row has length 1.
    """
    rng = np.random.default_rng(seed)
    atypia = class_sep * (1 if is_malignant else -1) + ATYPIA_SPREAD * rng.normal()
    traits = {
        name: min(trait.typical * np.exp(atypia * trait.atypia + trait.spread * rng.normal()), trait.highest)
        for name, trait in TRAITS.items()
    }
    stains = np.abs(STAINS + 0.04 * rng.normal(size=STAINS.shape))
    traits["stains"] = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    return traits


def _optics(magnification, shift):
    """How a magnification is seen, `shift` times as far from the reference as in a real microscope.

    Everything is a power of a ratio to the reference: (field / field of 100X)^shift and (m / 100)^shift. So all is that
    of 100X where `shift` is 0, and at 100X whatever `shift` is.
    """
    ratio = (magnification / REFERENCE_MAGNIFICATION) ** shift
    widening = (_field(magnification) / _field(REFERENCE_MAGNIFICATION)) ** shift
    return Optics(
        field=_field(REFERENCE_MAGNIFICATION) * widening,
        **{name: law.reference * ratio**law.power for name, law in OPTICS.items()},
    )


def _field(magnification):
    """Width of the field of view in micrometres: measured for BreaKHis, else inversely as the magnification."""
    return FIELDS.get(magnification, 460 * 20 / magnification)
