"""Scores of methods at every held-out magnification."""

import warnings

import numpy as np
import pandas as pd

from sklearn_magdg._metadata import magnification_text, sort_names
from sklearn_magdg.cohort import encode, encode_magnification
from sklearn_magdg.inspection._cv_results import as_methods, require_keys
from sklearn_magdg.inspection._style import axes_for, method_styles, wrap_to_axes
from sklearn_magdg.metrics import evaluate_metric, patient_bootstrap

COLUMNS = ["method", "held_out", "fold", "score"]
ASIDE = 0.04  # of the folds, beside the line of an interval
CELL = COLUMNS[:2]
METRIC_NAMES = {"roc_auc": "AUC", "brier": "Brier score", "neg_brier_score": "negative Brier score"}
LEGEND_WIDTH = 72  # characters of names that stand side by side above the picture


class MagnificationScoreDisplay:
    """Scores of methods by held-out magnification: every fold a small point, their mean or their pool a large one.

    A fold without score (nan) is left out of the mean, whose point is then hollow.

    Scores of folds are not independent, so that their spread gives no confidence interval: they are shown
    themselves. Where predictions come with patients, the large point is the metric of all images at the held-out
    magnification, with an interval over patients.

    Parameters
    ----------
    scores : DataFrame
        Columns `method`, `held_out`, `fold`, `score`, one row per fold and method.
    score_name : str, default="score"
        Label of the axis.
    intervals : DataFrame, default=None
        Columns `method`, `held_out`, `pooled`, `low`, `high`, one row per method and held-out magnification. None
        draws means over folds.
    confidence_level : float, default=0.95
        Of the intervals, for the legend.

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

    def __init__(self, scores, *, score_name="score", intervals=None, confidence_level=0.95):
        self.scores = scores
        self.score_name = score_name
        self.intervals = intervals
        self.confidence_level = confidence_level

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
            If a column is missing, the table is empty, `method`, `held_out` or `fold` is missing in a row, one
            magnification is spelt in two ways, or no fold has a score.
        ImportError
            If matplotlib is missing.

        Warns
        -----
        UserWarning
            If folds have no score.
        """
        _check_table(frame, [*COLUMNS[:3], score])
        scores = frame[[*COLUMNS[:3], score]].set_axis(COLUMNS, axis=1).reset_index(drop=True)
        _warn_of_undefined(scores)
        return cls(scores, score_name=score if score_name is None else score_name).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        metric,
        frame,
        *,
        y_true="y_true",
        y_score="y_score",
        patient=None,
        n_resamples=1000,
        confidence_level=0.95,
        random_state=None,
        score_name=None,
        ax=None,
    ):
        """Picture of a metric of predictions, one value per method, held-out magnification and fold.

        Parameters
        ----------
        metric : callable or {"roc_auc", "brier", "neg_brier_score"}
            `metric(y_true, y_score)` -> float, or as in `sklearn_magdg.metrics.patient_bootstrap`.
        frame : DataFrame
            Columns `method`, `held_out`, `fold` and those named by `y_true`, `y_score` and `patient`, one row per
            sample.
        y_true, y_score : str
            Columns of labels and of labels, scores or probabilities.
        patient : str, default=None
            Column of patients. Draws the metric of all images at a held-out magnification, folds pooled, with its
            interval from `sklearn_magdg.metrics.patient_bootstrap`. That suits a mean over images such as the Brier
            score; an AUC over folds pooled compares scores of different models. None draws means over folds.
        n_resamples : int, default=1000
            Resamples of the patients.
        confidence_level : float, default=0.95
            Of the intervals; between 0 and 1, both excluded.
        random_state : int, RandomState or None, default=None
            Seed of the resamples. With an int all methods are judged on the same ones.
        score_name : str, default=None
            Label of the axis; the name of the metric if None, "score" if it has none.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        MagnificationScoreDisplay
            Drawn.

        Raises
        ------
        ValueError
            As in `from_frame` and `patient_bootstrap`.
        ImportError
            If matplotlib is missing.

        Warns
        -----
        UserWarning, UndefinedMetricWarning
            As in `from_frame` and `patient_bootstrap`.
        """
        _check_table(frame, [*COLUMNS[:3], y_true, y_score, *([] if patient is None else [patient])])
        known = {}
        if not callable(metric):
            # both labels of the table, of which a cell may lack one; of other numbers of them the metric speaks itself
            labels = np.unique(frame[y_true])
            known["labels"] = labels if len(labels) == 2 else None
        rows = [
            (*cell, _value(part, metric, y_true, y_score, patient, known))
            for cell, part in frame.groupby(COLUMNS[:3], sort=False)
        ]
        scores = pd.DataFrame(rows, columns=COLUMNS)
        _warn_of_undefined(scores)
        if score_name is None:
            name = getattr(metric, "__name__", "score") if callable(metric) else METRIC_NAMES.get(metric, metric)
            score_name = "score" if name == "<lambda>" else name
        if patient is None:
            return cls(scores, score_name=score_name).plot(ax)

        options = {"n_resamples": n_resamples, "confidence_level": confidence_level, "random_state": random_state}
        options |= known
        intervals = [
            (*cell, *patient_bootstrap(metric, part[y_true], part[y_score], patient=part[patient], **options))
            for cell, part in frame.groupby(CELL, sort=False)
        ]
        intervals = pd.DataFrame(intervals, columns=[*CELL, "pooled", "low", "high"])
        return cls(scores, score_name=score_name, intervals=intervals, confidence_level=confidence_level).plot(ax)

    @classmethod
    def from_cv_results(
        cls, cv_results, *, magnification, score="test_score", negate_score=False, score_name=None, name=None, ax=None
    ):
        """Picture of the scores of `cross_validate`, every test part of one magnification.

        Parameters
        ----------
        cv_results : dict
            As from `sklearn.model_selection.cross_validate` with `return_indices=True`, or a dict of several:
            method -> results.
        magnification : array-like of shape (n_samples,)
            Magnification of every sample that was cross-validated; ints or strings.
        score : str, default="test_score"
            Which of the results to draw.
        negate_score : bool, default=False
            Whether to change the sign, for a scorer such as `neg_brier_scorer`.
        score_name : str, default=None
            Label of the axis; `score` if None.
        name : str, default=None
            Name of the one method; "scores" if None. Several are named by their dict.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        MagnificationScoreDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the results lack `score` or their indices, if a test part has several magnifications, if several
            methods come with `name`, or if no fold has a score.
        ImportError
            If matplotlib is missing.

        Warns
        -----
        UserWarning
            If folds have no score, as after a failed fit.
        """
        magnification = encode_magnification(magnification)
        sign, rows = -1 if negate_score else 1, []
        for method, results in as_methods(cv_results, name, "scores").items():
            require_keys(results, ["indices", score])
            for fold, test in enumerate(results["indices"]["test"]):
                tested = magnification.take(test).present().names
                if len(tested) > 1:
                    raise ValueError(
                        f"MagnificationScoreDisplay needs test parts of one magnification, that of fold {fold} has "
                        f"{tested}; cross-validate with `LeaveOneMagnificationOut`, or give `from_predictions` one "
                        "row per sample."
                    )
                rows.append((method, tested[0], fold, sign * results[score][fold]))
        scores = pd.DataFrame(rows, columns=COLUMNS)
        _warn_of_undefined(scores)
        return cls(scores, score_name=score if score_name is None else score_name).plot(ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            Columns `method`, `held_out`, `fold`, `score` and, of the row's method and magnification, `mean` over the
            folds with a score and `undefined`, the number of those without; with intervals also their `pooled`, `low`
            and `high`.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_magdg.inspection import MagnificationScoreDisplay
        >>> rows = [("CNN", 40, 0, 0.75), ("CNN", 40, 1, 0.25), ("CNN", 100, 0, 0.5)]
        >>> scores = pd.DataFrame(rows, columns=["method", "held_out", "fold", "score"])
        >>> MagnificationScoreDisplay(scores).frame()
          method  held_out  fold  score  mean  undefined
        0    CNN        40     0   0.75   0.5          0
        1    CNN        40     1   0.25   0.5          0
        2    CNN       100     0   0.50   0.5          0
        """
        score = self.scores.groupby(CELL, sort=False)["score"]
        undefined = score.transform("size") - score.transform("count")
        table = self.scores.assign(mean=score.transform("mean"), undefined=undefined)
        return table if self.intervals is None else table.merge(self.intervals, on=CELL)

    def _title(self):
        """What the points are, for the head of the legend, with the number of folds without score."""
        undefined = int(self.scores["score"].isna().sum())
        if self.intervals is None:
            large = "mean over folds (hollow: folds without score left out)" if undefined else "mean over folds"
            return f"small: one fold; large: {large}"
        lost = f" ({undefined} without score)" if undefined else ""
        bar = f"bar: {100 * self.confidence_level:g} % interval over patients"
        return f"small: one fold{lost}; large: all images, folds pooled; {bar}"

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
        methods, held_out = pd.unique(self.scores["method"]), sort_names(pd.unique(self.scores["held_out"]))
        # as many names side by side as find room; a key takes the width of some characters
        longest = max(len(str(method)) for method in methods)
        n_columns = int(np.clip(LEGEND_WIDTH // (longest + 6), 1, 3))
        size = max(4.8, 2.2 + 1.1 * len(held_out)), 4.2 + 0.2 * -(-len(methods) // n_columns)
        ax = axes_for("MagnificationScoreDisplay", ax, size)
        self.ax_, self.figure_ = ax, ax.figure
        # methods side by side within the place of a magnification
        offsets = np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0]
        for method, offset, style in zip(methods, offsets, method_styles(len(methods)), strict=True):
            self._plot_method(method, np.arange(len(held_out)) + offset, held_out, style)
        self._label_axes(held_out)
        self._add_legend(n_columns)
        return self

    def _plot_method(self, method, positions, held_out, style):
        """Small points of the folds, and at the `positions` of the magnifications `held_out` large ones of them all."""
        table = self.frame().query("method == @method")
        look = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
        spread = table["held_out"].map(dict(zip(held_out, positions, strict=True)))
        aside = 0 if self.intervals is None else ASIDE
        small = {"markersize": 4, "alpha": 0.45, "markeredgewidth": 0}
        self.ax_.plot(spread - aside, table["score"], **look, **small)

        # a method need not have been tested at every magnification: nan then, which leaves a gap
        large = table.drop_duplicates("held_out").set_index("held_out").reindex(held_out)
        if self.intervals is not None:
            self.ax_.vlines(positions, large["low"], large["high"], color=style["color"], linewidth=1.6)
        points = large["mean" if self.intervals is None else "pooled"]
        self.ax_.plot(positions, points, **look, markersize=9, markeredgecolor="white", label=str(method))
        # the pool holds all images, also those of folds whose score is undefined
        hollow = (large["undefined"] > 0) & (self.intervals is None)
        if hollow.any():
            self.ax_.plot(positions[hollow], points[hollow], **(look | {"color": "white"}), markersize=4)

    def _label_axes(self, held_out):
        """Names of the magnifications, with a line between two of them."""
        self.ax_.set_xticks(np.arange(len(held_out)), [magnification_text(name) for name in held_out])
        self.ax_.set(xlim=(-0.5, len(held_out) - 0.5), xlabel="held-out magnification", ylabel=self.score_name)
        self.ax_.grid(axis="y", color="0.9")
        for boundary in np.arange(len(held_out) - 1) + 0.5:
            self.ax_.axvline(boundary, color="0.8", linewidth=0.8)
        self.ax_.set_axisbelow(True)
        self.ax_.spines[["top", "right"]].set_visible(False)

    def _add_legend(self, n_columns):
        """Names of the methods above the picture, `n_columns` side by side, and over them what the points are."""
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "borderaxespad": 0}
        title = {"title": wrap_to_axes(self.ax_, [self._title()], "small"), "title_fontsize": "small"}
        self.ax_.legend(**place, **title, ncols=n_columns, frameon=False, alignment="left")


def _check_table(frame, columns):
    """Refuse a table without rows or `columns`, and rows that do not say whose score they hold."""
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"MagnificationScoreDisplay needs rows with the columns {columns}, got {len(frame)} rows without {missing}."
        )
    for column in ("method", "held_out", "fold"):
        encode(frame[column], column)
    encode_magnification(frame["held_out"])


def _warn_of_undefined(scores):
    """Warn of folds without score, and name their methods and magnifications; raise `ValueError` if no fold has one."""
    undefined = scores["score"].isna()
    if undefined.all():
        raise ValueError(
            f"None of {len(scores)} folds has a score, all are nan; there is nothing to draw. Look at why they failed."
        )
    if undefined.any():
        cells = [f"{method} at {magnification_text(at)}" for method, at in scores.loc[undefined, CELL].to_numpy()]
        warnings.warn(
            f"{undefined.sum()} of {len(scores)} folds have no score (nan) and are left out of points and means: "
            f"{', '.join(dict.fromkeys(cells))}.",
            UserWarning,
        )


def _value(part, metric, y_true, y_score, patient, known):
    """Metric of the rows of one method, magnification and fold, without the interval that needs two patients."""
    whose = None if patient is None else part[patient]
    return evaluate_metric(metric, part[y_true].to_numpy(), part[y_score].to_numpy(), patient=whose, **known)
