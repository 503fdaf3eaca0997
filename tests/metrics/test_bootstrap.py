import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import brier_score_loss, f1_score, log_loss, roc_auc_score

from sklearn_magdg.metrics import _resampling as resampling
from sklearn_magdg.metrics import (
    brier_score,
    evaluate_metric,
    expected_calibration_error,
    patient_bootstrap,
    patient_bootstrap_difference,
    patient_brier_score,
    patient_roc_auc,
    pool_by_patient,
    smooth_calibration_error,
)


def study(n_patients=11, n_images=61, seed=0, effect=1.0, n_models=1):
    """Labels by patient, scores with ties in which images of a patient resemble each other, patients."""
    rng = np.random.default_rng(seed)
    patient = np.concatenate([np.arange(n_patients), rng.integers(0, n_patients, n_images - n_patients)])
    y_true = patient % 2
    score = y_true + effect * rng.normal(size=n_patients)[patient] + rng.normal(size=(n_models, n_images))
    return y_true, np.round(1 / (1 + np.exp(0.5 - score)), 1), patient


def by_weight(metric):
    """The same metric as another function, one call per resample."""
    return lambda y, s, sample_weight: metric(y, s, sample_weight=sample_weight)


def by_repetition(metric):
    return lambda y, s: metric(y, s)


ROUTES = [by_weight, by_repetition]


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("name", "metric"), [("roc_auc", roc_auc_score), ("brier", brier_score_loss)])
@pytest.mark.parametrize("confidence_level", [0.3, 0.9])
def test_all_resamples_at_once_are_scikit_learn_on_each(name, metric, route, method, confidence_level):
    y, (p,), patient = study()
    options = {"patient": patient, "n_resamples": 199, "confidence_level": confidence_level, "method": method}
    expected = patient_bootstrap(route(metric), y, p, random_state=3, **options)
    for fast in (name, metric, *([brier_score] if name == "brier" else [])):
        result = patient_bootstrap(fast, y, p, random_state=3, **options)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


def test_every_resample_is_that_of_scikit_learn_with_weights(monkeypatch):
    y, (p,), patient = study()
    weight = np.random.default_rng(1).random(len(y))
    for name, metric in (("roc_auc", roc_auc_score), ("brier", brier_score_loss)):
        seen = []

        def record(y, s, sample_weight, metric=metric, seen=seen):
            seen.append(metric(y, s, sample_weight=sample_weight))
            return seen[-1]

        patient_bootstrap(record, y, p, patient=patient, sample_weight=weight, n_resamples=99, random_state=0)
        values = distribution_of(name, y, p, patient, monkeypatch, sample_weight=weight, n_resamples=99)
        np.testing.assert_allclose(values, np.sort(seen[1:]), rtol=0, atol=1e-12)


def distribution_of(metric, y, score, patient, monkeypatch, **options):
    """Sorted values on all resamples, caught on their way to the interval."""
    caught = []

    def interval(distribution, confidence_level):
        caught.append(distribution.values)
        return resampling.interval(distribution, confidence_level)

    with monkeypatch.context() as patch:
        patch.setattr("sklearn_magdg.metrics._bootstrap.interval", interval)
        patient_bootstrap(metric, y, score, patient=patient, random_state=0, **options)
    return caught[0]


def test_every_resample_has_as_many_patients_of_each_class_and_all_their_images():
    y, (p,), patient = study()
    y = np.where(np.arange(len(y)) == 5, 1 - y, y)  # patient 5 has one image of the other class
    drawn = []

    def record(y, s, sample_weight):
        drawn.append(sample_weight)
        return 0.0

    patient_bootstrap(record, y, p, patient=patient, n_resamples=39, random_state=0)
    assert (drawn[0] == 1).all()
    for weight in drawn:
        counts = np.array([np.unique(weight[patient == each]).item() for each in range(11)])
        assert counts[0::2].sum() == 6
        assert counts[1::2].sum() == 5
    assert np.std(drawn[1:]) > 0.5


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_one_image_per_patient_is_the_bootstrap_of_scipy(method):
    data = np.random.default_rng(0).exponential(size=31)
    expected = stats.bootstrap((data,), np.mean, n_resamples=999, method=method, random_state=np.random.RandomState(0))
    _, low, high = patient_bootstrap(
        lambda y, s: s.mean(), data, data, patient=np.arange(31), n_resamples=999, method=method.lower(), random_state=0
    )
    assert_neighbours(expected, low, high)


