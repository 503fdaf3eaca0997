import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from sklearn_magdg.metrics import patient_recognition_rate


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
