"""Arrays to numbers: calibration, magnifications, patients, and scorers that know them."""

from sklearn_magdg.metrics._brier import brier_decomposition
from sklearn_magdg.metrics._calibration import expected_calibration_error
from sklearn_magdg.metrics._magnification import by_magnification, worst_magnification
from sklearn_magdg.metrics._patient import patient_recognition_rate
from sklearn_magdg.metrics._scorers import (
    neg_brier_scorer,
    patient_recognition_scorer,
    worst_magnification_brier_scorer,
)

__all__ = [
    "brier_decomposition",
    "by_magnification",
    "expected_calibration_error",
    "neg_brier_scorer",
    "patient_recognition_rate",
    "patient_recognition_scorer",
    "worst_magnification",
    "worst_magnification_brier_scorer",
]
