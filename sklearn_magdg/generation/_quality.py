"""How good a generator's samples are, beside what they must be compared with."""

import numpy as np

from sklearn_magdg.metrics import generative_precision_recall, kernel_inception_distance, memorisation_test

# What is measured against the held-back images, in the order of the table.
TRAINING, SAMPLES, SWAPPED, NOISE = "training images", "samples", "samples, classes swapped", "noise"

_N_SAMPLES = 512  # at least: held-back images are few, and samples cost little
_N_NEIGHBORS = 5


def measure(gan, training, held_back, encoders, seed):
    """All numbers of a fitted generator; nan and None where there are too few images.

    Parameters
    ----------
    gan : DCGAN
        Fitted to `training`.
    training, held_back : StudyData
        As `part_patients` gives them: no patient in both.
    encoders : Encoders
        Fitted; ``plain`` measures distances and shares, ``turned`` looks for copies.
    seed : int
        Of the samples, the noise, and the images drawn for the shares.

    Returns
    -------
    quality : dict
        ``compared``: for each set of `sets_to_compare` its ``n_images``, its distances (``kid``,
        ``kid_within_class``, ``kid_by_class``; each with ``estimate`` and ``standard_error``, or None) and its shares
        (``precision``, ``recall``, ``density``, ``coverage``).
        ``precision_recall``: ``n_images`` of each set and ``n_neighbors``, which these shares depend on.
        ``memorisation``: `memorisation_test` of the samples, and ``held_back_authenticity``, what images of new
        patients have.
    """
    compared = sets_to_compare(gan, training, held_back, seed)
    real = encoders.plain.transform(held_back.images)  # (n_held_back, d)
    embedded = {name: encoders.plain.transform(each.images) for name, each in compared.items()}
    n_images = min(map(len, embedded.values()))
    # a ball out to the k-th neighbour says nothing once it holds half of all images
    n_neighbors = max(1, min(_N_NEIGHBORS, (min(n_images, len(real)) - 1) // 2))
    rows = {}
    for name, each in compared.items():
        shares = dict.fromkeys(("precision", "recall", "density", "coverage"), np.nan)
        if n_images > 1:
            # as many of each set, for the shares depend on how many there are
            drawn = np.random.default_rng(seed).choice(len(each), n_images, replace=False)
            shares = generative_precision_recall(real, embedded[name][drawn], n_neighbors=n_neighbors)._asdict()
        rows[name] = {"n_images": len(each)} | _distances(real, held_back, embedded[name], each) | shares

    generated, known, unseen = (
        encoders.turned.transform(each.images) for each in (compared[SAMPLES], training, held_back)
    )
    copies = memorisation_test(generated, training=known, held_out=unseen, patient=held_back.patient.codes)._asdict()
    copies["held_back_authenticity"] = memorisation_test(unseen, training=known, held_out=unseen).authenticity
    return {
        "compared": rows,
        "precision_recall": {"n_neighbors": n_neighbors, "n_images": n_images},
        "memorisation": copies,
    }


def sets_to_compare(gan, training, held_back, seed):
    """What is compared with the held-back images, by name.

    Samples, swapped ones and noise stand for the held-back images in turn, in random order, so that their classes and
    magnifications are as frequent; there are at least 512 of each, or as many as held-back images.

    Parameters
    ----------
    gan : DCGAN
        Fitted to `training`.
    training, held_back : StudyData
        Their codes must mean the same, as those of two parts of one collection do.
    seed : int
        Of the order, the samples and the noise.

    Returns
    -------
    sets : dict of StudyData
        ``TRAINING``: the training images of cells that are held back too, which are the best to hope for.
        ``SAMPLES``: asked of the class, and of a generator that was fitted with several the magnification, of the
        held-back image that they stand for.
        ``SWAPPED``: asked of the next class that was learned at the magnification, but labelled as ``SAMPLES``: what
        ignoring the class would look like. Left out where some cell has no other class.
        ``NOISE``: uniform in 0 to 255, the worst.
        All but ``TRAINING`` have no patient, and the ``id`` of the image that they stand for.
    """
    rng = np.random.default_rng(seed)
    turn = np.resize(rng.permutation(len(held_back)), max(_N_SAMPLES, len(held_back)))
    noise = rng.integers(0, 256, (len(turn), *training.images.shape[1:]), dtype=np.uint8)
    asked = held_back.replace(images=None, patient=None).take(turn)  # without images, which would be copied
    alike = standing_cells(held_back)[training.label.codes, training.magnification.codes]
    sets = {TRAINING: training.take(alike), SAMPLES: asked.replace(images=_sample(gan, asked, seed))}

    learned = standing_cells(training)
    n_classes = len(learned)
    following = (asked.label.codes[:, None] + np.arange(1, n_classes)) % n_classes  # (n, n_classes - 1)
    possible = learned[following, asked.magnification.codes[:, None]]
    if possible.any(axis=1).all():
        next_one = following[np.arange(len(turn)), possible.argmax(axis=1)]
        other = asked.replace(label=asked.label._replace(codes=next_one))
        sets[SWAPPED] = asked.replace(images=_sample(gan, other, seed))
    return sets | {NOISE: asked.replace(images=noise)}


def standing_cells(cohort):
    """Which cells, of a class and a magnification, have an image.

    Parameters
    ----------
    cohort : Cohort
        With magnifications.

    Returns
    -------
    standing : ndarray of shape (n_classes, n_magnifications), dtype bool
        By code; ``standing[other.label.codes, other.magnification.codes]`` is the mask of the rows of another part
        of the same collection that are of such a cell.
    """
    standing = np.zeros((len(cohort.label.names), len(cohort.magnification.names)), dtype=bool)
    standing[cohort.label.codes, cohort.magnification.codes] = True
    return standing


def labels_of(cohort):
    """Class of every row `(n,)` by name, in NumPy's type for text: that of the ``classes_`` in a generator's file."""
    return np.array(cohort.label.names)[cohort.label.codes]


def _sample(gan, asked, seed):
    """Samples `(n, size, size, 3)` of the classes of `asked`, and of its magnifications if `gan` knows any."""
    is_conditional = gan.cells_[0][1] is not None
    magnification = asked.magnification.values() if is_conditional else None
    return gan.sample(len(asked), labels_of(asked), magnification=magnification, random_state=seed)[0]


def _distances(real, held_back, embedded, images):
    r"""KID to the held-back images: of all, of each class, and the mean of these.

    The mean over the K classes where it is known has the standard error :math:`\sqrt{\sum_k e_k^2} / K`: few
    patients have images of two classes, so that the errors :math:`e_k` are taken to be independent. Two sets of one
    class each may agree while their mixtures differ, and the other way round, so that both are told.

    Parameters
    ----------
    real, embedded : ndarray of shape (n, d)
        Embeddings of the images of `held_back` and of `images`.
    held_back, images : StudyData
        Who they are; `images` without patients are generated.

    Returns
    -------
    distances : dict
        None for a distance that cannot be told.
    """
    # generated images are independent of each other: each is a patient of its own
    other = None if images.patient is None else images.patient.codes
    by_class = {}
    for code, name in enumerate(held_back.label.names):
        ours, theirs = held_back.label.codes == code, images.label.codes == code
        patients = held_back.patient.codes[ours], None if other is None else other[theirs]
        by_class[name] = _kid(real[ours], embedded[theirs], *patients)
    known = [each for each in by_class.values() if each is not None]
    within = None
    if known:
        estimates, errors = np.array([[each["estimate"], each["standard_error"]] for each in known]).T
        within = {"estimate": estimates.mean(), "standard_error": np.sqrt(np.sum(errors**2)) / len(known)}
    return {
        "kid": _kid(real, embedded, held_back.patient.codes, other),
        "kid_within_class": within,
        "kid_by_class": by_class,
    }


def _kid(real, embedded, patient, other):
    """KID and its standard error, None where there are fewer than two patients or generated images.

    `other` are the patients of `embedded` where it is of real images, else None.
    """
    if len(np.unique(patient)) < 2 or len(embedded if other is None else np.unique(other)) < 2:
        return None
    return kernel_inception_distance(real, embedded, patient=patient, generated_patient=other)._asdict()
