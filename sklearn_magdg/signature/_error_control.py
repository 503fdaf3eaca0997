"""How many falsely selected dimensions stability selection lets through, and how far a path may go for that.

Everywhere q is the most dimensions one half-sample selects, p the number of dimensions, B the number of complementary
pairs and tau the threshold on the share of the 2 B half-samples. "SS" is R. D. Shah, R. J. Samworth, "Variable
selection with error control: another look at stability selection", JRSS B 75(1), 2013.
"""

import math
from bisect import bisect_right
from functools import partial

import numpy as np
from scipy.optimize import brentq, minimize_scalar

BOUNDS = ("meinshausen-buhlmann", "unimodal", "r-concave")
# Shapes that SS (section 3.3) assume of the two averages: over pairs the product, over half-samples the indicator.
PAIR_CONCAVITY, HALF_CONCAVITY = -1 / 2, -1 / 4


def expected_false_positives(q, p, tau, n_pairs, bound):
    """Bound on the mean number of falsely selected dimensions; the worst case stands beside every sharper bound."""
    without_shape = min(p, meinshausen_buhlmann(q, p, tau))
    if bound == "meinshausen-buhlmann":
        return without_shape
    return min(without_shape, {"unimodal": unimodal, "r-concave": r_concave}[bound](q, p, tau, n_pairs))


def largest_path(max_false_positives, p, tau, n_pairs, bound):
    """Largest q, from 0 to p, whose bound is at most `max_false_positives`."""
    bound_at = partial(expected_false_positives, p=p, tau=tau, n_pairs=n_pairs, bound=bound)
    # 0.6 has no exact binary form: a bound that is 1 must not fail by its last digit
    return bisect_right(range(1, p + 1), max_false_positives * (1 + 1e-9), key=bound_at)


def meinshausen_buhlmann(q, p, tau):
    """Theorem 1 of SS, for complementary pairs: q^2 / ((2 tau - 1) p)."""
    return q**2 / ((2 * tau - 1) * p)


def unimodal(q, p, tau, n_pairs):
    """Theorem 2 of SS: C(tau, B) q^2 / p; infinite where the theorem is silent."""
    B, theta = n_pairs, q / p
    lowest = 1 / 2 + min(theta**2, 1 / (2 * B) + 3 / 4 * theta**2)
    if theta > 1 / math.sqrt(3) or tau <= lowest or tau < 1 / 2 + 1 / B:
        return math.inf
    if tau <= 3 / 4:
        return q * theta / (2 * (2 * tau - 1 - 1 / (2 * B)))
    return q * theta * 4 * (1 - tau + 1 / (2 * B)) / (1 + 1 / B)


def r_concave(q, p, tau, n_pairs):
    """Equation 8 of SS: p min(D(theta^2, 2 tau - 1, B, -1/2), D(theta, tau, 2 B, -1/4)) with theta = q / p."""
    # rounded, since 0.55 x 100 is a little more than 55
    count = math.ceil(round(2 * n_pairs * tau, 9))
    theta = q / p
    of_pairs = largest_tail(theta**2 * n_pairs, count - n_pairs, n_pairs, PAIR_CONCAVITY)
    of_halves = largest_tail(theta * 2 * n_pairs, count, 2 * n_pairs, HALF_CONCAVITY)
    return p * min(of_pairs, of_halves)


def largest_tail(mean, t, n, r):
    """Largest P(X >= t) of a decreasing r-concave X on 0, ..., n with the given mean (SS, appendix A.4).

    The extremal X has probabilities proportional to (a + i)^(1/r) up to some k and what is left at k + 1: k and a
    are searched. Below twice the mean nothing is claimed.
    """
    first = math.ceil(2 * mean) + 1
    if t < first or first > n:
        return 1.0
    ends = range(max(first, t - 1), n + 1)
    shifts = [_shift(mean, k, r) for k in ends]
    tails = [_tail(shifts[-1], mean, t, n, r)]
    for k, high, low in zip(ends[:-1], shifts, shifts[1:], strict=False):
        log_a = (math.log(low), math.log(high))
        search = minimize_scalar(lambda x, k=k: -_tail(math.exp(x), mean, t, k, r), bounds=log_a, method="bounded")
        tails.append(-search.fun)
    return float(max(tails))


def _shift(mean, k, r):
    """The a at which (a + i)^(1/r), i = 0, ..., k, has this mean; it falls with k."""
    i = np.arange(k + 1)

    def surplus(log_a):
        return np.average(i, weights=(math.exp(log_a) + i) ** (1 / r)) - mean

    # From all mass at 0 to uniform, whose mean k / 2 is more than `mean`.
    return math.exp(brentq(surplus, math.log(1e-9), math.log(1e3 * (k + 1) ** 2)))


def _tail(a, mean, t, k, r):
    """P(X >= t) of the X that is (a + i)^(1/r) up to k, up to a factor, and has the rest at k + 1 for its mean."""
    i = np.arange(k + 1)
    weight = (a + i) ** (1 / r)
    return 1 - (k + 1 - mean) * weight[:t].sum() / ((k + 1 - i) @ weight)
