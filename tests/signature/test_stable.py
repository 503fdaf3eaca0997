import pickle
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_magdg.cohort import Cohort, Encoded
from sklearn_magdg.signature import StableSignatureSelector, signature_path
from sklearn_magdg.signature import _half_samples as half_samples
from sklearn_magdg.signature._error_control import (
    BOUNDS,
    expected_false_positives,
    largest_path,
    largest_tail,
    r_concave,
    unimodal,
)
from sklearn_magdg.signature._half_samples import complementary_halves
from sklearn_magdg.signature._path import compute_path
from tests.signature.simulated import informative

FEW = {"n_resamples": 10, "random_state": 0}


# The checks fit noise of a few dimensions, where nothing is stable.
@pytest.mark.filterwarnings("ignore:No dimension:UserWarning", "ignore:No features were selected:UserWarning")
@parametrize_with_checks(
    [
        StableSignatureSelector(n_resamples=4, n_Cs=5, random_state=0),
        StableSignatureSelector(n_resamples=4, n_Cs=5, weakness=0.5, bound="r-concave", random_state=0),
    ]
)
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


# Bounds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "of_unimodal", "of_r_concave"),
    [(4, 0.4210526, 0.1637231), (5, 0.6578947, 0.2605329), (7, 1.289474, 0.5295188), (10, 2.631579, 1.141338)],
)
def test_bounds_are_those_that_the_r_package_stabs_prints(q, of_unimodal, of_r_concave):
    # stabs 0.6, tests/regtest-inference.Rout.save: p = 100, cutoff = 0.6, B = 50
    assert unimodal(q, 100, 0.6, 50) == pytest.approx(of_unimodal, rel=1e-6)
    assert r_concave(q, 100, 0.6, 50) == pytest.approx(of_r_concave, rel=1e-5)


def test_bounds_at_other_thresholds_are_those_that_stabs_prints():
    assert unimodal(3, 10, 0.96, 50) == pytest.approx(0.176, abs=5e-4)
    assert r_concave(7, 200, 0.62, 50) == pytest.approx(0.196, abs=5e-4)
    assert r_concave(7, 200, 0.61, 50) == pytest.approx(0.219, abs=5e-4)
    # 0.545 is not a multiple of 1 / 100 and means 0.55, whose product with 100 is a little more than 55
    assert r_concave(7, 200, 0.55, 50) == r_concave(7, 200, 0.545, 50) > r_concave(7, 200, 0.56, 50)
    assert largest_path(0.2, 200, 0.6, 50, "r-concave") == 6
    assert largest_path(0.2, 200, 0.6, 50, "unimodal") == 3


def test_meinshausen_and_buhlmann_by_hand():
    assert expected_false_positives(10, 100, 0.6, 50, "meinshausen-buhlmann") == pytest.approx(5)
    assert largest_path(5, 100, 0.6, 50, "meinshausen-buhlmann") == 10
    assert largest_path(4.99, 100, 0.6, 50, "meinshausen-buhlmann") == 9
    assert largest_path(0.04, 100, 0.6, 50, "meinshausen-buhlmann") == 0


@given(
    shape=st.lists(st.floats(0, 3), min_size=1, max_size=9),
    n=st.integers(9, 25),
    t=st.integers(1, 25),
    r=st.sampled_from([-1 / 2, -1 / 4]),
)
@settings(max_examples=60, deadline=None)
def test_no_decreasing_r_concave_distribution_has_a_larger_tail(shape, n, t, r):
    # f^r is convex and rises: cumulated non-negative slopes, twice.
    slopes = np.cumsum(np.resize(shape, n) * (np.arange(n) < len(shape)))
    probability = np.cumsum(np.append(1.0, slopes)) ** (1 / r)
    probability /= probability.sum()
    mean = np.arange(n + 1) @ probability
    assert probability[min(t, n) :].sum() <= largest_tail(mean, min(t, n), n, r) + 1e-6


