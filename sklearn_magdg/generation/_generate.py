"""A generator of labelled images fitted on a collection, and how good its samples are beside real images."""

import time
import warnings
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_scalar

from sklearn_magdg._words import counted
from sklearn_magdg.cohort import patient_holdout
from sklearn_magdg.estimators import DCGAN, ImageEncoder
from sklearn_magdg.generation._folder import BESIDE, GENERATED, check_folder, write_folder
from sklearn_magdg.generation._quality import labels_of, measure, standing_cells
from sklearn_magdg.generation._reading import announcement
from sklearn_magdg.inspection import ImageGridDisplay
from sklearn_magdg.study import load_study_data, package_versions, plain
from sklearn_magdg.training import threads

_TIMED_FROM = 40  # epochs; of fewer, two more to tell the time by would be a large part


class Encoders(NamedTuple):
    """Two `ImageEncoder` of one net, fitted to the size of the samples.

    ``plain`` measures distances and shares. ``turned`` sees an image and its rotations and mirror images as one, so
    that it finds copies that the generator's flips have turned.
    """

    plain: ImageEncoder
    turned: ImageEncoder


def generate(config, out, *, fresh=False, on_step=None):
    """Fit a `DCGAN` on a part of the patients, measure its samples against the others, and write both into `out`.

    Nothing is written before all is measured, so that an interrupted or failed call leaves an earlier generator alone.

    Parameters
    ----------
    config : GenerateConfig
        The settings; ``config.seed`` decides who is held back, the fit, the samples and the pictures.
    out : path
        Folder, made if absent.
    fresh : bool, default=False
        Whether to replace the files of an earlier `generate` in `out`.
    on_step : callable, default=None
        Called with a sentence when a step begins: what is learned, how long it may take, and how long it took.

    Returns
    -------
    quality : dict
        What ``quality.json`` holds: ``settings``, ``versions``, ``data``, the sides ``training`` and ``held_back`` as
        numbers, what `measure` found, the ``seconds`` and the ``history`` of the fit, its ``spread``
        (`DCGAN.spread_`), and the ``warnings`` of all steps, sorted.

    Raises
    ------
    ValueError
        For settings that cannot work, before any image is read; for fewer than two held-back patients; and for an
        `out` that holds something else, or an earlier generator without `fresh`.
    OSError
        If images cannot be read, or files not written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_magdg.generation import GenerateConfig, generate
    >>> config = GenerateConfig(n_patients=8, images_per_cell=1, magnification=(40,), image_size=32, width=2, epochs=1)
    >>> with TemporaryDirectory() as folder:
    ...     quality = generate(config, folder, fresh=True)
    ...     print(*sorted(file.name for file in Path(folder).iterdir()))
    generated.png generator.magdg quality.json real_and_generated.png
    >>> quality["training"]["n_patients"], quality["held_back"]["n_patients"]
    (6, 2)
    """
    out, on_step = Path(out), on_step or (lambda sentence: None)
    check_folder(out, fresh)
    with warnings.catch_warnings(record=True) as caught, threads(config.threads):
        warnings.simplefilter("always", UserWarning)
        # what can be refused is refused before hours of reading and fitting
        gan, encoders = _build(config)
        data = load_study_data(config.collection(), config.magnification).cut(config.tiles)
        training, held_back = part_patients(data, config)
        quality = _describe(config, training, held_back)
        on_step(announcement(quality))
        quality |= _fit(gan, training, on_step)
        quality |= measure(gan, training, held_back, encoders, config.seed)

        shown = {"n_images": config.n_images, "random_state": config.seed}
        alone = ImageGridDisplay.from_estimator(gan, **shown)
        shown |= {"embedding": encoders.turned, **_conditions(training)}
        beside = ImageGridDisplay.from_estimator(gan, training.images, **shown)
    quality |= {"warnings": sorted({str(w.message) for w in caught}), "history": gan.history_}
    quality = plain(quality)
    write_folder(out, gan, {GENERATED: alone.figure_, BESIDE: beside.figure_}, quality)
    return quality


