import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_magdg._metadata import magnification_number, sort_names
from sklearn_magdg.cohort import encode, encode_magnification


@pytest.mark.parametrize("name", [40, 40.0, np.int64(40), "40", "40X", " 40x ", "40×", "40.0", "x40", "×40", "X 40.0 "])
def test_many_spellings_read_as_forty(name):
    assert magnification_number(name) == 40


@pytest.mark.parametrize("name", ["low", "", "X", "40XX", "4 0", "-40", "x40x", "x", None])
def test_other_names_read_as_no_number(name):
    assert magnification_number(name) is None


@given(st.lists(st.integers(1, 9999), unique=True))
def test_names_that_read_as_numbers_are_sorted_by_them(numbers):
    assert sort_names([f"{n}X" for n in numbers]) == [f"{n}X" for n in sorted(numbers)]


def test_other_names_are_sorted_as_text():
    assert sort_names({"40X", "100X", "low"}) == ["100X", "40X", "low"]


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
