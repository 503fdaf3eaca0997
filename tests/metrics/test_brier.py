import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from model_diagnostics.scoring import SquaredError, decompose
from sklearn.metrics import brier_score_loss, d2_brier_score

from sklearn_magdg.metrics import brier_decomposition, brier_score

forecasts = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        arrays(np.int64, n, elements=st.integers(0, 1)),
        arrays(np.float64, n, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0]) | st.floats(1e-300, 1)),
        arrays(np.int64, n, elements=st.integers(1, 4)),
    )
)

BINNED = {"method": "binned", "n_bins": 3, "strategy": "quantile"}


def three_classes(n_samples=7, seed=0):
    rng = np.random.default_rng(seed)
    return np.array(["a", "b", "c"])[np.arange(n_samples) % 3], rng.dirichlet(np.ones(3), n_samples)


def test_a_case_by_hand():
    # two forecasts: 0.25 with outcomes (0), 0.75 with outcomes (0, 1, 1): already isotonic, recalibrated to 0, 2/3
    score, miscalibration, discrimination, uncertainty = brier_decomposition([0, 0, 1, 1], [0.25, 0.75, 0.75, 0.75])
    recalibrated = (0 + (2 / 3) ** 2 + 2 * (1 / 3) ** 2) / 4
    assert score == pytest.approx((0.25**2 + 0.75**2 + 2 * 0.25**2) / 4)
    assert miscalibration == pytest.approx(score - recalibrated)
    assert discrimination == pytest.approx(0.25 - recalibrated)
    assert uncertainty == pytest.approx(0.25)


def test_forecasts_in_the_wrong_order_do_not_discriminate():
    score, miscalibration, discrimination, uncertainty = brier_decomposition([1, 0], [0.2, 0.6])
    assert discrimination == pytest.approx(0)
    assert miscalibration == pytest.approx(score - uncertainty)


@given(forecasts)
def test_parts_add_up_and_are_not_negative(case):
    y, p, weight = case
    score, miscalibration, discrimination, uncertainty = brier_decomposition(y, p, sample_weight=weight)
    assert score == pytest.approx(miscalibration - discrimination + uncertainty, abs=1e-12)
    assert miscalibration >= 0
    assert 0 <= discrimination <= uncertainty + 1e-12 <= 0.25 + 2e-12
    assert score == pytest.approx(np.average((y - p) ** 2, weights=weight), abs=1e-12)


@given(forecasts)
def test_isotonic_parts_are_those_of_model_diagnostics(case):
    y, p, weight = case
    assume(len(y) > 1)  # theirs needs two samples
    p = np.round(p, 9)  # and forecasts apart: it gives nan for 0.9999999999999999 beside 1
    expected = decompose(y, p, weights=weight, scoring_function=SquaredError())
    parts = brier_decomposition(y, p, sample_weight=weight)
    for name, value in parts._asdict().items():
        assert value == pytest.approx(expected[name][0], abs=1e-9)


@pytest.mark.parametrize("options", [{}, BINNED])
@given(forecasts)
def test_weights_are_repetitions(options, case):
    y, p, weight = case
    weighted = brier_decomposition(y, p, sample_weight=weight, **options)
    np.testing.assert_allclose(weighted, brier_decomposition(y.repeat(weight), p.repeat(weight), **options), atol=1e-9)


@given(forecasts)
def test_binned_parts_add_up_whatever_stands_within_a_bin(case):
    y, p, weight = case
    score, miscalibration, discrimination, uncertainty = brier_decomposition(y, p, sample_weight=weight, **BINNED)
    assert score == pytest.approx(miscalibration - discrimination + uncertainty, abs=1e-12)
    assert score == pytest.approx(np.average((y - p) ** 2, weights=weight), abs=1e-12)
    assert miscalibration >= 0


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_rounded_forecasts_have_the_parts_of_murphy(strategy):
    rng = np.random.default_rng(0)
    p = rng.integers(1, 10, 300) / 10
    y = (rng.random(300) < p**2).astype(int)
    reliability = resolution = 0
    for value in np.unique(p):
        rows = p == value
        reliability += rows.mean() * (value - y[rows].mean()) ** 2
        resolution += rows.mean() * (y[rows].mean() - y.mean()) ** 2
    parts = brier_decomposition(y, p, method="binned", n_bins=200, strategy=strategy)
    np.testing.assert_allclose(parts, [np.mean((y - p) ** 2), reliability, resolution, y.mean() * (1 - y.mean())])


