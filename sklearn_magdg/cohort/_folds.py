"""Dealing patients into folds."""

from heapq import heapreplace

import numpy as np


def deal_into_folds(cohort, n_folds, rng=None):
    """Fold of every row `(n,)`: its patients dealt by `deal_patients`.

    Every row needs a patient, and there must be at least `n_folds` of them.

    Examples
    --------
    >>> from sklearn_magdg.cohort import deal_into_folds, read_cohort
    >>> deal_into_folds(read_cohort(5, [0, 0, 0, 1, 1], patient=["a", "a", "b", "c", "d"]), 2)
    array([0, 0, 1, 1, 0])
    """
    patient = cohort.patient.present().codes
    return deal_patients(np.bincount(patient), cohort.patient_class, n_folds, rng)[patient]


def deal_patients(n_images, patient_class, n_folds, rng=None):
    """Fold of every patient `(n_patients,)`: stratified by class, balanced in images, none empty.

    Patients go, largest first, to the fold with the fewest images of their class, then the fewest in all: Graham's
    rule for machines that share jobs [1]_, a class at a time. Where the remainders of the classes have piled up on a
    fold, the parts of every class are renumbered, so that the heaviest part joins the lightest fold.

    Within a class, and in all, no two folds differ by more than the images of the largest patient.

    Parameters
    ----------
    n_images : ndarray of int of shape (n_patients,)
        Number of images, at least 1.
    patient_class : ndarray of int of shape (n_patients,)
        Code of the class.
    n_folds : int
        At most the number of patients.
    rng : numpy.random.RandomState, default=None
        Deals patients of similar size (blocks of `n_folds` in that order) in random order; None in their own.

    References
    ----------
    .. [1] R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17(2):416-429, 1969,
       theorem 2: the fullest fold of a class has at most 4/3 of the images that the best partition needs.
    """
    ties = range(n_folds) if rng is None else rng.permutation(n_folds).tolist()
    order = rng.permutation(len(n_images)) if rng is not None else np.arange(len(n_images))
    order = order[np.argsort(-n_images[order], kind="stable")]
    if rng is not None:
        order = order[np.lexsort((rng.permutation(len(order)), np.arange(len(order)) // n_folds))]

    # One heap of (images of the class, images in all, tie, fold) per class, which SciPy and NumPy do no faster: the
    # fold is found in log(n_folds), a thousand patients in a millisecond.
    start = sorted((0, 0, tie, f) for f, tie in enumerate(ties))
    heaps, total, fold = {}, [0] * n_folds, np.empty(len(n_images), dtype=np.intp)
    sizes, classes = n_images.tolist(), patient_class.tolist()
    for patient in order.tolist():
        heap = heaps.setdefault(classes[patient], start.copy())
        in_class, in_all, tie, f = heap[0]
        while in_all < total[f]:  # another class has since been dealt there: its place in this heap is too good
            heapreplace(heap, (in_class, total[f], tie, f))
            in_class, in_all, tie, f = heap[0]
        total[f] += sizes[patient]
        heapreplace(heap, (in_class + sizes[patient], total[f], tie, f))
        fold[patient] = f

    return fold if max(total) - min(total) <= n_images.max() else _level(fold, n_images, patient_class, n_folds)


def _level(fold, n_images, patient_class, n_folds):
    """The same parts of every class, renumbered class by class so that the heaviest part joins the lightest fold."""
    level, total = np.empty_like(fold), np.zeros(n_folds)
    for each in np.unique(patient_class):
        members = patient_class == each
        load = np.bincount(fold[members], weights=n_images[members], minlength=n_folds)  # of the parts of this class
        joins = np.empty(n_folds, dtype=np.intp)
        joins[np.argsort(-load, kind="stable")] = np.argsort(total, kind="stable")
        level[members] = joins[fold[members]]
        total[joins] += load
    return level
