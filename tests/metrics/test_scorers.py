import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.metrics import (
    by_magnification,
    neg_brier_scorer,
    patient_recognition_rate,
    patient_recognition_scorer,
    worst_magnification_brier_scorer,
)

SCORERS = {
    "brier": neg_brier_scorer,
    "worst": worst_magnification_brier_scorer,
    "patient": patient_recognition_scorer,
}


def labelled(n_samples=63, n_classes=2):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 5))
    codes = np.argmax(X[:, :n_classes] + rng.normal(size=(n_samples, n_classes)), axis=1)
    y = np.array(["benign", "malignant", "normal"])[codes]
    return (
        X,
        y,
        {
            "patient": np.arange(n_samples) % 9,
            "magnification": np.array(["100X", "40X"])[rng.integers(0, 2, n_samples)],
        },
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scorers_agree_with_the_metrics(n_classes):
    X, y, metadata = labelled(n_classes=n_classes)
    model = LogisticRegression().fit(X, y)
    proba = model.predict_proba(X)
    assert neg_brier_scorer(model, X, y) == pytest.approx(-brier_score_loss(y, proba, labels=model.classes_))
    worst = worst_magnification_brier_scorer(model, X, y, magnification=metadata["magnification"])
    values = by_magnification(
        lambda y, p: brier_score_loss(y, p, labels=model.classes_), y, proba, magnification=metadata["magnification"]
    )
    assert worst == pytest.approx(-max(values.values()))
    rate = patient_recognition_scorer(model, X, y, patient=metadata["patient"])
    assert rate == patient_recognition_rate(y, model.predict(X), patient=metadata["patient"])


def test_a_test_part_of_one_class_still_has_a_score():
    X, y, _ = labelled()
    model = LogisticRegression().fit(X, y)
    benign = y == "benign"
    expected = -np.mean(model.predict_proba(X[benign])[:, 1] ** 2)
    assert neg_brier_scorer(model, X[benign], y[benign]) == pytest.approx(expected)


def test_cross_validate_with_routing_needs_no_request():
    X, y, metadata = labelled()
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_validate(
            make_pipeline(StandardScaler(), LogisticRegression()),
            X,
            y,
            cv=GroupKFold(3),
            scoring=SCORERS,
            params={**metadata, "groups": metadata["patient"]},
            return_estimator=True,
            return_indices=True,
            error_score="raise",
        )
    for model, test, score in zip(scores["estimator"], scores["indices"]["test"], scores["test_patient"], strict=True):
        assert score == patient_recognition_rate(y[test], model.predict(X[test]), patient=metadata["patient"][test])
    assert np.all(scores["test_worst"] <= scores["test_brier"] + 1e-12)


@pytest.mark.parametrize("name", list(SCORERS))
def test_grid_search_with_routing_needs_no_request(name):
    X, y, metadata = labelled()
    needed = {"brier": [], "worst": ["magnification"], "patient": ["patient"]}[name]
    params = {each: metadata[each] for each in needed}
    options = {"scoring": SCORERS[name], "cv": 3, "error_score": "raise"}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(LogisticRegression(), {"C": [1e-4, 1.0]}, **options).fit(X, y, **params)
        alone = [
            cross_validate(LogisticRegression(C=C), X, y, params=params, **options)["test_score"].mean()
            for C in (1e-4, 1.0)
        ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], alone)


def test_sample_weight_is_requested_as_everywhere():
    X, y, metadata = labelled()
    weight = np.arange(len(y)) + 1.0
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = clone(worst_magnification_brier_scorer).set_score_request(sample_weight=True)
        model = LogisticRegression().set_fit_request(sample_weight=False)
        params = {"sample_weight": weight, "magnification": metadata["magnification"]}
        scores = cross_validate(
            model, X, y, cv=3, scoring=scorer, params=params, return_estimator=True, return_indices=True
        )
    test, model = scores["indices"]["test"][0], scores["estimator"][0]
    expected = worst_magnification_brier_scorer(
        model, X[test], y[test], magnification=metadata["magnification"][test], sample_weight=weight[test]
    )
    assert scores["test_score"][0] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["worst", "patient"])
def test_without_routing_the_error_says_that_it_must_be_on(name):
    X, y, _ = labelled()
    with pytest.raises(ValueError, match=r"only with metadata routing on: call `sklearn.set_config\("):
        cross_validate(LogisticRegression(), X, y, cv=3, scoring=SCORERS[name], error_score="raise")


def test_the_brier_scorer_needs_no_routing():
    X, y, _ = labelled()
    scores = cross_validate(LogisticRegression(), X, y, cv=3, scoring=neg_brier_scorer)["test_score"]
    assert np.all((scores > -0.25) & (scores < 0))


@pytest.mark.parametrize("name", list(SCORERS))
def test_scorers_pickle_and_clone(name):
    X, y, metadata = labelled()
    model = LogisticRegression().fit(X, y)
    needed = {key: metadata[key] for key in {"worst": ["magnification"], "patient": ["patient"]}.get(name, [])}
    score = SCORERS[name](model, X, y, **needed)
    for copy in (clone(SCORERS[name]), pickle.loads(pickle.dumps(SCORERS[name]))):
        assert copy(model, X, y, **needed) == score


def test_unknown_labels_are_refused():
    X, y, _ = labelled()
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="not among the labels"):
        neg_brier_scorer(model, X, np.where(y == "benign", "other", y))
