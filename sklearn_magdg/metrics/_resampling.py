"""Resampling patients: the distribution of a statistic, its interval and its p-value."""

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
    """Estimate, its sorted values on the resamples, and the two corrections of BCa (0 without)."""

    estimate: float
    values: np.ndarray
    bias: float
    acceleration: float


def check_options(n_resamples, confidence_level, method="percentile"):
    if not isinstance(confidence_level, Real) or not 0 < confidence_level < 1:
        raise ValueError(f"`confidence_level` must lie between 0 and 1, both excluded, got {confidence_level!r}.")
    least = ceil(2 / (1 - confidence_level) - 1e-9) - 1
    if not isinstance(n_resamples, Integral) or n_resamples < least:
        raise ValueError(
            f"`n_resamples` must be an integer of at least {least} for `confidence_level={confidence_level}`, got "
            f"{n_resamples!r}."
        )
    if method not in ("percentile", "bca"):
        raise ValueError(f'`method` must be "percentile" or "bca", got {method!r}.')


def resample(statistic, stratum, n_images, *, n_resamples, method="percentile", random_state=None):
    """Distribution of a statistic, a function from draw counts `(block, n_patients)` to values `(block,)`.

    `stratum` `(n_patients,)` is what each patient is drawn within.
    """
    n_patients = len(stratum)
    block = max(1, _CELLS // n_images)
    estimate = float(statistic(np.ones((1, n_patients), dtype=np.intp))[0])
    with warnings.catch_warnings():
        # said once below, with the number of resamples
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        draws = _draw(stratum, n_resamples, block, check_random_state(random_state))
        values = np.concatenate([statistic(counts) for counts in draws])
        left_out = _left_out(statistic, n_patients, block) if method == "bca" else None
    values = _defined(values)
    if method == "percentile":
        return Distribution(estimate, values, 0.0, 0.0)
    return Distribution(estimate, values, _bias(estimate, values), _acceleration(left_out, stratum))


def divide(numerator, denominator):
    """Quotient, nan where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)


def _draw(stratum, n_resamples, block, rng):
    """Blocks `(block, n_patients)` of how often each patient is drawn, with replacement within its stratum."""
    members = [np.flatnonzero(stratum == each) for each in np.unique(stratum)]
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        counts = np.empty((size, len(stratum)), dtype=np.intp)
        for each in members:
            drawn = rng.randint(len(each), size=(size, len(each)))
            cells = drawn + len(each) * np.arange(size)[:, None]
            counts[:, each] = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
        yield counts


def _left_out(statistic, n_patients, block):
    """Statistic `(n_patients,)` without each patient in turn."""
    parts = []
    for patients in np.array_split(np.arange(n_patients), ceil(n_patients / block)):
        counts = np.ones((len(patients), n_patients), dtype=np.intp)
        counts[np.arange(len(patients)), patients] = 0
        parts.append(statistic(counts))
    return np.concatenate(parts)


def _defined(values):
    """Sorted values that are not nan; none where that is half of them or less."""
    undefined = np.isnan(values)
    if not undefined.any():
        return np.sort(values)
    few = undefined.mean() > 0.5
    warnings.warn(
        f"The metric is undefined on {undefined.sum()} of {len(values)} resamples of the patients, which are left out"
        f"{': too many for an interval' if few else ''}.",
        UndefinedMetricWarning,
    )
    return values[:0] if few else np.sort(values[~undefined])


def _bias(estimate, values):
    """Bias correction: normal quantile of the share of resamples below the estimate, ties counting half."""
    if not len(values):
        return np.nan
    rounding = _rounding(estimate)
    below = np.mean(values < estimate - rounding) + np.mean(values <= estimate + rounding)
    return ndtri(below / 2)


def _rounding(estimate):
    """Difference below which two values of the statistic are equal."""
    return 1e-12 * max(1, abs(estimate))


def _acceleration(left_out, stratum):
    """Skewness of the patients' influences over 6, influences centred and scaled within their stratum."""
    influence = []
    for each in np.unique(stratum):
        values = left_out[stratum == each]
        if len(values) > 1:  # the only patient of a class is never left out by a resample
            influence.append((len(values) - 1) / len(values) * (values.mean() - values))
    influence = np.concatenate(influence)
    if np.ptp(influence) == 0:
        return 0.0
    return np.sum(influence**3) / np.sum(influence**2) ** 1.5 / 6


def interval(distribution, confidence_level):
    """Ends of the interval: order statistics, rounded outward."""
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
    shares = np.array([_adjust(tail, bias, acceleration), _adjust(tail, -bias, -acceleration)])
    # the small term keeps 0.1 / 2 * 1000 at 50
    ranks = np.floor((n_values + 1) * shares + 1e-9).astype(int)
    if ranks.min() < 1:
        warnings.warn("The interval reaches beyond the outermost resample, which is taken; raise `n_resamples`.")
    low, high = np.maximum(ranks, 1)
    return float(distribution.values[low - 1]), float(distribution.values[n_values - high])


def _adjust(tail, bias, acceleration):
    """Share of resamples cut off for a tail; the other end has bias and acceleration with the sign changed."""
    shifted = bias + ndtri(tail)
    return ndtr(bias + shifted / (1 - acceleration * shifted))


def _unadjust(share, bias, acceleration):
    """Tail for which `_adjust` gives the share."""
    shifted = ndtri(share) - bias
    return ndtr(shifted / (1 + acceleration * shifted) - bias)


def p_value(distribution):
    """Twice the smaller of the two tails whose interval just excludes 0."""
    estimate, values, bias, acceleration = distribution
    if not len(values) or not np.isfinite([estimate, bias, acceleration]).all():
        return np.nan
    rounding = _rounding(estimate)
    beyond = np.array([np.sum(values <= rounding), np.sum(values >= -rounding)])
    shares = (beyond + 1) / (len(values) + 1)
    tails = [
        _unadjust(share, sign * bias, sign * acceleration)
        for share, sign in zip(shares, (1, -1), strict=True)
        if share < 1  # 0 is not excluded where no value lies on the other side
    ]
    return float(min(1, *(2 * tail for tail in tails))) if tails else 1.0
