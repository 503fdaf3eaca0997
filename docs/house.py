"""The rooms of the package and who imports whom, read from the code; run, it draws them.

``python docs/house.py house.svg`` writes the picture that ``architecture.rst`` shows; the build of the pages does so.
"""

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "sklearn_magdg"
# Data flows down this list: a room imports only rooms that stand before it.
ROOMS = (
    *("cohort", "images", "datasets", "model_selection", "metrics", "signature"),
    *("modules", "training", "estimators", "persistence", "inspection", "study", "generation", "cli"),
)
WITHOUT_TORCH = (*ROOMS[:6], "inspection", "study", "generation", "cli")
# The one way up: models are saved and loaded where they are made.
WAY_UP = ("estimators", "persistence")


def imports(package=PACKAGE):
    """(file, line, room that imports, module below the package, names) of every import of another room.

    The files beside the rooms are the ground, a room called "." here.
    """
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).parts
        room = parts[0] if len(parts) > 1 else "."
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for module, names in _imported(node, parts):
                # every room stands on the ground: `_metadata`, `_words`, `_files`
                if module[0] != room and not module[0].startswith("_"):
                    yield "/".join(parts), node.lineno, room, module, names


def _imported(node, parts):
    """(path below the package, names) of what one statement imports of the package."""
    if isinstance(node, ast.Import):
        return [(alias.name.split(".")[1:], []) for alias in node.names if alias.name.startswith("sklearn_magdg.")]
    if isinstance(node, ast.Call) and "import_module" in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
        names = [each.value for each in node.args if isinstance(each, ast.Constant)]  # others are put together later
        return [(name.split(".")[1:], []) for name in names if name.startswith("sklearn_magdg.")]
    if not isinstance(node, ast.ImportFrom):
        return []
    path = node.module.split(".") if node.module else []
    if node.level:
        path = [*parts[: len(parts) - node.level], *path]
    elif path[:1] == ["sklearn_magdg"]:
        path = path[1:]
    else:
        return []
    if path:
        return [(path, [alias.name for alias in node.names])]
    return [([alias.name], []) for alias in node.names]  # from sklearn_magdg import room


def draw(file):
    """Write a table of the rooms: a row imports the rooms that have a square in it.

    No square stands right of the diagonal but that of the one way up: that data flow one way is seen at a glance.
    Returns the pairs of rooms that have a square.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    wanted = {(room, module[0]) for _, _, room, module, _ in imports() if module[0] in ROOMS}
    n_rooms = len(ROOMS)
    figure = Figure(figsize=(7.2, 5.6), layout="constrained")
    ax = figure.subplots()
    for row, room in enumerate(ROOMS):
        ax.axhspan(row - 0.5, row + 0.5, color="0.96" if row % 2 else "white", zorder=0)
        ax.add_patch(Rectangle((row - 0.42, row - 0.42), 0.84, 0.84, color="0.82"))
        for column, other in enumerate(ROOMS):
            if (room, other) in wanted:
                colour = "#b5402f" if (room, other) == WAY_UP else "#3b6ea5"
                ax.add_patch(Rectangle((column - 0.3, row - 0.3), 0.6, 0.6, color=colour))
    ax.set(xlim=(-0.5, n_rooms - 0.5), ylim=(n_rooms - 0.5, -0.5))
    ax.set_xticks(range(n_rooms), ROOMS, rotation=45, ha="left")
    ax.set_yticks(range(n_rooms), [room if room in WITHOUT_TORCH else f"{room} *" for room in ROOMS])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xlabel("A room (row) imports the rooms with a square.\nGrey: itself. Red: the one way up. *: brings torch.")
    figure.savefig(file)
    return wanted


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else "house.svg")
