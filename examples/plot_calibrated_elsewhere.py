"""
Does a calibrator help at a magnification that it never saw?
============================================================

A calibrator is fitted on images that its classifier did not train on. Fitted at magnifications that the classifier did
not see either, it learns how overconfident the classifier is after a shift, and is tested at yet another one.
"""

# %%
# Data: 40 patients, four images of each at each of four magnifications, described by colours and edges at four scales.
import numpy as np
import pandas as pd
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.inspection import MagnificationScoreDisplay, ReliabilityDisplay
from sklearn_magdg.metrics import neg_brier_scorer, patient_bootstrap_difference
from sklearn_magdg.model_selection import LeaveOneMagnificationOut, audit_splits

sklearn.set_config(enable_metadata_routing=True)


def describe(images):
    images, features = images / 255, []
    for _ in range(4):
        edges = np.abs(np.diff(images, axis=1)).mean((1, 2)) + np.abs(np.diff(images, axis=2)).mean((1, 2))
        features += [images.mean((1, 2)), images.std((1, 2)), edges]
        images = (images[:, ::2, ::2] + images[:, 1::2, ::2] + images[:, ::2, 1::2] + images[:, 1::2, 1::2]) / 4
    return np.hstack(features)


tissue = make_histology(40, images_per_cell=4, image_size=32, random_state=0)
X, y = describe(tissue.data), tissue.target_names[tissue.target]
metadata = {"patient": tissue.patient, "magnification": tissue.magnification}

# %%
# Inside each training part the same splitter leaves out a magnification once more, for the calibrator.
plain = make_pipeline(StandardScaler(), LogisticRegression(C=10, solver="newton-cholesky"))
calibrated = CalibratedClassifierCV(plain, method="temperature", cv=LeaveOneMagnificationOut(2))
cv = LeaveOneMagnificationOut(4)
audit_splits(cv, tissue.data, y, **metadata).raise_if_leaky(magnifications=True)
options = {"cv": cv, "params": metadata, "scoring": neg_brier_scorer, "return_estimator": True, "return_indices": True}
tests = cross_validate(plain, X, y, **options), cross_validate(calibrated, X, y, **options)


# %%
# The calibrated model averages the classifiers of its inner folds and gives each a temperature. Each is tried alone.
def averaged(model, X):
    """Mean forecast of the inner classifiers, without their temperatures."""
    return np.mean([pair.estimator.predict_proba(X) for pair in model.calibrated_classifiers_], axis=0)


def one_temperature(train):
    """One classifier of the whole training part, with the temperature that the inner folds agree on."""
    inner = LeaveOneMagnificationOut(2).split(X[train], y[train], **{k: v[train] for k, v in metadata.items()})
    model = CalibratedClassifierCV(plain, method="temperature", cv=list(inner), ensemble=False)
    return model.fit(X[train], y[train])


p, fold = pd.DataFrame(index=range(len(y))), np.empty(len(y), dtype=int)
for k, (train, test) in enumerate(zip(*tests[0]["indices"].values(), strict=True)):
    fold[test] = k
    p.loc[test, "one classifier"] = tests[0]["estimator"][k].predict_proba(X[test])[:, 1]
    p.loc[test, "one, temperature"] = one_temperature(train).predict_proba(X[test])[:, 1]
    p.loc[test, "averaged"] = averaged(tests[1]["estimator"][k], X[test])[:, 1]
    p.loc[test, "averaged, temperatures"] = tests[1]["estimator"][k].predict_proba(X[test])[:, 1]

# %%
# One classifier is overconfident: its curve leaves the band at both ends. A temperature and an average both bring the
# miscalibration (MCB) down by more than half; only the average can discriminate better (DSC).
_ = ReliabilityDisplay.from_predictions(y, p.to_dict("series"), patient=tissue.patient, random_state=0)

# %%
# Does it hold at every held-out magnification?
known = {"held_out": tissue.magnification, "fold": fold, "y_true": y, "patient": tissue.patient}
table = pd.concat([pd.DataFrame({"method": name, **known, "y_score": each}) for name, each in p.items()])
_ = MagnificationScoreDisplay.from_predictions(
    "brier", table, patient="patient", score_name="Brier score (lower is better)", random_state=0
)

# %%
# A difference has an interval of its own, from the same resampled patients. The average beats the one classifier at
# every magnification. The temperatures on top of it are not told apart from none: every interval holds 0, at 40X too.
pairs = {"one, temperature": "one classifier", "averaged": "one classifier", "averaged, temperatures": "averaged"}
parts = {"all": tissue.magnification > 0}
parts |= {f"{at}X": tissue.magnification == at for at in np.unique(tissue.magnification)}
rows = {
    (part, f"{a} - {b}"): patient_bootstrap_difference(
        "brier", y[at], p.loc[at, a], p.loc[at, b], patient=tissue.patient[at], random_state=0
    )
    for part, at in parts.items()
    for a, b in pairs.items()
}
pd.DataFrame.from_dict(rows, orient="index", columns=["Brier", "low", "high", "p-value"]).round(3)
