"""Dealing patients into folds."""

from heapq import heapreplace

import numpy as np


def deal_into_folds(cohort, n_folds, rng=None):
    """Fold of every row `(n,)`: its patients dealt by `deal_patients`."""
    patient = cohort.patient.present().codes
    return deal_patients(np.bincount(patient), cohort.patient_class, n_folds, rng)[patient]


def deal_patients(n_images, patient_class, n_folds, rng=None):
    """Fold of every patient: stratified by class, balanced in images, none empty.

    Within a class, and in all, no two folds differ by more than the images of the largest patient.

    Parameters
    ----------
    n_images : ndarray of shape (n_patients,)
        Number of images, at least 1.
    patient_class : ndarray of shape (n_patients,)
        Code of the class.
    n_folds : int
        At most the number of patients.
    rng : RandomState, default=None
        Deals patients of similar size in random order; None in their own.
    """
    fold = _deal_largest_first(n_images, patient_class, n_folds, rng)
    load = np.bincount(fold, weights=n_images, minlength=n_folds)
    if np.ptp(load) <= n_images.max():
        return fold
    return _level(fold, n_images, patient_class, n_folds)


def _deal_largest_first(n_images, patient_class, n_folds, rng):
    ties = range(n_folds) if rng is None else rng.permutation(n_folds).tolist()
    total = [0] * n_folds
    start = sorted(zip(ties, range(n_folds), strict=True))
    heaps = {}
    fold = np.empty(len(n_images), dtype=np.intp)
    order = _by_size(n_images, n_folds, rng).tolist()
    n_images, patient_class = n_images.tolist(), patient_class.tolist()
    for patient in order:
        if patient_class[patient] not in heaps:
            heaps[patient_class[patient]] = [(0, 0, tie, f) for tie, f in start]
        fold[patient] = _least_loaded(heaps[patient_class[patient]], total, n_images[patient])
    return fold


def _least_loaded(heap, total, n_images):
    """Fold with the fewest images of the class, then the fewest in all; it takes the patient's images."""
    in_class, in_total, tie, fold = heap[0]
    while in_total < total[fold]:  # another class has since been dealt there: its place in this heap is too good
        heapreplace(heap, (in_class, total[fold], tie, fold))
        in_class, in_total, tie, fold = heap[0]
    heapreplace(heap, (in_class + n_images, in_total + n_images, tie, fold))
    total[fold] += n_images
    return fold


def _by_size(n_images, n_folds, rng=None):
    """Patients by number of images, largest first; with `rng` at random within blocks of similar size."""
    if rng is None:
        return np.argsort(-n_images, kind="stable")
    order = rng.permutation(len(n_images))
    order = order[np.argsort(-n_images[order], kind="stable")]
    block = np.arange(len(order)) // n_folds
    return order[np.lexsort((rng.permutation(len(order)), block))]


def _level(fold, n_images, patient_class, n_folds):
    """The same parts of every class, renumbered class by class so that the heaviest part joins the lightest fold.

    Where the remainders of the classes pile up, this brings the spread of the folds below that of one class.
    """
    levelled, total = np.empty_like(fold), np.zeros(n_folds)
    for each in np.unique(patient_class):
        members = patient_class == each
        load = np.bincount(fold[members], weights=n_images[members], minlength=n_folds)
        joins = np.empty(n_folds, dtype=np.intp)
        joins[np.argsort(-load, kind="stable")] = np.argsort(total, kind="stable")
        levelled[members] = joins[fold[members]]
        total[joins] += load
    return levelled
