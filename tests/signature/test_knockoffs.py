import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_magdg.signature import KnockoffSignatureSelector
from sklearn_magdg.signature import _half_samples as half_samples
from sklearn_magdg.signature import _knockoff_selector as knockoff_selector
from sklearn_magdg.signature._knockoffs import gaussian_knockoffs, intraclass_correlation, knockoff_threshold
from tests.signature.simulated import informative

FEW = {"n_resamples": 10, "random_state": 0}


# The checks fit noise of a few dimensions, where too few can beat their knockoffs.
@pytest.mark.filterwarnings("ignore:No dimension:UserWarning", "ignore:No features were selected:UserWarning")
@parametrize_with_checks(
    [
        KnockoffSignatureSelector(n_resamples=4, n_Cs=5, random_state=0),
        KnockoffSignatureSelector(n_resamples=4, n_Cs=5, fdr=0.5, random_state=0),
    ]
)
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


# Knockoffs -----------------------------------------------------------------------------------------------------------


def correlated(n_samples, n_features, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) + rng.normal(size=(n_samples, 1))
    return (X - X.mean(axis=0)) / X.std(axis=0)


def test_knockoffs_have_the_covariance_of_their_originals():
    X = correlated(40_000, 5)
    knockoffs = gaussian_knockoffs(X, np.arange(len(X)), np.random.RandomState(0))
    within, across = np.corrcoef(X.T, knockoffs.T)[5:, 5:], np.corrcoef(X.T, knockoffs.T)[:5, 5:]
    np.testing.assert_allclose(within, np.corrcoef(X.T), atol=0.02)
    off_diagonal = ~np.eye(5, dtype=bool)
    np.testing.assert_allclose(across[off_diagonal], np.corrcoef(X.T)[off_diagonal], atol=0.02)
    # Correlations of one half leave eigenvalues of 0.5: the equi-correlated s is 1, own knockoffs are uncorrelated.
    np.testing.assert_allclose(np.diag(across), 0, atol=0.02)


def test_knockoffs_of_one_patient_are_as_alike_as_their_originals():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(3000), 3)
    X = np.sqrt(0.7) * rng.normal(size=(3000, 4))[patient] + np.sqrt(0.3) * rng.normal(size=(9000, 4))
    assert intraclass_correlation(X, patient) == pytest.approx(0.7, abs=0.03)
    knockoffs = gaussian_knockoffs(X, patient, np.random.RandomState(0))
    assert np.corrcoef(knockoffs[::3].T, knockoffs[1::3].T)[:4, 4:].diagonal() == pytest.approx(0.7, abs=0.05)


def test_knockoffs_of_few_samples_and_constant_columns():
    X = correlated(9, 30)
    X[:, 4] = 0
    knockoffs = gaussian_knockoffs(X, np.arange(9) // 2, np.random.RandomState(0))
    assert np.isfinite(knockoffs).all()
    assert not knockoffs[:, 4].any()
    assert not gaussian_knockoffs(np.zeros((5, 2)), np.arange(5), np.random.RandomState(0)).any()


@pytest.mark.parametrize("constant", [0.1, 0.3, 1 / 3, 0.1 + np.resize([0, 2e-17], 700)])
def test_a_constant_column_leaves_the_other_knockoffs_as_they_are(constant):
    X = correlated(700, 6)
    # Scaled, such a column is some 1e-16, not 0, and would be an axis without variance among the others.
    scaled = StandardScaler().fit_transform(np.column_stack([X, np.broadcast_to(constant, 700)]))
    assert scaled[:, 6].any()
    alone, beside = (
        gaussian_knockoffs(each, np.arange(700), np.random.RandomState(0)) for each in (scaled[:, :6], scaled)
    )
    np.testing.assert_array_equal(beside[:, :6], alone)
    np.testing.assert_array_equal(beside[:, 6], scaled[:, 6])


# The estimator -------------------------------------------------------------------------------------------------------


def test_the_number_of_jobs_does_not_matter():
    X, y, patient = informative(n_informative=4)
    selector = KnockoffSignatureSelector(max_features=6, weakness=0.5, fdr=0.5, **FEW)
    alone, together = (clone(selector).set_params(n_jobs=n).fit(X, y, patient=patient) for n in (None, 2))
    np.testing.assert_array_equal(alone.selection_probabilities_, together.selection_probabilities_)
    np.testing.assert_array_equal(alone.signature_, together.signature_)


def test_the_numbers_are_those_that_a_seed_gave_before_knockoffs_had_a_class_of_their_own():
    X, y, patient = informative(n_patients=80, n_informative=4, seed=1)
    selector = KnockoffSignatureSelector(fdr=0.4, weakness=0.5, max_features=6, **FEW).fit(X, y, patient=patient)
    # of StableSignatureSelector(fdr=0.4, ...) in the last version that had it
    statistics = [6, 10, 9, 9, 2, 0, 0, -2, -1, -4, -1, 0, 0, -1, 0, 1, -1, -2, 1, 0]
    probabilities = [7, 10, 9, 9, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 1]
    np.testing.assert_array_equal(selector.knockoff_statistics_, np.array(statistics) / 10)
    np.testing.assert_array_equal(selector.selection_probabilities_, np.array(probabilities) / 10)
    assert selector.threshold_ == 0.6


def test_a_fit_through_a_routed_pipeline_is_the_fit_alone():
    X, y, patient = informative(n_patients=80, n_informative=4, seed=1)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(KnockoffSignatureSelector(fdr=0.3, **FEW), LogisticRegression())
        pipeline.fit(X, y, patient=patient, magnification=np.resize([40, 100, 200], len(X)))
    direct = KnockoffSignatureSelector(fdr=0.3, **FEW).fit(X, y, patient=patient)
    np.testing.assert_array_equal(pipeline[0].knockoff_statistics_, direct.knockoff_statistics_)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipeline[0])).signature_, direct.signature_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_resamples": 7}, "complementary pairs, got 7; give an even number"),
        ({"fdr": 0.0}, r"range \(0.0, 1.0\)"),
        ({"fdr": 1.0}, r"range \(0.0, 1.0\)"),
        ({"fdr": None}, "'fdr' parameter of KnockoffSignatureSelector"),
        ({"max_features": 21}, "more than the 20 dimensions of `X`"),
    ],
)
def test_parameters_that_cannot_be_are_refused(options, message):
    X, y, patient = informative()
    with pytest.raises(ValueError, match=message):
        KnockoffSignatureSelector(**options).fit(X, y, patient=patient)


