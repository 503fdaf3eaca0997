"""Figures and a self-contained page from a finished run's files."""

import base64
import json
import warnings
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from sklearn_magdg.inspection import MagnificationScoreDisplay, ReliabilityDisplay, SignatureOverlapDisplay
from sklearn_magdg.study._results import KINDS, RESULT_FILES, read_summary, read_table
from sklearn_magdg.study._tables import (
    KIND_NAMES,
    difference_note,
    difference_tables,
    has_overlap,
    magnification_name,
    overlap_warning,
    tables,
)

_FIGURE_SCORES = {"auc": "AUC", "brier": "Brier score (lower is better)"}


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
    summary = read_summary(out)
    *scores, overlap = tables(summary)
    page = _template().render(
        summary=summary,
        tables=scores,
        differences=difference_tables(summary),
        difference_note=difference_note(summary),
        overlap=overlap,
        overlap_warning=overlap_warning(summary),
        figures=[(title, note, _embed(file)) for title, note, file in draw_figures(out, summary)],
        heat_maps=[(title, _embed(file)) for title, file in draw_heat_maps(out, summary)],
        held_out=[magnification_name(m) for m in summary["held_out"]],
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return out / "report.html"


def draw_figures(out, summary):
    """(title, note, file) of each figure of scores, in the order of the page."""
    results, predictions = read_table(out / "results.csv"), read_table(out / "predictions.csv")
    drawings = [
        ("scores", "Scores by held-out magnification",
         "A small point is a patient fold, the large one their mean (the table pools the Brier score over images).",
         _draw_scores(results)),
    ]  # fmt: skip
    if "y_proba" in predictions:
        note = (
            f"Predicted probability of {summary['class_names'][1]} against its recalibrated (CORP) frequency, all "
            "held-out magnifications together; in the legend Brier = miscalibration - discrimination + uncertainty."
        )
        drawings.append(("reliability", "Reliability", note, _draw_reliability(predictions, summary["class_names"])))
    return [(title, note, _save(figure, out / "figures" / f"{name}.png")) for name, title, note, figure in drawings]


def draw_heat_maps(out, summary):
    """(title, file) of the overlap of each kind of signature that there is, the comparable one first."""
    signatures = json.loads((out / "signatures.json").read_text())
    drawn = []
    for kind in (KINDS[-1], *KINDS[:-1]):
        methods = [method for method in summary["methods"] if has_overlap(summary, method, kind)]
        if methods:
            figure = _draw_overlap(signatures, summary, kind, methods)
            drawn.append((KIND_NAMES[kind], _save(figure, out / "figures" / f"signature_overlap_{kind}.png")))
    return drawn


def _draw_scores(results):
    scores = {score: name for score, name in _FIGURE_SCORES.items() if results[score].notna().any()}
    width = max(4.8, 2.2 + 0.9 * results["held_out"].nunique())  # the legend of three methods needs as much
    figure = Figure(figsize=(len(scores) * width, 4.2), layout="constrained")
    axes = figure.subplots(1, len(scores), squeeze=False)[0]
    for ax, (score, name) in zip(axes, scores.items(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # folds without a score: hollow points, and in the tables
            MagnificationScoreDisplay.from_frame(results, score=score, score_name=name, ax=ax)
    return figure


def _draw_reliability(predictions, class_names):
    figure = Figure(figsize=(5.4, 6.8), layout="constrained")
    ReliabilityDisplay.from_predictions(
        np.array(class_names)[predictions["y_true"]],
        predictions["y_proba"],
        groups=predictions["method"],
        labels=class_names,
        pos_label=class_names[1],
        ax=figure.subplots(),
    )
    return figure


def _draw_overlap(signatures, summary, kind, methods):
    labels = [f"{magnification_name(held_out)} / {fold}" for held_out, fold in summary["folds"]]
    side, n_columns = 3.4 + 0.42 * len(labels), min(2, len(methods))
    n_rows = -(-len(methods) // n_columns)
    figure = Figure(figsize=(1.1 * side * n_columns, side * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, method in zip(axes, methods, strict=False):
        own = [np.array(s[kind], dtype=int) for s in signatures if s["method"] == method]
        SignatureOverlapDisplay.from_signatures(own, labels, summary["overlap"][method]["embedding_dim"], ax=ax)
        ax.set_title(f"{method}\n{ax.get_title()}")
    for ax in axes[len(methods) :]:
        ax.remove()
    return figure


def _save(figure, file):
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=110, bbox_inches="tight")
    return file


def _template():
    environment = Environment(loader=PackageLoader("sklearn_magdg.study"), autoescape=True, trim_blocks=True)
    return environment.get_template("report.html")


def _embed(file):
    return base64.b64encode(file.read_bytes()).decode()
