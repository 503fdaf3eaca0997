import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from sklearn_magdg.signature import SparseSignatureSelector, signature_path


# The checks use separable data.
@pytest.mark.filterwarnings("ignore:The cross-validated loss is lowest at the largest:UserWarning")
@parametrize_with_checks(
    [
        SparseSignatureSelector(n_Cs=5),
        SparseSignatureSelector(n_Cs=5, scoring="neg_brier_score"),
        SparseSignatureSelector(C=1.0),
    ]
)
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
    assert selector.cv_losses_.shape == (30, 5)
    assert selector.C_ in selector.Cs_


def test_coefficients_are_those_of_the_path_on_standardised_columns():
    X, y, *_ = informative()
    selector = SparseSignatureSelector(C=0.3).fit(X, y)
    path = signature_path((X - X.mean(axis=0)) / X.std(axis=0), y, Cs=[0.3])
    np.testing.assert_allclose(selector.coef_, path.coefs[0], atol=1e-7)
    np.testing.assert_allclose(selector.intercept_, path.intercepts[0], atol=1e-7)


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


@pytest.mark.parametrize("C", [10.0, "cv"])
def test_constant_data_keeps_one_dimension_with_weight_zero(C):
    with pytest.warns(UserWarning, match="No dimension goes with `y`, all may be constant; the first one is kept"):
        selector = SparseSignatureSelector(C=C).fit(np.ones((6, 3)), [0, 1] * 3)
    assert selector.signature_.tolist() == [0]
    assert not selector.coef_.any()


def test_constant_columns_are_left_out():
    X, y, patient, _ = informative(n_features=5)
    X = np.insert(X, [1, 4], [7.0, 0.1], axis=1)  # the columns 1 and 5
    selector = SparseSignatureSelector().fit(X, y, patient=patient)
    assert not np.isin([1, 5], selector.signature_).any()
    assert np.isfinite(selector.coef_).all()


def test_more_dimensions_than_samples():
    X, y, patient, _ = informative(n_samples=60, n_features=301)
    selector = SparseSignatureSelector(n_Cs=10).fit(X, y, patient=patient)
    assert set(selector.signature_) >= {0, 1}
    assert selector.n_signature_ <= 60


def test_perfect_separation_gives_a_finite_answer_and_warns():
    X, y, patient, _ = informative(n_features=5)
    X[:, 0] = 100 * (y == "malignant") + np.arange(len(X)) / len(X)
    with pytest.warns(UserWarning, match="lowest at the largest of 30 values of `C`.*that it has not seen"):
        selector = SparseSignatureSelector().fit(X, y, patient=patient)
    assert selector.signature_.tolist() == [0]
    assert np.isfinite(selector.coef_).all()


@pytest.mark.parametrize("C", [0, -1.0, np.nan, np.inf, "CV", None, [0.1, 1.0]])
def test_a_bad_penalty_is_refused_in_scikit_learns_words(C):
    X, y, *_ = informative()
    with pytest.raises(InvalidParameterError, match="The 'C' parameter of SparseSignatureSelector must be"):
        SparseSignatureSelector(C=C).fit(X, y)


