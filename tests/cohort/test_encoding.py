import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_magdg._metadata import magnification_number
from sklearn_magdg.cohort import Encoded, as_column, encode, encode_magnification, spelled_alike

columns = st.lists(st.sampled_from(["7", "007", "b", "a", "10", None]), min_size=1)


@given(st.lists(st.sampled_from(["7", "007", "b", "a", "10"]), min_size=1))
def test_codes_lead_back_to_the_values(values):
    codes, names = encode(values, "patient")
    assert [names[code] for code in codes] == values


@pytest.mark.parametrize(
    "values",
    [["a", None, "b"], ["a", np.nan, "b"], pd.Series(["a", pd.NA, "b"], dtype="string"), [1.0, np.nan, 2.0]],
)
def test_missing_values_get_the_code_minus_one_or_are_refused(values):
    assert encode(values, "patient", allow_missing=True).codes.tolist() == [0, -1, 1]
    with pytest.raises(ValueError, match=r"`patient` is missing for 1 samples .the first at position 1"):
        encode(values, "patient")


def test_values_that_are_all_missing_have_no_names():
    codes, names = encode([None, None], "patient", allow_missing=True)
    assert (codes.tolist(), names) == ([-1, -1], [])


@pytest.mark.parametrize("same", [["a", "a "], ["\ta", "a"], ["a", "a\u00a0"]])
def test_names_that_differ_by_white_space_only_are_refused_in_the_same_words_for_every_order(same):
    for values in (["b", *same], ["b", *reversed(same)]):
        with pytest.raises(ValueError, match="`patient` has names that differ by white space only") as caught:
            encode(np.array(values), "patient")
        assert str(same) in str(caught.value)


def test_white_space_that_hides_no_other_name_stays():
    assert encode([" a", "b c", "bc"], "patient").names == [" a", "b c", "bc"]


@pytest.mark.parametrize("allow_missing", [False, True])
def test_a_blank_name_is_refused_also_where_a_missing_one_is_allowed(allow_missing):
    with pytest.raises(ValueError, match=r"`patient` is blank text for 2 samples .the first at position 1.*fill in"):
        encode(["a", "", "b", " "], "patient", allow_missing=allow_missing)


def test_two_spellings_of_one_magnification_are_refused():
    with pytest.raises(ValueError, match="several ways"):
        encode_magnification(["40X", "40x", "100X"])


def test_spellings_of_different_magnifications_are_no_fault():
    assert encode_magnification(["low", "high", "40X", "low"]).names == ["40X", "high", "low"]
    assert encode_magnification([400, 40, 100]).names == [40, 100, 400]


def test_text_and_numbers_in_one_column_are_refused():
    with pytest.raises(ValueError, match=r"`patient` mixes text \('7'\) and numbers \(7\); write all values one way"):
        encode(["7", 7], "patient")


@given(columns)
def test_values_are_the_column_itself_with_none_where_one_is_missing(values):
    assert encode(values, "patient", allow_missing=True).values().tolist() == values


@given(columns, st.randoms(use_true_random=False))
def test_names_and_codes_are_the_same_for_every_order_of_the_rows(values, random):
    order = np.array(random.sample(range(len(values)), len(values)))
    before = encode(values, "patient", allow_missing=True)
    after = encode([values[row] for row in order], "patient", allow_missing=True)
    assert after.names == before.names
    np.testing.assert_array_equal(after.codes, before.codes[order])


@given(columns, st.data())
def test_some_of_the_rows_keep_their_names_and_codes(values, data):
    rows = data.draw(st.lists(st.integers(0, len(values) - 1)))
    column = encode(values, "patient", allow_missing=True)
    taken = column.take(np.array(rows, dtype=int))
    assert taken.names == column.names
    assert taken.values().tolist() == [values[row] for row in rows]


@given(columns, st.data())
def test_only_present_names_are_left_in_their_order_and_codes_have_no_gap(values, data):
    rows = np.array(data.draw(st.lists(st.integers(0, len(values) - 1))), dtype=int)
    taken = encode(values, "patient", allow_missing=True).take(rows)
    present = taken.present()
    assert present.values().tolist() == taken.values().tolist()
    assert present.names == [name for name in taken.names if name in taken.values().tolist()]
    assert set(present.codes.tolist()) - {-1} == set(range(len(present.names)))


def test_a_column_without_any_name_is_present_without_any():
    present = Encoded(np.array([-1, -1]), ["a"]).present()
    assert (present.codes.tolist(), present.names) == ([-1, -1], [])


def test_names_are_alike_where_a_reading_gives_the_same_and_nothing_is_like_one_that_cannot_be_read():
    names = ["40", "40X", "low", "x40", "high", "100"]
    assert spelled_alike(names, magnification_number) == [["40", "40X", "x40"]]
    assert spelled_alike(["P1", "q", "p1", "Q"], str.casefold) == [["P1", "p1"], ["q", "Q"]]


@pytest.mark.parametrize(
    "values",
    [["a", "b"], ("a", "b"), np.array([["a"], ["b"]]), pd.Series(["a", "b"]), pd.DataFrame({"patient": ["a", "b"]})],
    ids=["list", "tuple", "one column", "Series", "frame"],
)
def test_one_value_per_sample_is_read_from_any_container(values):
    assert as_column(values, "patient", 2).tolist() == ["a", "b"]


def test_a_list_keeps_its_missing_values_missing():
    assert as_column(["a", np.nan], "patient")[1] is np.nan


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 3)), r"`patient` must hold one value per sample, got an array of shape \(2, 3\); give one"),
        (["a"], "`patient` has 1 values for 2 samples; give one per sample"),
    ],
)
def test_a_column_of_another_shape_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        as_column(values, "patient", 2)