def test_terms_within_bins_count_as_discrimination():
    # one bin: predicted 0.25 and 0.75 for 0 and 1; mean 0.5 is calibrated, variance 1/16, twice the covariance 1/4
    parts = brier_decomposition([0, 1], [0.25, 0.75], method="binned", n_bins=1)
    assert parts == pytest.approx((1 / 16, 0, 0 - 1 / 16 + 1 / 4, 1 / 4))
    assert brier_decomposition([1, 0], [0.25, 0.75], method="binned", n_bins=1).discrimination < 0


def test_binned_three_classes_are_the_sum_of_one_against_the_rest():
    y, proba = three_classes(50)
    rest = [brier_decomposition(y == label, proba[:, k], **BINNED) for k, label in enumerate("abc")]
    np.testing.assert_allclose(brier_decomposition(y, proba, **BINNED), np.sum(rest, axis=0))


@pytest.mark.parametrize("options", [{}, BINNED])
def test_skill_is_that_of_scikit_learn(options):
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 31), rng.random(31)
    parts = brier_decomposition(y, p, **options)
    assert 1 - parts.score / parts.uncertainty == pytest.approx(d2_brier_score(y, p))


@given(forecasts)
def test_swapping_the_classes_changes_nothing(case):
    y, p, _ = case
    p = np.round(p * 2**20) / 2**20  # so that 1 - p is exact
    np.testing.assert_allclose(brier_decomposition(y, p), brier_decomposition(1 - y, 1 - p), atol=1e-9)


@given(forecasts)
def test_an_increasing_map_moves_only_miscalibration(case):
    y, p, _ = case
    np.testing.assert_allclose(brier_decomposition(y, p)[2:], brier_decomposition(y, p / 2)[2:], atol=1e-9)


def test_saturated_probabilities_are_told_apart():
    score, miscalibration, discrimination, _ = brier_decomposition([0, 0, 1, 1], [1e-30, 1e-25, 1e-20, 1e-16])
    assert (score, miscalibration, discrimination) == pytest.approx((0.5, 0.5, 0.25))


