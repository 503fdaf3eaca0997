"""scikit-learn's calibrators inside the protocol: what fits them, and where they are tested."""

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_validate

from sklearn_magdg.estimators import CNNClassifier
from sklearn_magdg.metrics import brier_decomposition, neg_brier_scorer, worst_magnification_brier_scorer
from sklearn_magdg.model_selection import LeaveOneMagnificationOut

METHODS = ["temperature", "isotonic", "sigmoid"]


@pytest.fixture(autouse=True)
def _routed():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


class Recording(LogisticRegression):
    """Remembers the numbers of the rows, column 0 of X, that reach it; learns from the other columns."""

    __metadata_request__fit = {"patient": True, "magnification": True}

    def fit(self, X, y, patient=None, magnification=None):
        self.fitted_rows_ = X[:, 0].astype(int)
        self.metadata_ = patient, magnification
        self.asked_rows_ = []
        return super().fit(X[:, 1:], y)

    def decision_function(self, X):
        self.asked_rows_.append(X[:, 0].astype(int))
        return super().decision_function(X[:, 1:])


def tissue_features(n_patients=14, images_per_cell=3, n_features=4, seed=0):
    """Features with a patient effect and a scale that grows with magnification, row numbers in column 0."""
    rng = np.random.default_rng(seed)
    cells = [(p, m) for p in range(n_patients) for m in (40, 100, 400) for _ in range(images_per_cell)]
    patient, magnification = np.array(cells)[rng.permutation(len(cells))].T
    scale = np.log10(magnification)[:, None]
    effect = rng.normal(size=(n_patients, n_features))[patient] + 0.7 * (patient % 2)[:, None]
    X = scale * (effect + rng.normal(size=(len(cells), n_features)))
    y = np.array(["benign", "malignant"])[patient % 2]
    return np.column_stack([np.arange(len(cells)), X]), y, {"patient": patient, "magnification": magnification}


def calibrated(cv, method="temperature", estimator=None):
    return CalibratedClassifierCV(Recording() if estimator is None else estimator, method=method, cv=cv)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("inner", [LeaveOneMagnificationOut(2), StratifiedGroupKFold(3)], ids=["lomo", "patients"])
def test_a_calibrator_meets_no_patient_of_its_classifier_and_neither_meets_the_test_part(inner, method):
    X, y, metadata = tissue_features()
    patient, magnification = metadata["patient"], metadata["magnification"]
    scores = cross_validate(
        calibrated(inner, method),
        X,
        y,
        cv=LeaveOneMagnificationOut(2),
        scoring=neg_brier_scorer,
        params={**metadata, "groups": patient},
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    assert len(scores["estimator"]) == 6
    for model, test in zip(scores["estimator"], scores["indices"]["test"], strict=True):
        assert list(model.classes_) == ["benign", "malignant"]
        for pair in model.calibrated_classifiers_:
            fitted, (calibrating, asked) = pair.estimator.fitted_rows_, pair.estimator.asked_rows_
            np.testing.assert_array_equal(pair.estimator.metadata_[0], patient[fitted])
            np.testing.assert_array_equal(pair.estimator.metadata_[1], magnification[fitted])
            np.testing.assert_array_equal(asked, test)
            assert len(set(magnification[test])) == 1
            for rows, others in [(fitted, calibrating), (fitted, test), (calibrating, test)]:
                assert len(rows)
                assert not set(patient[rows]) & set(patient[others])
            assert not set(magnification[test]) & set(magnification[np.append(fitted, calibrating)])
            if isinstance(inner, LeaveOneMagnificationOut):
                assert len(set(magnification[calibrating])) == 1
                assert not set(magnification[calibrating]) & set(magnification[fitted])


def test_the_score_is_that_of_the_mean_of_the_calibrated_pairs_at_the_held_out_magnification():
    X, y, metadata = tissue_features()
    scores = cross_validate(
        calibrated(LeaveOneMagnificationOut(2)),
        X,
        y,
        cv=LeaveOneMagnificationOut(2),
        scoring=neg_brier_scorer,
        params=metadata,
        return_estimator=True,
        return_indices=True,
    )
    for model, test, score in zip(scores["estimator"], scores["indices"]["test"], scores["test_score"], strict=True):
        p = np.mean([pair.predict_proba(X[test])[:, 1] for pair in model.calibrated_classifiers_], axis=0)
        assert score == pytest.approx(-np.mean(((y[test] == "malignant") - p) ** 2))


def test_a_search_chooses_among_calibrators():
    X, y, metadata = tissue_features()
    search = GridSearchCV(
        calibrated(LeaveOneMagnificationOut(2), estimator=LogisticRegression()),
        {"method": METHODS},
        cv=LeaveOneMagnificationOut(2),
        scoring=worst_magnification_brier_scorer,
        error_score="raise",
    ).fit(X[:, 1:], y, **metadata)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 3


def test_a_fitted_classifier_is_calibrated_on_patients_set_aside():
    X, y, metadata = tissue_features()
    aside = LeaveOneMagnificationOut(magnifications=[400], patient_test_size=0.5, random_state=0)
    [(train, calibrating)] = aside.split(X, y, **metadata)
    model = Recording().fit(X[train], y[train])
    frozen = CalibratedClassifierCV(FrozenEstimator(model), method="temperature", cv=2)
    frozen.fit(X[calibrating], y[calibrating])
    np.testing.assert_array_equal(model.fitted_rows_, train)
    assert set(np.concatenate(model.asked_rows_)) == set(calibrating)
    logit = Recording.decision_function(model, X)
    p = frozen.predict_proba(X)[:, 1]
    # one temperature: the logits are those of the classifier times a number
    ratio = np.log(p / (1 - p)) / logit
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


@pytest.mark.slow
def test_temperature_mends_an_overconfident_classifier_at_the_held_out_magnification():
    gains = []
    for seed in range(5):
        X, y, metadata = tissue_features(20, n_features=30, seed=seed)
        plain = LogisticRegression(C=100, max_iter=1000)
        models = {"plain": plain, "calibrated": calibrated(LeaveOneMagnificationOut(2), estimator=plain)}
        parts = {name: pooled_parts(model, X[:, 1:], y, metadata) for name, model in models.items()}
        gains.append(parts["plain"].miscalibration - parts["calibrated"].miscalibration)
    assert np.mean(gains) > 0.02


def pooled_parts(model, X, y, metadata):
    """Parts of the Brier score of the predictions at the held-out magnifications, pooled over folds."""
    options = {"cv": LeaveOneMagnificationOut(2), "params": metadata, "scoring": neg_brier_scorer}
    scores = cross_validate(model, X, y, return_estimator=True, return_indices=True, **options)
    test = np.concatenate(scores["indices"]["test"])
    p = [
        model.predict_proba(X[rows])[:, 1]
        for model, rows in zip(scores["estimator"], scores["indices"]["test"], strict=True)
    ]
    return brier_decomposition(y[test], np.concatenate(p))


def test_a_net_is_calibrated_like_any_classifier():
    X, y, metadata = tissue_features(8, 2)
    scores = cross_validate(
        calibrated(LeaveOneMagnificationOut(2), estimator=CNNClassifier(max_epochs=1, random_state=0)),
        X[:, 1:],
        y,
        cv=LeaveOneMagnificationOut(magnifications=[400], patient_test_size=0.4, random_state=0),
        scoring=neg_brier_scorer,
        params=metadata,
        error_score="raise",
    )
    assert np.all((scores["test_score"] < 0) & (scores["test_score"] > -1))
