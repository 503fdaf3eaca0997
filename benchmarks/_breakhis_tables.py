"""Tables of `measure_breakhis.py`: scores of many nets on the same patients, with intervals that resample these."""

import numpy as np

from sklearn_magdg.metrics import patient_bootstrap, patient_bootstrap_difference

N_RESAMPLES = 1000
COLUMNS = ["unseen AUC", "unseen Brier", "AUC - baseline", "Brier - baseline", "seen AUC", "seen Brier", "leakage"]


def mean_auc(y_true, score, sample_weight=None):
    """Mean AUC over folds and seeds; `score` is `(n, 1 + n_seeds)`: fold, and a probability per seed.

    A fold in which only one class was drawn is left out of the mean.
    """
    weight = np.ones(len(y_true)) if sample_weight is None else sample_weight
    areas = [fold_auc(y_true[rows], score[rows, 1:], weight[rows]) for rows in folds_of(score)]
    areas = [area for area in areas if not np.isnan(area)]
    return np.mean(areas) if areas else np.nan


def folds_of(score):
    return [score[:, 0] == fold for fold in np.unique(score[:, 0])]


def fold_auc(y_true, proba, weight):
    """Weighted share of pairs of a positive and a negative image in the right order, ties half, mean over seeds.

    All seeds at once: `roc_auc_score` takes minutes for the resamples of a table.
    """
    up, down = y_true == 1, y_true == 0
    if not weight[up].any() or not weight[down].any():
        return np.nan
    higher, lower = proba[up, None], proba[None, down]  # (n_up, 1, n_seeds), (1, n_down, n_seeds)
    won = ((higher > lower).mean(axis=2) + (higher >= lower).mean(axis=2)) / 2
    return weight[up] @ won @ weight[down] / (weight[up].sum() * weight[down].sum())


def mean_brier(y_true, score, sample_weight=None):
    """Brier score of the images of all folds together, mean over seeds; `score` as for `mean_auc`."""
    loss = np.mean((score[:, 1:] - y_true[:, None]) ** 2, axis=1)
    return np.average(loss, weights=sample_weight)


def mean_recall(y_true, score, sample_weight=None):
    """Mean over magnifications of the images recognised; `score` is `(n, 2)`: magnification, share of seeds."""
    weight = np.ones(len(score)) if sample_weight is None else sample_weight
    parts = [score[:, 0] == each for each in np.unique(score[:, 0])]
    if any(not weight[part].any() for part in parts):
        return np.nan
    return np.mean([np.average(score[part, 1], weights=weight[part]) for part in parts])


class Scores:
    """Columns of one table, computed from arrays `(n_images, n_seeds)` by method, nan where an image has no value."""

    def __init__(self, y, patient, magnification, fold):
        self.y, self.patient, self.magnification, self.fold = y, patient, magnification, fold

    def row(self, unseen, seen, recognised, baseline):
        """Cells of one method; an argument that is None (not fitted yet) leaves its cells empty."""
        unseen_auc, unseen_brier = self._both(unseen)
        seen_auc, seen_brier = self._both(seen)
        differences = self._differences(unseen, baseline)
        return [unseen_auc, unseen_brier, *differences, seen_auc, seen_brier, self._leakage(recognised)]

    def _both(self, proba):
        if proba is None:
            return "", ""
        rows, score = self._scored(proba)
        return [show(self._bootstrap(metric, rows, score)) for metric in (mean_auc, mean_brier)]

    def _differences(self, proba, baseline):
        if proba is None or baseline is None or proba is baseline:
            return "", ""
        rows, score = self._scored(proba)
        _, reference = self._scored(baseline)
        return [show(self._bootstrap(metric, rows, score, reference), signed=True) for metric in (mean_auc, mean_brier)]

    def _leakage(self, recognised):
        if recognised is None:
            return ""
        rows = ~np.isnan(recognised).any(axis=1)
        score = np.column_stack([self.magnification[rows], recognised[rows].mean(axis=1)])
        return show(self._bootstrap(mean_recall, rows, score))

    def _scored(self, proba):
        rows = ~np.isnan(proba).any(axis=1)
        return rows, np.column_stack([self.fold[rows], proba[rows]])

    def _bootstrap(self, metric, rows, *scores):
        bootstrap = patient_bootstrap if len(scores) == 1 else patient_bootstrap_difference
        return bootstrap(
            metric, self.y[rows], *scores, patient=self.patient[rows], n_resamples=N_RESAMPLES, random_state=0
        )


def show(result, signed=False):
    sign = "+" if signed else ""
    return f"{result[0]:{sign}.3f} ({result[1]:{sign}.2f} to {result[2]:{sign}.2f})"


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
