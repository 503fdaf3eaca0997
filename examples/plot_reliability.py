"""
Does a forecast mean what it says at a magnification that training never saw?
=============================================================================

A forecast of 0.8 is calibrated if four in five of its images are malignant. A reliability diagram shows whether that
holds; how far its curve may stray by luck alone depends on the number of patients, not on the number of images.
"""

# %%
# Data: 40 patients, four images of each at each of four magnifications, described by colours and edges at four scales.
import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.inspection import MagnificationScoreDisplay, ReliabilityDisplay
from sklearn_magdg.metrics import neg_brier_scorer
from sklearn_magdg.model_selection import LeaveOneMagnificationOut, audit_splits

sklearn.set_config(enable_metadata_routing=True)


def describe(images):
    """Mean and spread of each colour and the strength of its edges, at four scales."""
    images, features = images / 255, []
    for _ in range(4):
        edges = np.abs(np.diff(images, axis=1)).mean((1, 2)) + np.abs(np.diff(images, axis=2)).mean((1, 2))
        features += [images.mean((1, 2)), images.std((1, 2)), edges]
        images = (images[:, ::2, ::2] + images[:, 1::2, ::2] + images[:, ::2, 1::2] + images[:, 1::2, 1::2]) / 4
    return np.hstack(features)


tissue = make_histology(40, images_per_cell=4, image_size=32, random_state=0)
X, y = describe(tissue.data), tissue.target_names[tissue.target]
patient, magnification = tissue.patient, tissue.magnification
metadata = {"patient": patient, "magnification": magnification}

# %%
# Every fold tests patients and a magnification that its logistic regression never saw; the audit would raise otherwise.
cv = LeaveOneMagnificationOut(4)
audit_splits(cv, tissue.data, y, **metadata).raise_if_leaky(magnifications=True)
model = make_pipeline(StandardScaler(), LogisticRegression(C=10, solver="newton-cholesky"))
results = cross_validate(
    model,
    X,
    y,
    cv=cv,
    scoring=neg_brier_scorer,
    params=metadata,
    return_estimator=True,
    return_indices=True,
)

# %%
# At which magnification is it worst? Small points are folds of ten patients each, large ones their mean.
_ = MagnificationScoreDisplay.from_cv_results(
    results,
    magnification=magnification,
    negate_score=True,
    score_name="Brier score (lower is better)",
    name="logistic regression",
)

# %%
# The curve is the frequency that each forecast should have said, and the legend takes the score apart: miscalibration
# (MCB, lower is better), discrimination (DSC, higher is better) and the uncertainty of the outcome (UNC). Where a
# calibrated forecast of 40 such patients would lie is grey; the broad trace is what luck does not explain: low
# forecasts are too low and high ones too high, the mark of an overconfident classifier.
_ = ReliabilityDisplay.from_cv_results(
    results, X, y, patient=patient, name="logistic regression", confidence_level=0.95, random_state=0
)

# %%
# Were every image taken for a patient, the band would be far too narrow: images of a patient share its label, and 640
# of them are still 40 cases. Chance deviations then look like findings.
images = np.arange(len(y))
_ = ReliabilityDisplay.from_cv_results(results, X, y, patient=images, name="image by image", random_state=0)

# %%
# One curve per held-out magnification tells apart what the pool mixes: at 40X, the widest step beyond the training
# magnifications, the forecasts are the least calibrated and tell the classes apart the least.
_ = ReliabilityDisplay.from_cv_results(results, X, y, groups=magnification)
