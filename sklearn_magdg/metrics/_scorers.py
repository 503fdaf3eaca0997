"""Scorers that take string labels and ask for their metadata by themselves."""

from functools import partial

from sklearn.base import BaseEstimator
from sklearn.metrics import brier_score_loss
from sklearn.utils.metadata_routing import UNUSED

from sklearn_magdg.metrics._magnification import worst_magnification
from sklearn_magdg.metrics._patient import patient_recognition_rate
from sklearn_magdg.metrics._probabilities import check_probabilities


class _Scorer(BaseEstimator):
    """A scorer `scorer(estimator, X, y, **metadata)`; `score` declares what metadata routing hands over."""

    def __call__(self, estimator, X, y, **metadata):
        return self.score(estimator, X, y, **metadata)

    def _accept_sample_weight(self):
        # scikit-learn asks every scorer among several when routing is off
        return "sample_weight" in self.score.__kwdefaults__


class _NegBrier(_Scorer):
    """Minus the Brier score, on the scale of `brier_score_loss(scale_by_half="auto")`; greater is better."""

    __metadata_request__score = {"estimator": UNUSED}

    def score(self, estimator, X, y, *, sample_weight=None):
        return -_brier(y, estimator.predict_proba(X), sample_weight=sample_weight, labels=estimator.classes_)


class _WorstMagnificationBrier(_Scorer):
    """Minus the Brier score at the magnification where that is largest; greater is better."""

    __metadata_request__score = {"estimator": UNUSED, "magnification": True}

    def score(self, estimator, X, y, *, magnification=None, sample_weight=None):
        _require("worst_magnification_brier_scorer", "magnification", magnification)
        brier = partial(_brier, labels=estimator.classes_)
        return -worst_magnification(
            brier,
            y,
            estimator.predict_proba(X),
            magnification=magnification,
            greater_is_better=False,
            sample_weight=sample_weight,
        )


class _PatientRecognition(_Scorer):
    """Mean over patients of the share of their images that are classified correctly; greater is better."""

    __metadata_request__score = {"estimator": UNUSED, "patient": True}

    def score(self, estimator, X, y, *, patient=None):
        _require("patient_recognition_scorer", "patient", patient)
        return patient_recognition_rate(y, estimator.predict(X), patient=patient)


def _brier(y, y_proba, *, labels, sample_weight=None):
    check_probabilities(y, y_proba, sample_weight=sample_weight, labels=labels)
    return brier_score_loss(y, y_proba, sample_weight=sample_weight, labels=labels)


def _require(scorer, name, values):
    if values is None:
        raise ValueError(
            f"{scorer} needs `{name}`, which scikit-learn hands to a scorer only with metadata routing on: call "
            f'`sklearn.set_config(enable_metadata_routing=True)` and pass `params={{"{name}": {name}}}`.'
        )


neg_brier_scorer = _NegBrier()
worst_magnification_brier_scorer = _WorstMagnificationBrier()
patient_recognition_scorer = _PatientRecognition()
