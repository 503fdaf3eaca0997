import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from sklearn_magdg.inspection import MagnificationScoreDisplay


def scores():
    rows = [
        (method, held_out, fold, score + 0.1 * fold)
        for method, score in (("GAN", 0.4), ("CNN", 0.5))
        for held_out in ("200X", "40X", "100X")
        for fold in range(2)
    ]
    return pd.DataFrame(rows, columns=["method", "held_out", "fold", "score"])


def test_magnifications_stand_in_numeric_order():
    ax = MagnificationScoreDisplay.from_frame(scores()).ax_
    assert [text.get_text() for text in ax.get_xticklabels()] == ["40X", "100X", "200X"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["GAN", "CNN"]


def test_every_fold_and_the_mean_are_drawn():
    display = MagnificationScoreDisplay.from_frame(scores())
    folds, means = display.ax_.lines[:2]
    np.testing.assert_allclose(folds.get_ydata(), [0.4, 0.5] * 3)
    np.testing.assert_allclose(means.get_ydata(), [0.45] * 3)
    assert len(set(folds.get_xdata())) == 3
    frame = display.frame()
    np.testing.assert_allclose(frame.loc[frame["method"] == "CNN", "mean"], 0.55)


def test_missing_cells_and_undefined_scores_leave_a_gap():
    frame = scores()
    frame.loc[0, "score"] = np.nan  # GAN, 200X, fold 0
    frame = frame[~((frame["method"] == "GAN") & (frame["held_out"] == "40X"))]
    means = MagnificationScoreDisplay.from_frame(frame).ax_.lines[1].get_ydata()
    np.testing.assert_allclose(means, [np.nan, 0.45, 0.5])


def test_methods_differ_without_colour():
    lines = MagnificationScoreDisplay.from_frame(scores()).ax_.lines
    assert lines[1].get_marker() != lines[3].get_marker()


def test_scores_of_predictions_are_computed_per_cell():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "method": "CNN",
            "held_out": np.repeat([400, 40], 14),
            "fold": np.tile([0, 1], 14),
            "y_true": rng.integers(0, 2, 28),
            "label": rng.integers(0, 2, 28),
        }
    )
    display = MagnificationScoreDisplay.from_predictions(accuracy_score, frame, y_score="label")
    cell = frame[(frame["held_out"] == 40) & (frame["fold"] == 1)]
    row = display.frame().query("held_out == 40 and fold == 1")
    assert row["score"].item() == accuracy_score(cell["y_true"], cell["label"])
    assert display.ax_.get_ylabel() == "accuracy_score"
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["40", "400"]


def test_given_axes_and_another_column_are_used():
    figure, ax = plt.subplots()
    frame = scores().rename(columns={"score": "auc"})
    display = MagnificationScoreDisplay.from_frame(frame, score="auc", ax=ax)
    assert (display.ax_, display.figure_) == (ax, figure)
    assert ax.get_ylabel() == "auc"
    assert list(frame.columns) == ["method", "held_out", "fold", "auc"]


def test_errors_say_what_came(monkeypatch):
    with pytest.raises(ValueError, match=r"got 12 rows without \['fold'\]"):
        MagnificationScoreDisplay.from_frame(scores().drop(columns="fold"))
    with pytest.raises(ValueError, match="got 0 rows"):
        MagnificationScoreDisplay.from_frame(scores().iloc[:0])
    with pytest.raises(ValueError, match=r"without \['y_true', 'y_score'\]"):
        MagnificationScoreDisplay.from_predictions(accuracy_score, scores())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-magdg\[report\]"):
        MagnificationScoreDisplay.from_frame(scores())
