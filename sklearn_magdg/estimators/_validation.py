"""The patients that early stopping sets aside."""

import warnings

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sklearn_magdg.cohort import patient_holdout, read_cohort


def validation_mask(estimator, label, patient):
    """Mask of the rows set aside for early stopping: a class-stratified part of the patients.

    It depends on the rows that have a patient alone: generated rows, which have none, leave it as it is. A fit
    that goes on keeps the part of the fit before, for the net has been trained on all others.
    """
    if estimator._goes_on():
        kept = _kept_aside(getattr(estimator, "validation_patients_", []), label, patient)
        if kept.any():
            return kept
    return draw_validation(estimator, label, patient)


def draw_validation(estimator, label, patient):
    """Mask of a class-stratified part of the patients, the same for every call where `random_state` is an int."""
    rng = check_random_state(estimator.random_state)
    held_back = patient_holdout(
        read_cohort(len(patient), label, patient=patient, allow_missing_patients=True),
        estimator.validation_fraction,
        rng,
    )
    if not held_back.any():
        raise ValueError("early_stopping=True needs a class with at least 2 patients to set one of them aside.")
    return held_back


def _kept_aside(before, label, patient):
    """Mask of the rows whose patients the fit before set aside."""
    kept = pd.Series(patient).isin(before).to_numpy()
    n_found = pd.Series(patient)[kept].nunique()
    if not before or n_found < len(before):
        warnings.warn(
            f"warm_start=True goes on from a fit that set {len(before)} patients aside, {n_found} of whom are in "
            "the data: early stopping may validate on patients that the net was trained on; fit on the same "
            "patients with early_stopping=True from the start.",
            UserWarning,
        )
    missing = np.setdiff1d(label, label[~kept])
    if len(missing):
        raise ValueError(
            "No patient of some class is left to train on beside those that the fit before set aside "
            f"({before}): pass all patients again, or set warm_start=False."
        )
    return kept
