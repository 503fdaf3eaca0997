from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from sklearn.calibration import calibration_curve

from sklearn_magdg.metrics import brier_decomposition, expected_calibration_error, smooth_calibration_error
from sklearn_magdg.metrics._bins import assign_bins


def simulated(n_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.random(n_samples)
    return (rng.random(n_samples) < p**2).astype(int), p


@pytest.mark.parametrize("n_bins", [1, 3, 10])
def test_equal_width_bins_are_those_of_scikit_learn(n_bins):
    y, p = simulated()
    observed, predicted = calibration_curve(y, p, n_bins=n_bins)
    edges = np.linspace(0, 1, n_bins + 1)
    share = np.bincount(np.searchsorted(edges[1:-1], p), minlength=n_bins) / len(p)
    expected = np.sum(share[share > 0] * np.abs(observed - predicted))
    assert expected_calibration_error(y, p, n_bins=n_bins) == pytest.approx(expected)


def test_two_bins_by_hand():
    # (0, 0.5]: forecasts 0.2, 0.4, outcomes 0, 1; above: 0.9 and 0
    value = expected_calibration_error([0, 1, 0], [0.2, 0.4, 0.9], n_bins=2)
    assert value == pytest.approx((2 * abs(0.5 - 0.3) + abs(0 - 0.9)) / 3)


def test_quantile_bins_hold_equal_weight_and_keep_ties():
    value = expected_calibration_error([1, 1, 0, 0], [0.6, 0.7, 0.8, 0.9], n_bins=2, strategy="quantile")
    assert value == pytest.approx((2 * abs(1 - 0.65) + 2 * abs(0 - 0.85)) / 4)
    tied = expected_calibration_error([0, 1, 1, 1], [0.5] * 4, n_bins=3, strategy="quantile")
    assert tied == pytest.approx(0.25)


def test_a_quantile_bin_is_where_the_middle_of_a_forecast_lies():
    # of two halves: the middles of 3 + 1 lie at 3/8 and 7/8, of 1 + 3 at 1/8 and 5/8
    for weight in ([3.0, 1.0], [1.0, 3.0]):
        assert assign_bins(np.array([0.2, 0.8]), np.array(weight), 2, "quantile").tolist() == [0, 1]


def test_two_columns_are_scored_for_the_class_that_is_named():
    # 0.5 belongs to the lower of two bins: which forecasts share one depends on the class
    p, names = np.array([0.5, 0.4, 0.7]), np.array(["a", "b", "b"])
    both = np.column_stack([1 - p, p])
    run = partial(expected_calibration_error, names, n_bins=2)
    assert run(both, pos_label="a") == run(1 - p, pos_label="a") != run(both)
    assert run(both, pos_label="b") == run(both)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@given(st.integers(0, 100))
def test_weights_are_repetitions(strategy, seed):
    y, p = simulated(17, seed)
    weight = np.random.default_rng(seed).integers(0, 4, 17)
    weight[0] = 1
    one = expected_calibration_error(y, p, strategy=strategy, sample_weight=weight, n_bins=4)
    other = expected_calibration_error(y.repeat(weight), p.repeat(weight), strategy=strategy, n_bins=4, labels=[0, 1])
    assert one == pytest.approx(other)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_squared_error_of_two_classes_is_the_reliability_of_the_brier_score(strategy):
    y, p = simulated()
    value = expected_calibration_error(y, p, norm="l2", strategy=strategy)
    parts = brier_decomposition(y, p, method="binned", strategy=strategy)
    assert value**2 == pytest.approx(parts.miscalibration)


def test_debiased_two_bins_by_hand():
    # first bin: 0.2, 0.3 and outcomes 0, 1; second: 0.6 once, which counts 0
    value = expected_calibration_error([0, 1, 1], [0.2, 0.3, 0.6], n_bins=2, norm="l2")
    assert value**2 == pytest.approx((2 * (0.5 - 0.25) ** 2 + (1 - 0.6) ** 2) / 3)
    debiased = expected_calibration_error([1, 1, 0, 1, 0], [0.1, 0.1, 0.1, 0.1, 0.9], n_bins=2, norm="l2", debias=True)
    assert debiased**2 == pytest.approx(4 / 5 * ((0.75 - 0.1) ** 2 - 0.75 * 0.25 / 3))


def test_debiasing_takes_the_excess_of_small_samples_off():
    # three probabilities whose outcomes are 0.1 more frequent: the squared error is 0.01 whatever the sample size
    rng = np.random.default_rng(0)
    squares = {False: [], True: []}
    for _ in range(1000):
        p = np.repeat([0.45, 0.5, 0.55], 20)
        y = (rng.random(60) < p + 0.1).astype(int)
        gaps = {}
        for debias in squares:
            gaps[debias] = expected_calibration_error(y, p, n_bins=20, norm="l2", debias=debias, labels=[0, 1]) ** 2
            squares[debias].append(gaps[debias])
    excess = np.mean((p + 0.1) * (0.9 - p)) / 20
    assert np.mean(squares[False]) == pytest.approx(0.01 + excess, rel=0.05)
    # what is left of excess is that of cutting negative squares at 0
    assert np.mean(squares[True]) == pytest.approx(0.01, abs=excess / 4)


def test_calibrated_forecasts_are_debiased_to_nothing():
    rng = np.random.default_rng(0)
    p = rng.random(100_000)
    y = (rng.random(100_000) < p).astype(int)
    plain, debiased = (expected_calibration_error(y, p, n_bins=1000, norm="l2", debias=each) for each in (False, True))
    assert plain > 0.03
    assert debiased < 0.01


def test_debiasing_does_not_depend_on_the_scale_of_weights():
    y, p = simulated()
    weight = np.random.default_rng(1).random(len(y))
    options = {"norm": "l2", "debias": True}
    value = expected_calibration_error(y, p, sample_weight=weight, **options)
    assert value == pytest.approx(expected_calibration_error(y, p, sample_weight=7 * weight, **options))
    assert expected_calibration_error(y, p, sample_weight=np.full(len(y), 7.0), **options) == pytest.approx(
        expected_calibration_error(y, p, **options)
    )


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_perfect_forecasts_have_no_error(strategy):
    assert expected_calibration_error([0, 1, 1], [0.0, 1.0, 1.0], strategy=strategy) == 0


def test_string_labels_and_two_columns():
    y, p = simulated()
    names = np.array(["benign", "malignant"])[y]
    both = expected_calibration_error(names, np.column_stack([1 - p, p]))
    assert both == expected_calibration_error(names, p) == expected_calibration_error(y, p)


def test_three_classes_use_the_largest_probability():
    proba = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    value = expected_calibration_error(["a", "c", "c"], proba, n_bins=1, labels=["a", "b", "c"])
    assert value == pytest.approx(abs(2 / 3 - (0.7 + 0.8 + 0.4) / 3))


def brute_force_smooth_error(y, p, weight, n_points=4001):
    """Root of smECE_s = s, the reflected kernel summed over its mirror images at every point of a grid."""
    t = (np.arange(n_points) + 0.5) / n_points

    def smoothed(sigma):
        images = (sign * t[:, None] + shift for shift in (-4, -2, 0, 2, 4) for sign in (-1, 1))
        kernel = sum(np.exp(-((image - p) ** 2) / (2 * sigma**2)) for image in images) / np.sqrt(2 * np.pi) / sigma
        return np.mean(np.abs(kernel @ (weight * (y - p)))) / weight.sum()

    return brentq(lambda sigma: smoothed(sigma) - sigma, 0.002, 1)


@pytest.mark.parametrize("seed", range(4))
def test_smooth_error_is_that_of_a_brute_force_sum(seed):
    y, p = simulated([7, 31, 90, 150][seed], seed)
    p = np.clip(2 * p - 0.5, 0, 1) if seed % 2 else p  # a third stands on the borders, where the kernel is reflected
    weight = np.random.default_rng(seed).integers(1, 4, len(y))
    value = smooth_calibration_error(y, p, sample_weight=weight, labels=[0, 1])
    assert value == pytest.approx(brute_force_smooth_error(y, p, weight), abs=1e-6)


@pytest.mark.parametrize(("p", "outcomes"), [(0.5, [0, 1, 1, 1]), (0.0, [0, 0, 1]), (1.0, [1, 0]), (0.3, [1])])
def test_smooth_error_of_one_forecast_is_its_distance_to_the_frequency(p, outcomes):
    value = smooth_calibration_error(outcomes, np.full(len(outcomes), p), labels=[0, 1])
    assert value == pytest.approx(abs(np.mean(outcomes) - p), abs=1e-8)


def test_smooth_error_of_calibrated_forecasts_falls_as_samples_grow():
    rng = np.random.default_rng(0)

    def error(n_samples, power=1):
        p = rng.random(n_samples)
        return smooth_calibration_error((rng.random(n_samples) < p**power).astype(int), p)

    few, more, many = (np.mean([error(n) for _ in range(20)]) for n in (50, 800, 12_800))
    assert few > 2 * more > 4 * many
    assert many < 0.015
    assert error(12_800, power=2) == pytest.approx(1 / 6, abs=0.01)  # the mean of p - p ** 2


@given(st.integers(0, 1000), st.integers(2, 5))
def test_smooth_error_does_not_change_when_samples_are_duplicated(seed, times):
    y, p = simulated(17, seed)
    value = smooth_calibration_error(y, p, labels=[0, 1])
    assert value == pytest.approx(smooth_calibration_error(y.repeat(times), p.repeat(times), labels=[0, 1]), abs=1e-7)


@given(st.integers(0, 1000))
def test_smooth_error_counts_weights_as_repetitions(seed):
    y, p = simulated(17, seed)
    weight = np.random.default_rng(seed).integers(0, 4, 17)
    weight[0] = 1
    one = smooth_calibration_error(y, p, sample_weight=weight, labels=[0, 1])
    other = smooth_calibration_error(y.repeat(weight), p.repeat(weight), labels=[0, 1])
    assert one == pytest.approx(other, abs=1e-7)


def test_smooth_error_moves_continuously_where_a_binned_one_jumps():
    y, eps = [0, 1] * 10, 1e-6
    below, above = np.full(20, 0.5), np.tile([0.5, 0.5 + eps], 10)
    assert abs(expected_calibration_error(y, above, n_bins=2) - expected_calibration_error(y, below, n_bins=2)) > 0.4
    # the probabilities moved by eps / 2 in the mean, the bound of the reference is twice its root
    assert smooth_calibration_error(y, below) == pytest.approx(0)
    assert smooth_calibration_error(y, above) < 2 * np.sqrt(eps / 2)


def test_smooth_error_of_perfect_forecasts_is_zero():
    assert smooth_calibration_error([0, 1, 1], [0.0, 1.0, 1.0]) == 0


def test_smooth_error_of_three_classes_uses_the_largest_probability():
    proba = np.array([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]])
    value = smooth_calibration_error(["a", "c", "c"], proba, labels=["a", "b", "c"])
    assert value == pytest.approx(0.7 - 2 / 3, abs=1e-8)


def test_errors_say_what_came():
    with pytest.raises(ValueError, match="got 'width'"):
        expected_calibration_error([0, 1], [0.2, 0.8], strategy="width")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        expected_calibration_error([0, 1], [0.2, 0.8], n_bins=0)
    with pytest.raises(ValueError, match="got 'max'"):
        expected_calibration_error([0, 1], [0.2, 0.8], norm="max")
    with pytest.raises(ValueError, match='use `norm="l2"`'):
        expected_calibration_error([0, 1], [0.2, 0.8], debias=True)
    for metric in (expected_calibration_error, smooth_calibration_error):
        with pytest.raises(ValueError, match="predict_proba"):
            metric([0, 1], [-2.0, 3.0])
        with pytest.raises(ValueError, match="0 sample"):
            metric([], [])