@given(
    p=st.integers(1, 300),
    tau=st.floats(0.51, 1),
    n_pairs=st.integers(1, 30),
    allowed=st.floats(0.05, 20),
    bound=st.sampled_from(BOUNDS),
)
@settings(max_examples=40, deadline=None)
def test_the_path_is_the_longest_that_keeps_the_promise(p, tau, n_pairs, allowed, bound):
    q = largest_path(allowed, p, tau, n_pairs, bound)
    assert q == 0 or expected_false_positives(q, p, tau, n_pairs, bound) <= allowed * (1 + 1e-6)
    assert q == p or expected_false_positives(q + 1, p, tau, n_pairs, bound) > allowed


def test_more_assumptions_promise_less_and_never_more_than_the_worst_case():
    worst, half, least = (expected_false_positives(7, 200, 0.6, 50, bound) for bound in BOUNDS)
    assert least < half < worst
    # the theorem is silent about so many of so few dimensions
    assert unimodal(8, 10, 0.8, 50) == np.inf
    assert expected_false_positives(8, 10, 0.8, 50, "unimodal") == 10


# Half-samples --------------------------------------------------------------------------------------------------------


@given(
    n_patients=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    n_pairs=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_halves_are_complementary_disjoint_in_patients_and_balanced_in_class(n_patients, n_pairs, seed):
    rng = np.random.RandomState(seed)
    patient_class = np.repeat(np.arange(len(n_patients)), n_patients)
    patient = rng.permutation(np.repeat(np.arange(len(patient_class)), rng.randint(1, 4, len(patient_class))))
    halves = complementary_halves(of_patients(patient, patient_class[patient]), n_pairs, rng)
    assert len(halves) == 2 * n_pairs
    for first, second in zip(halves[::2], halves[1::2], strict=True):
        np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(len(patient)))
        assert not np.intersect1d(patient[first], patient[second]).size
        sizes = [
            np.bincount(patient_class[np.unique(patient[rows])], minlength=len(n_patients)) for rows in (first, second)
        ]
        assert np.abs(sizes[0] - sizes[1]).max() <= 1


def of_patients(patient, label):
    """Cohort of codes."""
    return Cohort(*(Encoded(codes, range(codes.max() + 1)) for codes in (label, patient)))


def test_every_patient_is_as_often_in_the_first_half_as_in_the_second():
    patient = np.arange(7)  # odd classes of 3 and 4: the extra patient goes to either side
    halves = complementary_halves(of_patients(patient, (patient > 2).astype(int)), 2000, np.random.RandomState(0))
    share = np.bincount(np.concatenate(halves[::2]), minlength=7) / 2000
    np.testing.assert_allclose(share, 0.5, atol=4 * np.sqrt(0.25 / 2000))


# The estimator -------------------------------------------------------------------------------------------------------


def by_hand(X, y, halves, divisors, q):
    """Share of the halves at whose path's end each dimension is not 0."""
    selected = []
    for rows, divisor in zip(halves, divisors, strict=True):
        path = signature_path(StandardScaler().fit_transform(X[rows]) * divisor, y[rows], max_features=q, tol=1e-4)
        selected.append((path.coefs[-1] != 0).any(axis=0))
    return np.mean(selected, axis=0)


@pytest.mark.parametrize(("n_classes", "weakness"), [(2, 1.0), (2, 0.5), (3, 1.0)])
def test_probabilities_are_those_of_the_paths_by_hand(n_classes, weakness):
    X, y, patient = informative()
    label = (y == "malignant").astype(int) if n_classes == 2 else patient % 3
    selector = StableSignatureSelector(max_features=3, threshold=0.51, weakness=weakness, **FEW)
    selector.fit(X, np.array(["a", "b", "c"], dtype=object)[label], patient=patient)
    rng = np.random.RandomState(0)
    halves, divisors = (
        complementary_halves(of_patients(patient, label), 5, rng),
        rng.uniform(weakness, 1, size=(10, 20)),
    )
    np.testing.assert_array_equal(selector.selection_probabilities_, by_hand(X, label, halves, divisors, 3))
    np.testing.assert_array_equal(selector.signature_, np.flatnonzero(selector.selection_probabilities_ >= 0.51))