def test_acceleration_with_two_classes_is_that_of_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.exponential(size=13), rng.exponential(size=22) ** 2

    def difference(y, s):
        return s[y == 1].mean() - s[y == 0].mean()

    expected = stats.bootstrap(
        (a, b),
        lambda a, b, axis: b.mean(axis=axis) - a.mean(axis=axis),
        n_resamples=9999,
        random_state=np.random.RandomState(0),
    )
    y, score = np.repeat([0, 1], [13, 22]), np.concatenate([a, b])
    options = {"patient": np.arange(35), "n_resamples": 9999, "random_state": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "_CELLS", 10**6)  # one block, as in scipy
        _, low, high = patient_bootstrap(difference, y, score, method="bca", **options)
        percentile = patient_bootstrap(difference, y, score, **options)
    assert_neighbours(expected, low, high)
    assert low > percentile.low + 0.01  # the correction is not nothing here


def assert_neighbours(expected, low, high):
    """Scipy interpolates at (B - 1) q, we round (B + 1) q outward: two order statistics apart at most."""
    values = np.sort(expected.bootstrap_distribution)
    for ours, theirs in zip((low, high), expected.confidence_interval, strict=True):
        rank = np.argmin(np.abs(values - ours))
        assert ours == pytest.approx(values[rank], abs=1e-12)
        assert values[rank - 2] <= theirs <= values[rank + 2]
    assert low <= expected.confidence_interval.low + 1e-12
    assert high >= expected.confidence_interval.high - 1e-12


def test_variance_is_that_of_a_stratified_mean_of_patients(monkeypatch):
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(15), 4)
    y, p = (patient < 6).astype(int), rng.random(15)[patient] * rng.random(60)
    values = distribution_of("brier", y, p, patient, monkeypatch, n_resamples=20_000)
    loss = np.bincount(patient, weights=(y - p) ** 2) / 4
    variance = sum((len(each) / 15) ** 2 * each.var() / len(each) for each in (loss[:6], loss[6:]))
    assert values.var() == pytest.approx(variance, rel=0.05)  # five times the Monte Carlo error


def test_repeating_every_image_changes_nothing():
    y, (p,), patient = study()
    for method in ("percentile", "bca"):
        options = {"n_resamples": 199, "method": method, "random_state": 0}
        once = patient_bootstrap("roc_auc", y, p, patient=patient, **options)
        thrice = patient_bootstrap(
            "roc_auc", *(np.repeat(each, 3) for each in (y, p)), patient=patient.repeat(3), **options
        )
        np.testing.assert_allclose(once, thrice)


def test_weights_are_repetitions_and_the_order_of_images_plays_no_part():
    y, (p,), patient = study()
    rng = np.random.default_rng(0)
    weight, order = rng.integers(1, 4, len(y)), rng.permutation(len(y))
    for metric in ("brier", "roc_auc", log_loss):
        p_inside = np.clip(p, 0.05, 0.95)
        run = partial(patient_bootstrap, metric, n_resamples=99, random_state=0)
        weighted = run(y, p_inside, patient=patient, sample_weight=weight)
        repeated = run(y.repeat(weight), p_inside.repeat(weight), patient=patient.repeat(weight))
        shuffled = run(y[order], p_inside[order], patient=patient[order], sample_weight=weight[order])
        np.testing.assert_allclose(weighted, repeated)
        np.testing.assert_allclose(weighted, shuffled)


def test_small_blocks_give_the_same_resamples(monkeypatch):
    _, (p,), patient = study()
    options = {"patient": patient, "n_resamples": 99, "method": "bca", "random_state": 0}
    expected = patient_bootstrap(lambda y, s: s.mean(), p + 0.03, p, **options)
    monkeypatch.setattr(resampling, "_CELLS", 4 * len(p))
    assert patient_bootstrap(lambda y, s: s.mean(), p + 0.03, p, **options) == expected


