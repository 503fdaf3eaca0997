import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from sklearn_magdg.signature import SparseSignatureSelector, signature_path


@parametrize_with_checks([SparseSignatureSelector(n_Cs=5), SparseSignatureSelector(C=1.0)])
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


def informative(n_samples=120, n_features=15, n_informative=2, n_patients=12, seed=0):
    """Noise, but for the first columns; string labels, patients with both classes and two magnifications."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) * rng.uniform(0.1, 10, n_features) + 3
    signal = ((X - X.mean(axis=0)) / X.std(axis=0))[:, :n_informative].sum(axis=1)
    y = np.where(signal + 0.3 * rng.normal(size=n_samples) > 0, "malignant", "benign")
    return X, y, np.arange(n_samples) % n_patients, np.where(np.arange(n_samples) // n_patients % 2, "100X", "40X")


def test_cv_finds_the_informative_dimensions():
    X, y, patient, _ = informative()
    selector = SparseSignatureSelector().fit(X, y, patient=patient)
    assert set(selector.signature_) >= {0, 1}
    assert selector.n_signature_ == len(selector.signature_) < 8
    np.testing.assert_array_equal(selector.signature_, np.flatnonzero(selector.coef_[0]))
    assert selector.log_loss_.shape == (30, 5)
    assert selector.C_ in selector.Cs_


def test_coefficients_are_those_of_the_path_on_standardised_columns():
    X, y, *_ = informative()
    selector = SparseSignatureSelector(C=0.3).fit(X, y)
    path = signature_path((X - X.mean(axis=0)) / X.std(axis=0), y, Cs=[0.3])
    np.testing.assert_allclose(selector.coef_, path.coefs[0], atol=1e-7)
    np.testing.assert_allclose(selector.intercept_, path.intercepts[0], atol=1e-7)


def test_one_standard_error_rule_is_sparser_than_the_best():
    X, y, *_ = informative()
    sparse, best = (SparseSignatureSelector(one_se=rule).fit(X, y) for rule in (True, False))
    mean = best.log_loss_.mean(axis=1)
    assert best.Cs_[np.argmin(mean)] == best.C_
    error = best.log_loss_[np.argmin(mean)].std(ddof=1) / np.sqrt(5)
    assert sparse.C_ == best.Cs_[mean <= mean.min() + error].min() < best.C_


def test_log_loss_of_a_fold_is_that_of_scikit_learn():
    X, y, patient, _ = informative(n_samples=60, n_features=4)
    selector = SparseSignatureSelector(cv=GroupKFold(2), n_Cs=3, standardize=False).fit(X, y, patient=patient)
    train, test = next(iter(GroupKFold(2).split(X, y, patient)))
    C = selector.Cs_[1] * len(X) / len(train)
    path = signature_path(X[train], y[train], Cs=[C])
    proba = 1 / (1 + np.exp(-(X[test] @ path.coefs[0, 0] + path.intercepts[0, 0])))
    expected = sklearn.metrics.log_loss(y[test], np.column_stack([1 - proba, proba]))
    assert selector.log_loss_[1, 0] == pytest.approx(expected, rel=1e-4)


def test_no_patient_is_on_both_sides_of_a_fold():
    # Every patient has one label and an own offset: folds that share patients believe the offset dimensions.
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(10), 7)
    X = rng.normal(size=(10, 9))[patient] + 0.01 * rng.normal(size=(70, 9))
    y = (rng.permutation(10) % 2)[patient]
    selector = SparseSignatureSelector(n_Cs=10, random_state=0)
    leaked, honest = clone(selector).fit(X, y), clone(selector).fit(X, y, patient=patient)
    assert leaked.log_loss_.mean(axis=1).min() < 0.2
    assert honest.log_loss_.mean(axis=1).min() > 0.5


@pytest.mark.parametrize(
    ("cv", "leaking"),
    [
        (KFold(5), "5 of 5"),
        ([(range(60), range(60, 120)), (range(1, 120), [0])], "2 of 2"),
        ([(np.arange(24, 120), [0]), (np.flatnonzero(np.arange(120) % 12), np.arange(0, 120, 12))], "1 of 2"),
    ],
    ids=["splitter", "iterable", "one fold"],
)
def test_folds_that_share_a_patient_warn_with_their_number(cv, leaking):
    X, y, patient, _ = informative(n_features=5)  # the patient of row i is i % 12
    with pytest.warns(UserWarning, match=rf"{leaking} folds of `cv` have a patient on both sides.*by patients"):
        SparseSignatureSelector(cv=cv, n_Cs=2).fit(X, y, patient=patient)


@pytest.mark.parametrize("cv", [None, 3, GroupKFold(3), GroupKFold(3, shuffle=True, random_state=0)])
def test_folds_that_share_no_patient_do_not_warn(cv):
    X, y, patient, _ = informative(n_features=5)
    SparseSignatureSelector(cv=cv, n_Cs=2).fit(X, y, patient=patient)  # a warning would be an error


def test_without_patients_no_fold_is_said_to_share_one():
    X, y, *_ = informative(n_features=5)
    SparseSignatureSelector(cv=KFold(3), n_Cs=2).fit(X, y)


def test_noise_still_keeps_a_dimension():
    rng = np.random.default_rng(0)
    assert SparseSignatureSelector().fit(rng.normal(size=(31, 5)), np.arange(31) % 2).n_signature_ >= 1


def test_a_small_number_warns_and_keeps_the_strongest_dimension():
    X, y, *_ = informative(n_informative=1)
    with pytest.warns(UserWarning, match=r"C=1e-06 selects no dimension; the strongest one \(0\) is kept"):
        selector = SparseSignatureSelector(C=1e-6).fit(X, y)
    assert selector.signature_.tolist() == [0]
    assert np.flatnonzero(selector.coef_[0]).tolist() == [0]
    assert selector.transform(X).shape == (len(X), 1)


def test_constant_data_keeps_one_dimension_with_weight_zero():
    with pytest.warns(UserWarning, match="selects no dimension"):
        selector = SparseSignatureSelector(C=10.0).fit(np.ones((6, 3)), [0, 1] * 3)
    assert selector.n_signature_ == 1


def test_three_classes_and_dataframes():
    frame = load_iris(as_frame=True)
    labels = np.array(["a", "b", "c"])[frame.target]
    selector = SparseSignatureSelector(n_Cs=8).set_output(transform="pandas").fit(frame.data, labels)
    assert selector.coef_.shape == (3, 4)
    assert selector.intercept_.sum() == pytest.approx(0, abs=1e-10)
    names = selector.get_feature_names_out()
    assert selector.transform(frame.data).columns.tolist() == names.tolist()
    assert "petal width (cm)" in names
    restored = SparseSignatureSelector(C=0.1).fit(frame.data.to_numpy(), labels)
    back = restored.inverse_transform(restored.transform(frame.data.to_numpy()))
    np.testing.assert_array_equal(back[:, restored.signature_], frame.data.to_numpy()[:, restored.signature_])


def test_weights_are_repetitions():
    X, y, *_ = informative(n_samples=40, n_features=5)
    weight = np.random.default_rng(1).integers(0, 3, 40)
    weighted = SparseSignatureSelector(C=0.2).fit(X, y, sample_weight=weight)
    repeated = SparseSignatureSelector(C=0.2).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)


def test_balanced_class_weight_moves_the_intercept_to_zero_prior():
    X, y, *_ = informative()
    keep = np.flatnonzero(y == "benign")[5:]
    X, y = np.delete(X, keep, axis=0), np.delete(y, keep)
    plain, balanced = (SparseSignatureSelector(C=0.3, class_weight=w).fit(X, y) for w in (None, "balanced"))
    assert balanced.intercept_[0] < plain.intercept_[0] - 1
    factor = {"benign": len(y) / 10, "malignant": len(y) / (2 * (y == "malignant").sum())}
    by_hand = SparseSignatureSelector(C=0.3, class_weight=factor).fit(X, y)
    np.testing.assert_allclose(balanced.coef_, by_hand.coef_, atol=1e-7)


def test_per_magnification_keeps_the_intersection():
    X, y, _, magnification = informative()
    selector = SparseSignatureSelector(C=0.3, per_magnification=True).fit(X, y, magnification=magnification)
    alone = [
        SparseSignatureSelector(C=0.3).fit(X[magnification == name], y[magnification == name]).signature_
        for name in ("40X", "100X")
    ]
    np.testing.assert_array_equal(selector.signature_, np.intersect1d(*alone))
    assert list(selector.magnification_signatures_) == ["40X", "100X"]
    pooled = SparseSignatureSelector(C=0.3).fit(X, y).signature_
    expected = len(np.intersect1d(selector.signature_, pooled)) / len(pooled)
    assert selector.fraction_of_pooled_ == pytest.approx(expected)
    np.testing.assert_array_equal(np.flatnonzero(selector.coef_[0]), selector.signature_)


def test_per_magnification_without_a_shared_dimension_warns():
    X, _, _, magnification = informative()
    y = np.where(magnification == "40X", X[:, 0] > 3, X[:, 1] > 3)
    with pytest.warns(UserWarning, match="share no dimension"):
        selector = SparseSignatureSelector(C=0.05, per_magnification=True).fit(X, y, magnification=magnification)
    assert selector.n_signature_ == 1
    assert selector.signature_[0] in (0, 1)
    assert selector.fraction_of_pooled_ == 0


def test_errors_name_what_is_missing():
    X, y, patient, magnification = informative()
    with pytest.raises(ValueError, match="needs `magnification`, one per sample"):
        SparseSignatureSelector(C=1.0, per_magnification=True).fit(X, y)
    one_class = np.where(y == "benign", "40X", magnification)
    with pytest.raises(ValueError, match=r"missing are .*\{'100X': \['benign'\]\}"):
        SparseSignatureSelector(C=1.0, per_magnification=True).fit(X, y, magnification=one_class)
    with pytest.raises(ValueError, match=r"at least 2 patients in every class, got \{'benign': 1"):
        SparseSignatureSelector().fit(X, y, patient=np.where(y == "benign", 0, 1 + patient))
    with pytest.raises(ValueError, match="one class"):
        SparseSignatureSelector().fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"trains without class \['benign'\]"):
        SparseSignatureSelector(cv=[(np.flatnonzero(y != "benign"), np.flatnonzero(y == "benign"))]).fit(X, y)


def test_a_splitter_gets_patients_and_magnifications_where_it_asks_for_them():
    X, y, patient, magnification = informative(n_features=5)
    cv = LeaveOneMagnificationOut(2)
    metadata = {"patient": patient, "magnification": magnification}
    asked = SparseSignatureSelector(cv=cv, n_Cs=3).fit(X, y, **metadata)
    given = SparseSignatureSelector(cv=list(cv.split(X, y, **metadata)), n_Cs=3).fit(X, y)
    np.testing.assert_array_equal(asked.log_loss_, given.log_loss_)
    with pytest.raises(ValueError, match="needs `magnification` too"):
        SparseSignatureSelector(cv=cv).fit(X, y, patient=patient)


@pytest.mark.parametrize("cv", [[(range(60), range(60, 120))], LeaveOneMagnificationOut(2)], ids=["fixed", "LOMO"])
def test_splits_of_all_samples_are_refused_where_each_magnification_is_fitted_alone(cv):
    X, y, patient, magnification = informative(n_features=5)
    selector = SparseSignatureSelector(cv=cv, per_magnification=True)
    with pytest.raises(ValueError, match="the splits of all samples in `cv` have no meaning"):
        selector.fit(X, y, patient=patient, magnification=magnification)


def test_folds_shrink_to_the_smallest_class():
    X, y, patient, _ = informative()
    patient = np.where(y == "benign", patient % 3, 20 + patient)
    assert SparseSignatureSelector(n_Cs=3).fit(X, y, patient=patient).log_loss_.shape == (3, 3)


def test_the_seed_alone_decides_the_folds():
    X, y, *_ = informative(n_features=5)
    first, again, other = (SparseSignatureSelector(n_Cs=3, random_state=s).fit(X, y).log_loss_ for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_metadata_reaches_the_selector_inside_pipeline_and_search():
    X, y, patient, magnification = informative(n_samples=72, n_features=5)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(SparseSignatureSelector(C=0.3, per_magnification=True), LogisticRegression())
        search = GridSearchCV(pipeline, {"sparsesignatureselector__C": [0.2, 0.5]}, cv=GroupKFold(3))
        params = {"patient": patient, "magnification": magnification, "groups": patient}
        search.fit(X, y, **params)
        scores = cross_val_score(pipeline, X, y, cv=GroupKFold(3), params=params)
    assert search.best_estimator_[0].n_signature_ >= 1
    assert scores.mean() > 0.7


def test_clone_and_pickle():
    X, y, *_ = informative(n_features=5)
    fitted = SparseSignatureSelector(C=0.3).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).signature_, fitted.signature_)
    assert not hasattr(clone(fitted), "signature_")