def _build(config):
    """The generator, not fitted, and the `Encoders`, fitted.

    Both refuse settings that they cannot work with: the generator by scikit-learn's validation of parameters, the
    encoders by taking one blank image, which is all that an `ImageEncoder` learns from.
    """
    check_scalar(config.tiles, "`tiles`", Integral, min_val=1)
    gan = DCGAN(**config.arguments_of(DCGAN))
    gan._validate_params()
    encoders = [ImageEncoder(**config.arguments_of(ImageEncoder), turns=turns) for turns in (False, True)]
    blank = np.zeros((1, config.image_size, config.image_size, 3), np.uint8)
    return gan, Encoders(*(encoder.fit(blank) for encoder in encoders))


def part_patients(data, config):
    """Images for the generator, and those of the patients held back, of cells that it can learn.

    A cell is a class at a magnification; one that only held-back patients have says nothing of the generator.

    Parameters
    ----------
    data : StudyData
        All images; tiles where `config` says so.
    config : GenerateConfig
        Its ``held_back``, the share of the patients of each class, and its ``seed``.

    Returns
    -------
    training, held_back : StudyData
        They share no patient. Their columns keep the names of the whole collection, so that codes of one mean the
        same in the other.

    Raises
    ------
    ValueError
        If fewer than two patients are held back, of whom no standard error can be had.

    Warns
    -----
    UserWarning
        If held-back images are left out, of cells that no training patient has.
    """
    held = patient_holdout(data.who, config.held_back, np.random.RandomState(config.seed))
    training = data.take(~held)
    known = standing_cells(training)[data.label.codes, data.magnification.codes]
    held_back = data.take(held & known)
    if (n_patients := len(held_back.patient.present().names)) < 2:
        raise ValueError(
            f"Samples are measured against images of at least 2 held-back patients, got {n_patients}: raise "
            "`held_back`, take more magnifications, or add patients."
        )
    if n_strange := np.sum(held & ~known):
        warnings.warn(
            f"{counted(n_strange, 'held-back image')} left out, of a class at a magnification that no training patient "
            "has.",
            UserWarning,
        )
    return training, held_back


def _describe(config, training, held_back):
    """What was asked for and who is on which side, as the first entries of ``quality.json``."""
    return {
        "settings": config.settings(),
        "versions": package_versions(),
        "data": training.description,
        "class_names": training.label.names,
        "magnifications": training.magnification.present().names,
        "training": _side(training),
        # as text in its own order, whatever the names read as
        "held_back": _side(held_back) | {"patients": sorted(held_back.patient.present().names)},
    }


def _side(data):
    """Numbers of images and of patients, in all and by class; a class that does not stand here has 0."""
    own = {name: data.label.codes == code for code, name in enumerate(data.label.names)}
    return {
        "n_images": len(data),
        "n_patients": len(data.patient.present().names),
        "n_images_by_class": {name: int(rows.sum()) for name, rows in own.items()},
        "n_patients_by_class": {name: len(np.unique(data.patient.codes[rows])) for name, rows in own.items()},
    }


def _fit(gan, training, on_step):
    """Fit `gan`, and say how long it will take and took.

    The time is told by two epochs of a copy, of which the second counts: the first one is slow for reasons of its
    own. The copy has the seed of `gan` and leaves it as it was, so that the fit does not depend on it.

    Returns
    -------
    facts : dict
        ``seconds`` of the fit, and the ``spread`` of the samples over that of the training images.
    """
    conditions, expected = _conditions(training), ""
    if gan.max_epochs >= _TIMED_FROM:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # after two epochs no game is lost
            tried = clone(gan).set_params(max_epochs=2).fit(training.images, **conditions)
        expected = f", about {_duration(gan.max_epochs * tried.history_[-1]['dur'])}"
    on_step(f"Fitting {counted(gan.max_epochs, 'epoch')}{expected}.")
    started = time.perf_counter()
    gan.fit(training.images, **conditions)
    seconds = time.perf_counter() - started
    on_step(f"Fitted in {_duration(seconds)}; measuring.")
    return {"seconds": seconds, "spread": gan.spread_}


def _conditions(data):
    """What `DCGAN.fit` is given beside the images; a single magnification is no condition."""
    several = len(data.magnification.present().names) > 1
    return {"y": labels_of(data), "magnification": data.magnification.values() if several else None}


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