def test_labels_and_columns_may_come_in_any_form():
    y, (p,), patient = study()
    names = np.array(["benign", "malignant"])[y]
    for metric in ("roc_auc", "brier"):
        run = partial(patient_bootstrap, metric, patient=patient, n_resamples=99, random_state=0)
        expected = run(y, p)
        both = np.column_stack([1 - p, p])
        for result in (
            run(names, p),
            run(list(names), p[:, None]),
            run(names, both),
            run(names, 1 - p, pos_label="benign"),
            run(names, both, pos_label="benign"),
            run(y, p, labels=[0, 1]),
            run(y[:, None], p),
        ):
            np.testing.assert_allclose(result, expected, atol=1e-12)
    negative = patient_bootstrap("neg_brier_score", names, p, patient=patient, n_resamples=99, random_state=0)
    np.testing.assert_allclose([-negative.estimate, -negative.high, -negative.low], expected)


def test_brier_of_three_classes_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    patient = rng.integers(0, 9, 47)
    y, proba = np.array(["a", "b", "c"])[patient % 3], rng.dirichlet(np.ones(3), 47)
    run = partial(patient_bootstrap, y_true=y, y_score=proba, patient=patient, n_resamples=99, random_state=0)
    np.testing.assert_allclose(run("brier"), run(by_weight(brier_score_loss)))
    with pytest.raises(ValueError, match=r'got 3: .* pass `functools.partial\(roc_auc_score, multi_class="ovr"\)`'):
        run("roc_auc")
    one_vs_rest = partial(roc_auc_score, multi_class="ovr")
    assert run(one_vs_rest).estimate == pytest.approx(one_vs_rest(y, proba))


def test_scores_of_a_decision_function_have_an_auc():
    y, (p,), patient = study()
    run = partial(patient_bootstrap, "roc_auc", y, patient=patient, n_resamples=99, random_state=0)
    assert run(7 * p - 5) == run(p)


def test_a_seed_decides_the_resamples():
    y, (p,), patient = study()
    run = partial(patient_bootstrap, "roc_auc", y, p, patient=patient)
    assert run(random_state=0) == run(random_state=np.random.RandomState(0))
    assert run(random_state=0) != run(random_state=1)


# the value alone


@pytest.mark.parametrize("metric", ["roc_auc", "brier", "neg_brier_score", brier_score, patient_roc_auc, log_loss])
def test_the_value_of_a_metric_is_the_estimate_of_its_bootstrap(metric):
    y, (p,), patient = study()
    p = np.clip(p, 0.05, 0.95)
    expected = patient_bootstrap(metric, y, p, patient=patient, n_resamples=39, random_state=0).estimate
    assert evaluate_metric(metric, y, p, patient=patient) == expected
    if metric is not patient_roc_auc:
        assert evaluate_metric(metric, y, p) == pytest.approx(expected)


def test_the_value_of_a_metric_needs_neither_two_patients_nor_two_classes():
    labels = ["benign", "malignant"]
    for patient in (None, ["a", "a"]):
        assert evaluate_metric("brier", ["malignant"] * 2, [0.5, 1.0], patient=patient, labels=labels) == 0.125
        assert np.isnan(evaluate_metric("roc_auc", ["malignant"] * 2, [0.5, 1.0], patient=patient, labels=labels))
    seen = []
    evaluate_metric(lambda *args, **given: seen.append((args, given)), [1, 2], [3, 4])
    assert seen == [(([1, 2], [3, 4]), {})]


# the difference of two models


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("metric", ["roc_auc", "brier", by_repetition(roc_auc_score)])
def test_the_difference_is_taken_on_the_same_resamples(metric, method):
    y, (a, b), patient = study(n_models=2)
    options = {"patient": patient, "n_resamples": 99, "method": method, "random_state": 0}
    run = partial(patient_bootstrap_difference, metric, y, **options)

    def both(y, scores):
        each = roc_auc_score if metric != "brier" else brier_score_loss
        return each(y, scores[:, 0]) - each(y, scores[:, 1])

    expected = patient_bootstrap(both, y, np.column_stack([a, b]), **options)
    forth, back = run(a, b), run(b, a)
    np.testing.assert_allclose(forth[:3], expected)
    np.testing.assert_allclose(forth, [-back.estimate, -back.high, -back.low, back.p_value])


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_equal_models_do_not_differ(method):
    y, (p,), patient = study()
    result = patient_bootstrap_difference("roc_auc", y, p, p**3, patient=patient, method=method, random_state=0)
    assert result == (0, 0, 0, 1)


