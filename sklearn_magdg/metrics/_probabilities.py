"""Checking labels against predicted probabilities."""

import numpy as np
import pandas as pd
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import _check_sample_weight


def check_probabilities(y_true, y_proba, *, sample_weight=None, pos_label=None, labels=None):
    """Indicators and probabilities of one column (two classes: the positive one) or one per class, and weights.

    The one place that knows which class a column speaks of: `predict_proba` has a column for each of the sorted
    labels, and a single column is the probability of `pos_label`, or of the last label.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels; numbers or strings.
    y_proba : array-like of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
        Probabilities.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of at least 0. `None` weighs all samples alike.
    pos_label : label, default=None
        The class of a single column, and the one looked at of two.
    labels : array-like, default=None
        All labels, sorted, where `y_true` may lack some.

    Returns
    -------
    indicators, probabilities : ndarrays of shape (n_samples, 1) or (n_samples, n_classes), float64
        The score of a class is a comparison of its two columns.
    weight : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        As `check_rows`, if a weight is negative, and if labels, `pos_label` and columns do not match.
    """
    y_true, y_proba = check_rows(y_true, y_proba)
    weight = _check_sample_weight(sample_weight, y_proba, dtype=np.float64, ensure_non_negative=True)
    if y_proba.ndim == 1 or y_proba.shape[1] == 1:
        positive = positive_label(y_true, pos_label, labels)
        return (y_true == positive).astype(float)[:, None], y_proba.reshape(-1, 1), weight

    labels, given = _sorted_labels(y_true, labels), labels
    if given is None and len(labels) == 1 and y_proba.shape[1] == 2:
        labels = _both_labels(labels)
    if len(labels) != y_proba.shape[1]:
        raise ValueError(
            f"`y_proba` has {y_proba.shape[1]} columns for {len(labels)} labels, {labels.tolist()}; name all labels of "
            f"the columns in `labels`."
        )
    _check_pos_label(pos_label, labels)
    indicators = (y_true[:, None] == labels).astype(float)
    if len(labels) > 2:
        return indicators, y_proba, weight
    # the two columns of two classes say the same: one is enough, and sets the scale
    column = [1 if pos_label is None else labels.tolist().index(pos_label)]
    return indicators[:, column], y_proba[:, column], weight


def check_rows(y_true, y_proba):
    """Labels (n,) and probabilities (n,) or (n, n_columns) of as many samples, none missing or out of range.

    Raises
    ------
    ValueError
        If a label is missing, a number is not finite, lengths differ, a probability leaves [0, 1] by more than
        rounding, or a row of several columns does not sum to 1.
    """
    check_present(y_true, "y_true")
    y_true = column_or_1d(y_true)
    y_proba = check_array(y_proba, ensure_2d=False, dtype=np.float64, input_name="y_proba")
    if len(y_true) != len(y_proba):
        raise ValueError(f"`y_true` has {len(y_true)} samples and `y_proba` has {len(y_proba)}; give one row each.")
    # a sum of probabilities, in single precision at worst, goes beyond 1 by rounding
    if y_proba.min() < -1e-6 or y_proba.max() > 1 + 1e-6:
        raise ValueError(
            f"`y_proba` must hold probabilities in [0, 1], got values from {y_proba.min():.7g} to "
            f"{y_proba.max():.7g}; pass `predict_proba`, not `decision_function`."
        )
    # networks answer in single precision, so a row is off by some 1e-7
    if y_proba.ndim == 2 and y_proba.shape[1] > 1 and np.abs(y_proba.sum(axis=1) - 1).max() > 1e-3:
        row = int(np.argmax(np.abs(y_proba.sum(axis=1) - 1)))
        raise ValueError(
            f"The rows of `y_proba` must sum to 1, row {row} sums to {y_proba[row].sum():.4g}; pass all columns of "
            f"`predict_proba`, or the column of the positive class alone."
        )
    return y_true, np.clip(y_proba, 0, 1)


def check_present(values, name):
    """Refuse missing values, of samples with one value or several each; `name` is the parameter they came by."""
    # a list goes through `object`: NumPy alone would turn ["a", nan] into the text "nan"
    values = np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)
    missing = np.flatnonzero(pd.isna(values).any(axis=tuple(range(1, values.ndim))))
    if len(missing):
        raise ValueError(
            f"`{name}` is missing for {len(missing)} samples (the first at position {missing[0]}); drop these samples."
        )


def positive_label(y_true, pos_label, labels):
    """The label whose probability a single column holds: `pos_label`, or the last of the sorted labels.

    Raises
    ------
    ValueError
        For more than two labels, a `pos_label` that is none of them, and a single label whose partner is unknown.
    """
    labels = _sorted_labels(y_true, labels)
    if len(labels) > 2:
        raise ValueError(
            f"One column of probabilities is for 2 classes, got {len(labels)}: {labels.tolist()}; pass `y_proba` with "
            f"one column per class."
        )
    if len(labels) == 1:
        # a part of the data may hold the other class alone, so that `pos_label` need not be among its labels
        return _both_labels(labels)[1] if pos_label is None else pos_label
    _check_pos_label(pos_label, labels)
    return labels[-1] if pos_label is None else pos_label


def _sorted_labels(y_true, labels):
    """The distinct `labels`, or those of `y_true` for None; none of `y_true` is missing among them."""
    if labels is None:
        return np.unique(y_true)
    distinct = np.unique(labels)
    # columns follow the sorted labels, so that another order would be taken for this one without a word
    if not np.array_equal(np.sort(labels), labels):
        raise ValueError(
            f"`labels` must be sorted, as the columns of `predict_proba` are, got {list(labels)}; pass "
            f"{distinct.tolist()}, with the columns of `y_proba` in this order."
        )
    unknown = np.setdiff1d(y_true, distinct)
    if len(unknown):
        raise ValueError(f"`y_true` holds {unknown.tolist()}, not among the labels {distinct.tolist()}.")
    return distinct


def _both_labels(labels):
    """(0, 1) or (-1, 1), where one of them is the only label; nothing can be said of other names."""
    if labels.dtype.kind in "biuf" and labels[0] in (-1, 0, 1):
        return np.array([-1, 1]) if labels[0] == -1 else np.array([0, 1])
    raise ValueError(
        f"`y_true` holds one label only, {labels.tolist()}; name all of them in `labels`, so that it is known which "
        f"class `y_proba` speaks of."
    )


def _check_pos_label(pos_label, labels):
    if pos_label is not None and pos_label not in labels.tolist():
        raise ValueError(f"`pos_label={pos_label!r}` is not among the labels {labels.tolist()}.")
