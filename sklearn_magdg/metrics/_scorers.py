"""Scorers that take string labels and ask for their metadata by themselves."""

from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._response import _get_response_values
from sklearn.utils.metadata_routing import UNUSED

from sklearn_magdg.metrics._brier import brier_score
from sklearn_magdg.metrics._callables import parameters_of
from sklearn_magdg.metrics._magnification import by_magnification, check_numbers
from sklearn_magdg.metrics._patient import patient_brier_score, patient_recognition_rate, patient_roc_auc

AGGREGATES = {"worst": np.min, "mean": np.mean}


class _Scorer(BaseEstimator):
    """A scorer `scorer(estimator, X, y, **metadata)`; `score` declares what metadata routing hands over.

    `make_scorer` of scikit-learn would know neither the names of the classes nor a request that holds without
    `set_score_request`. A `BaseEstimator` has the routing methods of an estimator, and its request is made from the
    class attribute ``__metadata_request__score``, in which the fitted estimator is no metadata.
    """

    def __call__(self, estimator, X, y, **metadata):
        return self.score(estimator, X, y, **metadata)

    def _accept_sample_weight(self):
        # scikit-learn asks every scorer among several when routing is off
        return "sample_weight" in self.score.__kwdefaults__


class _NegBrier(_Scorer):
    """Minus the Brier score, on the scale of `brier_score_loss(scale_by_half="auto")`; greater is better."""

    __metadata_request__score = {"estimator": UNUSED}

    def score(self, estimator, X, y, *, sample_weight=None):
        return -brier_score(y, estimator.predict_proba(X), sample_weight=sample_weight, labels=estimator.classes_)


class _PatientRecognition(_Scorer):
    """Mean over patients of the share of their images that are classified correctly; greater is better."""

    __metadata_request__score = {"estimator": UNUSED, "patient": True}

    def score(self, estimator, X, y, *, patient=None):
        _require("patient_recognition_scorer", "patient", patient)
        return patient_recognition_rate(y, estimator.predict(X), patient=patient)


class _PatientROCAUC(_Scorer):
    """Area under the ROC curve over patients with their mean probabilities; greater is better."""

    __metadata_request__score = {"estimator": UNUSED, "patient": True}

    def score(self, estimator, X, y, *, patient=None):
        _require("patient_roc_auc_scorer", "patient", patient)
        return patient_roc_auc(y, estimator.predict_proba(X), patient=patient, labels=estimator.classes_)


class _NegPatientBrier(_Scorer):
    """Minus the Brier score over patients with their mean probabilities; greater is better."""

    __metadata_request__score = {"estimator": UNUSED, "patient": True}

    def score(self, estimator, X, y, *, patient=None):
        _require("neg_patient_brier_scorer", "patient", patient)
        return -patient_brier_score(y, estimator.predict_proba(X), patient=patient, labels=estimator.classes_)


class _MagnificationScorer(_Scorer):
    """What `make_magnification_scorer` returns."""

    __metadata_request__score = {"estimator": UNUSED, "magnification": True}

    def __init__(self, metric, *, aggregate, response_method, greater_is_better, metric_params):
        self.metric = metric
        self.aggregate = aggregate
        self.response_method = response_method
        self.greater_is_better = greater_is_better
        self.metric_params = metric_params

    def __repr__(self):
        params = "".join(f", {name}={value!r}" for name, value in self.metric_params.items())
        return (
            f"make_magnification_scorer({_name(self.metric)}, aggregate={self.aggregate!r}, "
            f"response_method={self.response_method!r}, greater_is_better={self.greater_is_better}{params})"
        )

    def score(self, estimator, X, y, *, magnification=None, sample_weight=None):
        _require(f"The {self.aggregate}-magnification scorer of {_name(self.metric)}", "magnification", magnification)
        response, _, method = _get_response_values(estimator, X, self.response_method, return_response_method_used=True)
        # string labels: a metric that asks for the classes gets their names, unless they are given
        accepted, named = parameters_of(self.metric), {}
        if "pos_label" in accepted and len(estimator.classes_) == 2 and "average" not in self.metric_params:
            named["pos_label"] = estimator.classes_[-1]
        # of predicted labels a metric takes `labels` as those to average over, so that absent ones would count
        if "labels" in accepted and method != "predict":
            named["labels"] = estimator.classes_
        metric = partial(self.metric, **(named | self.metric_params))
        values = by_magnification(metric, y, response, magnification=magnification, sample_weight=sample_weight)
        check_numbers(values)
        sign = 1 if self.greater_is_better else -1
        # signs first, so that the smallest is the worst of a loss as well
        return float(AGGREGATES[self.aggregate]([sign * value for value in values.values()]))


