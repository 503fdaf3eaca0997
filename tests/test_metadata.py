import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_magdg._metadata import magnification_number, magnification_text, sort_names


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


@pytest.mark.parametrize(
    ("name", "text"),
    [(100, "100X"), (100.0, "100X"), (np.int64(100), "100X"), (2.5, "2.5X"), ("100X", "100X"), ("low", "low")],
)
def test_a_magnification_is_written_one_way_whether_it_came_as_a_number_or_as_text(name, text):
    assert magnification_text(name) == text


@given(st.integers(1, 9999))
def test_the_text_of_a_magnification_reads_as_its_number(number):
    assert magnification_number(magnification_text(number)) == number
