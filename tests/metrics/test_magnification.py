from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, roc_auc_score

from sklearn_magdg.metrics import (
    brier_decomposition,
    brier_score,
    by_magnification,
    patient_brier_score,
    patient_roc_auc,
    worst_magnification,
)

magnification = np.array(["100X", "40X", "100X", "40X", "40X", "400X", "100X"])
y_true = np.array([0, 1, 1, 1, 0, 1, 1])
y_pred = np.array([0, 1, 0, 1, 1, 1, 0])


def test_every_magnification_has_its_value_in_numeric_order():
    values = by_magnification(accuracy_score, y_true, y_pred, magnification=magnification)
    assert list(values.items()) == [("40X", pytest.approx(2 / 3)), ("100X", pytest.approx(1 / 3)), ("400X", 1.0)]


def test_integers_stay_integers():
    assert list(by_magnification(accuracy_score, [0, 1], [0, 1], magnification=[400, 40])) == [40, 400]


def test_two_dimensional_scores_and_weights_are_taken_along():
    proba = np.column_stack([1 - y_pred * 0.9, y_pred * 0.9])
    weight = np.arange(7)
    values = by_magnification(
        lambda y, p, sample_weight: np.average((y - p[:, 1]) ** 2, weights=sample_weight),
        y_true,
        proba,
        magnification=magnification,
        sample_weight=weight,
    )
    rows = magnification == "40X"
    assert values["40X"] == pytest.approx(brier_score_loss(y_true[rows], proba[rows, 1], sample_weight=weight[rows]))


def test_worst_is_the_smallest_accuracy_and_the_largest_loss():
    worst = worst_magnification(accuracy_score, y_true, y_pred, magnification=magnification)
    loss = worst_magnification(
        lambda y, p: 1 - accuracy_score(y, p), y_true, y_pred, magnification=magnification, greater_is_better=False
    )
    assert worst == pytest.approx(1 / 3)
    assert loss == pytest.approx(2 / 3)


def test_an_undefined_value_makes_the_worst_undefined():
    assert np.isnan(worst_magnification(lambda y, p: np.nan, [0, 1], [0, 1], magnification=[40, 40]))


def test_a_magnification_of_one_class_has_no_area_and_a_warning():
    p = np.linspace(0, 1, 7)
    with pytest.warns(UndefinedMetricWarning, match="Only one class"):
        values = by_magnification(roc_auc_score, y_true, p, magnification=magnification)
    assert np.isnan(values["400X"])
    assert not np.isnan([values["40X"], values["100X"]]).any()
    with pytest.warns(UndefinedMetricWarning, match="Only one class"):
        assert np.isnan(worst_magnification(roc_auc_score, y_true, p, magnification=magnification))


def test_patients_are_pooled_at_every_magnification_apart():
    p, patient = np.array([0.5, 0.25, 0.75]), np.array(["a", "a", "a"])
    values = by_magnification(patient_brier_score, [1, 1, 1], p, magnification=[40, 100, 100], patient=patient)
    assert values == {40: 0.5**2, 100: 0.5**2}
    worst = worst_magnification(
        patient_brier_score, [1, 1, 1], p, magnification=[40, 40, 100], patient=patient, greater_is_better=False
    )
    assert worst == pytest.approx((1 - 0.375) ** 2)


def test_a_magnification_of_one_class_gets_the_labels_of_all():
    names, p = np.array(["benign", "malignant"])[y_true], np.linspace(0, 1, 7)
    scores = by_magnification(brier_score, names, p, magnification=magnification)
    assert scores["400X"] == pytest.approx((1 - p[5]) ** 2)
    options = {"magnification": magnification, "patient": np.arange(7)}
    assert by_magnification(patient_brier_score, names, p, **options) == pytest.approx(scores)
    with pytest.warns(UndefinedMetricWarning, match="Only one class"):
        assert np.isnan(by_magnification(patient_roc_auc, names, p, **options)["400X"])


def test_labels_that_are_bound_and_metrics_of_labels_are_left_alone():
    names, p = np.array(["benign", "malignant"])[y_true], np.linspace(0, 1, 7)
    bound = partial(brier_score, labels=["benign", "malignant", "normal"])
    with pytest.raises(ValueError, match="for 2 classes, got 3"):
        by_magnification(bound, names, p, magnification=magnification)
    macro = partial(f1_score, average="macro")
    # at 400X one class alone is there and predicted: with the other, of score 0, the mean would be a half
    assert by_magnification(macro, y_true, y_pred, magnification=magnification)["400X"] == 1


def test_a_metric_of_several_numbers_has_no_worst_value():
    with pytest.raises(ValueError, match="needs a metric of one number, got a BrierDecomposition of 4 at 40"):
        worst_magnification(brier_decomposition, [0, 1, 1], [0.1, 0.5, 0.9], magnification=[40, 100, 100])


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_labels_and_patients_are_refused(missing):
    with pytest.raises(ValueError, match=r"`y_true` is missing for 1 samples .* position 1"):
        by_magnification(accuracy_score, ["a", missing, "b"], ["a", "b", "b"], magnification=[40, 100, 40])
    options = {"magnification": [100, 40, 100], "patient": ["p", "q", missing]}
    with pytest.raises(ValueError, match=r"`patient` is missing for 1 samples .* position 2"):
        by_magnification(patient_brier_score, [0, 1, 1], [0.1, 0.5, 0.9], **options)


def test_no_samples_are_refused():
    for function in (by_magnification, worst_magnification):
        with pytest.raises(ValueError, match="at least one sample, got none"):
            function(accuracy_score, [], [], magnification=[])


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="has 2 values for 3 samples"):
        by_magnification(accuracy_score, [0, 1, 1], [0, 1, 1], magnification=[40, 100])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        by_magnification(accuracy_score, [0, 1, 1], [0, 1], magnification=[40, 100, 40])