def test_the_smallest_p_value_is_two_over_the_resamples_plus_one():
    y, _, patient = study()
    result = patient_bootstrap_difference("brier", y, y, 1 - y, patient=patient, n_resamples=99, random_state=0)
    assert result == (-1, -1, -1, pytest.approx(2 / 100))


@given(
    arrays(np.float64, st.integers(39, 80), elements=st.integers(-30, 30).map(float)),
    st.integers(-30, 30),
    st.floats(-1, 1),
    st.floats(-0.15, 0.15),
    st.sampled_from([0.0517, 0.0777, 0.213, 0.3333, 0.71]),
)
def test_p_value_is_the_smallest_level_whose_interval_excludes_zero(values, shift, bias, acceleration, level):
    distribution = resampling.Distribution(0.0, np.sort(values + shift), bias, acceleration)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        low, high = resampling.interval(distribution, 1 - level)
    assume(not caught)  # the end lies beyond the resamples: said by a warning
    p_value = resampling.p_value(distribution)
    assert 0 < p_value <= 1
    assert (low > 0 or high < 0) == (p_value <= level)


def test_p_value_by_hand():
    distribution = resampling.Distribution(1.0, np.array([-2.0, 0.0, *range(1, 38)]), 0.0, 0.0)
    assert resampling.p_value(distribution) == pytest.approx(2 * 3 / 40)


def test_values_that_differ_from_zero_by_rounding_are_zero():
    for noise in (1e-17, -1e-17):
        assert resampling.p_value(resampling.Distribution(0.0, np.full(39, noise), 0.0, 0.0)) == 1


def test_ends_are_whole_ranks_where_the_confidence_level_gives_them():
    # 0.1 / 2 * 1000 is 49.99999999999999 in floating point
    distribution = resampling.Distribution(500.0, np.arange(1.0, 1000.0), 0.0, 0.0)
    assert resampling.interval(distribution, 0.9) == (50, 950)


# metrics over patients, and of calibration


@pytest.mark.parametrize(("metric", "pooled"), [(patient_roc_auc, "roc_auc"), (patient_brier_score, "brier")])
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_metric_over_patients_is_that_of_the_pooled_patients(metric, pooled, method):
    y, (p,), patient = study()
    options = {"n_resamples": 299, "method": method, "random_state": 0}
    label, mean, name = pool_by_patient(y, p, patient=patient)
    expected = patient_bootstrap(pooled, label, mean, patient=name, **options)
    np.testing.assert_allclose(patient_bootstrap(metric, y, p, patient=patient, **options), expected)


def test_a_metric_over_patients_may_take_weights():
    y, (p,), patient = study()
    weight = np.arange(len(y)) + 1.0

    def mean(y, s, patient, sample_weight):
        return np.average(s, weights=sample_weight)

    options = {"patient": patient, "sample_weight": weight, "n_resamples": 99, "random_state": 0}
    expected = patient_bootstrap(lambda y, s, sample_weight: np.average(s, weights=sample_weight), y, p, **options)
    np.testing.assert_allclose(patient_bootstrap(mean, y, p, **options), expected)


@pytest.mark.parametrize(
    "metric", [expected_calibration_error, smooth_calibration_error, partial(expected_calibration_error, norm="l2")]
)
def test_the_interval_of_a_calibration_error_comes_with_a_warning(metric):
    y, (p,), patient = study()
    with pytest.warns(UserWarning, match=r"excludes 0 even for calibrated .* consistency band of `sklearn_magdg"):
        patient_bootstrap(metric, y, p, patient=patient, n_resamples=39, random_state=0)


# what the patients change


