"""Figures and a self-contained page from a finished run's files."""

import base64
from pathlib import Path

from jinja2 import Environment, PackageLoader

from sklearn_magdg._files import read_json, whole_file
from sklearn_magdg._metadata import magnification_text
from sklearn_magdg.study._figures import heat_maps, score_figures
from sklearn_magdg.study._folder import RESULT_FILES, read_table
from sklearn_magdg.study._results import read_summary
from sklearn_magdg.study._tables import (
    difference_note,
    difference_tables,
    overlap_table,
    overlap_warning,
    score_tables,
)


def write_report(out):
    """Write ``figures/*.png`` and ``report.html`` from the result files in `out`; return the page's path.

    Parameters
    ----------
    out : path
        Folder of a finished run. Nothing is computed anew, so the images need not be at hand.

    Returns
    -------
    page : Path
        One file with all figures in it, which can be sent as it is.

    Raises
    ------
    ValueError
        When the folder does not hold a finished run.
    """
    out = Path(out)
    missing = [name for name in RESULT_FILES if not (out / name).is_file()]
    if missing:
        raise ValueError(
            f"{out} holds no finished run ({', '.join(missing)} missing): run `magdg run --out {out}` to its end first."
        )
    summary = read_summary(out)
    results, predictions = read_table(out / "results.csv"), read_table(out / "predictions.csv")
    signatures = read_json(out / "signatures.json")
    scores = score_figures(results, predictions, summary["class_names"])
    # autoescape: names of classes and of folders are whatever the user's files say
    templates = Environment(loader=PackageLoader("sklearn_magdg.study"), autoescape=True, trim_blocks=True)
    page = templates.get_template("report.html").render(
        summary=summary,
        tables=score_tables(summary),
        differences=difference_tables(summary),
        difference_note=difference_note(summary),
        overlap=overlap_table(summary),
        overlap_warning=overlap_warning(summary),
        figures=[(title, note, _write(figure, out, name)) for name, title, note, figure in scores],
        heat_maps=[(title, _write(figure, out, name)) for name, title, figure in heat_maps(signatures, summary)],
        held_out=[magnification_text(m) for m in summary["held_out"]],
    )
    with whole_file(out / "report.html") as file:
        file.write(page.encode())
    return out / "report.html"


def _write(figure, out, name):
    """Write a figure below `out` and return the same PNG in Base64, as a page embeds it."""
    file = out / "figures" / f"{name}.png"
    file.parent.mkdir(exist_ok=True)
    # the format is named, for the file that is written until it is whole has no ending to tell it
    with whole_file(file) as stream:
        figure.savefig(stream, format="png", dpi=110, bbox_inches="tight")
    return base64.b64encode(file.read_bytes()).decode()
