"""The door of a fit: labels as they are read, and weights."""

import numpy as np
import pytest

from sklearn_magdg.cohort import read_training_cohort
from sklearn_magdg.cohort._labels import read_labels
from sklearn_magdg.cohort._training import training_weight


@pytest.mark.parametrize("class_weight", [{"a": 0.5, "b": 3.0}, "balanced", None])
def test_the_class_weight_multiplies_the_sample_weight(class_weight):
    y = np.array(["a", "b", "b", "b", "a", "b", "b"])
    weight = np.arange(7.0)
    factors = {"a": 0.5, "b": 3.0} if isinstance(class_weight, dict) else {"a": 7 / 4, "b": 7 / 10}
    expected = weight if class_weight is None else weight * [factors[label] for label in y]
    np.testing.assert_allclose(training_weight(weight, class_weight, y), expected)


def test_numbers_and_truth_values_in_a_column_of_objects_are_read_as_such():
    assert read_labels(np.array([1, 0], dtype=object), 2).dtype.kind == "i"
    assert read_labels(np.array([True, False], dtype=object), 2).dtype.kind == "b"
    assert read_labels(np.array(["a", "b"], dtype=object), 2).tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("patient", "words"),
    [
        (["a", 1, "b", "b"], "mixes text .* and numbers"),
        (["a", " ", "b", "b"], "blank text for 1 samples"),
        (["a", "a ", "b", "b"], "differ by white space only"),
        (["a", "b"], "has 2 values for 4 samples"),
    ],
)
def test_a_patient_that_could_be_two_is_refused_whether_patients_are_needed_or_not(patient, words):
    with pytest.raises(ValueError, match=f"`patient` .*{words}"):
        read_training_cohort([0, 1, 0, 1], 4, patient=patient, asker="Net")


def test_a_missing_patient_has_code_minus_one_and_classes_the_order_of_numpy():
    cohort = read_training_cohort(["9", "10", "9"], 3, patient=["a", None, "b"], magnification=["40X"] * 3, asker="Net")
    assert cohort.patient.codes.tolist() == [0, -1, 1]
    assert cohort.label.names.tolist() == ["10", "9"]
    assert cohort.weight.tolist() == [1, 1, 1]
