"""Bins of predicted probabilities."""

from numbers import Integral

import numpy as np


def check_bins(n_bins, strategy):
    """Refuse a number of bins below 1 and an unknown strategy."""
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"`n_bins` must be an integer of at least 1, got {n_bins!r}.")
    if strategy not in ("uniform", "quantile"):
        raise ValueError(f'`strategy` must be "uniform" or "quantile", got {strategy!r}.')


def assign_bins(probability, weight, n_bins, strategy):
    """Bin (n,) of every sample, from 0 to `n_bins` - 1: of equal width, or of equal weight with ties together.

    A group of ties goes to the quantile bin that holds the middle of its weight, so that some bins may stay empty.
    """
    if strategy == "uniform":
        # open below, closed above, as in `sklearn.calibration.calibration_curve`
        return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], probability)
    values, position = np.unique(probability, return_inverse=True)
    mass = np.bincount(position, weights=weight, minlength=len(values))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.minimum(n_bins * middle, n_bins - 1).astype(int)[position]


def bin_means(values, bins, weight):
    """Weighted mean of the values of every bin up to the last occupied one, 0 where a bin has no weight."""
    total = np.bincount(bins, weights=weight)
    # an empty bin has no mean; its 0 is multiplied by a share of 0 wherever means are summed
    return np.divide(np.bincount(bins, weights=weight * values), total, out=np.zeros_like(total), where=total > 0)
