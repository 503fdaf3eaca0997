import pickle
from functools import partial

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    check_scoring,
    f1_score,
    log_loss,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.metrics import (
    brier_decomposition,
    by_magnification,
    make_magnification_scorer,
    neg_brier_scorer,
    neg_patient_brier_scorer,
    patient_brier_score,
    patient_recognition_rate,
    patient_recognition_scorer,
    patient_roc_auc,
    patient_roc_auc_scorer,
    worst_magnification_brier_scorer,
)
from sklearn_magdg.model_selection import LeaveOneMagnificationOut

SCORERS = {
    "brier": neg_brier_scorer,
    "worst": worst_magnification_brier_scorer,
    "mean_f1": make_magnification_scorer(f1_score, aggregate="mean", average="macro"),
    "patient": patient_recognition_scorer,
    "patient_auc": patient_roc_auc_scorer,
    "patient_brier": neg_patient_brier_scorer,
}
NEEDED = {"brier": [], "worst": ["magnification"], "mean_f1": ["magnification"]}
NEEDED |= {name: ["patient"] for name in ("patient", "patient_auc", "patient_brier")}


def labelled(n_samples=63, n_classes=2):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 5))
    patient = np.arange(n_samples) % 9
    codes = patient % n_classes
    X[np.arange(n_samples), codes] += 1
    y = np.array(["benign", "malignant", "normal"])[codes]
    return (
        X,
        y,
        {
            "patient": patient,
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
    patient = metadata["patient"]
    rate = patient_recognition_scorer(model, X, y, patient=patient)
    assert rate == patient_recognition_rate(y, model.predict(X), patient=patient)
    assert patient_roc_auc_scorer(model, X, y, patient=patient) == patient_roc_auc(y, proba, patient=patient)
    assert neg_patient_brier_scorer(model, X, y, patient=patient) == -patient_brier_score(y, proba, patient=patient)


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
    params = {each: metadata[each] for each in NEEDED[name]}
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


@pytest.mark.parametrize("name", [name for name in SCORERS if NEEDED[name]])
def test_without_routing_the_error_says_that_it_must_be_on(name):
    X, y, _ = labelled()
    with pytest.raises(ValueError, match=r"only with metadata routing on: call `sklearn.set_config\("):
        cross_validate(LogisticRegression(), X, y, cv=3, scoring=SCORERS[name], error_score="raise")


def test_the_brier_scorer_needs_no_routing():
    X, y, _ = labelled()
    options = {"cv": 3, "scoring": neg_brier_scorer, "return_estimator": True, "return_indices": True}
    scores = cross_validate(LogisticRegression(), X, y, **options)
    for model, test, score in zip(scores["estimator"], scores["indices"]["test"], scores["test_score"], strict=True):
        assert score == pytest.approx(
            -brier_score_loss(y[test], model.predict_proba(X[test])[:, 1], pos_label="malignant")
        )


@pytest.mark.parametrize("name", list(SCORERS))
def test_scorers_pickle_and_clone(name):
    X, y, metadata = labelled()
    model = LogisticRegression().fit(X, y)
    needed = {key: metadata[key] for key in NEEDED[name]}
    score = SCORERS[name](model, X, y, **needed)
    for copy in (clone(SCORERS[name]), pickle.loads(pickle.dumps(SCORERS[name]))):
        assert copy(model, X, y, **needed) == score


@pytest.mark.parametrize("name", ["brier", "worst", "patient_auc", "patient_brier"])
def test_unknown_labels_are_refused(name):
    X, y, metadata = labelled()
    model = LogisticRegression().fit(X, y)
    needed = {key: metadata[key] for key in NEEDED[name]}
    with pytest.raises(ValueError, match="not among the labels"):
        SCORERS[name](model, X, np.where(y == "benign", "other", y), **needed)


@pytest.mark.parametrize(
    ("metric", "options", "response"),
    [
        (roc_auc_score, {"response_method": ["decision_function", "predict_proba"]}, "decision"),
        (roc_auc_score, {"response_method": "predict_proba"}, "proba"),
        (average_precision_score, {"response_method": "predict_proba"}, "proba"),
        (log_loss, {"response_method": "predict_proba", "greater_is_better": False}, "proba"),
        (brier_score_loss, {"response_method": "predict_proba", "greater_is_better": False}, "proba"),
        (f1_score, {}, "label"),
        (f1_score, {"average": "macro"}, "label"),
        (balanced_accuracy_score, {}, "label"),
    ],
)
def test_any_metric_takes_string_labels_at_the_worst_and_on_average(metric, options, response):
    X, y, metadata = labelled()
    model = LogisticRegression().fit(X, y)
    # the oracle has numbers for labels, which every metric understands
    positive = (y == "malignant").astype(int)
    responses = {
        "decision": model.decision_function(X),
        "proba": model.predict_proba(X)[:, 1],
        "label": (model.predict(X) == "malignant").astype(int),
    }
    params = {"average": options["average"]} if "average" in options else {}
    sign = 1 if options.get("greater_is_better", True) else -1
    rows = [metadata["magnification"] == name for name in ("40X", "100X")]
    values = [sign * metric(positive[each], responses[response][each], **params) for each in rows]
    for aggregate, expected in [("worst", min(values)), ("mean", np.mean(values))]:
        scorer = make_magnification_scorer(metric, aggregate=aggregate, **options)
        assert scorer(model, X, y, magnification=metadata["magnification"]) == pytest.approx(expected)


def test_a_positive_class_of_ones_own_is_kept():
    X, y, metadata = labelled()
    model = LogisticRegression().fit(X, y)
    scorer = make_magnification_scorer(f1_score, pos_label="benign")
    values = by_magnification(
        lambda y, p: f1_score(y, p, pos_label="benign"), y, model.predict(X), magnification=metadata["magnification"]
    )
    assert scorer(model, X, y, magnification=metadata["magnification"]) == pytest.approx(min(values.values()))


def test_a_magnification_of_one_class_has_no_area_but_a_brier_score():
    X, y, metadata = labelled()
    model = LogisticRegression().fit(X, y)
    rows = (metadata["magnification"] == "40X") | (y == "benign")
    X, y, magnification = X[rows], y[rows], metadata["magnification"][rows]
    for aggregate in ("worst", "mean"):
        scorer = make_magnification_scorer(roc_auc_score, aggregate=aggregate, response_method="predict_proba")
        with pytest.warns(UndefinedMetricWarning, match="Only one class"):
            assert np.isnan(scorer(model, X, y, magnification=magnification))
        for metric in (brier_score_loss, log_loss):
            scorer = make_magnification_scorer(
                metric, aggregate=aggregate, response_method="predict_proba", greater_is_better=False
            )
            assert scorer(model, X, y, magnification=magnification) < 0


def test_an_area_over_patients_of_one_class_is_undefined():
    X, y, metadata = labelled()
    model = LogisticRegression().fit(X, y)
    rows = metadata["patient"] == 4
    with pytest.warns(UndefinedMetricWarning, match="Only one class"):
        assert np.isnan(patient_roc_auc_scorer(model, X[rows], y[rows], patient=metadata["patient"][rows]))


def test_a_class_that_the_test_part_lacks_changes_no_scale():
    X, y, metadata = labelled(n_classes=3)
    model = LogisticRegression().fit(X, y)
    rows = y != "normal"
    X, y = X[rows], y[rows]
    magnification, patient = metadata["magnification"][rows], metadata["patient"][rows]
    squares = (model.predict_proba(X) - (y[:, None] == model.classes_)) ** 2
    assert neg_brier_scorer(model, X, y) == pytest.approx(-squares.sum(axis=1).mean())
    worst = worst_magnification_brier_scorer(model, X, y, magnification=magnification)
    assert worst == pytest.approx(-max(squares[magnification == name].sum(axis=1).mean() for name in ("40X", "100X")))
    expected = -patient_brier_score(y, model.predict_proba(X), patient=patient, labels=model.classes_)
    assert neg_patient_brier_scorer(model, X, y, patient=patient) == expected
    scorer = make_magnification_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    losses = by_magnification(
        lambda y, p: log_loss(y, p, labels=model.classes_), y, model.predict_proba(X), magnification=magnification
    )
    assert scorer(model, X, y, magnification=magnification) == pytest.approx(-max(losses.values()))


def test_several_scorers_in_a_search_get_the_metadata_given_once():
    X, y, metadata = labelled(126)
    options = {"scoring": SCORERS | {"mean_f1": make_magnification_scorer(f1_score)}, "error_score": "raise"}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            LogisticRegression(), {"C": [1e-4, 1.0]}, cv=LeaveOneMagnificationOut(3), refit="patient_brier", **options
        ).fit(X, y, **metadata)
    results = search.cv_results_
    assert search.best_index_ == np.argmax(results["mean_test_patient_brier"]) == 1
    # a test part has one magnification: there the worst is the only one
    np.testing.assert_allclose(results["mean_test_worst"], results["mean_test_brier"])


def test_several_scorers_become_one_of_scikit_learn():
    X, y, metadata = labelled()
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression().fit(X, y)
        scores = check_scoring(model, SCORERS)(model, X, y, **metadata)
        assert check_scoring(model, neg_brier_scorer) is neg_brier_scorer
    for name, scorer in SCORERS.items():
        assert scores[name] == scorer(model, X, y, **{key: metadata[key] for key in NEEDED[name]})


@pytest.mark.slow
def test_scorers_work_in_other_processes():
    X, y, metadata = labelled()
    options = {"cv": LeaveOneMagnificationOut(2), "scoring": SCORERS, "params": metadata, "error_score": "raise"}
    with sklearn.config_context(enable_metadata_routing=True):
        alone = cross_validate(LogisticRegression(), X, y, **options)
        two = cross_validate(LogisticRegression(), X, y, n_jobs=2, **options)
    for name in SCORERS:
        np.testing.assert_array_equal(alone[f"test_{name}"], two[f"test_{name}"])


def test_a_scorer_shows_how_it_was_made():
    assert repr(SCORERS["mean_f1"]) == (
        "make_magnification_scorer(f1_score, aggregate='mean', response_method='predict', greater_is_better=True, "
        "average='macro')"
    )
    assert " at 0x" not in "".join(map(repr, SCORERS.values()))


def test_a_scorer_over_patients_is_not_handed_weights():
    X, y, _ = labelled()
    scorers = check_scoring(LogisticRegression(), {"brier": neg_brier_scorer, "patient": patient_recognition_scorer})
    # without routing there are no patients: that is said, and not that weights were unexpected
    with pytest.raises(ValueError, match="needs `patient`"):
        scorers(LogisticRegression().fit(X, y), X, y, sample_weight=np.ones(len(y)))


def test_predicted_labels_are_scored_for_the_classes_that_a_magnification_has():
    X, y, metadata = labelled(n_classes=3)
    model = LogisticRegression().fit(X, y)
    rows = model.predict(X) != "normal"
    X, y, magnification = X[rows & (y != "normal")], y[rows & (y != "normal")], metadata["magnification"]
    magnification = magnification[rows & (metadata["patient"] % 3 != 2)]
    macro = partial(f1_score, average="macro")
    values = by_magnification(macro, y, model.predict(X), magnification=magnification)
    scorer = make_magnification_scorer(f1_score, average="macro")
    assert scorer(model, X, y, magnification=magnification) == pytest.approx(min(values.values()))


def test_a_metric_of_several_numbers_is_refused():
    X, y, metadata = labelled()
    scorer = make_magnification_scorer(brier_decomposition, response_method="predict_proba")
    with pytest.raises(ValueError, match="needs a metric of one number, got a BrierDecomposition of 4 at '40X'"):
        scorer(LogisticRegression().fit(X, y), X, y, magnification=metadata["magnification"])


def test_an_unknown_aggregate_is_refused():
    with pytest.raises(ValueError, match='"worst" or "mean", got \'median\''):
        make_magnification_scorer(f1_score, aggregate="median")
