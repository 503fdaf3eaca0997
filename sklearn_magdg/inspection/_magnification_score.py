"""Scores of methods at every held-out magnification."""

import numpy as np
import pandas as pd

from sklearn_magdg._metadata import sort_names
from sklearn_magdg.inspection._style import method_styles, require_matplotlib

COLUMNS = ["method", "held_out", "fold", "score"]


class MagnificationScoreDisplay:
    """Scores of methods by held-out magnification: every fold a small point, their mean a large one.

    Parameters
    ----------
    scores : DataFrame
        Columns `method`, `held_out`, `fold`, `score`, one row per fold and method.
    score_name : str, default="score"
        Label of the axis.

    Attributes
    ----------
    ax_ : Axes
        The picture.
    figure_ : Figure
        Its figure.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_magdg.inspection import MagnificationScoreDisplay
    >>> rows = [("CNN", 40, 0, 0.9), ("CNN", 40, 1, 0.8), ("CNN", 100, 0, 0.7)]
    >>> frame = pd.DataFrame(rows, columns=["method", "held_out", "fold", "score"])
    >>> display = MagnificationScoreDisplay.from_frame(frame, score_name="AUC")  # doctest: +SKIP
    """

    def __init__(self, scores, *, score_name="score"):
        self.scores = scores
        self.score_name = score_name

    @classmethod
    def from_frame(cls, frame, *, score="score", score_name=None, ax=None):
        """Picture of a table of scores.

        Parameters
        ----------
        frame : DataFrame
            Columns `method`, `held_out`, `fold` and that named by `score`, one row per fold and method.
        score : str, default="score"
            Column of the scores.
        score_name : str, default=None
            Label of the axis; `score` if None.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        MagnificationScoreDisplay
            Drawn.

        Raises
        ------
        ValueError
            If a column is missing or the table is empty.
        ImportError
            If matplotlib is missing.
        """
        _refuse_missing(frame, [*COLUMNS[:3], score])
        scores = frame[[*COLUMNS[:3], score]].set_axis(COLUMNS, axis=1).reset_index(drop=True)
        return cls(scores, score_name=score if score_name is None else score_name).plot(ax)

    @classmethod
    def from_predictions(cls, metric, frame, *, y_true="y_true", y_score="y_score", score_name=None, ax=None):
        """Picture of a metric of predictions, one value per method, held-out magnification and fold.

        Parameters
        ----------
        metric : callable
            `metric(y_true, y_score)` -> float.
        frame : DataFrame
            Columns `method`, `held_out`, `fold` and those named by `y_true` and `y_score`, one row per sample.
        y_true, y_score : str
            Columns of labels and of labels, scores or probabilities.
        score_name : str, default=None
            Label of the axis; the name of the function if None.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        MagnificationScoreDisplay
            Drawn.

        Raises
        ------
        ValueError
            If a column is missing or the table is empty.
        ImportError
            If matplotlib is missing.
        """
        _refuse_missing(frame, [*COLUMNS[:3], y_true, y_score])
        rows = [
            (*cell, metric(part[y_true].to_numpy(), part[y_score].to_numpy()))
            for cell, part in frame.groupby(COLUMNS[:3], sort=False)
        ]
        name = getattr(metric, "__name__", "score") if score_name is None else score_name
        return cls.from_frame(pd.DataFrame(rows, columns=COLUMNS), score_name=name, ax=ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            Columns `method`, `held_out`, `fold`, `score` and `mean`, the mean over folds (undefined scores left
            out) of the row's method and magnification.
        """
        means = self.scores.groupby(["method", "held_out"], sort=False)["score"].transform("mean")
        return self.scores.assign(mean=means)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        MagnificationScoreDisplay
            Itself.
        """
        plt = require_matplotlib("MagnificationScoreDisplay")
        methods, held_out = pd.unique(self.scores["method"]), sort_names(pd.unique(self.scores["held_out"]))
        if ax is None:
            _, ax = plt.subplots(figsize=(2.2 + 1.3 * len(held_out), 4.2), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        offsets = np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0]
        for method, offset, style in zip(methods, offsets, method_styles(len(methods)), strict=True):
            self._plot_method(method, np.arange(len(held_out)) + offset, held_out, style)
        self._label_axes(held_out)
        return self

    def _plot_method(self, method, positions, held_out, style):
        table = self.scores[self.scores["method"] == method]
        folds = [table.loc[table["held_out"] == name, "score"].to_numpy(dtype=float) for name in held_out]
        look = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
        spread = np.repeat(positions, [len(scores) for scores in folds])
        self.ax_.plot(spread, np.concatenate(folds), **look, markersize=4, alpha=0.45, markeredgewidth=0)
        means = [np.mean(scores[~np.isnan(scores)]) if (~np.isnan(scores)).any() else np.nan for scores in folds]
        self.ax_.plot(positions, means, **look, markersize=9, markeredgecolor="white", label=str(method))

    def _label_axes(self, held_out):
        self.ax_.set_xticks(np.arange(len(held_out)), [str(name) for name in held_out])
        self.ax_.set(xlim=(-0.5, len(held_out) - 0.5), xlabel="held-out magnification", ylabel=self.score_name)
        self.ax_.grid(axis="y", color="0.9")
        for boundary in np.arange(len(held_out) - 1) + 0.5:
            self.ax_.axvline(boundary, color="0.8", linewidth=0.8)
        self.ax_.set_axisbelow(True)
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0, frameon=False)


def _refuse_missing(frame, columns):
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"MagnificationScoreDisplay needs rows with the columns {columns}, got {len(frame)} rows without {missing}."
        )
