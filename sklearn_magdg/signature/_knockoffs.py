"""Model-X knockoffs: decoys that look like the dimensions and know nothing of the classes."""

import numpy as np
from sklearn.covariance import ledoit_wolf


def gaussian_knockoffs(X, patient, rng):
    r"""Equi-correlated Gaussian knockoffs of standardised columns.

    With :math:`\Sigma` the (Ledoit-Wolf) correlation and :math:`s = \min(1, 2 \lambda_{\min}(\Sigma))`,

    .. math:: \tilde x \mid x \sim N(x - s \Sigma^{-1} x, \; 2 s I - s^2 \Sigma^{-1}),

    so that :math:`(x, \tilde x)` keeps mean and covariance when a dimension changes place with its knockoff. Samples
    of one patient draw correlated noise, by the intraclass correlation of `X`: a knockoff must not be less of a
    patient than its original. This is exact where all dimensions have that one intraclass correlation.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Columns of mean 0 and variance 1, or constant: such a column is its own knockoff.
    patient : ndarray of shape (n_samples,)
        Codes from 0.
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    References
    ----------
    .. [1] E. Candes, Y. Fan, L. Janson, J. Lv, "Panning for gold: model-X knockoffs for high dimensional controlled
       variable selection", JRSS B 80(3), 2018, section 3.4.
    """
    knockoffs = X.copy()
    varying = X.var(axis=0) > 0.5  # standardised, a column of 0.1 is not exactly 0 but some 1e-16
    if not varying.any():
        return knockoffs
    X = X[:, varying]
    eigenvalues, axes = np.linalg.eigh(ledoit_wolf(X, assume_centered=True)[0])
    s = min(1.0, 2 * eigenvalues[0])
    # rounding can leave the variance along the axis of the smallest eigenvalue a little below 0
    spread = np.sqrt(np.maximum(2 * s - s**2 / eigenvalues, 0))
    shared = intraclass_correlation(X, patient)
    of_patient, of_sample = rng.normal(size=(patient.max() + 1, X.shape[1])), rng.normal(size=X.shape)
    noise = np.sqrt(shared) * of_patient[patient] + np.sqrt(1 - shared) * of_sample
    knockoffs[:, varying] = (X @ axes * (1 - s / eigenvalues) + noise * spread) @ axes.T
    return knockoffs


def intraclass_correlation(X, patient):
    """Mean product of two samples of one patient, over pairs and standardised columns, clipped to [0, 1]."""
    sums = np.zeros((patient.max() + 1, X.shape[1]))
    np.add.at(sums, patient, X)
    sizes = np.bincount(patient)
    n_products = np.sum(sizes * (sizes - 1)) * X.shape[1]
    # the square of a patient's sum holds the products of all pairs, and of every sample with itself
    return np.clip((np.sum(sums**2) - np.sum(X**2)) / max(n_products, 1), 0, 1)


def knockoff_threshold(statistics, fdr):
    """Smallest t > 0 with (1 + #{W <= -t}) / #{W >= t} at most `fdr`: knockoff+; infinite if there is none.

    A false dimension is as likely to lose as to win, so that those below -t estimate the false ones above t; the 1 is
    what makes the mean share of false ones, and not one near it, at most `fdr` [1]_.

    References
    ----------
    .. [1] R. F. Barber, E. Candes, "Controlling the false discovery rate via knockoffs", Annals of Statistics 43(5),
       2015, theorem 2.
    """
    allowed = fdr * (1 + 1e-9)  # 0.29 x 100 is a little less than 29
    for t in np.unique(np.abs(statistics[statistics != 0])):
        if 1 + np.sum(statistics <= -t) <= allowed * np.sum(statistics >= t):
            return float(t)
    return float("inf")
