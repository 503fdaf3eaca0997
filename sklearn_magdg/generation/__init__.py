"""A generator fitted on a collection, and how good its samples are.

A room for the command line: nothing here is public.
"""

from importlib import import_module

from sklearn_magdg.generation._config import GenerateConfig as GenerateConfig
from sklearn_magdg.generation._reading import quality_table as quality_table
from sklearn_magdg.generation._reading import reading as reading

__all__ = []

# what brings torch and matplotlib, which `magdg --help` does without, is imported when it is asked for
_LAZY = {"FILES": "_folder", "generate": "_generate"}


def __getattr__(name):
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
