"""The door of every `fit`: what is known of each training row, checked and encoded once."""

import warnings

import numpy as np
from sklearn.utils import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight

from sklearn_magdg.cohort._cohort import read_cohort
from sklearn_magdg.cohort._encoding import Encoded
from sklearn_magdg.cohort._labels import encode_classes, read_labels


def read_training_cohort(
    y, n_samples, *, patient=None, magnification=None, sample_weight=None, class_weight=None, asker
):
    """`Cohort` of the training rows of a classifier.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of at least two classes.
    n_samples : int
        Rows of X.
    patient : array-like of shape (n_samples,), default=None
        Patients; a missing one (None, NaN) has code -1.
    magnification : array-like of shape (n_samples,), default=None
        Magnifications, none missing.
    sample_weight, class_weight
        As in scikit-learn; the cohort's weight is their product.
    asker : str
        Name of the estimator, for the messages.

    Returns
    -------
    cohort : Cohort
        Its label's names are the classifier's ``classes_``; its weight is float64 and known.

    Raises
    ------
    ValueError
        For a single class, a length that differs, and a missing, blank or doubly spelled value.

    Examples
    --------
    >>> from sklearn_magdg.cohort import read_training_cohort
    >>> read_training_cohort(["b", "m", "m"], 3, class_weight="balanced", asker="CNNClassifier").weight
    array([1.5 , 0.75, 0.75])
    """
    y = read_labels(y, n_samples)
    label = encode_classes(y, asker)
    cohort = read_cohort(n_samples, patient=patient, magnification=magnification, allow_missing_patients=True)
    return cohort.replace(label=label, weight=training_weight(sample_weight, class_weight, y))


def training_weight(sample_weight, class_weight, y):
    """Product of both weights `(n,)`, float64: finite, at least 0, and above 0 for some sample.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or the product is 0 for every sample.
    """
    weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
    factor = compute_sample_weight(class_weight, y)
    if not np.isfinite(factor).all() or factor.min() < 0:
        raise ValueError(f"`class_weight` must hold finite numbers of at least 0, got {class_weight!r}.")
    weight = weight * factor  # not in place: it may be the array that the user passed
    if not weight.any():
        raise ValueError(f"`sample_weight` times `class_weight` ({class_weight!r}) is 0 for every sample; raise one.")
    return weight


def with_patients(cohort):
    """`cohort`, where every image is a patient of its own if none are known.

    Warns
    -----
    UserWarning
        If none are known, of what that leaks.
    """
    if cohort.patient is not None:
        return cohort
    warnings.warn(
        "early_stopping=True without `patient`: images of one patient may stand on both sides of the validation "
        "split, which flatters its loss; pass `patient` to `fit`.",
        UserWarning,
    )
    return cohort.replace(patient=Encoded(np.arange(len(cohort)), list(range(len(cohort)))))
