"""Resampling patients: the distribution of a statistic, its interval and its p-value.

A resample is a row of counts, how often each patient is drawn. A statistic is a function from a block of such rows to
its values, so that a mean of sums by patient is one product of matrices for thousands of resamples.
"""

import warnings
from math import ceil
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_random_state

# images times resamples that are weighed at once: some arrays of 2 MB, which stay in a processor's cache
_CELLS = 2**18


class Distribution(NamedTuple):
    """What the resamples say of a statistic.

    Parameters
    ----------
    estimate : float
        The statistic of all images.
    values : ndarray of shape (n_defined,)
        The statistic on the resamples, sorted, without nan; empty where most of them are nan.
    bias, acceleration : float
        The two corrections of BCa, both 0 for percentiles. nan where undefined.
    """

    estimate: float
    values: np.ndarray
    bias: float
    acceleration: float


def check_options(n_resamples, confidence_level, method="percentile"):
    """Refuse options of a bootstrap.

    With fewer than 2 / (1 - `confidence_level`) - 1 resamples an end would lie beyond the outermost of them.
    """
    # scikit-learn's `check_scalar` would raise a TypeError for a text
    if not isinstance(confidence_level, Real) or not 0 < confidence_level < 1:
        raise ValueError(f"`confidence_level` must lie between 0 and 1, both excluded, got {confidence_level!r}.")
    # 2 / (1 - 0.9) is 20.000000000000004 in floating point
    least = ceil(2 / (1 - confidence_level) - 1e-9) - 1
    if not isinstance(n_resamples, Integral) or n_resamples < least:
        raise ValueError(
            f"`n_resamples` must be an integer of at least {least} for `confidence_level={confidence_level}`, got "
            f"{n_resamples!r}."
        )
    if method not in ("percentile", "bca"):
        raise ValueError(f'`method` must be "percentile" or "bca", got {method!r}.')