def make_magnification_scorer(
    metric, *, aggregate="worst", response_method="predict", greater_is_better=True, **metric_params
):
    """Scorer of any metric at the worst magnification, or averaged over magnifications.

    The metric of a classifier is computed at every magnification apart. Under metadata routing `magnification` reaches
    the scorer without any `set_score_request`; labels may be strings. A test part of
    `sklearn_magdg.model_selection.LeaveOneMagnificationOut` has one magnification: there
    `refit_worst_magnification` finds the worst across folds.

    Parameters
    ----------
    metric : callable
        `metric(y_true, response, **metric_params)` -> float. For two classes a response of probabilities is that of
        the last of `classes_`. Where the metric has a parameter `pos_label` (two classes, no `average` given) it gets
        that class, and where it has `labels`, and the response is not a label, it gets `classes_`.
    aggregate : "worst" or "mean", default="worst"
        Over magnifications. Either is nan if the metric is nan at one of them, as `sklearn.metrics.roc_auc_score`
        is, with a warning, where a magnification has images of one class. A search then has no candidate to prefer:
        use the Brier score, which is always defined, as `worst_magnification_brier_scorer` does.
    response_method : str or list of str, default="predict"
        "predict", "predict_proba", "decision_function", or the first of several that the estimator has.
    greater_is_better : bool, default=True
        False for a loss, whose sign is then turned.
    **metric_params : dict
        Further parameters of the metric.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y, *, magnification, sample_weight=None)` -> float, greater is better.

    Raises
    ------
    ValueError
        If `aggregate` is neither; on scoring, if `magnification` is missing or the metric returns several numbers.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.metrics import accuracy_score
    >>> from sklearn_magdg.metrics import make_magnification_scorer
    >>> model = DummyClassifier().fit([[0], [0], [0]], ["benign", "benign", "malignant"])
    >>> scorer = make_magnification_scorer(accuracy_score)
    >>> scorer(model, [[0], [0], [0]], ["benign", "benign", "malignant"], magnification=[40, 100, 100])
    0.5
    """
    if aggregate not in AGGREGATES:
        raise ValueError(f'`aggregate` must be "worst" or "mean", got {aggregate!r}.')
    return _MagnificationScorer(
        metric,
        aggregate=aggregate,
        response_method=response_method,
        greater_is_better=greater_is_better,
        metric_params=metric_params,
    )


def _name(metric):
    """The metric in words; a partial or an object has no name of its own."""
    return getattr(metric, "__name__", repr(metric))


def _require(scorer, name, values):
    """Refuse None for the metadata called `name`: scikit-learn leaves it out without a word when routing is off."""
    if values is None:
        raise ValueError(
            f"{scorer} needs `{name}`, which scikit-learn hands to a scorer only with metadata routing on: call "
            f'`sklearn.set_config(enable_metadata_routing=True)` and pass `params={{"{name}": {name}}}`.'
        )


neg_brier_scorer = _NegBrier()
worst_magnification_brier_scorer = make_magnification_scorer(
    brier_score, response_method="predict_proba", greater_is_better=False
)
patient_recognition_scorer = _PatientRecognition()
patient_roc_auc_scorer = _PatientROCAUC()
neg_patient_brier_scorer = _NegPatientBrier()
