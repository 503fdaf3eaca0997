"""Calibration errors: in bins, and smooth."""

import numpy as np
from scipy.fft import dct, idct
from scipy.optimize import brentq

from sklearn_magdg.metrics._bins import assign_bins, bin_means, check_bins
from sklearn_magdg.metrics._probabilities import check_probabilities

# Cells of [0, 1] of the smooth error: a bandwidth as small as 0.001 still spans 16 of them.
N_CELLS = 2**14


def expected_calibration_error(
    y_true,
    y_proba,
    *,
    n_bins=10,
    strategy="uniform",
    norm="l1",
    debias=False,
    sample_weight=None,
    pos_label=None,
    labels=None,
):
    r"""Mean distance, over bins, of the frequency of an outcome to its mean predicted probability.

    With the share :math:`w_b` of the weight in bin b, `norm="l1"` and `norm="l2"` are

    .. math:: ECE_1 = \sum_b w_b | \bar y_b - \bar p_b |, \quad
              ECE_2 = \Big( \sum_b w_b (\bar y_b - \bar p_b)^2 \Big)^{1/2}.

    For two classes p is the probability of the positive class, as in [1]_; for more it is the largest probability
    of the sample and y whether that class is right, as in [2]_.

    Both are above 0 even for calibrated probabilities, because frequencies scatter, and the more so the more bins.
    `debias=True` takes the estimated variance :math:`\bar y_b (1 - \bar y_b) / (n_b - 1)` of every frequency off its
    squared distance [3]_ [4]_, and returns 0 where less than nothing is left. That removes the scatter of
    the frequencies, and only for independent samples: images of one patient scatter more, so pool them first
    (`pool_by_patient`). What errors of opposite sign hide inside a bin stays hidden.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels; numbers or strings.
    y_proba : array-like of shape (n_samples,), (n_samples, 2) or (n_samples, n_classes)
        Probabilities: of `pos_label` alone, or of all sorted labels.
    n_bins : int, default=10
        Number of bins, at least 1. The field reports 10 [1]_ or 15 [2]_; the value depends on it and falls with
        fewer, which `brier_decomposition` and `smooth_calibration_error` avoid.
    strategy : "uniform" or "quantile", default="uniform"
        Bins of equal width, the field's standard, or of equal weight (ties stay together).
    norm : "l1" or "l2", default="l1"
        Mean distance or root mean squared distance.
    debias : bool, default=False
        Whether to take the variance of the frequencies off; for `norm="l2"`. With weights :math:`n_b` is the
        effective number :math:`(\sum w)^2 / \sum w^2`. A bin of a single sample, whose variance is unknown, counts 0.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of at least 0.
    pos_label : label, default=None
        The class of a single column, and the one looked at of two. `None` is the last of the sorted labels.
    labels : array-like, default=None
        All labels, sorted, where `y_true` may lack some. `None` takes those of `y_true`.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If `n_bins`, `strategy` or `norm` is invalid, if `debias` is asked for with `norm="l1"`, and as in
        `brier_decomposition`.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
       Binning", AAAI 2015.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
       equation 3.
    .. [3] A. Kumar, P. Liang, T. Ma, "Verified Uncertainty Calibration", NeurIPS 2019, section 5.
    .. [4] C. A. T. Ferro, T. E. Fricker, "A bias-corrected decomposition of the Brier score", Quarterly Journal of
       the Royal Meteorological Society 138, 2012.

    Examples
    --------
    >>> from sklearn_magdg.metrics import expected_calibration_error
    >>> round(expected_calibration_error([0, 1, 1, 1], [0.75, 0.75, 0.85, 0.95]), 2)
    0.18
    """
    if norm not in ("l1", "l2"):
        raise ValueError(f'`norm` must be "l1" or "l2", got {norm!r}.')
    if debias and norm == "l1":
        raise ValueError('`debias=True` is defined for squared distances, got `norm="l1"`; use `norm="l2"`.')
    check_bins(n_bins, strategy)
    outcome, confidence, weight = _top_label(y_true, y_proba, sample_weight, pos_label, labels)
    bins = assign_bins(confidence, weight, n_bins, strategy)
    share = np.bincount(bins, weights=weight) / weight.sum()
    gap = bin_means(outcome - confidence, bins, weight)
    if norm == "l1":
        return float(share @ np.abs(gap))
    square = gap**2
    if debias:
        frequency = bin_means(outcome, bins, weight)
        total, squared_weight = np.bincount(bins, weights=weight), np.bincount(bins, weights=weight**2)
        # (n - 1) times the squares for n equal weights, 0 for one sample, which takes its whole gap off
        degrees = total**2 - squared_weight
        square -= np.divide(frequency * (1 - frequency) * squared_weight, degrees, out=gap**2, where=degrees > 0)
    return float(np.sqrt(max(share @ square, 0)))  # the estimated variance can be more than all there is