def resample(statistic, stratum, n_images, *, n_resamples, method="percentile", random_state=None):
    """`Distribution` of a statistic over patients drawn with replacement.

    Parameters
    ----------
    statistic : callable
        Draw counts `(block, n_patients)` -> values `(block,)`, nan where undefined. The estimate is its value with
        every patient drawn once.
    stratum : ndarray of shape (n_patients,)
        What each patient is drawn within: as many patients of each are in every resample.
    n_images : int
        Decides how many resamples make a block, so that memory does not grow with either number.
    n_resamples : int
        Number of draws.
    method : "percentile" or "bca", default="percentile"
        BCa also needs the statistic without each patient in turn.
    random_state : int, RandomState or None, default=None
        Seed. The draws depend on `stratum` and on the size of a block alone, not on the statistic.

    Warns
    -----
    UndefinedMetricWarning
        If some values are nan.
    """
    block = max(1, _CELLS // n_images)
    estimate = float(statistic(np.ones((1, len(stratum)), dtype=np.intp))[0])
    with warnings.catch_warnings():
        # said once below, with the number of resamples
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        draws = _draw(stratum, n_resamples, block, check_random_state(random_state))
        values = np.concatenate([statistic(counts) for counts in draws])
        acceleration = _acceleration(statistic, stratum, block) if method == "bca" else 0.0

    undefined = np.isnan(values)
    too_many = undefined.mean() > 0.5
    if undefined.any():
        warnings.warn(
            f"The metric is undefined on {undefined.sum()} of {len(values)} resamples of the patients, which are left "
            f"out{': too many for an interval' if too_many else ''}.",
            UndefinedMetricWarning,
        )
    values = values[:0] if too_many else np.sort(values[~undefined])

    if method == "percentile":
        return Distribution(estimate, values, 0.0, 0.0)
    if not len(values):
        return Distribution(estimate, values, np.nan, acceleration)
    # normal quantile of the share of resamples below the estimate, ties counting half; sums that are equal on paper
    # differ by rounding
    rounding = _rounding(estimate)
    below = np.mean(values < estimate - rounding) + np.mean(values <= estimate + rounding)
    return Distribution(estimate, values, ndtri(below / 2), acceleration)


def divide(numerator, denominator):
    """Quotient, nan where the denominator is 0: a resample without an image of some class."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)


def _draw(stratum, n_resamples, block, rng):
    """Blocks `(block, n_patients)` of how often each patient is drawn, with replacement within its stratum."""
    members = [np.flatnonzero(stratum == each) for each in np.unique(stratum)]
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        counts = np.empty((size, len(stratum)), dtype=np.intp)
        for each in members:
            drawn = rng.randint(len(each), size=(size, len(each)))
            # one count for all rows: row i has the cells from i * n_members on
            cells = drawn + len(each) * np.arange(size)[:, None]
            counts[:, each] = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
        yield counts


def _acceleration(statistic, stratum, block):
    r"""Acceleration of BCa, the skewness of the patients' influences :math:`l_p` over 6, from leaving each out.

    .. math:: a = \frac{1}{6} \sum_p l_p^3 \Big/ \Big(\sum_p l_p^2\Big)^{3/2}, \quad
              l_p = \frac{n_s - 1}{n_s} (\bar\theta_s - \theta_{-p})

    with :math:`\theta_{-p}` the statistic without patient p, and :math:`n_s` and :math:`\bar\theta_s` the number of
    patients and the mean of these in the stratum s of p.
    """
    n_patients, left_out = len(stratum), []
    for patients in np.array_split(np.arange(n_patients), ceil(n_patients / block)):
        counts = np.ones((len(patients), n_patients), dtype=np.intp)
        counts[np.arange(len(patients)), patients] = 0
        left_out.append(statistic(counts))
    left_out = np.concatenate(left_out)

    influence = []
    for each in np.unique(stratum):
        values = left_out[stratum == each]
        if len(values) > 1:  # the only patient of a class is never left out by a resample
            influence.append((len(values) - 1) / len(values) * (values.mean() - values))
    influence = np.concatenate(influence)
    if np.ptp(influence) == 0:  # a metric that no patient moves: 0 / 0
        return 0.0
    return np.sum(influence**3) / np.sum(influence**2) ** 1.5 / 6


def _rounding(estimate):
    """Difference below which two values of the statistic are equal."""
    return 1e-12 * max(1, abs(estimate))


def interval(distribution, confidence_level):
    """Ends of the interval: order statistics, rounded outward. Both nan where the correction is undefined.

    Warns
    -----
    UndefinedMetricWarning
        If BCa has no bias or no acceleration.
    UserWarning
        If an end lies beyond the outermost resample.
    """
    n_values = len(distribution.values)
    if not n_values or np.isnan(distribution.estimate):
        return np.nan, np.nan
    tail, bias, acceleration = (1 - confidence_level) / 2, distribution.bias, distribution.acceleration
    if not np.isfinite([bias, acceleration]).all():
        warnings.warn(
            "The correction of BCa is undefined: all resamples lie on one side of the estimate, or the metric is "
            'undefined without some patient; take `method="percentile"`.',
            UndefinedMetricWarning,
        )
        return np.nan, np.nan
    # seen from the upper end, bias and skewness point the other way
    shares = np.array([_adjust(tail, bias, acceleration), _adjust(tail, -bias, -acceleration)])
    # the small term keeps 0.1 / 2 * 1000 at 50
    ranks = np.floor((n_values + 1) * shares + 1e-9).astype(int)
    if ranks.min() < 1:
        warnings.warn("The interval reaches beyond the outermost resample, which is taken; raise `n_resamples`.")
    low, high = np.maximum(ranks, 1)
    return float(distribution.values[low - 1]), float(distribution.values[n_values - high])


def _adjust(tail, bias, acceleration):
    r"""Share of resamples that BCa cuts off at the lower end for a nominal `tail`.

    .. math:: \Phi\Big(z_0 + \frac{z_0 + z}{1 - a (z_0 + z)}\Big), \quad z = \Phi^{-1}(\text{tail})

    with :math:`z_0` the bias and a the acceleration. Both signs changed give the upper end, and also the inverse
    function: the tail for which the lower end cuts a share off.
    """
    shifted = bias + ndtri(tail)
    return ndtr(bias + shifted / (1 - acceleration * shifted))


def p_value(distribution):
    """Twice the smaller of the two tails whose interval just excludes 0; nan where there is no interval."""
    estimate, values, bias, acceleration = distribution
    if not len(values) or not np.isfinite([estimate, bias, acceleration]).all():
        return np.nan
    rounding = _rounding(estimate)
    beyond = np.array([np.sum(values <= rounding), np.sum(values >= -rounding)])
    shares = (beyond + 1) / (len(values) + 1)
    tails = [
        _adjust(share, -sign * bias, -sign * acceleration)  # the inverse, at each end
        for share, sign in zip(shares, (1, -1), strict=True)
        if share < 1  # 0 is not excluded where no value lies on the other side
    ]
    return float(min(1, *(2 * tail for tail in tails))) if tails else 1.0
