"""Labels: the classes of a splitter, of a classifier, and of a patient."""

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from sklearn_magdg.cohort._encoding import Encoded, as_column, encode


def as_target(y, n_samples):
    """`y` as an array with one row per sample: a matrix of outputs stays one, a single column becomes `(n,)`."""
    y = np.asarray(y)
    return y if y.ndim == 2 and y.shape[1] > 1 and len(y) == n_samples else as_column(y, "y", n_samples)


def class_codes(y, n_samples):
    """`Encoded` class of every sample of the array `y`; the one class None of all where `y` has no classes.

    That is where `y` is None, has several outputs, or holds floats that are not whole: a splitter then stratifies by
    nothing. Whole floats are classes, and NaN among them is refused as a missing class.
    """
    has_fractions = y is not None and y.dtype.kind == "f" and np.any(np.isfinite(y) & (y != np.round(y)))
    if y is None or y.ndim > 1 or has_fractions:
        return Encoded(np.zeros(n_samples, dtype=np.intp), [None])
    return encode(y, "y", n_samples)


def majority_class(patient, label):
    """Class of most samples of each patient `(n_patients,)`, the lower code on a tie.

    Parameters
    ----------
    patient : ndarray of int of shape (n,)
        Codes that run from 0 without a gap.
    label : ndarray of int of shape (n,)
        Codes of classes, at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.cohort import majority_class
    >>> majority_class(np.array([0, 0, 0, 1, 1]), np.array([2, 2, 1, 1, 0]))
    array([2, 0])
    """
    n_classes = label.max(initial=0) + 1
    pairs, counts = np.unique(patient * n_classes + label, return_counts=True)  # a number per pair that occurs
    owner, candidate = np.divmod(pairs, n_classes)
    order = np.lexsort((-candidate, counts, owner))
    majority = np.empty(owner.max(initial=-1) + 1, dtype=np.intp)
    majority[owner[order]] = candidate[order]  # the last assignment stays: most samples, then lower code
    return majority


def read_labels(y, n_samples):
    """Labels of a classifier as a 1-D array, none missing, blank or mixed with another type.

    The messages are scikit-learn's where its estimator checks ask for their words, else those of `encode`.

    Raises
    ------
    ValueError
        If `y` is None, has another length, holds a missing value, or is no classification target.

    Warns
    -----
    DataConversionWarning
        If `y` is one column of shape (n_samples, 1).
    """
    if y is None:
        raise ValueError("A classifier requires y to be passed, but the target y is None: give one label per sample.")
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "O":
        y = pd.Series(y).infer_objects().to_numpy()  # numbers in a column of objects
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    encode(y, "y")  # which refuses missing, blank and mixed labels
    check_classification_targets(y)
    check_consistent_length(range(n_samples), y)
    return y


def encode_classes(y, asker):
    """`Encoded` labels of a classifier, whose names are its ``classes_``: NumPy's order, as scikit-learn has it.

    Codes are int64, whatever the platform, for a net's loss takes no other.

    Raises
    ------
    ValueError
        If there is one class only; `asker` is the name of the estimator that needs two.
    """
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"{asker} needs at least 2 classes, got 1 class: {classes.tolist()[0]!r}; add images of another class."
        )
    return Encoded(codes.astype(np.int64), classes)
