import pytest

from sklearn_magdg._words import counted, name_some, shorten


@pytest.mark.parametrize(
    ("items", "short", "counted_too"),
    [
        ([], "", ""),
        ([7], "7", "7"),
        (range(5), "0, 1, 2, 3, 4", "0, 1, 2, 3, 4"),
        (range(6), "0, 1, 2, 3, 4, ...", "0, 1, 2, 3, 4, ... (6 in all)"),
        (iter("abcdefg"), "a, b, c, d, e, ...", None),
    ],
)
def test_the_first_five_stand_and_the_rest_is_an_ellipsis(items, short, counted_too):
    assert shorten(items) == short
    assert counted_too is None or name_some(items) == counted_too


def test_the_separator_also_stands_before_the_ellipsis():
    assert name_some(range(6), "; ") == "0; 1; 2; 3; 4; ... (6 in all)"
    assert shorten("abc", 2) == "a, b, ..."


def test_numbers_and_nouns_agree():
    assert [counted(number, "fold") for number in (0, 1, 1234)] == ["0 folds", "1 fold", "1,234 folds"]
