"""Arrays to numbers: calibration, magnifications, patients, scorers that know them, and generated images."""

from sklearn_magdg.metrics._bootstrap import patient_bootstrap, patient_bootstrap_difference
from sklearn_magdg.metrics._brier import brier_decomposition, brier_score
from sklearn_magdg.metrics._brier import recalibrate as recalibrate
from sklearn_magdg.metrics._calibration import expected_calibration_error, smooth_calibration_error
from sklearn_magdg.metrics._callables import evaluate_metric as evaluate_metric
from sklearn_magdg.metrics._fid import frechet_inception_distance
from sklearn_magdg.metrics._kid import kernel_inception_distance
from sklearn_magdg.metrics._leakage import magnification_leakage
from sklearn_magdg.metrics._leakage import probe_magnification as probe_magnification
from sklearn_magdg.metrics._magnification import by_magnification, worst_magnification
from sklearn_magdg.metrics._manifold import generative_precision_recall
from sklearn_magdg.metrics._memorisation import memorisation_test, nearest_training_images
from sklearn_magdg.metrics._patient import (
    patient_brier_score,
    patient_recognition_rate,
    patient_roc_auc,
    pool_by_patient,
)
from sklearn_magdg.metrics._probabilities import check_probabilities as check_probabilities
from sklearn_magdg.metrics._resampling import check_options as check_options
from sklearn_magdg.metrics._scorers import (
    make_magnification_scorer,
    neg_brier_scorer,
    neg_patient_brier_scorer,
    patient_recognition_scorer,
    patient_roc_auc_scorer,
    worst_magnification_brier_scorer,
)

__all__ = [
    "brier_decomposition",
    "brier_score",
    "by_magnification",
    "expected_calibration_error",
    "frechet_inception_distance",
    "generative_precision_recall",
    "kernel_inception_distance",
    "magnification_leakage",
    "make_magnification_scorer",
    "memorisation_test",
    "nearest_training_images",
    "neg_brier_scorer",
    "neg_patient_brier_scorer",
    "patient_bootstrap",
    "patient_bootstrap_difference",
    "patient_brier_score",
    "patient_recognition_rate",
    "patient_recognition_scorer",
    "patient_roc_auc",
    "patient_roc_auc_scorer",
    "pool_by_patient",
    "smooth_calibration_error",
    "worst_magnification",
    "worst_magnification_brier_scorer",
]