def test_informative_dimensions_are_found_and_the_bound_is_told():
    X, y, patient = informative()
    selector = StableSignatureSelector(max_features=3, n_resamples=20, random_state=0).fit(X, y, patient=patient)
    assert selector.signature_.tolist() == [0, 1]
    assert selector.n_signature_ == 2
    assert selector.max_features_ == 3
    assert selector.threshold_ == 0.6
    assert selector.expected_false_positives_ == pytest.approx(2.25)  # 9 / (0.2 x 20)
    np.testing.assert_array_equal(selector.transform(X), X[:, [0, 1]])
    at_the_threshold = clone(selector).set_params(threshold=float(selector.selection_probabilities_[1]))
    assert 1 in at_the_threshold.fit(X, y, patient=patient).signature_


def test_the_path_ends_where_the_false_positives_allowed_say():
    X, y, patient = informative()
    default = StableSignatureSelector(**FEW).fit(X, y, patient=patient)
    assert (default.max_features_, default.expected_false_positives_) == (2, pytest.approx(1))
    more = clone(default).set_params(max_false_positives=4.0).fit(X, y, patient=patient)
    given = clone(default).set_params(max_features=4).fit(X, y, patient=patient)
    assert more.max_features_ == 4
    np.testing.assert_array_equal(more.selection_probabilities_, given.selection_probabilities_)
    sharper = clone(more).set_params(bound="r-concave").fit(X, y, patient=patient)
    assert sharper.max_features_ > 4
    assert sharper.expected_false_positives_ <= 4


def test_permuted_columns_have_permuted_probabilities():
    X, y, patient = informative()
    order = np.random.default_rng(1).permutation(X.shape[1])
    selector = StableSignatureSelector(max_features=5, **FEW)
    plain = clone(selector).fit(X, y, patient=patient).selection_probabilities_
    permuted = clone(selector).fit(X[:, order], y, patient=patient).selection_probabilities_
    np.testing.assert_array_equal(permuted, plain[order])


def test_the_number_of_jobs_does_not_matter():
    X, y, patient = informative(n_informative=4)
    selector = StableSignatureSelector(max_features=6, weakness=0.5, **FEW)
    alone, together = (clone(selector).set_params(n_jobs=n).fit(X, y, patient=patient) for n in (None, 2))
    np.testing.assert_array_equal(alone.selection_probabilities_, together.selection_probabilities_)
    np.testing.assert_array_equal(alone.signature_, together.signature_)


