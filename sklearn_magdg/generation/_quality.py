"""How good a generator's samples are, beside what they must be compared with."""

from typing import NamedTuple

import numpy as np

from sklearn_magdg.metrics import generative_precision_recall, kernel_inception_distance, memorisation_test

# What is measured against the held-back images, in the order of the table.
TRAINING, SAMPLES, SWAPPED, NOISE = "training images", "samples", "samples, classes swapped", "noise"

_N_SAMPLES = 512  # at least: held-back images are few, and samples cost little
_N_NEIGHBORS = 5


class Images(NamedTuple):
    """Images that are compared with the held-back ones, and the class that each is taken for."""

    images: np.ndarray
    y: np.ndarray
    patient: np.ndarray | None = None  # of real images


def measure(gan, training, held_back, encoders, seed):
    """All numbers of a fitted generator, as a dict; nan and None where there are too few images."""
    compared = sets_to_compare(gan, training, held_back, seed)
    real = encoders.plain.transform(held_back.images)
    embedded = {name: encoders.plain.transform(each.images) for name, each in compared.items()}
    n_each = min(map(len, embedded.values()))
    n_neighbors = max(1, min(_N_NEIGHBORS, (min(n_each, len(real)) - 1) // 2))
    rows = {}
    for name, each in compared.items():
        shares = _precision_recall(real, embedded[name], n_each, n_neighbors, seed)
        distances = _distances(real, held_back, embedded[name], each)
        rows[name] = {"n_images": len(each.images)} | distances | shares
    return {
        "compared": rows,
        "precision_recall": {"n_neighbors": n_neighbors, "n_images": n_each},
        "memorisation": _memorisation(compared[SAMPLES].images, training, held_back, encoders.turned),
    }


def sets_to_compare(gan, training, held_back, seed):
    """What is compared with the held-back images, by name; swapped classes are left out where a cell has no other.

    Samples, swapped ones and noise stand for the held-back images in turn, so that their classes and magnifications
    are as frequent.
    """
    rng = np.random.default_rng(seed)
    turn = np.resize(rng.permutation(len(held_back.y)), max(_N_SAMPLES, len(held_back.y)))
    y, magnification = held_back.y[turn], held_back.magnification[turn]
    cells = set(cells_of(held_back))
    alike = np.array([cell in cells for cell in cells_of(training)])
    noise = rng.integers(0, 256, (len(turn), *training.images.shape[1:]), dtype=np.uint8)
    names = np.array(training.class_names)
    sets = {
        TRAINING: Images(training.images[alike], training.y[alike], training.patient[alike]),
        SAMPLES: Images(_sample(gan, names[y], magnification, seed), y),
    }
    other = _swap(y, magnification, set(cells_of(training)), len(names))
    if other is not None:
        sets[SWAPPED] = Images(_sample(gan, names[other], magnification, seed), y)
    return sets | {NOISE: Images(noise, y)}


def _sample(gan, labels, magnification, seed):
    is_conditional = gan.cells_[0][1] is not None
    asked = magnification if is_conditional else None
    return gan.sample(len(labels), labels, magnification=asked, random_state=seed)[0]


def _swap(y, magnification, learned, n_classes):
    """For every image the next class that was learned at its magnification, None if some image has none."""
    others = {}
    for label, name in set(zip(y.tolist(), magnification.tolist(), strict=True)):
        following = [(label + step) % n_classes for step in range(1, n_classes)]
        others[label, name] = next((each for each in following if (each, name) in learned), None)
    if None in others.values():
        return None
    return np.array([others[cell] for cell in zip(y.tolist(), magnification.tolist(), strict=True)])


def _distances(real, held_back, embedded, images):
    """KID to the held-back images, within each class, and the mean of these."""
    by_class = {}
    for label, name in enumerate(held_back.class_names):
        ours, theirs = held_back.y == label, images.y == label
        other = None if images.patient is None else images.patient[theirs]
        by_class[name] = _kid(real[ours], embedded[theirs], held_back.patient[ours], other)
    known = [each for each in by_class.values() if each is not None]
    within = None
    if known:  # patients of two classes being rare, the errors of two classes are independent
        estimates, errors = np.array([[each["estimate"], each["standard_error"]] for each in known]).T
        within = {"estimate": estimates.mean(), "standard_error": np.sqrt(np.sum(errors**2)) / len(known)}
    return {
        "kid": _kid(real, embedded, held_back.patient, images.patient),
        "kid_within_class": within,
        "kid_by_class": by_class,
    }


def _kid(real, embedded, patient, other=None):
    """KID and its standard error, None where there are fewer than two patients or images."""
    if len(np.unique(patient)) < 2 or len(embedded if other is None else np.unique(other)) < 2:
        return None
    return kernel_inception_distance(real, embedded, patient=patient, generated_patient=other)._asdict()


def _precision_recall(real, embedded, n_images, n_neighbors, seed):
    """Of as many images of each set compared, for the shares depend on how many there are; nan of a single image."""
    if n_images < 2:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), np.nan)
    drawn = np.random.default_rng(seed).choice(len(embedded), n_images, replace=False)
    return generative_precision_recall(real, embedded[drawn], n_neighbors=n_neighbors)._asdict()


def _memorisation(samples, training, held_back, encoder):
    generated, known, real = (encoder.transform(each) for each in (samples, training.images, held_back.images))
    found = memorisation_test(generated, training=known, held_out=real, patient=held_back.patient)._asdict()
    return found | {"held_back_authenticity": memorisation_test(real, training=known, held_out=real).authenticity}


def cells_of(data):
    return list(zip(data.y.tolist(), data.magnification.tolist(), strict=True))
