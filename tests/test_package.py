"""What holds for the package as a whole."""

import importlib
import inspect
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "house.py"))
ROOMS, WITHOUT_TORCH = HOUSE["ROOMS"], HOUSE["WITHOUT_TORCH"]


def _loaded_by(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_importing_the_root_is_instant_and_silent():
    result = _loaded_by("import sklearn_magdg")
    assert not result.stderr
    assert not {"torch", "sklearn", "numpy"} & set(result.stdout.split())


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_that_need_no_net_load_without_torch_and_matplotlib(room):
    loaded = set(_loaded_by(f"import sklearn_magdg.{room}").stdout.split())
    assert not {"torch", "skorch", "matplotlib"} & loaded


def _public():
    for room in ROOMS:
        module = importlib.import_module(f"sklearn_magdg.{room}")
        for name in module.__all__:
            yield f"{room}.{name}", getattr(module, name)


PUBLIC = dict(_public())


@pytest.mark.parametrize("name", [name for name, thing in PUBLIC.items() if callable(thing)])
def test_public_names_and_their_methods_have_docstrings(name):
    thing = PUBLIC[name]
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        own = [m for _, m in inspect.getmembers(thing, inspect.isfunction) if m.__qualname__.startswith(thing.__name__)]
        assert all(inspect.getdoc(method) for method in own if not method.__name__.startswith("_"))
