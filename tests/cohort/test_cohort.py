from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_magdg.cohort import (
    Cohort,
    Encoded,
    cells_of,
    encode,
    parts_of,
    read_cohort,
    read_training_cohort,
    split_with_metadata,
    with_patients,
)
from sklearn_magdg.cohort._training import training_weight


class Source:
    """Images behind a door: all that a cohort knows of them is `take`."""

    def __init__(self, positions):
        self.positions = positions

    def take(self, rows):
        return Source(self.positions[rows])


@dataclass(frozen=True, eq=False)
class Pictured(Cohort):
    """A cohort with every kind of further column."""

    embedding: np.ndarray = None  # (n, 3)
    stain: Encoded = None
    images: Source = None
    note: str = "said of all rows"
    nothing: None = None


rows = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 2), st.integers(0, 2)), min_size=1)


def make(rows):
    patient, label, magnification = zip(*rows, strict=True)
    n = len(rows)
    cohort = read_cohort(
        n,
        label,
        patient=patient,
        magnification=np.array([40, 100, 400])[list(magnification)],
        weight=np.arange(n) + 0.5,
        allow_missing_patients=True,
    )
    columns = {column: getattr(cohort, column) for column in ("label", "patient", "magnification", "weight")}
    positions = np.arange(n)
    stain = Encoded(positions % 2, ["HE", "DAB"])
    return Pictured(**columns, embedding=np.outer(positions, [1, 2, 3]), stain=stain, images=Source(positions))


def assert_is_cut(taken, cohort, positions):
    assert type(taken) is Pictured
    assert len(taken) == len(positions)
    for name in ("label", "patient", "magnification", "stain"):
        column, whole = getattr(taken, name), getattr(cohort, name)
        assert column.names == whole.names
        np.testing.assert_array_equal(column.codes, whole.codes[positions])
    np.testing.assert_array_equal(taken.weight, cohort.weight[positions])
    np.testing.assert_array_equal(taken.embedding, cohort.embedding[positions])  # both axes are kept
    np.testing.assert_array_equal(taken.images.positions, positions)
    assert (taken.note, taken.nothing) == ("said of all rows", None)


@given(rows, st.data())
def test_every_column_is_cut_by_positions_in_any_order_and_repeated(rows, data):
    positions = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), dtype=int)
    cohort = make(rows)
    assert_is_cut(cohort.take(positions), cohort, positions)


def test_an_empty_list_of_positions_takes_no_row():
    assert len(make([("a", 0, 0)]).take([])) == 0


@given(rows, st.data())
def test_a_mask_takes_what_the_positions_of_its_true_values_take(rows, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    cohort = make(rows)
    assert_is_cut(cohort.take(mask), cohort, np.flatnonzero(mask))


@given(rows, st.data())
def test_rows_of_rows_are_rows_of_the_whole(rows, data):
    cohort = make(rows)
    first = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1)))
    second = np.array(data.draw(st.lists(st.integers(0, len(first) - 1))), dtype=int)
    assert_is_cut(cohort.take(first).take(second), cohort, first[second])


def test_a_copy_has_the_other_column_and_leaves_the_cohort_alone():
    cohort = make([("a", 0, 0), ("b", 1, 1)])
    copy = cohort.replace(patient=None)
    assert copy.patient is None
    assert copy.stain is cohort.stain
    assert cohort.patient.names == ["a", "b"]


@given(rows.filter(lambda rows: all(patient for patient, *_ in rows)))
def test_a_patient_counts_by_the_class_of_most_of_its_rows(rows):
    cohort = make(rows)
    for code, each in zip(cohort.patient_class, cohort.patient.names, strict=True):
        labels = [label for patient, label, _ in rows if patient == each]
        most = max(labels.count(label) for label in labels)
        assert cohort.label.names[code] == min(label for label in labels if labels.count(label) == most)


def test_patient_classes_are_those_of_the_patients_left():
    cohort = make([("a", 0, 0), ("b", 1, 1), ("c", 2, 1)])
    np.testing.assert_array_equal(cohort.take([1, 2]).patient_class, [1, 2])


def test_columns_that_are_not_given_stay_unknown():
    cohort = read_cohort(3)
    assert (cohort.patient, cohort.magnification, cohort.weight) == (None, None, None)
    assert cohort.label.codes.tolist() == [0, 0, 0]
    assert len(cohort) == 3