def test_the_seed_alone_decides():
    X, y, patient = informative()
    first, again, other = (
        StableSignatureSelector(n_resamples=10, max_features=6, weakness=0.5, random_state=seed)
        .fit(X, y, patient=patient)
        .selection_probabilities_
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_weak_penalties_let_twins_take_turns():
    # A column and its slightly noisy copy: the plain path always takes the better one.
    X, y, patient = informative(n_informative=1)
    X[:, 7] = X[:, 0] + 0.02 * X[:, 0].std() * np.random.default_rng(0).normal(size=len(X))
    selector = StableSignatureSelector(max_features=1, threshold=0.51, n_resamples=40, random_state=0)
    with pytest.warns(UserWarning, match="No dimension"):
        weak = clone(selector).set_params(weakness=0.2).fit(X, y, patient=patient).selection_probabilities_
    assert 0.25 < weak[0] < 0.75
    assert 0.25 < weak[7] < 0.75
    assert weak[[0, 7]].sum() > 0.8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No dimension:UserWarning")  # the best result where nothing is true
def test_mean_false_positives_keep_to_the_bound_if_patients_are_halved():
    found = {"patients": [], "images": []}
    for seed in range(16):
        X, _, patient = informative(n_patients=24, n_images=5, n_features=60, seed=seed)
        y = patient % 2  # all that X shows of it is the chance of few patients
        selector = StableSignatureSelector(bound="r-concave", n_resamples=20, random_state=seed)
        found["patients"].append(clone(selector).fit(X, y, patient=patient).n_signature_)
        found["images"].append(selector.fit(X, y).n_signature_)
    bound, error = selector.expected_false_positives_, np.std(found["patients"], ddof=1) / 4
    assert np.mean(found["patients"]) <= bound + 2 * error
    # Images of one patient in both halves agree on its chance, which is what the bound cannot know.
    assert np.mean(found["images"]) > 1.5 * bound


def test_no_half_sample_selects_more_than_the_path_may_hold():
    X, y, patient = informative(n_informative=6)
    X[:, 1] = X[:, 0]  # twins enter at one C
    for q in (1, 3):
        with pytest.warns(UserWarning, match="No dimension") if q == 1 else nullcontext():
            selector = StableSignatureSelector(max_features=q, **FEW).fit(X, y, patient=patient)
        assert selector.selection_probabilities_.sum() <= q + 1e-9


def test_a_grid_search_over_the_threshold_in_a_routed_pipeline():
    X, y, patient = informative()
    magnification = np.resize([40, 100, 200], len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StableSignatureSelector(max_features=4, **FEW), LogisticRegression())
        grid = {"stablesignatureselector__threshold": [0.55, 0.7]}
        search = GridSearchCV(pipeline, grid, cv=GroupKFold(3))
        search.fit(X, y, patient=patient, magnification=magnification, groups=patient)
    assert search.best_score_ > 0.8
    best = search.best_estimator_[0]
    direct = clone(best).fit(X, y, patient=patient)
    np.testing.assert_array_equal(best.selection_probabilities_, direct.selection_probabilities_)


def test_frames_keep_their_names_and_a_pickle_its_signature():
    frame = load_iris(as_frame=True)
    selector = (
        StableSignatureSelector(max_features=2, **FEW).set_output(transform="pandas").fit(frame.data, frame.target)
    )
    assert selector.transform(frame.data).columns.tolist() == selector.get_feature_names_out().tolist()
    assert "petal width (cm)" in selector.get_feature_names_out()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(selector)).signature_, selector.signature_)


def test_single_precision_is_kept_and_selects_the_same():
    X, y, patient = informative()
    X = X.astype(np.float32)
    single, double = (
        StableSignatureSelector(max_features=4, **FEW).fit(X.astype(dtype), y, patient=patient)
        for dtype in (np.float32, np.float64)
    )
    np.testing.assert_array_equal(single.selection_probabilities_, double.selection_probabilities_)
    assert single.transform(X).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_half_has_mean_0_and_the_divisor_for_its_spread_whatever_the_means(dtype):
    rng = np.random.default_rng(0)
    X = np.asfortranarray((rng.normal(size=(501, 5)) * [1, 10, 100, 1, 1] + [0, -1e4, 1e5, 3, 0]).astype(dtype))
    X[:, 3], X[:, 4] = 0.1, -1 / 3
    rows, divisor = np.flatnonzero(rng.uniform(size=501) < 0.5), rng.uniform(0.5, 1, 5)
    half = half_samples._scaled_half(X, rows, divisor, True)
    expected = StandardScaler().fit_transform(X[rows].astype(float)) * divisor
    np.testing.assert_allclose(half[:, :3], expected[:, :3], atol=1e-4 if dtype == np.float32 else 1e-11)
    assert not half[:, 3:].any()
    assert half.dtype == dtype
    assert half.flags.f_contiguous
    as_given = half_samples._scaled_half(X, rows, divisor, False)
    np.testing.assert_allclose(as_given, (X[rows] - X[rows].mean(axis=0, dtype=float)) * divisor, rtol=1e-4, atol=0.01)


