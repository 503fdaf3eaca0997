"""A metric at every magnification, and at the worst."""

from functools import partial

import numpy as np
from sklearn.utils import check_consistent_length

from sklearn_magdg.cohort import as_column, read_cohort
from sklearn_magdg.metrics._callables import parameters_of
from sklearn_magdg.metrics._probabilities import check_present


def by_magnification(metric, y_true, y_score, *, magnification, sample_weight=None, patient=None):
    """Value of a metric at every magnification, in numeric order ("40X" before "100X").

    Parameters
    ----------
    metric : callable
        `metric(y_true, y_score)` -> float; called with `sample_weight` and `patient` as well where they are given.
        A metric of probabilities with a parameter `labels` that is not bound gets all labels of `y_true`, as a
        magnification may lack some. One that is undefined for images of one class, such as
        `sklearn.metrics.roc_auc_score` or `patient_roc_auc`, then warns and gives nan; the Brier score is defined
        everywhere.
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
        If there are no samples, lengths differ or a label, magnification or patient is missing.

    Examples
    --------
    >>> from sklearn.metrics import accuracy_score
    >>> from sklearn_magdg.metrics import by_magnification
    >>> by_magnification(accuracy_score, [0, 1, 1, 1], [0, 1, 0, 1], magnification=["100X", "40X", "100X", "40X"])
    {'40X': 1.0, '100X': 0.5}
    """
    check_consistent_length(y_true, y_score, sample_weight, patient)
    check_present(y_true, "y_true")
    y_true, y_score = np.asarray(y_true), np.asarray(y_score)
    if not len(y_true):
        raise ValueError("A metric by magnification needs at least one sample, got none.")
    # who every row is, checked once: an error names a row by its place among all samples, not within a magnification
    cohort = read_cohort(len(y_true), patient=patient, magnification=magnification)
    columns = {}
    if sample_weight is not None:
        columns["sample_weight"] = np.asarray(sample_weight)
    if patient is not None:
        columns["patient"] = as_column(patient, "patient")  # by name, as the metric may return or print them

    labels = parameters_of(metric).get("labels")
    # labels are bound where none are yet, the scores are no labels themselves, and the targets are classes
    if labels is not None and labels.default is None and y_score.dtype.kind == "f" and y_true.dtype.kind != "f":
        metric = partial(metric, labels=np.unique(y_true))
    values = {}
    for code, name in enumerate(cohort.magnification.names):
        rows = cohort.magnification.codes == code
        values[name] = metric(y_true[rows], y_score[rows], **{key: each[rows] for key, each in columns.items()})
    return values


def check_numbers(values):
    """Refuse a metric that gave something else than one number at a magnification: several have no worst one."""
    for name, value in values.items():
        if np.ndim(value):
            raise ValueError(
                f"The worst magnification needs a metric of one number, got a {type(value).__name__} of "
                f"{len(value)} at {name!r}; wrap the metric in a function that returns one of them."
            )


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
        As in `by_magnification`, and if the metric returns several numbers.

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
    check_numbers(values)
    # `np.min`, not `min`, which would pass a nan by or not according to its place
    worst = np.min if greater_is_better else np.max
    return float(worst(list(values.values())))
