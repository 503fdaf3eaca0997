import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_magdg.cohort import class_codes, majority_class, patient_holdout, read_cohort

samples = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=1, max_size=60)


def hold_out(patient, y, fraction=0.3, seed=0):
    cohort = read_cohort(len(patient), y, patient=patient, allow_missing_patients=True)
    return patient_holdout(cohort, fraction, np.random.RandomState(seed))


def classes_of(patient, y):
    """Patients by class, each in the class of most of its samples."""
    members = {}
    for each in sorted(set(patient)):
        counts = np.bincount(y[patient == each])
        members.setdefault(int(np.argmax(counts)), []).append(each)
    return members


@given(samples, st.floats(0.01, 0.99), st.integers(0, 5))
@settings(deadline=None)
def test_whole_patients_of_every_class_are_held_out_and_some_stay(rows, fraction, seed):
    patient, y = np.array(rows).T
    held_out = hold_out(patient, y, fraction, seed)
    assert not set(patient[held_out]) & set(patient[~held_out])
    for members in classes_of(patient, y).values():
        drawn = set(members) & set(patient[held_out])
        if len(members) == 1:
            assert not drawn
        else:
            assert len(drawn) == np.clip(round(fraction * len(members)), 1, len(members) - 1)


@given(samples, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_rows_plays_no_part(rows, random):
    patient, y = np.array(rows).T
    order = np.array(random.sample(range(len(y)), len(y)))
    np.testing.assert_array_equal(hold_out(patient, y)[order], hold_out(patient[order], y[order]))


@pytest.mark.parametrize("missing", [None, np.nan])
def test_samples_without_patient_stay_and_do_not_change_the_draw(missing):
    patient, y = np.repeat(list("abcdefg"), 3).astype(object), np.repeat([0, 1, 0, 1, 0, 1, 0], 3)
    synthetic = np.full(5, missing, dtype=object)
    held_out = hold_out(np.concatenate([synthetic, patient]), np.concatenate([[2, 2, 1, 1, 1], y]))
    assert not held_out[:5].any()
    np.testing.assert_array_equal(held_out[5:], hold_out(patient, y))


def test_either_kind_of_numpy_generator_serves():
    patient = np.arange(10)
    for rng in (np.random.RandomState(0), np.random.default_rng(0)):
        assert patient_holdout(read_cohort(10, patient=patient), 0.3, rng).sum() == 3


@pytest.mark.parametrize("fraction", [0, 1, -0.1, np.nan])
def test_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        hold_out([1, 2, 3], [0, 0, 0], fraction)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="`y` has 2 values for 3 samples"):
        hold_out([1, 2, 3], [0, 0])


def test_majority_class_takes_the_lower_code_on_a_tie():
    patient, label = np.array([0, 0, 1, 1, 1, 2, 2]), np.array([2, 1, 0, 2, 2, 1, 1])
    np.testing.assert_array_equal(majority_class(patient, label), [1, 2, 1])


@pytest.mark.parametrize("y", [None, np.array([0.5, 1.5, 2.0]), np.zeros((3, 2))])
def test_targets_without_classes_get_one_code(y):
    np.testing.assert_array_equal(class_codes(y, 3).codes, [0, 0, 0])


def test_text_and_whole_floats_are_classes():
    np.testing.assert_array_equal(class_codes(np.array(["m", "b", "m"]), 3).codes, [1, 0, 1])
    np.testing.assert_array_equal(class_codes(np.array([1.0, 0.0, 1.0]), 3).codes, [1, 0, 1])


def test_nobody_is_held_out_where_no_sample_has_a_patient():
    assert not hold_out([None, None, None], ["a", "b", "b"]).any()
