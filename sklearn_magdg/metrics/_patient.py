"""Metrics in which every patient counts the same."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import unique_labels

from sklearn_magdg.cohort import encode
from sklearn_magdg.metrics._brier import brier_score
from sklearn_magdg.metrics._probabilities import check_present, check_probabilities, check_rows


class PooledPatients(NamedTuple):
    """What `pool_by_patient` returns."""

    y_true: np.ndarray
    y_proba: np.ndarray
    patient: np.ndarray


def patient_recognition_rate(y_true, y_pred, *, patient):
    r"""Mean over patients of the share of a patient's images that are classified correctly.

    .. math:: \frac{1}{P} \sum_p \frac{N_{p, correct}}{N_p}

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels; numbers or strings.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    patient : array-like of shape (n_samples,)
        Ints or strings.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If there are no samples, lengths differ, a label or patient is missing, or labels are text on one side and
        numbers on the other.

    References
    ----------
    .. [1] F. A. Spanhol, L. S. Oliveira, C. Petitjean, L. Heutte, "A Dataset for Breast Cancer Histopathological
       Image Classification", IEEE Transactions on Biomedical Engineering 63(7), 2016, equations 1 and 2.

    Examples
    --------
    >>> from sklearn_magdg.metrics import patient_recognition_rate
    >>> patient_recognition_rate([0, 0, 0, 1], [0, 0, 1, 0], patient=["a", "a", "a", "b"])
    0.3333333333333333
    """
    check_consistent_length(y_true, y_pred)
    check_present(y_true, "y_true")
    check_present(y_pred, "y_pred")
    y_true, y_pred = column_or_1d(y_true), column_or_1d(y_pred)
    if not len(y_true):
        raise ValueError("`patient_recognition_rate` needs at least one sample, got none.")
    unique_labels(y_true, y_pred)  # refuses text against numbers, which would never be equal
    codes = encode(patient, "patient", len(y_true)).codes
    return float(np.mean(np.bincount(codes, weights=y_true == y_pred) / np.bincount(codes)))


def pool_by_patient(y_true, y_proba, *, patient):
    """One label and one mean probability per patient, over all images of the patient.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels, the same for all images of a patient; numbers or strings.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Probabilities of the positive class, or of every class.
    patient : array-like of shape (n_samples,)
        Ints or strings.

    Returns
    -------
    y_true : ndarray of shape (n_patients,)
        Labels of the patients.
    y_proba : ndarray of shape (n_patients,) or (n_patients, n_classes)
        Mean probabilities of the patients.
    patient : ndarray of shape (n_patients,)
        Names of the patients, sorted.

    Raises
    ------
    ValueError
        If a patient has images of several labels, if probabilities leave [0, 1] or rows do not sum to 1, if lengths
        differ, or if a patient is missing.

    Examples
    --------
    >>> from sklearn_magdg.metrics import pool_by_patient
    >>> labels, probabilities, names = pool_by_patient(
    ...     ["benign", "malignant", "malignant"], [0.25, 0.5, 0.75], patient=["b", "a", "a"]
    ... )
    >>> labels.tolist(), probabilities.tolist(), names.tolist()
    (['malignant', 'benign'], [0.625, 0.25], ['a', 'b'])
    """
    y_true, y_proba = check_rows(y_true, y_proba)
    codes, names = encode(patient, "patient", len(y_true))
    _, first, n_images = np.unique(codes, return_index=True, return_counts=True)
    label = y_true[first]
    differs = np.flatnonzero(y_true != label[codes])
    if len(differs):
        patient = codes[differs[0]]
        raise ValueError(
            f"`patient` {names[patient]!r} has images of several labels, "
            f"{np.unique(y_true[codes == patient]).tolist()}; pool by a unit of one label, such as the slide."
        )
    # a mean of probabilities, not of votes: an unsure image counts as little as it says
    total = np.zeros((len(names), *y_proba.shape[1:]))
    np.add.at(total, codes, y_proba)
    return PooledPatients(label, (total.T / n_images).T, np.array(names))


def patient_roc_auc(y_true, y_proba, *, patient, pos_label=None, labels=None):
    """Area under the ROC curve over patients, each with its mean probability.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels, the same for all images of a patient; numbers or strings.
    y_proba : array-like of shape (n_samples,), (n_samples, 2) or (n_samples, n_classes)
        Probabilities: of `pos_label` alone, or of all sorted labels.
    patient : array-like of shape (n_samples,)
        Ints or strings.
    pos_label : label, default=None
        The class of a single column. `None` is the last of the sorted labels.
    labels : array-like, default=None
        All labels, sorted, where `y_true` may lack some. `None` takes those of `y_true`.

    Returns
    -------
    float
        In [0, 1]; for more than two classes the mean over classes of one against the rest. nan where a class has no
        patient, or every patient.

    Raises
    ------
    ValueError
        As in `pool_by_patient`, and if labels and columns do not match.

    Warns
    -----
    UndefinedMetricWarning
        If the result is nan.

    Examples
    --------
    >>> from sklearn_magdg.metrics import patient_roc_auc
    >>> patient_roc_auc([0, 0, 0, 1, 1], [0.1, 0.2, 0.9, 0.5, 0.3], patient=list("aabcc"))
    0.5
    """
    pooled = pool_by_patient(y_true, y_proba, patient=patient)
    # two classes come as one column, so that theirs is a mean of one area
    indicators, probabilities, _ = check_probabilities(
        pooled.y_true, pooled.y_proba, pos_label=pos_label, labels=labels
    )
    areas = [roc_auc_score(y, p) for y, p in zip(indicators.T, probabilities.T, strict=True)]
    return float(np.mean(areas))


def patient_brier_score(y_true, y_proba, *, patient, pos_label=None, labels=None):
    """Brier score over patients, each with its mean probability.

    Parameters
    ----------
    y_true, y_proba, patient, pos_label, labels
        As in `patient_roc_auc`.

    Returns
    -------
    float
        On the scale of `sklearn.metrics.brier_score_loss(scale_by_half="auto")`: in [0, 1] for two classes, in
        [0, 2] for more.

    Raises
    ------
    ValueError
        As in `patient_roc_auc`.

    Examples
    --------
    >>> from sklearn_magdg.metrics import patient_brier_score
    >>> round(patient_brier_score([0, 0, 1], [0.2, 0.6, 0.8], patient=list("aab")), 2)
    0.1
    """
    pooled = pool_by_patient(y_true, y_proba, patient=patient)
    return brier_score(pooled.y_true, pooled.y_proba, pos_label=pos_label, labels=labels)
