"""The Brier score taken apart into miscalibration, discrimination and uncertainty."""

from typing import NamedTuple

import numpy as np
from sklearn.isotonic import IsotonicRegression

from sklearn_magdg.metrics._probabilities import check_probabilities


class BrierDecomposition(NamedTuple):
    """What `brier_decomposition` returns."""

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float


def brier_decomposition(y_true, y_proba, *, sample_weight=None, pos_label=None, labels=None):
    r"""Brier score and its CORP parts: score = miscalibration - discrimination + uncertainty.

    With S the (weighted) mean squared error, :math:`\hat p` the isotonic regression of the outcome on the
    predicted probability p, and :math:`\bar y` the frequency of the outcome,

    .. math:: MCB = S(p) - S(\hat p), \quad DSC = S(\bar y) - S(\hat p), \quad UNC = S(\bar y).

    No bins are chosen and neither MCB nor DSC is ever negative.

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
        All labels, where `y_true` may lack some. `None` takes those of `y_true`.

    Returns
    -------
    score, miscalibration, discrimination, uncertainty : float
        On the scale of `sklearn.metrics.brier_score_loss(scale_by_half="auto")`: [0, 1] for two classes; for more
        the one-vs-rest parts are summed, score in [0, 2].

    Raises
    ------
    ValueError
        If probabilities leave [0, 1] or rows do not sum to 1, if lengths differ, or if labels and columns do not
        match.

    References
    ----------
    .. [1] T. Dimitriadis, T. Gneiting, A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers",
       PNAS 118(8), 2021, equations 4 to 6.

    Examples
    --------
    >>> from sklearn_magdg.metrics import brier_decomposition
    >>> parts = brier_decomposition(["benign", "benign", "malignant", "malignant"], [0.25, 0.75, 0.75, 0.75])
    >>> [round(each, 4) for each in parts]
    [0.1875, 0.0208, 0.0833, 0.25]
    """
    indicators, probabilities, weight = check_probabilities(
        y_true, y_proba, sample_weight=sample_weight, pos_label=pos_label, labels=labels
    )
    parts = [_decompose(y, p, weight) for y, p in zip(indicators.T, probabilities.T, strict=True)]
    return BrierDecomposition(*(float(part) for part in np.sum(parts, axis=0)))


def recalibrate(indicator, probability, weight=None):
    """Isotonic regression of the outcome on the probability, at every sample (n,)."""
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    return isotonic.fit(probability, indicator, sample_weight=weight).predict(probability)


def _decompose(indicator, probability, weight):
    def score(forecast):
        return np.average((indicator - forecast) ** 2, weights=weight)

    recalibrated = score(recalibrate(indicator, probability, weight))
    uncertainty = score(np.average(indicator, weights=weight))
    # Rounding alone can put a perfectly calibrated forecast a hair below its recalibration.
    miscalibration = max(score(probability) - recalibrated, 0.0)
    discrimination = max(uncertainty - recalibrated, 0.0)
    return score(probability), miscalibration, discrimination, uncertainty
