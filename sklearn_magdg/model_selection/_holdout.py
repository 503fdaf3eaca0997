"""Setting whole patients aside, class by class."""

import numpy as np

from sklearn_magdg._metadata import as_column, encode


def patient_holdout(patient, y, fraction, rng):
    """Mask of the samples whose patients are set aside, stratified by class.

    Of every class the rounded `fraction` of its patients is drawn: at least one and never all where the class
    has two or more, none where it has one. A patient counts by the class of most of its samples.

    Parameters
    ----------
    patient : array-like of shape (n_samples,)
        Patient of every sample. Samples without one (None, NaN) are never set aside and do not change
        the draw.
    y : array-like of shape (n_samples,) or None
        Classes. None and real-valued targets draw from all patients alike.
    fraction : float
        Share of the patients to set aside, between 0 and 1, both excluded.
    rng : numpy.random.RandomState or numpy.random.Generator
        Source of the draw. The order of the rows plays no part in it.

    Returns
    -------
    held_out : ndarray of shape (n_samples,), dtype bool
        True where the sample's patient is set aside.

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 1, or the lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> patient_holdout([1, 1, 2, 3, 3, 4], [0, 0, 0, 1, 1, 1], 0.5, np.random.RandomState(0)).sum()
    np.int64(3)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"The fraction of patients to set aside must lie between 0 and 1, got {fraction!r}.")
    patient = encode(patient, "patient", allow_missing=True).codes
    known = patient >= 0
    held_out = np.zeros(len(patient), dtype=bool)
    if y is not None:
        y = as_target(y, len(patient))[known]
    held_out[known] = _draw(patient[known], class_codes(y, known.sum()), fraction, rng)[patient[known]]
    return held_out


def as_target(y, n_samples):
    """`y` as an array with one row per sample: a matrix of outputs stays one."""
    y = np.asarray(y)
    return y if y.ndim == 2 and y.shape[1] > 1 and len(y) == n_samples else as_column(y, "y", n_samples)


def class_codes(y, n_samples):
    """Class of every sample as a code; all 0 for None, real-valued and multi-output targets."""
    if y is None or y.ndim > 1 or _is_continuous(y):
        return np.zeros(n_samples, dtype=np.intp)
    return encode(y, "y", n_samples).codes


def majority_class(patient, label):
    """Class of most samples of each patient `(n_patients,)`, the lower code on a tie.

    The codes in `patient` run from 0 and none is left out.
    """
    n_classes = label.max(initial=0) + 1
    pairs, counts = np.unique(patient * n_classes + label, return_counts=True)
    owner, candidate = np.divmod(pairs, n_classes)
    order = np.lexsort((-candidate, counts, owner))
    majority = np.empty(owner.max(initial=-1) + 1, dtype=np.intp)
    majority[owner[order]] = candidate[order]  # the last assignment stays: most samples, then lower code
    return majority


def _is_continuous(y):
    return y.dtype.kind == "f" and bool(np.any(np.isfinite(y) & (y != np.round(y))))


def _draw(patient, label, fraction, rng):
    """Mask `(n_patients,)` of the patients set aside."""
    patient_class = majority_class(patient, label)
    drawn = np.zeros(len(patient_class), dtype=bool)
    for each in np.unique(patient_class):
        members = np.flatnonzero(patient_class == each)
        if len(members) > 1:
            n_drawn = np.clip(round(fraction * len(members)), 1, len(members) - 1)
            drawn[rng.permutation(members)[:n_drawn]] = True
    return drawn
