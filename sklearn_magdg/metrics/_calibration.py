"""Expected calibration error."""

from numbers import Integral

import numpy as np

from sklearn_magdg.metrics._probabilities import check_probabilities


def expected_calibration_error(
    y_true, y_proba, *, n_bins=10, strategy="uniform", sample_weight=None, pos_label=None, labels=None
):
    r"""Mean distance, over bins, of the frequency of an outcome to its mean predicted probability.

    .. math:: ECE = \sum_b \frac{w_b}{\sum_c w_c} \, | \bar y_b - \bar p_b |

    For two classes p is the probability of the positive class, as in [1]_; for more it is the largest probability
    of the sample and y whether that class is right, as in [2]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels; numbers or strings.
    y_proba : array-like of shape (n_samples,), (n_samples, 2) or (n_samples, n_classes)
        Probabilities: of `pos_label` alone, or of all sorted labels.
    n_bins : int, default=10
        Number of bins, at least 1. The field reports 10 [1]_ or 15 [2]_; the value depends on it and falls with
        fewer, which `brier_decomposition` avoids.
    strategy : "uniform" or "quantile", default="uniform"
        Bins of equal width, the field's standard, or of equal weight (ties stay together).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of at least 0.
    pos_label : label, default=None
        The class of a single column. `None` is the last of the sorted labels.
    labels : array-like, default=None
        All labels, where `y_true` may lack some. `None` takes those of `y_true`.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If `n_bins` or `strategy` is invalid, and as in `brier_decomposition`.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
       Binning", AAAI 2015.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
       equation 3.

    Examples
    --------
    >>> from sklearn_magdg.metrics import expected_calibration_error
    >>> round(expected_calibration_error([0, 1, 1, 1], [0.75, 0.75, 0.85, 0.95]), 2)
    0.18
    """
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"`n_bins` must be an integer of at least 1, got {n_bins!r}.")
    indicators, probabilities, weight = check_probabilities(
        y_true, y_proba, sample_weight=sample_weight, pos_label=pos_label, labels=labels
    )
    predicted = np.argmax(probabilities, axis=1)[:, None]  # all 0 for the single column of two classes
    outcome = np.take_along_axis(indicators, predicted, axis=1)[:, 0]
    confidence = np.take_along_axis(probabilities, predicted, axis=1)[:, 0]
    bins = _bins(confidence, weight, n_bins, strategy)
    gaps = np.bincount(bins, weights=weight * (outcome - confidence), minlength=n_bins)
    return float(np.abs(gaps).sum() / weight.sum())


def _bins(confidence, weight, n_bins, strategy):
    """Bin (n,) of every sample."""
    if strategy == "uniform":
        # open below, closed above, as in `sklearn.calibration.calibration_curve`
        return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], confidence)
    if strategy == "quantile":
        values, position = np.unique(confidence, return_inverse=True)
        mass = np.bincount(position, weights=weight, minlength=len(values))
        middle = (np.cumsum(mass) - mass / 2) / mass.sum()
        return np.minimum(n_bins * middle, n_bins - 1).astype(int)[position]
    raise ValueError(f'`strategy` must be "uniform" or "quantile", got {strategy!r}.')
