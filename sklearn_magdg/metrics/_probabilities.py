"""Checking labels against predicted probabilities."""

import numpy as np
import pandas as pd
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import _check_sample_weight


def check_probabilities(y_true, y_proba, *, sample_weight=None, pos_label=None, labels=None):
    """Indicators and probabilities of one column (two classes: the positive one) or one per class, and weights.

    Returns
    -------
    indicators, probabilities : ndarrays of shape (n_samples, 1) or (n_samples, n_classes)
    weight : ndarray of shape (n_samples,)
    """
    y_true, y_proba = check_rows(y_true, y_proba)
    weight = _check_sample_weight(sample_weight, y_proba, dtype=np.float64, ensure_non_negative=True)
    if y_proba.ndim == 1 or y_proba.shape[1] == 1:
        positive = positive_label(y_true, pos_label, labels)
        return (y_true == positive).astype(float)[:, None], y_proba.reshape(-1, 1), weight
    labels = _labels_of_columns(y_true, y_proba.shape[1], labels)
    _check_pos_label(pos_label, labels)
    indicators = (y_true[:, None] == labels).astype(float)
    # the two columns of two classes say the same: one is enough, and sets the scale
    columns = _positive_column(labels, pos_label) if len(labels) == 2 else slice(None)
    return indicators[:, columns], y_proba[:, columns], weight


def _positive_column(labels, pos_label):
    return [1 if pos_label is None else labels.tolist().index(pos_label)]


def check_rows(y_true, y_proba):
    """Labels (n,) and probabilities (n,) or (n, n_columns) of as many samples, none missing or out of range."""
    check_present(y_true, "y_true")
    y_true = column_or_1d(y_true)
    y_proba = check_array(y_proba, ensure_2d=False, dtype=np.float64, input_name="y_proba")
    _check_length(y_true, y_proba)
    _check_range(y_proba)
    return y_true, np.clip(y_proba, 0, 1)


def _check_length(y_true, y_proba):
    if len(y_true) != len(y_proba):
        raise ValueError(f"`y_true` has {len(y_true)} samples and `y_proba` has {len(y_proba)}; give one row each.")


def check_present(values, name):
    """Refuse missing values, of samples with one value or several each."""
    # a list goes through `object`: NumPy alone would turn ["a", nan] into the text "nan"
    values = np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)
    missing = np.flatnonzero(pd.isna(values).any(axis=tuple(range(1, values.ndim))))
    if len(missing):
        raise ValueError(
            f"`{name}` is missing for {len(missing)} samples (the first at position {missing[0]}); drop these samples."
        )


def _check_range(y_proba):
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


def positive_label(y_true, pos_label, labels):
    """The label whose probability a single column holds: `pos_label`, or the last of the sorted labels."""
    labels = np.unique(y_true) if labels is None else _check_sorted(labels)
    _check_known(y_true, labels)
    if len(labels) > 2:
        raise ValueError(
            f"One column of probabilities is for 2 classes, got {len(labels)}: {labels.tolist()}; pass `y_proba` with "
            f"one column per class."
        )
    if len(labels) == 1:
        return pos_label if pos_label is not None else _only_label_among_usual(labels)[1]
    _check_pos_label(pos_label, labels)
    return labels[-1] if pos_label is None else pos_label


def _only_label_among_usual(labels):
    """Both labels where one of (0, 1) or (-1, 1) is all there is; nothing can be said of other names."""
    if labels.dtype.kind in "biuf" and labels[0] in (-1, 0, 1):
        return np.array([-1, 1]) if labels[0] == -1 else np.array([0, 1])
    raise ValueError(
        f"`y_true` holds one label only, {labels.tolist()}; name all of them in `labels`, so that it is known which "
        f"class `y_proba` speaks of."
    )


def _labels_of_columns(y_true, n_columns, labels):
    if labels is None:
        labels = np.unique(y_true)
        if len(labels) == 1 and n_columns == 2:
            return _only_label_among_usual(labels)
    labels = _check_sorted(labels)
    _check_known(y_true, labels)
    if len(labels) != n_columns:
        raise ValueError(
            f"`y_proba` has {n_columns} columns for {len(labels)} labels, {labels.tolist()}; name all labels of the "
            f"columns in `labels`."
        )
    return labels


def _check_sorted(labels):
    """The distinct labels; columns follow the sorted ones, so that another order would be taken for this one."""
    distinct = np.unique(labels)
    if not np.array_equal(np.sort(labels), labels):
        raise ValueError(
            f"`labels` must be sorted, as the columns of `predict_proba` are, got {list(labels)}; pass "
            f"{distinct.tolist()}, with the columns of `y_proba` in this order."
        )
    return distinct


def _check_known(y_true, labels):
    unknown = np.setdiff1d(y_true, labels)
    if len(unknown):
        raise ValueError(f"`y_true` holds {unknown.tolist()}, not among the labels {labels.tolist()}.")


def _check_pos_label(pos_label, labels):
    if pos_label is not None and pos_label not in labels.tolist():
        raise ValueError(f"`pos_label={pos_label!r}` is not among the labels {labels.tolist()}.")