def errors_of_a_study(rng, n_patients, n_images=12):
    """Labels, calibrated-on-average probabilities with patient effects, patients."""
    patient = np.repeat(np.arange(n_patients), n_images)
    y = patient % 2
    score = 1.2 * (2 * y - 1) + 1.2 * rng.normal(size=n_patients)[patient] + 0.8 * rng.normal(size=len(patient))
    return y, 1 / (1 + np.exp(-score)), patient


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["roc_auc", "brier"])
def test_resampled_patients_cover_the_truth_and_resampled_images_do_not(metric):
    y, p, patient = errors_of_a_study(np.random.default_rng(1), 40_000, 5)
    truth = {"roc_auc": roc_auc_score, "brier": brier_score_loss}[metric](y, p)
    rng, covered = np.random.default_rng(0), {"patient": [], "image": []}
    for _ in range(150):
        y, p, patient = errors_of_a_study(rng, 40)
        for unit, units in (("patient", patient), ("image", np.arange(len(y)))):
            _, low, high = patient_bootstrap(metric, y, p, patient=units, n_resamples=299, random_state=0)
            covered[unit].append(low <= truth <= high)
    assert 0.87 <= np.mean(covered["patient"]) <= 0.99
    assert np.mean(covered["image"]) < 0.75


@pytest.mark.slow
def test_equally_good_models_are_told_apart_as_often_as_the_level_says():
    rng, p_values = np.random.default_rng(0), {"patient": [], "image": []}
    for _ in range(150):
        y, a, patient = errors_of_a_study(rng, 40)
        _, b, _ = errors_of_a_study(rng, 40)
        for unit, units in (("patient", patient), ("image", np.arange(len(y)))):
            result = patient_bootstrap_difference("brier", y, a, b, patient=units, n_resamples=199, random_state=0)
            p_values[unit].append(result.p_value)
    assert 0.01 <= np.mean(np.array(p_values["patient"]) <= 0.05) <= 0.12
    assert np.mean(np.array(p_values["image"]) <= 0.05) > 0.25


# degenerate and bad input


def test_a_metric_without_variance_has_an_interval_without_width():
    y, _, patient = study()
    for method in ("percentile", "bca"):
        assert patient_bootstrap("roc_auc", y, y, patient=patient, method=method) == (1, 1, 1)
        constant = patient_bootstrap("brier", y, np.full(len(y), 0.3) + 0.4 * y, patient=patient, method=method)
        np.testing.assert_allclose(constant, 0.09)


def test_undefined_resamples_are_counted_and_left_out():
    values = iter([0.5, *np.arange(30.0), *[np.nan] * 9])
    y, (p,), patient = study()
    with pytest.warns(UndefinedMetricWarning, match="undefined on 9 of 39 resamples of the patients, which are left"):
        result = patient_bootstrap(
            lambda y, s: next(values), y, p, patient=patient, n_resamples=39, confidence_level=0.8, random_state=0
        )
    assert result == (0.5, 2, 27)  # the third from either end: floor(31 * 0.1)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_mostly_undefined_resamples_leave_no_interval(method):
    # the only image of class 1 is in the hands of a patient of class 0 or undrawn in a third of the resamples
    y, patient = np.array([0, 0, 1, 0, 0, 0]), np.array([0, 0, 0, 1, 1, 2])
    with pytest.warns(UndefinedMetricWarning, match="undefined on"):
        result = patient_bootstrap("roc_auc", np.zeros(6, int), y, patient=patient, method=method)
    np.testing.assert_equal(result, np.full(3, np.nan))
    with pytest.warns(UndefinedMetricWarning, match="undefined on"):
        result = patient_bootstrap_difference("roc_auc", np.zeros(6, int), y, y, patient=patient, method=method)
    np.testing.assert_equal(result, np.full(4, np.nan))


def test_a_class_lost_with_its_patient_is_undefined_and_bca_says_so():
    y, p = np.array([0, 0, 1, 0, 0, 0, 0]), np.linspace(0, 1, 7)
    options = {"patient": [0, 0, 0, 1, 1, 2, 3], "random_state": 0}
    with pytest.warns(UndefinedMetricWarning, match="undefined on 3.. of 1000 resamples"):
        percentile = patient_bootstrap("roc_auc", y, p, **options)
    assert percentile.low <= percentile.estimate <= percentile.high
    with pytest.warns(UndefinedMetricWarning) as caught:
        bca = patient_bootstrap("roc_auc", y, p, method="bca", **options)
    assert 'take `method="percentile"`' in str(caught[-1].message)
    np.testing.assert_equal(bca, [percentile.estimate, np.nan, np.nan])


