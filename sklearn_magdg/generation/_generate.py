"""A generator of labelled images fitted on a collection, and how good its samples are beside real images."""

import json
import time
import warnings
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_scalar

from sklearn_magdg._files import whole_file
from sklearn_magdg._metadata import sort_names
from sklearn_magdg._words import counted, name_some
from sklearn_magdg.cohort import patient_holdout, read_cohort
from sklearn_magdg.generation._quality import NOISE, SAMPLES, SWAPPED, TRAINING, cells_of, measure
from sklearn_magdg.inspection import ImageGridDisplay
from sklearn_magdg.study._data import load_study_data
from sklearn_magdg.study._results import _plain, package_versions
from sklearn_magdg.study._tables import Table, magnification_name, number

GENERATED, BESIDE, QUALITY, MODEL = "generated.png", "real_and_generated.png", "quality.json", "generator.magdg"
FILES = {
    GENERATED: "generated images alone; if none is a copy, they may be shown anywhere",
    BESIDE: "real training images beside generated ones; show it only where the real ones may be shown",
    MODEL: "the generator, for sklearn_magdg.estimators.load_model",
    QUALITY: "all numbers, settings and the history of the fit",
}

_FEW_PATIENTS = 3  # of whom not even a standard error can be had
_SMALL = 0.05  # p-value that asks for a word of explanation
_TIMED_FROM = 40  # epochs; of fewer, two more to tell the time by would be a large part


def generate(config, out, *, fresh=False, on_step=None):
    """Fit a `DCGAN` on a part of the patients, measure its samples against the others, and write both into `out`.

    Parameters
    ----------
    config : GenerateConfig
    out : path
        Folder, made if absent.
    fresh : bool, default=False
        Whether to replace the files of an earlier `generate` in `out`.
    on_step : callable, default=None
        Called with a sentence when a step begins.

    Returns
    -------
    quality : dict
        What ``quality.json`` holds.

    Raises
    ------
    ValueError
        For settings that cannot work, too few patients, and an `out` that holds something else.
    """
    from sklearn_magdg.training import threads  # brings torch

    out, on_step = Path(out), on_step or (lambda sentence: None)
    _check_folder(out, fresh)
    with warnings.catch_warnings(record=True) as caught, threads(config.threads):
        warnings.simplefilter("always", UserWarning)
        gan, encoders = _build(config)
        training, held_back = part_patients(_load(config), config)
        on_step(_what_is_learned(config, training, held_back))
        on_step(f"Fitting {counted(config.epochs, 'epoch')}{_time_needed(gan, training)}.")
        started = time.perf_counter()
        gan.fit(training.images, **_conditions(training))
        quality = {"seconds": time.perf_counter() - started, "spread": gan.spread_}
        on_step(f"Fitted in {_duration(quality['seconds'])}; measuring.")
        quality |= measure(gan, training, held_back, encoders, config.seed)
        figures = _draw(gan, training, encoders.turned, config)
    quality = _describe(config, training, held_back) | quality
    quality |= {"warnings": sorted({str(w.message) for w in caught}), "history": gan.history_}
    return _write(out, gan, figures, _plain(quality))


# Before the fit


class Encoders(NamedTuple):
    plain: object
    turned: object  # blind to how an image is turned, so that it finds turned copies


def _build(config):
    """The generator and the encoders, which refuse settings that they cannot work with before any image is read."""
    from sklearn_magdg.estimators import DCGAN, ImageEncoder

    check_scalar(config.tiles, "`tiles`", Integral, min_val=1)
    size, seeds = config.image_size, {"n_jobs": config.threads, "random_state": config.seed}
    gan = DCGAN(size, width=config.width, max_epochs=config.epochs, **seeds)
    gan._validate_params()
    options = {"weights": config.weights, "n_jobs": config.threads}
    encoders = [ImageEncoder(config.backbone, turns=turns, **options) for turns in (False, True)]
    return gan, Encoders(*(encoder.fit(np.zeros((1, size, size, 3), np.uint8)) for encoder in encoders))


