"""The `magdg` command, or one sentence when its extra is not installed."""

import importlib.util
import sys


def main():
    """Run the command line."""
    missing = [name for name in ("jinja2", "matplotlib", "rich", "typer") if not importlib.util.find_spec(name)]
    if missing:
        sys.exit(f"magdg needs {', '.join(missing)}: install them with `pip install 'sklearn-magdg[report]'`.")
    # only now: it imports what was looked for
    from sklearn_magdg.cli._app import app

    app()