def test_data_that_cannot_be_halved_are_refused():
    X, y, patient = informative()
    with pytest.raises(ValueError, match="KnockoffSignatureSelector needs at least 2 classes, got 1 class"):
        KnockoffSignatureSelector(**FEW).fit(X, np.zeros(len(X)), patient=patient)
    with pytest.raises(ValueError, match="no sample of class 'rare', which 1 patient of 40 have; add patients"):
        KnockoffSignatureSelector(**FEW).fit(X, np.where(patient == 3, "rare", y), patient=patient)


def test_a_constant_dimension_changes_no_knockoff_statistic():
    X, y, patient = informative(n_patients=80, n_informative=4, seed=1)
    selector = KnockoffSignatureSelector(fdr=0.3, max_features=7, **FEW)
    alone = clone(selector).fit(X, y, patient=patient).knockoff_statistics_
    beside = clone(selector).fit(np.column_stack([X, np.full(len(X), 0.1)]), y, patient=patient).knockoff_statistics_
    np.testing.assert_array_equal(beside, np.append(alone, 0))


@pytest.mark.filterwarnings("ignore:No dimension:UserWarning")
def test_equal_evidence_has_equal_knockoff_statistics(monkeypatch):
    # Of 10 half-samples 8 and 7 select the dimensions, 2 and 1 their knockoffs: 0.8 - 0.2 > 0.7 - 0.1 in floats.
    def halves_that_select(X, label, rows, *_):
        return np.array([8, 7, 2, 1]) > next(half_number), []

    half_number = iter(range(10))
    monkeypatch.setattr(half_samples, "_select", halves_that_select)
    X, y, patient = informative(n_features=2)
    selector = KnockoffSignatureSelector(fdr=0.5, **FEW).fit(X, y, patient=patient)
    assert np.abs(selector.knockoff_statistics_).tolist() == [0.6, 0.6]  # chance says which of a pair comes first


def test_knockoff_threshold_by_hand():
    statistics = np.array([0.9, 0.8, 0.8, 0.5, 0.4, -0.1, 0.1, 0.0])
    assert knockoff_threshold(statistics, 0.25) == 0.4  # (1 + 0) / 5
    assert knockoff_threshold(statistics, 0.35) == 0.1  # (1 + 1) / 6
    assert knockoff_threshold(statistics, 0.19) == np.inf
    assert knockoff_threshold(np.zeros(3), 0.5) == np.inf
    # (1 + 28) / 100 is 0.29, but 0.29 x 100 is a little less than 29
    assert knockoff_threshold(np.repeat([0.5, -0.5], [100, 28]), 0.29) == 0.5
    assert knockoff_threshold(np.repeat([0.5, -0.5], [100, 29]), 0.29) == np.inf


def test_dimensions_that_beat_their_knockoffs_are_the_informative_ones():
    X, y, patient = informative(n_patients=80, n_informative=4, seed=1)
    selector = KnockoffSignatureSelector(fdr=0.3, **FEW).fit(X, y, patient=patient)
    assert set(selector.signature_) >= {0, 1, 2, 3}
    assert selector.n_signature_ <= 6
    assert selector.max_features_ == 7  # 2 / 0.3, rounded up, is more than the root of 40
    np.testing.assert_array_equal(
        selector.signature_, np.flatnonzero(selector.knockoff_statistics_ >= selector.threshold_)
    )
    assert not hasattr(selector, "expected_false_positives_")
    with pytest.warns(UserWarning, match="which takes at least 49 that do: the signature is empty"):
        assert clone(selector).set_params(fdr=1 / 49).fit(X, y, patient=patient).threshold_ == np.inf


@pytest.mark.filterwarnings("ignore:No dimension:UserWarning")
def test_a_knockoff_that_equals_its_original_wins_as_often(monkeypatch):
    # A solver takes one of two equal columns, the first or the last: chance must decide which one that is.
    monkeypatch.setattr(knockoff_selector, "gaussian_knockoffs", lambda X, patient, rng: X.copy())
    X, y, patient = informative(n_informative=12)
    selector = KnockoffSignatureSelector(fdr=0.5, max_features=15, **FEW).fit(X, y, patient=patient)
    signs = np.sign(selector.knockoff_statistics_)
    assert (signs > 0).sum() >= 3
    assert (signs < 0).sum() >= 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No dimension:UserWarning")
def test_noise_and_its_knockoffs_win_equally_often():
    wins = []
    for seed in range(30):
        X, _, patient = informative(n_patients=24, n_images=4, n_features=12, seed=seed)
        selector = KnockoffSignatureSelector(fdr=0.99, max_features=6, n_resamples=4, random_state=seed)
        wins.append(np.sign(selector.fit(X, patient % 2, patient=patient).knockoff_statistics_).mean())
    assert abs(np.mean(wins)) <= 3 * np.std(wins, ddof=1) / np.sqrt(30)
