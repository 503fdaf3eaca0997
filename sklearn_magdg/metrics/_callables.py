"""Metrics as functions: what they take, their value, and their values on many resamples of the patients."""

import inspect
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from sklearn_magdg.cohort import Cohort, as_target, class_codes, encode
from sklearn_magdg.metrics._brier import brier_score
from sklearn_magdg.metrics._probabilities import check_present, check_probabilities, positive_label
from sklearn_magdg.metrics._resampling import divide

VECTORISED = ["roc_auc", "brier", "neg_brier_score"]


def parameters_of(metric):
    """Name -> parameter of a callable; a keyword bound by `functools.partial` is its default."""
    try:
        return inspect.signature(metric).parameters
    except ValueError:  # some functions written in C have no signature
        return {}


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledCohort(Cohort):
    """A `Cohort` that also keeps the labels as they came, which a metric is called with.

    Parameters
    ----------
    y_true : ndarray of shape (n,) or (n, n_outputs)
        Labels or targets, none missing, in their own type: a metric tells numbers from text, where codes are neither.
    """

    y_true: np.ndarray


def evaluate_metric(metric, y_true, y_score, *, patient=None, pos_label=None, labels=None):
    """Value of a metric of all images: the estimate of `patient_bootstrap`, also where it has no interval.

    One class, or one patient, will do.

    Parameters
    ----------
    metric, y_true, y_score, pos_label, labels
        As in `patient_bootstrap`.
    patient : array-like of shape (n_samples,), default=None
        Patients, for a callable that takes them. With None a callable is called with labels and scores alone.

    Returns
    -------
    float
        nan where the metric is undefined, an AUC of images of one class.

    Raises
    ------
    ValueError
        As in `patient_bootstrap`, whatever the number of patients.

    Examples
    --------
    >>> from sklearn_magdg.metrics import evaluate_metric
    >>> round(evaluate_metric("brier", ["malignant"] * 2, [0.9, 0.8], labels=["benign", "malignant"]), 3)
    0.025
    """
    n_images = len(y_true)
    if callable(metric) and patient is None and pos_label is None and labels is None:
        return metric(y_true, y_score)
    patient = encode(np.arange(n_images) if patient is None else patient, "patient", n_images)
    # no patient is drawn, so that no class needs to be told from another
    cohort = LabelledCohort(class_codes(None, n_images), patient, y_true=as_target(y_true, n_images))
    statistic = as_statistic(metric, y_score, cohort, pos_label, labels)
    return float(statistic(np.ones((1, len(patient.names)), dtype=np.intp))[0])


def as_statistic(metric, y_score, cohort, pos_label, labels):
    """Function from draw counts to values of the metric, checked and prepared once for all resamples.

    Parameters
    ----------
    metric, y_score, pos_label, labels
        As in `patient_bootstrap`.
    cohort : LabelledCohort
        Of the same images; every patient has one.

    Returns
    -------
    callable
        Counts `(block, n_patients)`, how often each patient is drawn, -> values `(block,)`; nan where undefined.

    Raises
    ------
    ValueError
        If the metric is none of the known, cannot be weighted or told apart by patient, or refuses its scores.
    """
    check_consistent_length(cohort.y_true, y_score)
    # who passes the function gets the fast way too
    for function, name in ((roc_auc_score, "roc_auc"), (brier_score_loss, "brier"), (brier_score, "brier")):
        metric = name if metric is function else metric
    if callable(metric):
        if pos_label is not None or labels is not None:
            raise ValueError(
                "`pos_label` and `labels` are for a metric given by name; bind them to a callable with "
                "`functools.partial(metric, pos_label=...)`."
            )
        return _one_by_one(metric, np.asarray(y_score), cohort)
    if metric not in VECTORISED:
        raise ValueError(f"`metric` must be a callable or one of {VECTORISED}, got {metric!r}.")
    if metric == "roc_auc":
        return _roc_auc(y_score, cohort, pos_label, labels)

    # a Brier score is a mean over images, so that sums by patient are all that a resample needs
    indicators, probabilities, weight = check_probabilities(
        cohort.y_true, y_score, sample_weight=cohort.weight, pos_label=pos_label, labels=labels
    )
    loss = weight * np.sum((probabilities - indicators) ** 2, axis=1)
    sums = np.array([np.bincount(cohort.patient.codes, weights=each) for each in (loss, weight)])  # (2, n_patients)
    sign = 1 if metric == "brier" else -1
    return lambda counts: sign * divide(*(sums @ counts.T))


