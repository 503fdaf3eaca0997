"""The `magdg` command."""

from sklearn_magdg.cli._main import main as main

__all__ = []
