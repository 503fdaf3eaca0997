"""Metrics in which every patient counts the same."""

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from sklearn_magdg._metadata import encode


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
        If lengths differ or a patient is missing.

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
    correct = column_or_1d(y_true) == column_or_1d(y_pred)
    codes, _ = encode(patient, "patient", len(correct))
    return float(np.mean(np.bincount(codes, weights=correct) / np.bincount(codes)))
