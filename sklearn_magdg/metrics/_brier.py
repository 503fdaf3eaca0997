"""The Brier score, and its parts: miscalibration, discrimination and uncertainty."""

from typing import NamedTuple

import numpy as np
from sklearn.isotonic import isotonic_regression

from sklearn_magdg.metrics._bins import assign_bins, bin_means, check_bins
from sklearn_magdg.metrics._probabilities import check_probabilities


class BrierDecomposition(NamedTuple):
    """What `brier_decomposition` returns."""

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float


def brier_score(y_true, y_proba, *, sample_weight=None, pos_label=None, labels=None):
    r"""Brier score: mean squared distance of probabilities to outcomes.

    With :math:`p_{ik}` the probability of class k and :math:`y_{ik}` 1 for the class of sample i, else 0, it is

    .. math:: \frac{1}{n} \sum_i (p_{i1} - y_{i1})^2 \text{ for two classes,} \quad
              \frac{1}{n} \sum_i \sum_k (p_{ik} - y_{ik})^2 \text{ for more.}

    It is `sklearn.metrics.brier_score_loss` that takes labels of any kind without `pos_label`, and a part of the data
    with one class where `labels` names all.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels; numbers or strings.
    y_proba : array-like of shape (n_samples,), (n_samples, 2) or (n_samples, n_classes)
        Probabilities: of `pos_label` alone, or of all sorted labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of at least 0.
    pos_label : label, default=None
        The class of a single column. `None` is the last of the sorted labels.
    labels : array-like, default=None
        All labels, sorted, where `y_true` may lack some. `None` takes those of `y_true`.

    Returns
    -------
    float
        In [0, 1] for two classes, in [0, 2] for more; smaller is better.

    Raises
    ------
    ValueError
        If probabilities leave [0, 1] or rows do not sum to 1, if lengths differ, if a label is missing, or if labels
        and columns do not match.

    References
    ----------
    .. [1] G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 78(1),
       1950, equation 2.

    Examples
    --------
    >>> from sklearn_magdg.metrics import brier_score, by_magnification
    >>> y_true, y_proba = ["benign", "malignant", "malignant"], [0.5, 0.5, 0.75]
    >>> brier_score(y_true, y_proba)
    0.1875
    >>> by_magnification(brier_score, y_true, y_proba, magnification=[40, 40, 100])
    {40: 0.25, 100: 0.0625}
    """
    indicators, probabilities, weight = check_probabilities(
        y_true, y_proba, sample_weight=sample_weight, pos_label=pos_label, labels=labels
    )
    return float(np.average(np.sum((probabilities - indicators) ** 2, axis=1), weights=weight))