def smooth_calibration_error(y_true, y_proba, *, sample_weight=None, pos_label=None, labels=None):
    r"""Smooth expected calibration error, smECE: mean kernel-smoothed residual, without bins to choose.

    .. math:: smECE_\sigma = \int_0^1 \Big| \sum_i w_i (y_i - p_i) K_\sigma(p_i, t) \Big| dt \Big/ \sum_i w_i,
              \quad smECE = smECE_\sigma \text{ at the } \sigma \text{ with } smECE_\sigma = \sigma.

    :math:`K_\sigma` is the Gaussian kernel of bandwidth :math:`\sigma`, reflected at 0 and 1. smECE moves
    continuously with the probabilities, where a binned error jumps, and lies between d / 2 and :math:`2 \sqrt d`
    for the lower distance d to calibration [1]_. For more than two classes p and y are those of the largest
    probability, as in `expected_calibration_error`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels; numbers or strings.
    y_proba : array-like of shape (n_samples,), (n_samples, 2) or (n_samples, n_classes)
        Probabilities: of `pos_label` alone, or of all sorted labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of at least 0.
    pos_label : label, default=None
        The class of a single column, and the one looked at of two. `None` is the last of the sorted labels.
    labels : array-like, default=None
        All labels, sorted, where `y_true` may lack some. `None` takes those of `y_true`.

    Returns
    -------
    float
        In [0, 1], computed on a grid of 16,384 cells; also the bandwidth. Above 0 even for calibrated
        probabilities, less with more samples.

    Raises
    ------
    ValueError
        As in `brier_decomposition`.

    References
    ----------
    .. [1] J. Błasiok, P. Nakkiran, "Smooth ECE: Principled Reliability Diagrams via Kernel Smoothing", ICLR 2024.

    Examples
    --------
    >>> from sklearn_magdg.metrics import smooth_calibration_error
    >>> round(smooth_calibration_error([0, 1, 1, 1], [0.5, 0.5, 0.5, 0.5]), 3)
    0.25
    """
    outcome, confidence, weight = _top_label(y_true, y_proba, sample_weight, pos_label, labels)
    residual = weight * (outcome - confidence) / weight.sum()

    # each residual is shared by the two middles of cells around its probability, so that the error moves with it
    # continuously
    cell = np.clip(confidence * N_CELLS - 0.5, 0, N_CELLS - 1)
    left = np.minimum(cell.astype(int), N_CELLS - 2)
    right_share = cell - left
    mass = np.bincount(left, weights=residual * (1 - right_share), minlength=N_CELLS)
    mass += np.bincount(left + 1, weights=residual * right_share, minlength=N_CELLS)
    coefficients, frequency = dct(mass), np.pi * np.arange(N_CELLS)

    def excess(sigma):
        # cosines are the eigenfunctions of a kernel reflected at 0 and 1
        smoothed = idct(coefficients * np.exp(-((frequency * sigma) ** 2) / 2))
        return np.abs(smoothed).sum() - sigma

    return float(brentq(excess, 0, 2, xtol=1e-9))  # no error is above 1, and it falls as sigma grows


def _top_label(y_true, y_proba, sample_weight, pos_label, labels):
    """Outcome, probability and weight (n,) of the positive one of two classes, else of the most probable class."""
    indicators, probabilities, weight = check_probabilities(
        y_true, y_proba, sample_weight=sample_weight, pos_label=pos_label, labels=labels
    )
    predicted = np.argmax(probabilities, axis=1)[:, None]  # all 0 for the single column of two classes
    outcome = np.take_along_axis(indicators, predicted, axis=1)[:, 0]
    return outcome, np.take_along_axis(probabilities, predicted, axis=1)[:, 0], weight