def test_single_precision_keeps_its_dtype_and_the_coefficients_are_double():
    X, y, patient, _ = informative()
    double = SparseSignatureSelector().fit(X, y, patient=patient)
    single = SparseSignatureSelector().fit(X.astype(np.float32), y, patient=patient)
    assert (single.coef_.dtype, single.transform(X.astype(np.float32)).dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(single.signature_, double.signature_)
    np.testing.assert_allclose(single.coef_, double.coef_, atol=1e-4)


@pytest.mark.parametrize("C", [1e3, "cv"])
@pytest.mark.filterwarnings("ignore:The cross-validated loss is lowest at the largest")
def test_non_convergence_warns_and_is_recorded(C):
    X, y, *_ = informative()
    # on the way to the chosen C of "cv" all may be well: one step from nothing to 1e3 is not
    selector = SparseSignatureSelector(C=C, max_iter=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        selector.fit(X, y)
    assert selector.n_iter_ == 1


def test_three_classes_and_dataframes():
    frame = load_iris(as_frame=True)
    labels = np.array(["a", "b", "c"])[frame.target]
    selector = SparseSignatureSelector(C=1.0).set_output(transform="pandas").fit(frame.data, labels)
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


def test_a_negative_class_weight_is_refused_by_class_and_factor():
    X, y, *_ = informative()
    for factor, words in [(-1, "-1"), (np.nan, "nan"), (np.inf, "inf")]:
        with pytest.raises(ValueError, match=rf"of at least 0, got {words} for class 'malignant'; give a positive"):
            SparseSignatureSelector(C=0.3, class_weight={"malignant": factor, "benign": 1}).fit(X, y)
    with pytest.raises(ValueError, match=r"leaves no weight to the classes \['malignant'\]"):
        SparseSignatureSelector(C=0.3, class_weight={"malignant": 0, "benign": 1}).fit(X, y)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_a_class_without_sample_weight_is_named(class_weight):
    X, y, *_ = informative(n_features=5)
    with pytest.raises(ValueError, match=r"leaves no weight to the classes \['benign'\]; drop them"):
        SparseSignatureSelector(C=0.3, class_weight=class_weight).fit(X, y, sample_weight=y == "malignant")


@pytest.mark.filterwarnings("ignore:The cross-validated loss is lowest at the largest")
@pytest.mark.filterwarnings("ignore:.* have weights of both signs")
def test_a_refit_in_another_mode_leaves_nothing_of_the_one_before():
    X, y, _, magnification = informative(n_features=5)
    selector = SparseSignatureSelector(n_Cs=3, per_magnification=True).fit(X, y, magnification=magnification)
    assert len(selector.Cs_) == 3
    selector.set_params(C=0.3, per_magnification=False).fit(X, y)
    fresh = SparseSignatureSelector(C=0.3).fit(X, y)
    assert vars(selector).keys() == vars(fresh).keys()


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


def planted(n_samples=400, n_features=12, seed=0):
    """Dimension 0 tells the class at 40X and 100X, 1 at 40X alone, 2 at 100X alone; patients, half of each class."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n_samples, n_features)), rng.integers(0, 2, n_samples)
    magnification = np.where(rng.random(n_samples) < 0.5, "40X", "100X")
    X[:, 0] += 2 * y
    X[magnification == "40X", 1] += 2 * y[magnification == "40X"]
    X[magnification == "100X", 2] += 2 * y[magnification == "100X"]
    return X, y, {"patient": y + 2 * rng.integers(0, 10, n_samples), "magnification": magnification}


def test_only_the_invariant_dimension_is_kept_at_every_magnification():
    X, y, metadata = planted()
    selector = SparseSignatureSelector(per_magnification=True).fit(X, y, **metadata)
    own = {name: signature.tolist() for name, signature in selector.magnification_signatures_.items()}
    assert own["40X"][:2] == [0, 1]
    assert own["100X"][:2] == [0, 2]
    assert selector.signature_.tolist() == [0]
    assert selector.pooled_signature_[:3].tolist() == [0, 1, 2]
    assert selector.fraction_of_pooled_ == pytest.approx(1 / len(selector.pooled_signature_))


def test_every_magnification_has_its_own_penalty_and_coefficients():
    X, y, metadata = planted(n_samples=150)
    selector = SparseSignatureSelector(n_Cs=6, per_magnification=True).fit(X, y, **metadata)
    for name in ("40X", "100X"):
        here = metadata["magnification"] == name
        alone = SparseSignatureSelector(n_Cs=6).fit(X[here], y[here], patient=metadata["patient"][here])
        assert selector.magnification_C_[name] == alone.C_
        np.testing.assert_array_equal(selector.magnification_coef_[name], alone.coef_)
    mean = np.mean(list(selector.magnification_coef_.values()), axis=0)
    np.testing.assert_array_equal(selector.coef_[0], np.where(selector.get_support(), mean[0], 0))


def test_a_weight_that_changes_sign_shows_in_the_coefficients_of_the_magnifications():
    X, y, metadata = planted()
    X[metadata["magnification"] == "100X", 0] *= -1
    with pytest.warns(UserWarning, match=r"1 of 1 dimension of the shared signature \(0\) have weights of both signs"):
        selector = SparseSignatureSelector(C=0.1, per_magnification=True).fit(X, y, **metadata)
    assert selector.signature_.tolist() == [0]
    assert selector.magnification_coef_["40X"][0, 0] > 0.1
    assert selector.magnification_coef_["100X"][0, 0] < -0.1


def test_a_magnification_that_selects_nothing_is_named():
    X, y, metadata = planted()
    X[:, 1] = 0.0
    rows = np.append(np.arange(200), 200 + np.flatnonzero(metadata["magnification"][200:] == "100X"))
    X, y, magnification = X[rows], y[rows], metadata["magnification"][rows]
    # At one C the fewer samples of 40X select nothing.
    with pytest.warns(UserWarning, match=r"C=0.02 selects no dimension at magnification 40X; the strongest one \(0\)"):
        selector = SparseSignatureSelector(C=0.02, per_magnification=True).fit(X, y, magnification=magnification)
    assert selector.signature_.tolist() == [0]


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
    few = np.where((y == "benign") & (magnification == "100X"), 0, 1 + patient)
    with pytest.raises(ValueError, match=r"at least 2 patients in every class at magnification 100X.*'benign': 1"):
        SparseSignatureSelector(per_magnification=True, n_Cs=1).fit(X, y, patient=few, magnification=magnification)
    with pytest.raises(ValueError, match=r"at least 2 patients in every class, got \{'benign': 1"):
        SparseSignatureSelector().fit(X, y, patient=np.where(y == "benign", 0, 1 + patient))
    with pytest.raises(ValueError, match="got 1 class"):
        SparseSignatureSelector().fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"trains without class \['benign'\]"):
        SparseSignatureSelector(cv=[(np.flatnonzero(y != "benign"), np.flatnonzero(y == "benign"))]).fit(X, y)


@pytest.mark.parametrize("cv", [[(range(60), range(60, 120))], LeaveOneMagnificationOut(2)], ids=["fixed", "LOMO"])
def test_splits_of_all_samples_are_refused_where_each_magnification_is_fitted_alone(cv):
    X, y, patient, magnification = informative(n_features=5)
    selector = SparseSignatureSelector(cv=cv, per_magnification=True)
    with pytest.raises(ValueError, match="the splits of all samples in `cv` have no meaning"):
        selector.fit(X, y, patient=patient, magnification=magnification)


def test_clone_and_pickle():
    X, y, *_ = informative(n_features=5)
    fitted = SparseSignatureSelector(C=0.3).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).signature_, fitted.signature_)
    assert not hasattr(clone(fitted), "signature_")
