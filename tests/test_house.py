"""The rooms keep their doors shut, and data flow one way."""

import runpy
from pathlib import Path

import pytest

HOUSE = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "house.py"))
ROOMS, WAY_UP = HOUSE["ROOMS"], HOUSE["WAY_UP"]
IMPORTS = list(HOUSE["imports"]())


def write(package, **files):
    """A package of rooms with one file each, `room="source"`."""
    for room, source in files.items():
        (package / room).mkdir()
        (package / room / "_file.py").write_text(source)
    return list(HOUSE["imports"](package))


def private(imports):
    """Those of another room's private files or names."""
    return [
        f"{file}:{line} {'.'.join(module)} {names}"
        for file, line, _, module, names in imports
        if any(part.startswith("_") for part in [*module[1:], *names])
    ]


def upward(imports):
    """Those of a room that stands further down."""
    place = {room: position for position, room in enumerate([".", *ROOMS])}
    return {(room, module[0]) for *_, room, module, _ in imports if place[module[0]] > place[room]}


def test_every_folder_is_a_room_and_every_room_a_folder():
    folders = {file.parent.name for file in HOUSE["PACKAGE"].glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_no_room_reaches_into_a_private_file_of_another():
    assert private(IMPORTS) == []


def test_imports_run_down_but_for_the_one_way_up():
    assert upward(IMPORTS) == {WAY_UP}
    where = {file for file, _, room, module, _ in IMPORTS if (room, module[0]) == WAY_UP}
    assert where == {"estimators/__init__.py"}


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn_magdg.metrics._brier import brier_score",
        "from sklearn_magdg.metrics import _brier",
        "import sklearn_magdg.metrics._brier",
        "from ..metrics._brier import brier_score",
        "def late():\n    from sklearn_magdg.metrics import _brier",
        "from importlib import import_module\nimport_module('sklearn_magdg.metrics._brier')",
        "import importlib\nimportlib.import_module('sklearn_magdg.metrics._brier')",
    ],
)
def test_a_private_import_is_found_in_each_of_the_ways_that_python_has(source, tmp_path):
    assert len(private(write(tmp_path, study=source))) == 1


def test_an_import_that_runs_up_is_found(tmp_path):
    found = write(tmp_path, cohort="from sklearn_magdg import study", study="from sklearn_magdg.cohort import Cohort")
    assert upward(found) == {("cohort", "study")}


def test_the_ground_and_the_own_room_are_open(tmp_path):
    source = "from sklearn_magdg._words import counted\nfrom sklearn_magdg.study._file import x\nfrom ._file import y"
    assert write(tmp_path, study=source) == []


def test_the_ground_imports_no_room(tmp_path):
    assert "." not in {room for _, _, room, _, _ in IMPORTS}
    (tmp_path / "_words.py").write_text("from sklearn_magdg.study import StudyConfig")
    assert upward(HOUSE["imports"](tmp_path)) == {(".", "study")}


def test_the_picture_has_a_square_for_every_import(tmp_path):
    squares = HOUSE["draw"](tmp_path / "house.svg")
    assert squares == {(room, module[0]) for _, _, room, module, _ in IMPORTS}
    drawn = (tmp_path / "house.svg").read_text()
    assert drawn.count("fill: #3b6ea5") == len(squares) - 1  # one is red
    assert all(drawn.count(f"<!-- {room}") >= 2 for room in ROOMS)  # by row and by column


@pytest.mark.filterwarnings("ignore:The adversary")
def test_no_file_is_entered_more_than_three_times_by_x():
    hops = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "count_hops.py"))
    entries = hops["count_fit"]()
    assert entries["estimators/_classifier.py"] >= 1
    assert max(entries.values()) <= 3
