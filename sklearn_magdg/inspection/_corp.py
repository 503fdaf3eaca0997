"""The numbers of a CORP reliability diagram: curve, decomposition and consistency band of every method."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression
from sklearn.utils import check_consistent_length

from sklearn_magdg.cohort import as_column, encode
from sklearn_magdg.metrics import brier_decomposition, check_probabilities, recalibrate


class Curve(NamedTuple):
    """Distinct predictions, ascending, their recalibration and weight, all (n_distinct,)."""

    predicted: np.ndarray
    recalibrated: np.ndarray
    weight: np.ndarray


class Forecasts(NamedTuple):
    """Labels, probabilities, and patients (codes) and weights or None, of one method."""

    y_true: np.ndarray
    y_proba: np.ndarray
    patient: np.ndarray | None
    weight: np.ndarray | None

    def take(self, rows):
        return Forecasts(*(None if each is None else each[rows] for each in self))


def forecasts_by_method(y_true, y_proba, patient, name, groups, sample_weight):
    """Method -> its forecasts."""
    y_true = np.asarray(y_true)
    patient = None if patient is None else encode(patient, "patient", len(y_true)).codes
    weight = None if sample_weight is None else np.asarray(sample_weight)
    if isinstance(y_proba, dict):
        if groups is not None or name is not None:
            raise ValueError("A dict of `y_proba` names its methods itself; drop `name` and `groups`.")
        if not y_proba:
            raise ValueError("`y_proba` is an empty dict; give the probabilities of at least one method.")
        return {method: Forecasts(y_true, np.asarray(p), patient, weight) for method, p in y_proba.items()}
    forecasts = Forecasts(y_true, np.asarray(y_proba), patient, weight)
    if groups is None:
        return {"predictions" if name is None else name: forecasts}
    if name is not None:
        raise ValueError(f"`groups` name the curves themselves, got `name={name!r}` too; drop one of the two.")
    check_consistent_length(y_true, forecasts.y_proba, weight)
    encode(groups, "groups", len(y_true))  # refuses a missing one
    groups = as_column(groups, "groups")
    return {method: forecasts.take(groups == method) for method in pd.unique(groups)}


def corp_numbers(forecasts, labels, pos_label, redrawing):
    """Curve, decomposition and, with patients, consistency band of one method."""
    y, p, patient, weight = forecasts
    # one label alone is explained by the check of the probabilities, unless it is 0 or 1
    options = {"pos_label": pos_label, "labels": labels if len(labels) == 2 else None}
    decomposition = brier_decomposition(y, p, sample_weight=weight, **options)
    indicator, p, weight = check_probabilities(y, p, sample_weight=weight, **options)
    counted = weight > 0
    indicator, p, weight = indicator[counted, 0], p[counted, 0], weight[counted]
    curve = corp_curve(indicator, p, weight)
    band = None if patient is None else consistency_band(p, patient[counted], weight, **redrawing)
    return curve, decomposition, band


def corp_curve(indicator, probability, weight):
    recalibrated = recalibrate(indicator, probability, weight)
    predicted, first, group = np.unique(probability, return_index=True, return_inverse=True)
    return Curve(predicted, recalibrated[first], np.bincount(group, weights=weight))


def consistency_band(probability, patient, weight, *, n_resamples, confidence_level, random_state):
    r"""Ends `(low, high)`, each (n_distinct,), between which the curve of calibrated forecasts stays.

    A resample draws outcomes :math:`y_{ij} = [u_i < p_{ij}]` with one uniform :math:`u_i` per patient i. Every
    outcome then has the probability that its forecast says, and those of a patient depend on each other as much as
    their forecasts allow. Redrawn image by image they would scatter as if every image were a patient.
    """
    predicted, group = np.unique(probability, return_inverse=True)
    total = np.bincount(group, weights=weight)
    curves = np.empty((n_resamples, len(predicted)))
    for curve in curves:
        outcome = random_state.uniform(size=patient.max() + 1)[patient] < probability
        curve[:] = isotonic_regression(np.bincount(group, weights=weight * outcome) / total, sample_weight=total)
    return tuple(np.quantile(curves, [(1 - confidence_level) / 2, (1 + confidence_level) / 2], axis=0))
