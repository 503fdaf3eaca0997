import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from sklearn_magdg.metrics import expected_calibration_error


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
    value = expected_calibration_error([0, 1, 0, 1], [0.6, 0.7, 0.8, 0.9], n_bins=2, strategy="quantile")
    assert value == pytest.approx((2 * abs(0.5 - 0.65) + 2 * abs(0.5 - 0.85)) / 4)
    tied = expected_calibration_error([0, 1, 1, 1], [0.5] * 4, n_bins=3, strategy="quantile")
    assert tied == pytest.approx(0.25)


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


def test_errors_say_what_came():
    with pytest.raises(ValueError, match="got 'width'"):
        expected_calibration_error([0, 1], [0.2, 0.8], strategy="width")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        expected_calibration_error([0, 1], [0.2, 0.8], n_bins=0)
    with pytest.raises(ValueError, match="predict_proba"):
        expected_calibration_error([0, 1], [-2.0, 3.0])