def _roc_auc(y_score, cohort, pos_label, labels):
    r"""Area under the ROC curve as a statistic: the weighted share of pairs in which the positive image is higher.

    .. math:: \frac{\sum_{i \in +, j \in -} w_i w_j (1[s_i > s_j] + 1[s_i = s_j] / 2)}{\sum_{i \in +, j \in -} w_i w_j}

    The images do not move between resamples, only their weights do: negative ones are sorted once, and a resample
    costs a cumulative sum, n rather than n log n.
    """
    y_true = column_or_1d(cohort.y_true)
    classes = np.unique(y_true if labels is None else labels)
    if len(classes) > 2:
        raise ValueError(
            f'"roc_auc" is for 2 classes, got {len(classes)}: {classes.tolist()}; for more pass '
            f'`functools.partial(roc_auc_score, multi_class="ovr")`.'
        )
    score = check_array(y_score, ensure_2d=False, dtype=np.float64, input_name="y_score")
    if score.ndim == 2 and score.shape[1] > 1:
        # several columns are probabilities, of which the checked one is the positive class's
        indicators, probabilities, _ = check_probabilities(y_true, score, pos_label=pos_label, labels=labels)
        positive, score = indicators[:, 0] == 1, probabilities[:, 0]
    else:
        positive, score = y_true == positive_label(y_true, pos_label, labels), score.ravel()

    weight = np.ones(len(score)) if cohort.weight is None else cohort.weight
    up, down = np.flatnonzero(positive), np.flatnonzero(~positive)
    down = down[np.argsort(score[down])]
    lower = np.searchsorted(score[down], score[up], side="left")
    not_higher = np.searchsorted(score[down], score[up], side="right")

    def evaluate(counts):
        # patients first, so that a row of draws is gathered for an image at a time: (n_patients, block)
        drawn = counts.T.astype(np.float64)
        # row i is the weight of the i lowest negative images
        below = np.zeros((len(down) + 1, len(counts)))
        np.cumsum(drawn[cohort.patient.codes[down]] * weight[down, None], axis=0, out=below[1:])
        above = drawn[cohort.patient.codes[up]] * weight[up, None]
        wins = np.einsum("ij,ij->j", above, below[lower] + below[not_higher]) / 2
        return divide(wins, above.sum(axis=0) * below[-1])

    return evaluate


def _one_by_one(metric, y_score, cohort):
    """Any metric as a statistic, called for one resample after the other with what it takes.

    It gets weights rather than repeated images where it can. One that takes `patient` gets repeated images, every
    copy of a drawn patient as a patient of its own: else it would pool the copies, and their number would be lost.
    """
    check_present(y_score, "y_score")
    if isinstance(metric, partial) and "patient" in metric.keywords:
        raise ValueError(
            "`patient` is bound to the metric and would not follow the draws; pass the metric without it, and it is "
            "called with the patients of every resample."
        )
    accepted = parameters_of(metric)
    takes_weight, takes_patient = "sample_weight" in accepted, "patient" in accepted
    if cohort.weight is not None and not takes_weight:
        raise ValueError(f"`sample_weight` is given but {metric!r} does not take it; pass a metric that does.")

    def evaluate_one(counts):
        drawn = counts[cohort.patient.codes]
        if takes_weight and not takes_patient:
            weight = drawn if cohort.weight is None else drawn * cohort.weight
            return metric(cohort.y_true, y_score, sample_weight=weight)
        rows = np.repeat(np.arange(len(drawn)), drawn)
        given = {}
        if takes_patient:
            # 0, 1, 2, ... within the copies of an image; all images of a patient have as many
            copy = np.arange(len(rows)) - np.repeat(np.cumsum(drawn) - drawn, drawn)
            given["patient"] = cohort.patient.codes[rows] * (drawn.max() + 1) + copy
        if cohort.weight is not None:
            given["sample_weight"] = cohort.weight[rows]
        return metric(cohort.y_true[rows], y_score[rows], **given)

    return lambda counts: np.array([evaluate_one(each) for each in counts], dtype=np.float64)