def test_constant_columns_more_dimensions_than_samples_and_separable_classes():
    X, y, patient = informative(n_patients=14, n_images=1, n_features=50)
    X[:, 0] += 50 * X[:, 0].std() * (y == "malignant")
    X[:, 5] = 7.0
    for options in ({}, {"weakness": 0.5}):
        selector = StableSignatureSelector(max_features=3, **FEW, **options).fit(X, y, patient=patient)
        assert selector.selection_probabilities_[5] == 0
        assert 0 in selector.signature_


def test_an_empty_signature_warns_with_the_way_out():
    X, _, patient = informative()
    noise = np.random.default_rng(5).integers(0, 2, 40)[patient]
    with pytest.warns(UserWarning, match=r"No dimension is selected on 100% .* Lower `threshold`, or raise") as caught:
        selector = StableSignatureSelector(threshold=1.0, max_features=1, **FEW).fit(X, noise, patient=patient)
    assert len(caught) == 1
    assert selector.signature_.tolist() == []
    with pytest.warns(UserWarning, match="No features were selected"):
        assert selector.transform(X).shape == (len(X), 0)


def test_half_samples_that_do_not_converge_are_counted_and_told_once(monkeypatch):
    X, y, patient = informative()
    n_paths = 0

    def path_that_fails_at_times(*args, **options):
        nonlocal n_paths
        n_paths += 1
        if n_paths % 5 == 2:
            warnings.warn(f"path {n_paths} did not converge", ConvergenceWarning)
        return compute_path(*args, **options)

    monkeypatch.setattr(half_samples, "compute_path", path_that_fails_at_times)
    with pytest.warns(ConvergenceWarning, match="On 2 of 10 half-samples: path 2 did not") as caught:
        StableSignatureSelector(max_features=3, **FEW).fit(X, y, patient=patient)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_resamples": 7}, "complementary pairs, got 7; give an even number"),
        ({"threshold": 0.5}, r"range \(0.5, 1"),
        ({"threshold": 1.01}, r"range \(0.5, 1"),
        ({"max_features": 21}, "more than the 20 dimensions of `X`"),
        ({"max_features": 2, "max_false_positives": 1.0}, "give one of them"),
        ({"max_false_positives": 0.01}, "is 0.25 at the least; allow that, raise `threshold`, or choose a sharper"),
        ({"bound": "none"}, "bound"),
    ],
)
def test_parameters_that_cannot_be_are_refused(options, message):
    X, y, patient = informative()
    with pytest.raises(ValueError, match=message):
        StableSignatureSelector(**options).fit(X, y, patient=patient)


def test_data_that_cannot_be_halved_are_refused():
    X, y, patient = informative()
    selector = StableSignatureSelector(**FEW)
    with pytest.raises(ValueError, match="got 1 class"):
        selector.fit(X, np.zeros(len(X)), patient=patient)
    rare = np.where(patient == 3, "rare", y)
    with pytest.raises(ValueError, match="no sample of class 'rare', which 1 patient of 40 have; add patients"):
        selector.fit(X, rare, patient=patient)
    with pytest.raises(ValueError, match="which 1 sample of 120 have; add samples"):
        selector.fit(X, np.where(np.arange(120) == 3, "rare", y))
    with pytest.raises(ValueError, match="`patient` is missing"):
        selector.fit(X, y, patient=np.where(patient == 3, np.nan, patient))
    with pytest.raises(ValueError, match="`magnification` has 3 values for 120 samples"):
        selector.fit(X, y, patient=patient, magnification=[40, 100, 200])
    with pytest.raises(ValueError, match="NaN"):
        selector.fit(np.where(X[0, 0] == X, np.nan, X), y, patient=patient)


def test_fdr_is_refused_by_the_name_of_the_class_that_has_it():
    with pytest.raises(TypeError, match=r"no `fdr`: .* controlled by KnockoffSignatureSelector\(fdr=0.1\)"):
        StableSignatureSelector(fdr=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_feature'"):
        StableSignatureSelector(max_feature=3)
    assert "fdr" not in StableSignatureSelector().get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'fdr'"):
        StableSignatureSelector().set_params(fdr=0.1)