def test_targets_that_are_no_classes_make_one_class_of_all():
    for y in ([0.5, 1.5, 2.5], np.eye(3)):
        assert read_cohort(3, y).label.names == [None]
    assert read_cohort(3, [1.0, 0.0, 1.0]).label.names == [0.0, 1.0]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"y": [0, 1]}, "`y` has 2 values for 3 samples"),
        ({"y": [0, 1, np.nan]}, "`y` is missing for 1 samples"),
        ({"patient": ["a", None, "b"]}, "`patient` is missing for 1 samples"),
        ({"patient": ["a", "b"], "allow_missing_patients": True}, "`patient` has 2 values for 3 samples"),
        ({"magnification": [40, None, 100]}, "`magnification` is missing for 1 samples"),
        ({"magnification": ["40", "40X", "100"]}, r"several ways, \['40', '40X'\]"),
    ],
)
def test_faulty_columns_are_refused_by_name(columns, words):
    with pytest.raises(ValueError, match=words):
        read_cohort(3, **columns)


def test_patients_may_be_missing_where_that_is_allowed():
    cohort = read_cohort(3, patient=["b", None, "a"], allow_missing_patients=True)
    assert cohort.patient.codes.tolist() == [1, -1, 0]


def test_labels_of_a_classifier_are_its_classes_in_the_order_of_numpy():
    cohort = read_training_cohort(["10", "9", "10"], 3, asker="CNNClassifier")
    assert cohort.label.names.tolist() == ["10", "9"]
    assert cohort.label.codes.dtype == np.int64
    assert cohort.weight.tolist() == [1, 1, 1]


def test_the_weight_of_a_training_row_is_the_product_of_both_weights():
    options = {"sample_weight": [2.0, 1.0, 3.0], "class_weight": {"b": 1, "m": 0.5}}
    cohort = read_training_cohort(["b", "m", "m"], 3, patient=["a", None, "c"], asker="CNNClassifier", **options)
    assert cohort.weight.tolist() == [2, 0.5, 1.5]
    assert cohort.patient.codes.tolist() == [0, -1, 1]


def test_the_weights_that_were_passed_are_left_as_they_are():
    weight = np.ones(2)
    training_weight(weight, {0: 2, 1: 3}, np.array([0, 1]))
    assert weight.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        (None, {}, "requires y to be passed"),
        (["b", "b"], {}, "CNNClassifier needs at least 2 classes, got 1 class: 'b'"),
        (["b", None], {}, "`y` is missing for 1 samples"),
        (["b", "m", "m"], {}, "inconsistent numbers of samples"),
        (["b", "m"], {"patient": ["a"]}, "`patient` has 1 values for 2 samples"),
        (["b", "m"], {"magnification": [40, None]}, "`magnification` is missing"),
        (["b", "m"], {"sample_weight": [1, -1]}, "Negative values"),
        (["b", "m"], {"sample_weight": [0, 0]}, "at least one non-zero number"),
        (
            ["b", "m"],
            {"sample_weight": [1, 0], "class_weight": {"b": 0}},
            r"times `class_weight` \(\{'b': 0\}\) is 0 for",
        ),
        (["b", "m"], {"class_weight": {"b": -1}}, "`class_weight` must hold finite numbers of at least 0"),
    ],
)
def test_faulty_training_data_are_refused(y, options, words):
    with pytest.raises(ValueError, match=words):
        read_training_cohort(y, 2, asker="CNNClassifier", **options)


def test_every_image_is_a_patient_of_its_own_where_none_are_known_and_that_is_said():
    with pytest.warns(UserWarning, match="early_stopping=True without `patient`"):
        cohort = with_patients(read_cohort(3))
    assert cohort.patient.codes.tolist() == [0, 1, 2]
    known = read_cohort(2, patient=["a", "a"])
    assert with_patients(known) is known


@given(rows)
def test_codes_of_the_parts_of_cells_are_ranks(rows):
    cells = sorted(set(cells_of(make(rows))))
    parts = parts_of(cells)
    assert parts.shape == (len(cells), 2)
    for part in (0, 1):
        names = [cell[part] for cell in cells]
        np.testing.assert_array_equal(parts[:, part], encode(names, "y").codes)


def test_cells_without_metadata_have_none_in_their_place():
    assert cells_of(read_cohort(2)).tolist() == [(None, None)] * 2


class Recorder:
    """A splitter that gives back what it was given."""

    def split(self, X, y, groups=None):
        return groups


class Knowing:
    def split(self, X, y, *, patient, magnification):
        return patient, magnification


class Plain:
    def split(self, X, y):
        return "neither"


def test_a_splitter_gets_the_metadata_that_its_signature_asks_for():
    data = [[0], [1]], [0, 1], ["a", "b"], [40, 100]
    assert split_with_metadata(Knowing(), *data) == (["a", "b"], [40, 100])
    assert split_with_metadata(Recorder(), *data) == ["a", "b"]
    assert split_with_metadata(Plain(), *data) == "neither"
