"""The pages of docs/ keep up with the code. (Their doctests run as the rest of the package's.)"""

import importlib
import re
from pathlib import Path

import pytest

API = (Path(__file__).parents[1] / "docs" / "api.rst").read_text()
ROOMS = ["datasets", "images", "model_selection", "estimators", "signature", "metrics", "inspection"]


def _section(room):
    """Names that the page lists below the line that names the room."""
    after = API.split(f".. currentmodule:: sklearn_magdg.{room}\n")[1].split(".. currentmodule::")[0]
    return re.findall(r"^(?:   |``)(\w+)(?:``)?$", after, flags=re.MULTILINE)


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_of_the_api_lists_what_each_room_offers(room):
    assert sorted(_section(room)) == sorted(importlib.import_module(f"sklearn_magdg.{room}").__all__)
