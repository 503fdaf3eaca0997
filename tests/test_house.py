"""The rooms keep their doors shut, and data flow one way."""

import runpy
from pathlib import Path

import pytest

HOUSE = runpy.run_path(Path(__file__).parents[1] / "docs" / "house.py")
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
    place = {room: position for position, room in enumerate(ROOMS)}
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
    ],
)
def test_a_private_import_is_found_however_it_is_written(source, tmp_path):
    assert len(private(write(tmp_path, study=source))) == 1


def test_an_import_that_runs_up_is_found(tmp_path):
    found = write(tmp_path, cohort="from sklearn_magdg import study", study="from sklearn_magdg.cohort import Cohort")
    assert upward(found) == {("cohort", "study")}


def test_the_ground_and_the_own_room_are_open(tmp_path):
    source = "from sklearn_magdg._words import counted\nfrom sklearn_magdg.study._file import x\nfrom ._file import y"
    assert write(tmp_path, study=source) == []


def test_the_picture_is_drawn(tmp_path):
    HOUSE["draw"](tmp_path / "house.svg")
    drawn = (tmp_path / "house.svg").read_text()
    assert drawn.lstrip().startswith("<?xml")
