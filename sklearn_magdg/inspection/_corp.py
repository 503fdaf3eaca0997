"""The numbers of a CORP reliability diagram: curve, decomposition and consistency band of every method."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression
from sklearn.utils import check_consistent_length

from sklearn_magdg.cohort import Cohort, as_column, encode
from sklearn_magdg.metrics import brier_decomposition, check_probabilities, recalibrate


class Curve(NamedTuple):
    """Distinct predictions, ascending, their recalibration and weight, all (n_distinct,)."""

    predicted: np.ndarray
    recalibrated: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Forecasts(Cohort):
    """What one method says of the rows of a cohort: `probability` (n,) of the positive class, or (n, 2) of both."""

    probability: np.ndarray | None = None


def forecasts_by_method(y_true, y_proba, patient, name, groups, sample_weight):
    """Method -> its `Forecasts`, in the order of the dict `y_proba` or of the first appearance in `groups`.

    Patients are encoded here, once for all methods and before any rows are left out, so that a code is the same
    patient in all groups.

    Raises
    ------
    ValueError
        If methods are named twice or not at all, or if `patient` or `groups` has another length or a missing value.
    """
    y_true = np.asarray(y_true)
    forecasts = Forecasts(
        encode(y_true, "y_true"),
        None if patient is None else encode(patient, "patient", len(y_true)),
        weight=None if sample_weight is None else np.asarray(sample_weight),
    )
    if isinstance(y_proba, dict):
        if groups is not None or name is not None:
            raise ValueError("A dict of `y_proba` names its methods itself; drop `name` and `groups`.")
        if not y_proba:
            raise ValueError("`y_proba` is an empty dict; give the probabilities of at least one method.")
        return {method: forecasts.replace(probability=np.asarray(p)) for method, p in y_proba.items()}
    forecasts = forecasts.replace(probability=np.asarray(y_proba))
    if groups is None:
        return {"predictions" if name is None else name: forecasts}
    if name is not None:
        raise ValueError(f"`groups` name the curves themselves, got `name={name!r}` too; drop one of the two.")
    check_consistent_length(y_true, forecasts.probability, forecasts.weight)
    encode(groups, "groups", len(y_true))  # refuses a missing one
    groups = as_column(groups, "groups")
    return {method: forecasts.take(groups == method) for method in pd.unique(groups)}


def corp_numbers(forecasts, labels, pos_label, redrawing):
    """Curve, decomposition and, with patients, consistency band of one method.

    Parameters
    ----------
    forecasts : Forecasts
        Of rows of any weights; those of weight 0 are left out of curve and band.
    labels : ndarray of shape (1,) or (2,)
        What the two classes are called, sorted; a single one is explained by the check of the probabilities, unless
        it is 0 or 1.
    pos_label : label or None
        As in `ReliabilityDisplay.from_predictions`.
    redrawing : dict
        Options of `consistency_band`.
    """
    y, p = np.array(forecasts.label.names)[forecasts.label.codes], forecasts.probability
    options = {"sample_weight": forecasts.weight, "pos_label": pos_label}
    options["labels"] = labels if len(labels) == 2 else None
    decomposition = brier_decomposition(y, p, **options)
    indicator, p, weight = check_probabilities(y, p, **options)
    # a forecast that only rows of weight 0 bear would have no frequency
    counted = weight > 0
    indicator, p, weight = indicator[counted, 0], p[counted, 0], weight[counted]
    curve = corp_curve(indicator, p, weight)
    if forecasts.patient is None:
        return curve, decomposition, None
    return curve, decomposition, consistency_band(p, forecasts.patient.codes[counted], weight, **redrawing)


def corp_curve(indicator, probability, weight):
    r"""`Curve`: the isotonic regression of the outcomes on the forecasts, at every distinct forecast.

    It is the ascending :math:`\hat p` that minimises :math:`\sum_i w_i (\hat p(p_i) - y_i)^2`, and takes the place of
    bins: where forecasts order the outcomes wrongly their frequencies are pooled, and nowhere else.

    Parameters
    ----------
    indicator, probability, weight : ndarrays of shape (n,)
        Outcomes y in {0, 1}, forecasts p and weights w above 0.
    """
    recalibrated = recalibrate(indicator, probability, weight)
    predicted, first, group = np.unique(probability, return_index=True, return_inverse=True)
    return Curve(predicted, recalibrated[first], np.bincount(group, weights=weight))


def consistency_band(probability, patient, weight, *, n_resamples, confidence_level, random_state):
    r"""Ends `(low, high)`, each (n_distinct,), between which the curve of calibrated forecasts stays.

    A resample draws outcomes :math:`y_{ij} = [u_i < p_{ij}]` with one uniform :math:`u_i` per patient i. Every
    outcome then has the probability that its forecast says, and those of a patient depend on each other as much as
    their forecasts allow. Redrawn image by image they would scatter as if every image were a patient.

    Parameters
    ----------
    probability, patient, weight : ndarrays of shape (n,)
        Forecasts, codes of patients and weights above 0.
    n_resamples, confidence_level
        As in `ReliabilityDisplay.from_predictions`; the band is pointwise.
    random_state : RandomState
        Source of the u, one for every code up to the highest.
    """
    predicted, group = np.unique(probability, return_inverse=True)
    total = np.bincount(group, weights=weight)
    curves = np.empty((n_resamples, len(predicted)))
    for curve in curves:
        outcome = random_state.uniform(size=patient.max() + 1)[patient] < probability
        # equal forecasts share a place on the curve: their weighted mean, with their whole weight, is enough
        curve[:] = isotonic_regression(np.bincount(group, weights=weight * outcome) / total, sample_weight=total)
    return tuple(np.quantile(curves, [(1 - confidence_level) / 2, (1 + confidence_level) / 2], axis=0))
