import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score

from sklearn_magdg.metrics import patient_brier_score, patient_recognition_rate, patient_roc_auc, pool_by_patient


def imaged(n_classes=2, seed=0):
    """Labels, probabilities and patients of 61 images of 12 patients, in no order."""
    rng = np.random.default_rng(seed)
    patient = rng.permutation(np.append(np.arange(12), rng.integers(0, 12, 49)))
    y = np.array(["benign", "malignant", "normal"])[patient % n_classes]
    return y, rng.dirichlet(np.ones(n_classes), 61), np.array([f"p{k}" for k in patient])


def pooled_by_a_loop(y, proba, patient):
    names = sorted(set(patient))
    return (
        np.array([y[patient == name][0] for name in names]),
        np.array([proba[patient == name].mean(axis=0) for name in names]),
        np.array(names),
    )


def test_every_patient_counts_the_same():
    rate = patient_recognition_rate(list("bbbmm"), list("bmbmb"), patient=[7, 7, 7, 3, 3])
    assert rate == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_one_image_per_patient_is_accuracy():
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 3, (2, 11))
    assert patient_recognition_rate(y, predicted, patient=np.arange(11)) == pytest.approx(accuracy_score(y, predicted))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)), min_size=1), st.integers(1, 4))
def test_repeating_all_images_of_a_patient_changes_nothing(rows, times):
    y, predicted, patient = np.array(rows).T
    repeats = np.where(patient == patient[0], times, 1)
    again = patient_recognition_rate(y.repeat(repeats), predicted.repeat(repeats), patient=patient.repeat(repeats))
    assert patient_recognition_rate(y, predicted, patient=patient) == pytest.approx(again)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="`patient` has 1 values for 2 samples"):
        patient_recognition_rate([0, 1], [0, 1], patient=[1])


def test_text_against_numbers_is_refused():
    with pytest.raises(ValueError, match="Mix of label input types"):
        patient_recognition_rate(["0", "1"], [0, 1], patient=[1, 2])


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="at least one sample, got none"):
        patient_recognition_rate([], [], patient=[])
    with pytest.raises(ValueError, match="0 sample"):
        pool_by_patient([], [], patient=[])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_pooling_is_a_loop_over_patients(n_classes):
    y, proba, patient = imaged(n_classes)
    label, probability, name = pooled_by_a_loop(y, proba, patient)
    pooled = pool_by_patient(y, proba, patient=patient)
    np.testing.assert_array_equal(pooled.y_true, label)
    np.testing.assert_allclose(pooled.y_proba, probability)
    np.testing.assert_array_equal(pooled.patient, name)
    one_column = pool_by_patient(y, proba[:, 1], patient=patient)
    np.testing.assert_allclose(one_column.y_proba, probability[:, 1])


def test_two_classes_are_scored_as_scikit_learn_scores_the_patients():
    y, proba, patient = imaged()
    label, pooled, _ = pooled_by_a_loop(y, proba, patient)
    assert patient_roc_auc(y, proba, patient=patient) == pytest.approx(roc_auc_score(label, pooled[:, 1]))
    brier = brier_score_loss(label, pooled[:, 1], pos_label="malignant")
    assert patient_brier_score(y, proba, patient=patient) == pytest.approx(brier)
    for metric in (patient_roc_auc, patient_brier_score):
        value = metric(y, proba, patient=patient)
        assert metric(y, proba[:, 1], patient=patient) == pytest.approx(value)
        assert metric(y, proba[:, 0], patient=patient, pos_label="benign") == pytest.approx(value)


def test_three_classes_are_scored_as_scikit_learn_scores_the_patients():
    y, proba, patient = imaged(3)
    label, pooled, _ = pooled_by_a_loop(y, proba, patient)
    expected = roc_auc_score(label, pooled, multi_class="ovr")
    assert patient_roc_auc(y, proba, patient=patient) == pytest.approx(expected)
    assert patient_brier_score(y, proba, patient=patient) == pytest.approx(brier_score_loss(label, pooled))


