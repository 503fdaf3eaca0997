"""A metric at every magnification, and at the worst."""

import numpy as np
from sklearn.utils import check_consistent_length

from sklearn_magdg._metadata import encode_magnification


def by_magnification(metric, y_true, y_score, *, magnification, sample_weight=None, patient=None):
    """Value of a metric at every magnification, in numeric order ("40X" before "100X").

    Parameters
    ----------
    metric : callable
        `metric(y_true, y_score)` -> float; called with `sample_weight` and `patient` as well where they are given.
        A metric undefined for images of one class, such as `sklearn.metrics.roc_auc_score`, warns and gives nan
        for a magnification that has no others; the Brier score is defined everywhere.
    y_true : array-like of shape (n_samples,)
        Labels.
    y_score : array-like of shape (n_samples,) or (n_samples, n_classes)
        Whatever `metric` takes: labels, scores or probabilities.
    magnification : array-like of shape (n_samples,)
        Ints or strings.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.
    patient : array-like of shape (n_samples,), default=None
        For a metric over patients, such as `patient_roc_auc`.

    Returns
    -------
    dict
        Magnification -> value.

    Raises
    ------
    ValueError
        If there are no samples, lengths differ or a magnification is missing.

    Examples
    --------
    >>> from sklearn.metrics import accuracy_score
    >>> from sklearn_magdg.metrics import by_magnification
    >>> by_magnification(accuracy_score, [0, 1, 1, 1], [0, 1, 0, 1], magnification=["100X", "40X", "100X", "40X"])
    {'40X': 1.0, '100X': 0.5}
    """
    check_consistent_length(y_true, y_score, sample_weight, patient)
    y_true, y_score = np.asarray(y_true), np.asarray(y_score)
    if not len(y_true):
        raise ValueError("A metric by magnification needs at least one sample, got none.")
    codes, names = encode_magnification(magnification, len(y_true))
    given = {"sample_weight": sample_weight, "patient": patient}
    given = {name: np.asarray(values) for name, values in given.items() if values is not None}
    values = {}
    for code, name in enumerate(names):
        rows = codes == code
        values[name] = metric(y_true[rows], y_score[rows], **{key: each[rows] for key, each in given.items()})
    return values


def worst_magnification(
    metric, y_true, y_score, *, magnification, greater_is_better=True, sample_weight=None, patient=None
):
    """Value of a metric at the magnification where it is worst.

    Parameters
    ----------
    metric, y_true, y_score, magnification, sample_weight, patient
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
    values = by_magnification(
        metric, y_true, y_score, magnification=magnification, sample_weight=sample_weight, patient=patient
    )
    worst = np.min if greater_is_better else np.max
    return float(worst(list(values.values())))
