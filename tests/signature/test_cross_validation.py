import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from sklearn_magdg.signature import SparseSignatureSelector
from sklearn_magdg.signature._cross_validation import choose

METRICS = {"neg_log_loss": log_loss, "neg_brier_score": brier_score_loss}


def noisy(n_samples=120, n_features=7, n_patients=12, seed=0):
    """Two columns that tell the class, not surely; string labels, patients with both classes, two magnifications."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) * rng.uniform(0.1, 10, n_features) + 3
    signal = ((X - X.mean(axis=0)) / X.std(axis=0))[:, :2].sum(axis=1)
    y = np.where(signal + rng.logistic(size=n_samples) > 0, "malignant", "benign")
    return X, y, np.arange(n_samples) % n_patients, np.where(np.arange(n_samples) // n_patients % 2, "100X", "40X")


def losses_of_scikit_learn(X, y, splits, Cs, weight, metric):
    """Loss of every C in every fold, by SAGA, with C raised by the ratio of the weights."""
    losses = np.empty((len(Cs), len(splits)))
    for fold, (train, test) in enumerate(splits):
        scaler = StandardScaler().fit(X[train], sample_weight=weight[train])
        ratio = weight.sum() / weight[train].sum()
        for row, C in enumerate(Cs):
            model = LogisticRegression(C=C * ratio, l1_ratio=1, solver="saga", tol=1e-7, max_iter=10**5)
            model.fit(scaler.transform(X[train]), y[train], sample_weight=weight[train])
            proba = model.predict_proba(scaler.transform(X[test]))
            proba, labels = (proba[:, 1], {"pos_label": "malignant"}) if len(model.classes_) == 2 else (proba, {})
            labels = {"labels": model.classes_} if metric is log_loss else labels
            losses[row, fold] = metric(y[test], proba, sample_weight=weight[test], **labels)
    return losses


@pytest.mark.parametrize("scoring", METRICS)
def test_losses_are_those_of_scikit_learn_on_the_same_folds(scoring):
    X, y, patient, _ = noisy(n_samples=90, n_features=4)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    selector = SparseSignatureSelector(cv=3, n_Cs=3, scoring=scoring)
    selector.fit(X, y, patient=patient, sample_weight=weight)
    splits = list(StratifiedGroupKFold(3).split(X, y, patient))
    # At the first C a fold has no dimension yet, and SAGA stops before its intercept has arrived.
    expected = losses_of_scikit_learn(X, y, splits, selector.Cs_[1:], weight, METRICS[scoring])
    np.testing.assert_allclose(selector.cv_losses_[1:], expected, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:The cross-validated loss is lowest at the largest:UserWarning")
@pytest.mark.parametrize("scoring", METRICS)
def test_losses_of_three_classes_are_those_of_scikit_learn(scoring):
    X, y = load_iris(return_X_y=True)
    cv = KFold(3, shuffle=True, random_state=0)
    selector = SparseSignatureSelector(cv=cv, n_Cs=2, scoring=scoring).fit(X, y)
    expected = losses_of_scikit_learn(X, y, list(cv.split(X)), selector.Cs_, np.ones(len(y)), METRICS[scoring])
    np.testing.assert_allclose(selector.cv_losses_, expected, rtol=1e-3)


def test_the_one_standard_error_rule_by_hand():
    # Means 3, 2.5, 2 and 2.2; the standard error of the best is 1 / sqrt(3) = 0.577.
    losses = np.array([[2.0, 3, 4], [2.5, 2.5, 2.5], [1, 2, 3], [2.2, 2.2, 2.2]])
    assert choose(losses, one_se=True) == 1
    assert choose(losses, one_se=False) == 2
    assert choose(losses[:, :1], one_se=True) == 2  # one fold has no error
    assert choose(losses[:, 1:2], one_se=False) == 2


def test_the_rule_takes_the_chosen_penalty():
    X, y, patient, _ = noisy()
    sparse, best = (SparseSignatureSelector(one_se=rule).fit(X, y, patient=patient) for rule in (True, False))
    mean = best.cv_losses_.mean(axis=1)
    assert best.Cs_[np.argmin(mean)] == best.C_
    error = best.cv_losses_[np.argmin(mean)].std(ddof=1) / np.sqrt(5)
    assert sparse.C_ == best.Cs_[mean <= mean.min() + error].min() < best.C_
    assert sparse.n_signature_ < best.n_signature_


def test_folds_of_a_number_are_disjoint_in_patients():
    # Every patient has one label and an own offset: folds that share patients believe the offset dimensions.
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(10), 7)
    X = rng.normal(size=(10, 9))[patient] + 0.01 * rng.normal(size=(70, 9))
    y = (rng.permutation(10) % 2)[patient]
    selector = SparseSignatureSelector(n_Cs=10, random_state=0)
    with pytest.warns(UserWarning, match="lowest at the largest of 10 values"):
        leaked = clone(selector).fit(X, y)
    honest = clone(selector).fit(X, y, patient=patient)
    assert leaked.cv_losses_.mean(axis=1).min() < 0.2
    assert honest.cv_losses_.mean(axis=1).min() > 0.5


def test_a_sample_of_weight_zero_is_left_out_of_the_folds():
    X, y, patient, _ = noisy(n_patients=9)
    weight = (patient != 4).astype(float)
    weight[:7] = 0
    kept = weight > 0
    weighted = SparseSignatureSelector(n_Cs=6).fit(X, y, patient=patient, sample_weight=weight)
    dropped = SparseSignatureSelector(n_Cs=6).fit(X[kept], y[kept], patient=patient[kept])
    np.testing.assert_allclose(weighted.cv_losses_, dropped.cv_losses_, rtol=1e-5)
    np.testing.assert_array_equal(weighted.signature_, dropped.signature_)


def test_patients_of_weight_zero_do_not_count_as_patients():
    X, y, patient, _ = noisy()
    weight = ((y == "malignant") | (patient == 3)).astype(float)
    with pytest.raises(ValueError, match=r"at least 2 patients in every class, got \{'benign': 1, 'malignant': 12\}"):
        SparseSignatureSelector().fit(X, y, patient=patient, sample_weight=weight)


def test_a_fold_tested_without_weight_is_refused():
    X, y, *_ = noisy()
    weight = np.append(np.zeros(20), np.ones(100))
    with pytest.raises(ValueError, match="tests on samples without weight; leave these samples out"):
        SparseSignatureSelector(cv=KFold(6), n_Cs=2).fit(X, y, sample_weight=weight)


def test_a_fold_trained_without_weight_is_refused():
    X, y, *_ = noisy()
    weight = np.append(np.zeros(60), np.ones(60))
    with pytest.raises(ValueError, match=r"trains without class \['benign', 'malignant'\]; use fewer folds"):
        SparseSignatureSelector(cv=[(range(60), range(60, 120))], n_Cs=2).fit(X, y, sample_weight=weight)


def test_more_folds_than_patients_of_a_class_are_refused():
    X, y, patient, _ = noisy()
    y = np.where(patient < 3, "malignant", "benign")
    with pytest.raises(ValueError, match=r"`cv=4` needs 4 patients in every class, got .*'malignant': 3.*; use fewer"):
        SparseSignatureSelector(cv=4).fit(X, y, patient=patient)


def test_folds_that_do_not_converge_are_reported_once():
    X, y, *_ = noisy()
    selector = SparseSignatureSelector(max_iter=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning) as caught:
        selector.fit(X, y)
    about_folds = [str(each.message) for each in caught if "folds" in str(each.message)]
    assert len(about_folds) == 1
    assert about_folds[0].startswith("In 5 of 5 folds of `cv`: ")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The cross-validated loss is lowest at the largest")
def test_processes_give_the_same_losses_and_warnings():
    X, y, patient, _ = noisy()
    losses, words = [], []
    for n_jobs in (1, 2):
        with pytest.warns(ConvergenceWarning) as caught:
            selector = SparseSignatureSelector(n_Cs=4, n_jobs=n_jobs, max_iter=1, tol=1e-12).fit(X, y, patient=patient)
        losses.append(selector.cv_losses_)
        words.append([str(each.message) for each in caught])
    np.testing.assert_array_equal(*losses)
    assert words[0] == words[1]
    assert words[1][0].startswith("In 5 of 5 folds of `cv`: ")


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
    X, y, patient, _ = noisy(n_features=5)  # the patient of row i is i % 12
    with pytest.warns(UserWarning, match=rf"{leaking} folds of `cv` have a patient on both sides.*by patients"):
        SparseSignatureSelector(cv=cv, n_Cs=1).fit(X, y, patient=patient)


@pytest.mark.parametrize("cv", [None, 3, GroupKFold(3), GroupKFold(3, shuffle=True, random_state=0)])
def test_folds_that_share_no_patient_do_not_warn(cv):
    X, y, patient, _ = noisy(n_features=5)
    SparseSignatureSelector(cv=cv, n_Cs=1).fit(X, y, patient=patient)  # a warning would be an error


def test_without_patients_no_fold_is_said_to_share_one():
    X, y, *_ = noisy(n_features=5)
    SparseSignatureSelector(cv=KFold(3), n_Cs=1).fit(X, y)


def test_a_splitter_gets_patients_and_magnifications_where_it_asks_for_them():
    X, y, patient, magnification = noisy(n_features=5)
    cv = LeaveOneMagnificationOut(2)
    metadata = {"patient": patient, "magnification": magnification}
    asked = SparseSignatureSelector(cv=cv, n_Cs=3).fit(X, y, **metadata)
    given = SparseSignatureSelector(cv=list(cv.split(X, y, **metadata)), n_Cs=3).fit(X, y)
    np.testing.assert_array_equal(asked.cv_losses_, given.cv_losses_)
    with pytest.raises(ValueError, match="needs `magnification` too"):
        SparseSignatureSelector(cv=cv).fit(X, y, patient=patient)


class _RememberingFolds(KFold):
    def split(self, X, y=None, groups=None):
        self.labels = y
        return super().split(X, y)


def test_a_splitter_gets_the_labels_as_given():
    X, y, *_ = noisy()
    cv = _RememberingFolds(3)
    SparseSignatureSelector(cv=cv, n_Cs=1).fit(X, y)
    np.testing.assert_array_equal(cv.labels, y)


def test_folds_shrink_to_the_smallest_class():
    X, y, patient, _ = noisy()
    patient = np.where(y == "benign", patient % 3, 20 + patient)
    assert SparseSignatureSelector(n_Cs=3).fit(X, y, patient=patient).cv_losses_.shape == (3, 3)


def test_the_seed_alone_decides_the_folds():
    X, y, *_ = noisy(n_features=5)
    first, again, other = (SparseSignatureSelector(n_Cs=3, random_state=s).fit(X, y).cv_losses_ for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
