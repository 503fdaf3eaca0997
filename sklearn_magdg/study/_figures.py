"""Figures of a finished run, drawn from its tables; none is shown, and pyplot knows of none."""

import warnings

import numpy as np
from matplotlib.figure import Figure

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg.inspection import MagnificationScoreDisplay, ReliabilityDisplay, SignatureOverlapDisplay
from sklearn_magdg.study._results import KINDS
from sklearn_magdg.study._tables import KIND_NAMES, has_overlap

_SCORES = {"auc": "AUC", "brier": "Brier score (lower is better)"}


def score_figures(results, predictions, class_names):
    """Figures of scores, in the order of the page.

    Parameters
    ----------
    results, predictions : DataFrame
        As ``results.csv`` and ``predictions.csv``.
    class_names : list of str

    Returns
    -------
    figures : list of (name, title, note, figure)
        Scores by magnification and, of two classes, the reliability; the name is that of a file.
    """
    note = "A small point is a patient fold, the large one their mean (the table pools the Brier score over images)."
    figures = [("scores", "Scores by held-out magnification", note, draw_scores(results))]
    if "y_proba" in predictions:  # a curve of reliability is one of two classes
        note = (
            f"Predicted probability of {class_names[1]} against its recalibrated (CORP) frequency, all held-out "
            "magnifications together; in the legend Brier = miscalibration - discrimination + uncertainty."
        )
        figures.append(("reliability", "Reliability", note, draw_reliability(predictions, class_names)))
    return figures


def heat_maps(signatures, summary):
    """Figures of the overlap of each kind of signature that there is.

    Parameters
    ----------
    signatures : list of dicts
        As ``signatures.json``.
    summary : dict
        `methods`, `folds` and `overlap` are read.

    Returns
    -------
    figures : list of (name, title, figure)
    """
    figures = []
    for kind in (KINDS[-1], *KINDS[:-1]):  # the only comparable one first
        methods = [method for method in summary["methods"] if has_overlap(summary, method, kind)]
        if methods:
            figure = draw_overlap(signatures, summary, kind, methods)
            figures.append((f"signature_overlap_{kind}", KIND_NAMES[kind], figure))
    return figures


def draw_scores(results):
    """Figure of AUC and Brier score by held-out magnification, a method beside the other.

    Parameters
    ----------
    results : DataFrame
        As ``results.csv``. A score that no fold has is left out, such as the AUC where every test cell has one class.

    Returns
    -------
    figure : matplotlib Figure
    """
    scores = {score: name for score, name in _SCORES.items() if results[score].notna().any()}
    width = max(4.8, 2.2 + 0.9 * results["held_out"].nunique())  # the legend of three methods needs as much
    figure = Figure(figsize=(len(scores) * width, 4.2), layout="constrained")
    axes = figure.subplots(1, len(scores), squeeze=False)[0]
    for ax, (score, name) in zip(axes, scores.items(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # folds without a score: hollow points, and in the tables
            MagnificationScoreDisplay.from_frame(results, score=score, score_name=name, ax=ax)
    return figure


def draw_reliability(predictions, class_names):
    """Figure of the predicted against the recalibrated probability of the second of two classes, a curve per method.

    Parameters
    ----------
    predictions : DataFrame
        As ``predictions.csv`` of two classes.
    class_names : list of str

    Returns
    -------
    figure : matplotlib Figure
    """
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


def draw_overlap(signatures, summary, kind, methods):
    """Figure of the overlap of every pair of folds, a heat map per method, two side by side.

    Parameters
    ----------
    signatures : list of dicts
        As ``signatures.json``.
    summary : dict
        `folds` and `overlap` are read.
    kind : str
        One of `KINDS`.
    methods : list of str
        Methods that have such signatures.

    Returns
    -------
    figure : matplotlib Figure
    """
    labels = [f"{magnification_text(held_out)} / {fold}" for held_out, fold in summary["folds"]]
    side, n_columns = 3.4 + 0.42 * len(labels), min(2, len(methods))
    n_rows = -(-len(methods) // n_columns)
    figure = Figure(figsize=(1.1 * side * n_columns, side * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, method in zip(axes, methods, strict=False):
        own = [np.array(s[kind], dtype=int) for s in signatures if s["method"] == method]
        SignatureOverlapDisplay.from_signatures(own, labels, summary["overlap"][method]["embedding_dim"], ax=ax)
        ax.set_title(f"{method}\n{ax.get_title()}")
    for ax in axes[len(methods) :]:  # an odd number of methods leaves one empty
        ax.remove()
    return figure
