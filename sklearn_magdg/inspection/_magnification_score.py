"""Scores of methods at every held-out magnification."""

import warnings

import numpy as np
import pandas as pd

from sklearn_magdg._metadata import sort_names
from sklearn_magdg.cohort import encode, encode_magnification
from sklearn_magdg.inspection._cv_results import as_methods, require_keys
from sklearn_magdg.inspection._style import magnification_label, method_styles, require_matplotlib, wrap_to_axes
from sklearn_magdg.metrics import Cohort, as_statistic, patient_bootstrap

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
        known = {} if callable(metric) else {"labels": _both_labels(frame[y_true])}
        rows = [
            (*cell, _evaluate(metric, part, y_true, y_score, patient, **known))
            for cell, part in frame.groupby(COLUMNS[:3], sort=False)
        ]
        scores = pd.DataFrame(rows, columns=COLUMNS)
        _warn_of_undefined(scores)
        name = _metric_name(metric) if score_name is None else score_name
        if patient is None:
            return cls(scores, score_name=name).plot(ax)
        options = {"n_resamples": n_resamples, "confidence_level": confidence_level, "random_state": random_state}
        options |= known
        intervals = [
            (*cell, *patient_bootstrap(metric, part[y_true], part[y_score], patient=part[patient], **options))
            for cell, part in frame.groupby(CELL, sort=False)
        ]
        intervals = pd.DataFrame(intervals, columns=[*CELL, "pooled", "low", "high"])
        return cls(scores, score_name=name, intervals=intervals, confidence_level=confidence_level).plot(ax)

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
        codes, names = encode_magnification(magnification)
        sign, rows = -1 if negate_score else 1, []
        for method, results in as_methods(cv_results, name, "scores").items():
            require_keys(results, ["indices", score])
            for fold, test in enumerate(results["indices"]["test"]):
                tested = [names[code] for code in np.unique(codes[test])]
                _refuse_several(tested, fold)
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
        """
        score = self.scores.groupby(CELL, sort=False)["score"]
        undefined = score.transform("size") - score.transform("count")
        table = self.scores.assign(mean=score.transform("mean"), undefined=undefined)
        return table if self.intervals is None else table.merge(self.intervals, on=CELL)

    def _words(self):
        """What the points are."""
        if self.intervals is None:
            large = "mean over folds (hollow: folds without score left out)" if self._undefined() else "mean over folds"
            return f"small: one fold; large: {large}"
        lost = f" ({self._undefined()} without score)" if self._undefined() else ""
        bar = f"bar: {100 * self.confidence_level:g} % interval over patients"
        return f"small: one fold{lost}; large: all images, folds pooled; {bar}"

    def _undefined(self):
        return int(self.scores["score"].isna().sum())

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
        names = [str(method) for method in methods]
        if ax is None:
            height = 4.2 + 0.2 * -(-len(names) // _legend_columns(names))
            _, ax = plt.subplots(figsize=(max(4.8, 2.2 + 1.1 * len(held_out)), height), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        offsets = np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0]
        for method, offset, style in zip(methods, offsets, method_styles(len(methods)), strict=True):
            self._plot_method(method, np.arange(len(held_out)) + offset, held_out, style)
        self._label_axes(held_out, _legend_columns(names))
        return self

    def _plot_method(self, method, positions, held_out, style):
        table = self.frame().query("method == @method")
        look = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
        spread = table["held_out"].map(dict(zip(held_out, positions, strict=True)))
        self.ax_.plot(
            spread - (0 if self.intervals is None else ASIDE),
            table["score"],
            **look,
            markersize=4,
            alpha=0.45,
            markeredgewidth=0,
        )
        large = table.drop_duplicates("held_out").set_index("held_out").reindex(held_out)
        if self.intervals is not None:
            self.ax_.vlines(positions, large["low"], large["high"], color=style["color"], linewidth=1.6)
        points = large["mean" if self.intervals is None else "pooled"]
        self.ax_.plot(positions, points, **look, markersize=9, markeredgecolor="white", label=str(method))
        hollow = (large["undefined"] > 0) & (self.intervals is None)
        if hollow.any():
            self.ax_.plot(positions[hollow], points[hollow], **(look | {"color": "white"}), markersize=4)

    def _label_axes(self, held_out, n_legend_columns):
        self.ax_.set_xticks(np.arange(len(held_out)), [magnification_label(name) for name in held_out])
        self.ax_.set(xlim=(-0.5, len(held_out) - 0.5), xlabel="held-out magnification", ylabel=self.score_name)
        self.ax_.grid(axis="y", color="0.9")
        for boundary in np.arange(len(held_out) - 1) + 0.5:
            self.ax_.axvline(boundary, color="0.8", linewidth=0.8)
        self.ax_.set_axisbelow(True)
        self.ax_.spines[["top", "right"]].set_visible(False)
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "borderaxespad": 0}
        words = wrap_to_axes(self.ax_, [self._words()], "small")
        self.ax_.legend(
            **place, ncols=n_legend_columns, frameon=False, title=words, title_fontsize="small", alignment="left"
        )


def _legend_columns(names):
    """How many names stand side by side; a key takes the width of some characters."""
    return int(np.clip(LEGEND_WIDTH // (max(map(len, names)) + 6), 1, 3))


def _refuse_several(magnifications, fold):
    if len(magnifications) > 1:
        raise ValueError(
            f"MagnificationScoreDisplay needs test parts of one magnification, that of fold {fold} has "
            f"{magnifications}; cross-validate with `LeaveOneMagnificationOut`, or give `from_predictions` one row per "
            f"sample."
        )


def _check_table(frame, columns):
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"MagnificationScoreDisplay needs rows with the columns {columns}, got {len(frame)} rows without {missing}."
        )
    for column in ("method", "held_out", "fold"):
        encode(frame[column], column)
    encode_magnification(frame["held_out"])


def _warn_of_undefined(scores):
    undefined = scores["score"].isna()
    if undefined.all():
        raise ValueError(f"None of {len(scores)} folds has a score, all are nan; there is nothing to draw.")
    if undefined.any():
        cells = [f"{method} at {magnification_label(at)}" for method, at in scores.loc[undefined, CELL].to_numpy()]
        warnings.warn(
            f"{undefined.sum()} of {len(scores)} folds have no score (nan) and are left out of points and means: "
            f"{', '.join(dict.fromkeys(cells))}.",
            UserWarning,
        )


def _evaluate(metric, part, y_true, y_score, patient, labels=None):
    """Metric of the rows of a cell, without resampling."""
    y_true, y_score = part[y_true].to_numpy(), part[y_score].to_numpy()
    if callable(metric) and patient is None:
        return metric(y_true, y_score)
    patient = np.arange(len(part)) if patient is None else encode(part[patient], "patient").codes
    statistic = as_statistic(metric, y_score, Cohort(y_true, patient, None, None), None, labels)
    return statistic(np.ones((1, patient.max() + 1), dtype=int))[0]


def _both_labels(y_true):
    """Both labels of the table, of which a cell may lack one; None leaves the check to the metric."""
    labels = np.unique(y_true)
    return labels if len(labels) == 2 else None


def _metric_name(metric):
    name = getattr(metric, "__name__", "score") if callable(metric) else METRIC_NAMES.get(metric, metric)
    return "score" if name == "<lambda>" else name