def brier_decomposition(
    y_true,
    y_proba,
    *,
    method="corp",
    n_bins=10,
    strategy="uniform",
    sample_weight=None,
    pos_label=None,
    labels=None,
):
    r"""Brier score and its parts: score = miscalibration - discrimination + uncertainty.

    With S the (weighted) mean squared error, :math:`\hat p` the isotonic regression of the outcome on the
    predicted probability p, and :math:`\bar y` the frequency of the outcome, the CORP parts [1]_ are

    .. math:: MCB = S(p) - S(\hat p), \quad DSC = S(\bar y) - S(\hat p), \quad UNC = S(\bar y).

    No bins are chosen and neither MCB nor DSC is ever negative.

    With `method="binned"`, bin b of weight share :math:`w_b`, frequency :math:`\bar y_b` and mean probability
    :math:`\bar p_b` gives the classical reliability and resolution [2]_

    .. math:: REL = \sum_b w_b (\bar p_b - \bar y_b)^2, \quad RES = \sum_b w_b (\bar y_b - \bar y)^2.

    These add up to the score only if all probabilities of a bin are equal. In general the variance WBV of the
    probabilities within bins and twice their covariance with the outcome, WBC, remain; they are counted as
    discrimination, the generalised resolution RES - WBV + WBC [3]_, so that the sum is exact.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels; numbers or strings.
    y_proba : array-like of shape (n_samples,), (n_samples, 2) or (n_samples, n_classes)
        Probabilities: of `pos_label` alone, or of all sorted labels.
    method : "corp" or "binned", default="corp"
        Isotonic or classical parts.
    n_bins : int, default=10
        Number of bins, at least 1, of `method="binned"`.
    strategy : "uniform" or "quantile", default="uniform"
        Bins of equal width or of equal weight (ties stay together), of `method="binned"`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of at least 0.
    pos_label : label, default=None
        The class of a single column, and the one looked at of two. `None` is the last of the sorted labels.
    labels : array-like, default=None
        All labels, sorted, where `y_true` may lack some. `None` takes those of `y_true`.

    Returns
    -------
    score, miscalibration, discrimination, uncertainty : float
        On the scale of `sklearn.metrics.brier_score_loss(scale_by_half="auto")`: [0, 1] for two classes; for more
        the one-vs-rest parts are summed, score in [0, 2]. Binned discrimination is negative where the
        probabilities order the outcomes wrongly.

    Raises
    ------
    ValueError
        If probabilities leave [0, 1] or rows do not sum to 1, if lengths differ, if labels and columns do not
        match, or if `method`, `n_bins` or `strategy` is invalid.

    See Also
    --------
    sklearn.metrics.d2_brier_score : The Brier skill score, 1 - score / uncertainty.
    expected_calibration_error : With `norm="l2", debias=True` and two classes the root of the corrected REL.

    Notes
    -----
    Miscalibration of either method is above 0 even for calibrated probabilities, the more the fewer samples: the
    observed frequencies scatter [4]_, and the isotonic regression follows them too. The excess of REL is about
    :math:`\sum_b \bar y_b (1 - \bar y_b) / n` for n independent samples, which [5]_ takes off. Images of one patient
    are not independent, so that theirs is larger; `pool_by_patient` first gives samples that are. Bins also hide the
    errors of opposite sign within one of them.

    References
    ----------
    .. [1] T. Dimitriadis, T. Gneiting, A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers",
       PNAS 118(8), 2021, equations 4 to 6.
    .. [2] A. H. Murphy, "A New Vector Partition of the Probability Score", Journal of Applied Meteorology 12(4),
       1973.
    .. [3] D. B. Stephenson, C. A. S. Coelho, I. T. Jolliffe, "Two Extra Components in the Brier Score
       Decomposition", Weather and Forecasting 23(4), 2008.
    .. [4] J. Bröcker, "Estimating reliability and resolution of probability forecasts through decomposition of the
       empirical score", Climate Dynamics 39, 2012.
    .. [5] C. A. T. Ferro, T. E. Fricker, "A bias-corrected decomposition of the Brier score", Quarterly Journal of
       the Royal Meteorological Society 138, 2012.

    Examples
    --------
    >>> from sklearn_magdg.metrics import brier_decomposition
    >>> y_true, y_proba = ["benign", "benign", "malignant", "malignant"], [0.25, 0.75, 0.75, 0.75]
    >>> [round(each, 4) for each in brier_decomposition(y_true, y_proba)]
    [0.1875, 0.0208, 0.0833, 0.25]
    >>> [round(each, 4) for each in brier_decomposition(y_true, y_proba, method="binned", n_bins=1)]
    [0.1875, 0.0156, 0.0781, 0.25]
    """
    if method not in ("corp", "binned"):
        raise ValueError(f'`method` must be "corp" or "binned", got {method!r}.')
    check_bins(n_bins, strategy)
    indicators, probabilities, weight = check_probabilities(
        y_true, y_proba, sample_weight=sample_weight, pos_label=pos_label, labels=labels
    )
    # for more than two classes each against the rest
    columns = list(zip(indicators.T, probabilities.T, strict=True))
    if method == "corp":
        parts = [_corp_parts(y, p, weight) for y, p in columns]
    else:
        parts = [_binned_parts(y, p, weight, assign_bins(p, weight, n_bins, strategy)) for y, p in columns]
    return BrierDecomposition(*(float(part) for part in np.sum(parts, axis=0)))


def recalibrate(indicator, probability, weight):
    """Isotonic regression of the outcome on the probability, at every sample (n,).

    Samples of equal probability get one value. A sample of weight 0 has no say, and gets the value between its
    neighbours'.

    Parameters
    ----------
    indicator : ndarray of shape (n,)
        1 where the outcome occurred, else 0.
    probability, weight : ndarrays of shape (n,)
        Checked; weights of at least 0, one of them above.
    """
    # `IsotonicRegression` would pool probabilities closer than 1e-15, as those of a sure model are
    values, position = np.unique(probability, return_inverse=True)
    total, occurred = np.bincount(position, weights=weight), np.bincount(position, weights=weight * indicator)
    counted = total > 0
    recalibrated = isotonic_regression(occurred[counted] / total[counted], sample_weight=total[counted])
    return np.interp(probability, values[counted], recalibrated)


def _corp_parts(indicator, probability, weight):
    """Score, MCB, DSC and UNC of one class `(4,)`, all from the mean squared error S of some forecast."""

    def score(forecast):
        return np.average((indicator - forecast) ** 2, weights=weight)

    recalibrated = score(recalibrate(indicator, probability, weight))
    uncertainty = score(np.average(indicator, weights=weight))
    # rounding alone can put a perfectly calibrated forecast a hair below its recalibration
    miscalibration = max(score(probability) - recalibrated, 0.0)
    discrimination = max(uncertainty - recalibrated, 0.0)
    return score(probability), miscalibration, discrimination, uncertainty


def _binned_parts(indicator, probability, weight, bins):
    """Score, REL, RES - WBV + WBC and UNC of one class `(4,)`, whose signed sum is exact whatever the bins."""

    def mean(values):
        return np.average(values, weights=weight)

    frequency, predicted = (bin_means(each, bins, weight)[bins] for each in (indicator, probability))
    reliability = mean((predicted - frequency) ** 2)
    resolution = mean((frequency - mean(indicator)) ** 2)
    variance = mean((probability - predicted) ** 2)
    covariance = 2 * mean((probability - predicted) * (indicator - frequency))
    uncertainty = mean((indicator - mean(indicator)) ** 2)
    return mean((indicator - probability) ** 2), reliability, resolution - variance + covariance, uncertainty
