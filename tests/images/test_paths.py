from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_magdg.images import as_paths

NAMES = ["a.png", "b/c.png", "007.png"]


@pytest.mark.parametrize(
    "collection",
    [
        NAMES,
        tuple(NAMES),
        [Path(name) for name in NAMES],
        np.array(NAMES),
        np.array(NAMES, dtype=object),
        np.array(NAMES)[:, None],
        pd.Series(NAMES, index=[5, 6, 7]),
        pd.Series(NAMES, dtype="string"),
        pd.Series(NAMES, dtype="category"),
        pd.Series([Path(name) for name in NAMES]),
        pd.DataFrame({"path": NAMES}),
        pl.Series(NAMES),
        pl.DataFrame({"path": NAMES}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_paths_are_recognised_in_every_container(collection):
    found = as_paths(collection)
    assert found.dtype == object
    assert found.tolist() == NAMES


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy has it from 2.0 on")
def test_paths_are_recognised_in_numpys_own_text_of_any_length():
    text = np.dtypes.StringDType(na_object=None)
    for names in (np.array(NAMES, dtype=text), np.array(NAMES, dtype=text)[:, None]):
        assert as_paths(names).tolist() == NAMES
    with pytest.raises(ValueError, match="position 1 is None"):
        as_paths(np.array(["a.png", None], dtype=text))


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((3, 2)),
        np.zeros(3),
        np.zeros((2, 5, 5, 3), np.uint8),
        [[0.5, 1.0], [2.0, 3.0]],
        [np.zeros((7, 5, 3), np.uint8)],
        [],
        np.array([], dtype=object),
        np.array([1, None], dtype=object),
        np.array([["a", "b"]], dtype=object),
        pd.DataFrame({"a": ["x"], "b": ["y"]}),
        pd.DataFrame({"a": [1.0]}),
        "a.png",
        None,
    ],
    ids=str,
)
def test_other_things_are_no_paths(other):
    assert as_paths(other) is None


@pytest.mark.parametrize("mixed", [["a.png", None], np.array(["a.png", np.nan], dtype=object), ["a.png", 3]])
def test_paths_beside_other_things_are_refused(mixed):
    with pytest.raises(ValueError, match="position 1"):
        as_paths(mixed)


def test_text_of_numpy_becomes_plain_text():
    assert type(as_paths([np.str_("a.png")])[0]) is str