def test_a_metric_that_warns_on_resamples_warns_of_the_images_only():
    y, patient = np.arange(12) % 2, np.arange(12)
    predicted = np.zeros(12, dtype=int)
    predicted[1] = 1  # not drawn in a third of the resamples: precision and F1 are then 0 by definition
    result = patient_bootstrap(f1_score, y, predicted, patient=patient, n_resamples=99, random_state=0)
    assert result.low == 0


def test_ends_beyond_the_outermost_resample_are_said():
    distribution = resampling.Distribution(0.0, np.arange(39.0), -1.0, 0.0)
    with pytest.warns(UserWarning, match="raise `n_resamples`"):
        assert resampling.interval(distribution, 0.95)[0] == 0


def test_the_only_patient_of_a_class_is_said():
    y, (p,), patient = study()
    names = np.where(patient % 2, "ward 7", patient.astype(str))
    for method in ("percentile", "bca"):
        with pytest.warns(UserWarning, match=r"Patients \['ward 7'\] are the only ones of their class"):
            result = patient_bootstrap("roc_auc", y, p, patient=names, method=method, random_state=0)
        assert result.low < result.estimate < result.high


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "auc"}, r"callable or one of \['roc_auc', 'brier', 'neg_brier_score'\], got 'auc'"),
        ({"y_score": [0.1, 0.2]}, "inconsistent numbers of samples"),
        ({"y_score": [0.1, 0.2, 0.3, np.nan]}, "Input y_score contains NaN"),
        ({"y_score": [0.1, 0.2, 0.3, 1.3], "metric": "brier"}, r"probabilities in \[0, 1\]"),
        ({"patient": [1, 2, 3]}, "`patient` has 3 values for 4 samples"),
        ({"patient": [1, 2, None, 4]}, "`patient` is missing for 1 samples"),
        ({"patient": ["a", "b", np.nan, "d"]}, "`patient` is missing for 1 samples"),
        ({"y_true": ["a", "a", "b", None]}, "`y_true` is missing for 1 samples"),
        ({"y_true": ["a", "a", "b", np.nan]}, "`y_true` is missing for 1 samples"),
        ({"metric": log_loss, "y_score": [0.1, np.nan, 0.3, 0.4]}, "`y_score` is missing for 1 samples .* position 1"),
        ({"metric": partial(patient_roc_auc, patient=[1, 2, 3, 4])}, "`patient` is bound to the metric"),
        ({"labels": [1, 0]}, "`labels` must be sorted"),
        ({"patient": [1, 1, 1, 1]}, "at least 2 patients, got 1 patients in 1 classes"),
        ({"patient": [1, 1, 2, 2]}, "at least 2 patients, got 2 patients in 2 classes"),
        ({"y_true": [], "y_score": [], "patient": []}, "at least 2 patients, got 0 patients"),
        ({"pos_label": 7}, "`pos_label=7` is not among the labels"),
        ({"labels": [0, 2]}, r"holds \[1\], not among the labels"),
        ({"metric": log_loss, "labels": [0, 1]}, r"bind them to a callable with `functools.partial"),
        ({"metric": by_repetition(log_loss), "sample_weight": [1, 1, 1, 1]}, "does not take it"),
        ({"sample_weight": [1, 1, 1, -1]}, "Negative values"),
        ({"n_resamples": 38}, "integer of at least 39 for `confidence_level=0.95`, got 38"),
        ({"n_resamples": 10.0}, r"integer of at least 39 .* got 10.0"),
        ({"confidence_level": 95}, "between 0 and 1, both excluded, got 95"),
        ({"method": "basic"}, '"percentile" or "bca", got \'basic\''),
    ],
)
def test_errors_say_what_came(change, message):
    arguments = {"metric": "roc_auc", "y_true": [0, 0, 1, 1], "y_score": [0.1, 0.2, 0.3, 0.4], "patient": [1, 2, 3, 4]}
    with pytest.raises(ValueError, match=message):
        patient_bootstrap(**{**arguments, **change})