def test_samples_without_weight_play_no_part():
    counted = brier_decomposition([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
    weight = [1, 1, 1, 1, 0, 0, 0]
    parts = brier_decomposition([0, 0, 1, 1, 1, 0, 1], [0.1, 0.6, 0.4, 0.9, 0.0, 0.5, 1.0], sample_weight=weight)
    np.testing.assert_allclose(parts, counted)


def test_the_score_alone_is_that_of_the_parts_and_of_scikit_learn():
    y, proba = three_classes(31)
    weight = np.arange(31)
    expected = brier_score_loss(y, proba, sample_weight=weight)
    assert brier_score(y, proba, sample_weight=weight) == pytest.approx(expected)
    assert brier_score(y, proba) == pytest.approx(brier_decomposition(y, proba).score)
    two = np.where(y == "a", "a", "b")
    assert brier_score(two, proba[:, 0], pos_label="a") == pytest.approx(np.mean((proba[:, 0] - (y == "a")) ** 2))


@pytest.mark.parametrize("label", [-1, 0, 1])
def test_the_only_label_is_read_as_one_of_the_usual_two(label):
    y, p = [label] * 2, np.array([0.2, 0.4])
    both = np.column_stack([1 - p, p])
    expected = np.mean((p - (label == 1)) ** 2)
    assert brier_score(y, p) == pytest.approx(expected)
    assert brier_score(y, both) == pytest.approx(expected)
    assert brier_score(y, both, pos_label=label) == pytest.approx(expected)


def test_probabilities_beyond_the_ends_by_rounding_are_taken_for_the_ends():
    assert brier_decomposition([0, 1], [-1e-12, 1 + 1e-12]).score == 0


def test_score_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    y, p = np.array(["benign", "malignant"])[rng.integers(0, 2, 31)], rng.random(31)
    expected = brier_score_loss(y, p, pos_label="malignant")
    both = np.column_stack([1 - p, p])
    assert brier_decomposition(y, p).score == pytest.approx(expected)
    np.testing.assert_allclose(brier_decomposition(y, both), brier_decomposition(y, p))
    np.testing.assert_allclose(brier_decomposition(y, 1 - p, pos_label="benign"), brier_decomposition(y, p))


def test_three_classes_are_the_sum_of_one_against_the_rest():
    y, proba = three_classes()
    parts = brier_decomposition(y, proba)
    assert parts.score == pytest.approx(brier_score_loss(y, proba, labels=["a", "b", "c"]))
    rest = [brier_decomposition(y == label, proba[:, k]) for k, label in enumerate("abc")]
    np.testing.assert_allclose(parts, np.sum(rest, axis=0))
    named = brier_decomposition(y[y != "b"], proba[y != "b"], labels=["a", "b", "c"])
    assert named.score == pytest.approx(brier_score_loss(y[y != "b"], proba[y != "b"], labels=["a", "b", "c"]))


def test_single_precision_probabilities_are_accepted():
    y, proba = three_classes()
    np.testing.assert_allclose(
        brier_decomposition(y, proba.astype(np.float32)), brier_decomposition(y, proba), atol=1e-6
    )


@pytest.mark.parametrize("y", [[0, 0, 0], [1, 1, 1]])
def test_one_outcome_has_no_uncertainty(y):
    parts = brier_decomposition(y, [0.2, 0.4, 0.6])
    assert parts.score == pytest.approx(np.mean((np.array(y) - [0.2, 0.4, 0.6]) ** 2))
    assert parts.discrimination == parts.uncertainty == 0


@pytest.mark.parametrize(
    ("y", "proba", "options", "message"),
    [
        ([0, 1], [0.2, 1.2], {}, r"in \[0, 1\], got values from 0.2 to 1.2"),
        ([0, 1], [[0.2, 0.8], [0.5, 0.6]], {}, "row 1 sums to 1.1"),
        ([0, 1], [0.2, 1.00001], {}, "got values from 0.2 to 1.00001"),
        ([0, 1], [[0.2, 0.8], [0.5, 0.505]], {}, "row 1 sums to 1.005"),
        (["a", "b"], [0.2, 0.8], {"labels": ["b", "a"]}, r"must be sorted, .* got \['b', 'a'\]; pass \['a', 'b'\]"),
        (["a", "b"], [[0.2, 0.8], [0.8, 0.2]], {"labels": ["b", "a"]}, "`labels` must be sorted"),
        (["a", np.nan], [0.2, 0.8], {}, "`y_true` is missing for 1 samples"),
        ([0, 1], [0.2, 0.8], {"n_bins": 0}, "at least 1, got 0"),
        ([0, 1, 1], [0.2, 0.8], {}, "has 3 samples and `y_proba` has 2"),
        (["a", "b", "c"], [0.2, 0.8, 0.1], {}, "for 2 classes, got 3"),
        (["a", "b"], [0.2, 0.8], {"pos_label": "c"}, "`pos_label='c'` is not among"),
        (["a", "b"], [[0.2, 0.8], [0.4, 0.6]], {"pos_label": "c"}, "`pos_label='c'` is not among"),
        (["a", "c"], [0.2, 0.8], {"labels": ["a", "b"]}, r"holds \['c'\], not among the labels"),
        (["a", "b"], [[0.2, 0.8, 0], [0.5, 0.5, 0]], {}, "3 columns for 2 labels"),
        (["a", "a"], [0.2, 0.8], {}, "one label only"),
        (["a", None], [0.2, 0.8], {}, "`y_true` is missing for 1 samples"),
        ([0, 1], [0.2, np.nan], {}, "y_proba contains NaN"),
        ([], [], {}, "0 sample"),
        ([0, 1], [0.2, 0.8], {"sample_weight": [0, 0]}, "weight"),
        ([0, 1], [0.2, 0.8], {"method": "murphy"}, '"corp" or "binned", got \'murphy\''),
        ([0, 1], [0.2, 0.8], {"method": "binned", "n_bins": 0}, "at least 1, got 0"),
        ([0, 1], [0.2, 0.8], {"method": "binned", "strategy": "width"}, "got 'width'"),
    ],
)
def test_errors_say_what_came(y, proba, options, message):
    with pytest.raises(ValueError, match=message):
        brier_decomposition(y, proba, **options)