def _check_folder(out, fresh):
    """Refuse a folder that holds anything but files of an earlier `generate`, and these without `fresh`."""
    from sklearn_magdg.study._run import _check_can_hold_files

    _check_can_hold_files(out)
    held = sorted(file.name for file in out.iterdir()) if out.exists() else []
    if foreign := [name for name in held if name not in FILES]:
        raise ValueError(f"{out} holds what is not of magdg generate ({name_some(foreign)}): choose another folder.")
    if held and not fresh:
        raise ValueError(
            f"{out} holds an earlier generator: choose another folder, or replace it with --fresh (fresh=True)."
        )


def _load(config):
    """The images to learn and to measure by, tiles where `config` says so."""
    return load_study_data(config.collection(), config.magnification).cut(config.tiles)


def part_patients(data, config):
    """Images for the generator, and those of the patients held back, of cells that it can learn: two `StudyData`.

    A cell is a class at a magnification; one that only held-back patients have says nothing of the generator.
    """
    held = patient_holdout(
        read_cohort(len(data.y), data.y, patient=data.patient), config.held_back, np.random.RandomState(config.seed)
    )
    learned = set(cells_of(data.take(~held)))
    known = np.array([cell in learned for cell in cells_of(data)])
    training, held_back = data.take(~held), data.take(held & known)
    if (n_patients := len(np.unique(held_back.patient))) < 2:
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


def _conditions(data):
    """What `DCGAN.fit` is given beside the images; a single magnification is no condition."""
    several = len(np.unique(data.magnification)) > 1
    return {"y": np.array(data.class_names)[data.y], "magnification": data.magnification if several else None}


def _time_needed(gan, training):
    """What two epochs tell of how long all will take, in words; the first one is slow for reasons of its own."""
    if gan.max_epochs < _TIMED_FROM:
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after two epochs no game is lost
        tried = clone(gan).set_params(max_epochs=2).fit(training.images, **_conditions(training))
    return f", about {_duration(gan.max_epochs * tried.history_[-1]['dur'])}"


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _what_is_learned(config, training, held_back):
    settings = [f"  {name} = {value}" for name, value in config.settings().items()]
    learned = name_some(map(magnification_name, _magnifications(training)))
    sizes = [_count(each, _noun(config.tiles)) for each in (training, held_back)]
    sizes = f"The generator learns from {sizes[0]} at {learned}; {sizes[1]} are held back."
    return "\n".join([training.description, *settings, sizes])


def _magnifications(data):
    return sort_names(np.unique(data.magnification).tolist())


def _count(data, noun):
    return f"{counted(len(data.y), noun)} of {counted(len(np.unique(data.patient)), 'patient')}"


def _noun(n_tiles):
    """What an image of the generator is of the collection's."""
    return "image" if n_tiles == 1 else "tile"


# Writing


def _draw(gan, training, encoder, config):
    """Figures by the names of their files."""
    shown = {"n_images": config.n_images, "random_state": config.seed}
    alone = ImageGridDisplay.from_estimator(gan, **shown)
    beside = ImageGridDisplay.from_estimator(gan, training.images, **_conditions(training), embedding=encoder, **shown)
    return {GENERATED: alone.figure_, BESIDE: beside.figure_}


def _describe(config, training, held_back):
    return {
        "settings": config.settings(),
        "versions": package_versions(),
        "data": training.description,
        "class_names": training.class_names,
        "magnifications": _magnifications(training),
        "training": _side(training),
        "held_back": _side(held_back) | {"patients": np.unique(held_back.patient).tolist()},
    }


def _side(data):
    own = {name: data.y == label for label, name in enumerate(data.class_names)}
    return {
        "n_images": len(data.y),
        "n_patients": len(np.unique(data.patient)),
        "n_images_by_class": {name: int(rows.sum()) for name, rows in own.items()},
        "n_patients_by_class": {name: len(np.unique(data.patient[rows])) for name, rows in own.items()},
    }


def _write(out, gan, figures, quality):
    """Write all files, ``quality.json`` last, so that it never stands beside another generator's."""
    import matplotlib.pyplot as plt

    from sklearn_magdg.estimators import save_model

    out.mkdir(parents=True, exist_ok=True)
    (out / QUALITY).unlink(missing_ok=True)
    for name, figure in figures.items():
        with whole_file(out / name) as file:
            figure.savefig(file, format="png", dpi=110)
        plt.close(figure)
    save_model(gan, out / MODEL)
    with whole_file(out / QUALITY) as file:
        file.write(json.dumps(quality, indent=2).encode())
    return quality