def test_images_of_one_patient_do_not_outvote_the_others():
    # by image the 9 right ones win, by patient one pair of two is right
    y, p, patient = [1] * 9 + [1, 0], [0.9] * 9 + [0.1, 0.5], ["a"] * 9 + ["b", "c"]
    assert roc_auc_score(y, p) == pytest.approx(0.9)
    assert patient_roc_auc(y, p, patient=patient) == 0.5
    assert patient_brier_score(y, p, patient=patient) == pytest.approx((0.1**2 + 0.9**2 + 0.5**2) / 3)


def test_patients_of_one_class_have_a_brier_score_and_no_area():
    y, p, patient = [1, 1, 1], [0.2, 0.4, 0.9], ["a", "a", "b"]
    with pytest.warns(UndefinedMetricWarning, match="Only one class"):
        assert np.isnan(patient_roc_auc(y, p, patient=patient))
    assert patient_brier_score(y, p, patient=patient) == pytest.approx((0.7**2 + 0.1**2) / 2)
    with pytest.warns(UndefinedMetricWarning, match="Only one class"):
        assert np.isnan(patient_roc_auc([0, 0], [0.1, 0.2], patient=["one", "one"]))


def test_a_class_without_patients_leaves_the_area_of_three_undefined():
    y, proba, patient = imaged(3)
    rows = y != "normal"
    labels = ["benign", "malignant", "normal"]
    with pytest.warns(UndefinedMetricWarning, match="Only one class"):
        assert np.isnan(patient_roc_auc(y[rows], proba[rows], patient=patient[rows], labels=labels))
    label, pooled, _ = pooled_by_a_loop(y[rows], proba[rows], patient[rows])
    value = patient_brier_score(y[rows], proba[rows], patient=patient[rows], labels=labels)
    assert value == pytest.approx(brier_score_loss(label, pooled, labels=labels))


@pytest.mark.parametrize("metric", [pool_by_patient, patient_roc_auc, patient_brier_score])
@pytest.mark.parametrize(
    ("y", "proba", "patient", "message"),
    [
        (["b", "m", "m"], [0.1, 0.2, 0.3], ["x", "x", "y"], r"'x' has images of several labels, \['b', 'm'\]"),
        ([0, 1], [0.1, 1.2], ["x", "y"], r"in \[0, 1\], got values from 0.1 to 1.2"),
        ([0, 1], [[0.1, 0.2], [0.5, 0.5]], ["x", "y"], "row 0 sums to 0.3"),
        ([0, 1], [0.1, 0.2, 0.3], ["x", "y"], "has 2 samples and `y_proba` has 3"),
        ([0, 1], [0.1, 0.2], ["x"], "`patient` has 1 values for 2 samples"),
        ([0, 1], [0.1, 0.2], ["x", None], "`patient` is missing for 1 samples"),
        ([0, 1], [0.1, 0.2], ["x", np.nan], "`patient` is missing for 1 samples"),
        (["b", np.nan], [0.1, 0.2], ["x", "y"], "`y_true` is missing for 1 samples"),
    ],
)
def test_errors_say_what_came(metric, y, proba, patient, message):
    with pytest.raises(ValueError, match=message):
        metric(y, proba, patient=patient)


def test_labels_outside_the_columns_are_refused():
    with pytest.raises(ValueError, match=r"holds \['c'\], not among the labels"):
        patient_brier_score(["a", "c"], [0.1, 0.2], patient=[1, 2], labels=["a", "b"])


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_labels_are_not_counted_as_right(missing):
    for labels in ((["a", missing], ["a", "b"]), (["a", "b"], ["a", missing])):
        with pytest.raises(ValueError, match="is missing for 1 samples"):
            patient_recognition_rate(*labels, patient=[1, 2])
