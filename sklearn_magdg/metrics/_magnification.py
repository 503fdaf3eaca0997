"""A metric at every magnification, and at the worst."""

import numpy as np
from sklearn.utils import check_consistent_length

from sklearn_magdg._metadata import encode_magnification


def by_magnification(metric, y_true, y_score, *, magnification, sample_weight=None):
    """Value of a metric at every magnification, in numeric order ("40X" before "100X").

    Parameters
    ----------
    metric : callable
        `metric(y_true, y_score)` -> float; called with `sample_weight` as well if that is given.
    y_true : array-like of shape (n_samples,)
        Labels.
    y_score : array-like of shape (n_samples,) or (n_samples, n_classes)
        Whatever `metric` takes: labels, scores or probabilities.
    magnification : array-like of shape (n_samples,)
        Ints or strings.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.

    Returns
    -------
    dict
        Magnification -> value.

    Raises
    ------
    ValueError
        If lengths differ or a magnification is missing.

    Examples
    --------
    >>> from sklearn.metrics import accuracy_score
    >>> from sklearn_magdg.metrics import by_magnification
    >>> by_magnification(accuracy_score, [0, 1, 1, 1], [0, 1, 0, 1], magnification=["100X", "40X", "100X", "40X"])
    {'40X': 1.0, '100X': 0.5}
    """
    check_consistent_length(y_true, y_score, sample_weight)
    y_true, y_score = np.asarray(y_true), np.asarray(y_score)
    codes, names = encode_magnification(magnification, len(y_true))
    values = {}
    for code, name in enumerate(names):
        rows = codes == code
        weight = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)[rows]}
        values[name] = metric(y_true[rows], y_score[rows], **weight)
    return values


def worst_magnification(metric, y_true, y_score, *, magnification, greater_is_better=True, sample_weight=None):
    """Value of a metric at the magnification where it is worst.

    Parameters
    ----------
    metric, y_true, y_score, magnification, sample_weight
        As in `by_magnification`.
    greater_is_better : bool, default=True
        Whether the worst value is the smallest (accuracy, AUC) or, if False, the largest (a loss).

    Returns
    -------
    float
        `nan` if the metric is `nan` at any magnification: the worst is then unknown.

    Raises
    ------
    ValueError
        As in `by_magnification`.

    Examples
    --------
    >>> from sklearn.metrics import accuracy_score
    >>> from sklearn_magdg.metrics import worst_magnification
    >>> worst_magnification(accuracy_score, [0, 1, 1, 1], [0, 1, 0, 1], magnification=[100, 40, 100, 40])
    0.5
    """
    values = by_magnification(metric, y_true, y_score, magnification=magnification, sample_weight=sample_weight)
    worst = np.min if greater_is_better else np.max
    return float(worst(list(values.values())))
