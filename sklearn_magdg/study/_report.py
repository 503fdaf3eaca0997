"""Figures and a self-contained page from a finished run's files."""

import base64
import json
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader

from sklearn_magdg.study._results import RESULT_FILES
from sklearn_magdg.study._tables import magnification_name, tables


def write_report(out):
    """Write ``figures/*.png`` and ``report.html`` from the result files in `out`; return the page's path.

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
    summary = json.loads((out / "summary.json").read_text())
    figures = draw_figures(out, summary)
    page = _template().render(
        summary=summary,
        tables=tables(summary),
        figures=[(title, note, _embed(file)) for title, note, file in figures],
        held_out=[magnification_name(m) for m in summary["held_out"]],
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return out / "report.html"


def draw_figures(out, summary):
    """(title, note, file) of each figure, in the order of the page."""
    (out / "figures").mkdir(exist_ok=True)
    results, predictions = pd.read_csv(out / "results.csv"), pd.read_csv(out / "predictions.csv")
    signatures = json.loads((out / "signatures.json").read_text())
    figures = [
        ("Scores by held-out magnification", "Every dot is a patient fold, the marker their mean.",
         "scores", _draw_scores(results)),
        ("Overlap of the signatures across folds", "Signatures of unseen patients; each fold has its own encoder.",
         "signature_overlap", _draw_overlap(signatures, summary)),
    ]  # fmt: skip
    if "y_proba" in predictions:
        figures.insert(1, (
            "Reliability", f"Probability of {summary['class_names'][1]}, all held-out magnifications together.",
            "reliability", _draw_reliability(predictions),
        ))  # fmt: skip
    written = []
    for title, note, name, figure in figures:
        file = out / "figures" / f"{name}.png"
        figure.savefig(file, dpi=110, bbox_inches="tight")
        written.append((title, note, file))
    return written


def _template():
    environment = Environment(loader=PackageLoader("sklearn_magdg.study"), autoescape=True, trim_blocks=True)
    return environment.get_template("report.html")


def _embed(file):
    return base64.b64encode(file.read_bytes()).decode()