# For people to read


def quality_table(quality):
    """Everything that was compared with the held-back images, as text cells."""
    header = ["images", "KID", "KID within class", "precision", "recall", "density", "coverage"]
    rows = [[name, *_row(quality["compared"].get(name))] for name in (TRAINING, SAMPLES, SWAPPED, NOISE)]
    return Table("Quality of the samples", _note(quality), header, rows, spare=(5, 3, 4))


def _note(quality):
    held_back, how, noun = quality["held_back"], quality["precision_recall"], _noun(quality["settings"]["tiles"])
    within = [name for name, kid in quality["compared"][SAMPLES]["kid_by_class"].items() if kid is not None]
    missing = "" if len(within) == len(quality["class_names"]) else f"; within class: of {', '.join(within) or 'none'}"
    return (
        f"distance (KID ± standard error) and overlap with the {counted(held_back['n_images'], noun)} of "
        f"{counted(held_back['n_patients'], 'patient')} held back{missing}; precision to coverage of {how['n_images']} "
        f"{noun}s of each row, {counted(how['n_neighbors'], 'neighbour')}"
    )


def _row(numbers):
    if numbers is None:
        return ["–"] * 6
    shares = [number(numbers[name], ".2f") for name in ("precision", "recall", "density", "coverage")]
    return [_estimate(numbers["kid"]), _estimate(numbers["kid_within_class"]), *shares]


def _estimate(kid):
    if kid is None:
        return "–"
    error = kid["standard_error"]
    return f"{kid['estimate']:z.3f}" + ("" if error is None else f" ± {error:.3f}")


def reading(quality):
    """How to read the table, and what it and the other numbers say, in sentences."""
    return [
        "How to read it: the training images, of other patients, are the best to hope for and noise the worst. Low "
        "precision or density: samples unlike real images. Low recall or coverage: kinds of real images that are never "
        "generated. Swapped samples were asked of another class, and should be farther within class. All numbers are "
        "those of one encoder, which may not see what a person does: look at the pictures.",
        *_too_few(quality["held_back"]),
        *_classes(quality["compared"]),
        _copies(quality["memorisation"]),
        _spread(quality["spread"]),
    ]


def _too_few(held_back):
    few = [name for name, n_patients in held_back["n_patients_by_class"].items() if n_patients < _FEW_PATIENTS]
    if not few:
        return []
    return [
        f"Too few: of {name_some(few)} fewer than {_FEW_PATIENTS} patients are held back, so that these numbers say "
        "little; raise --held-back, or use more patients."
    ]


def _classes(compared):
    """Whether samples follow their class, by what swapping the classes costs."""
    own, swapped = (compared.get(name, {}).get("kid_within_class") for name in (SAMPLES, SWAPPED))
    if own is None or swapped is None:
        return []
    if own["standard_error"] is None:
        return ["Classes: too few patients of a class are held back to tell whether samples follow their class."]
    cost = swapped["estimate"] - own["estimate"]
    # two errors of one set of held-back patients: their sum is an upper bound on the error of the difference
    error = own["standard_error"] + swapped["standard_error"]
    verdict = "follow their class" if cost > error else "may or may not follow their class"
    if cost < -error:
        verdict = "are closer to the other class than to their own"
    return [
        f"Classes: samples {verdict}. Swapped, they are farther by {cost:z.3f}, with an error of up to {error:.3f}."
    ]


def _copies(found):
    verdict = "no sign of copies" if found["authenticity"] > found["held_back_authenticity"] / 2 else "COPIES"
    expected = ", as a generator of new images of its training patients may" if found["p_value"] < _SMALL else ""
    return (
        f"Copies: {verdict}. {100 * found['authenticity']:.0f} % of samples are authentic, which copies never are (of "
        f"held-back images {100 * found['held_back_authenticity']:.0f} %). Samples lie closer to the training images "
        f"than images of new patients do in {100 * found['closer']:.0f} % of comparisons (p = {found['p_value']:.2g} "
        f"for more than half){expected}."
    )


def _spread(spread):
    if spread is None:
        return "Spread: unknown, for no class has two training images that differ."
    return f"Spread: samples of a class lie {spread:.2f} times as far apart as its training images (near 0: collapse)."
