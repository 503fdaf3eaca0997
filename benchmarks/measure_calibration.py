"""What calibrators do at a held-out magnification: Brier score and its parts, with and without them.

Run with ``python benchmarks/measure_calibration.py``; prints a Markdown table, the mean over studies.

Rendered tissue, described by the means, spreads and gradients of its colours at five scales, and a logistic
regression that is too sure of itself. Calibrators are fitted inside the training part, on magnifications held out
once more or on patients alone. With an ensemble scikit-learn averages the classifiers of the inner folds, which are
less sure together than one alone: "no calibrator" beside "ensemble" shows that part of the effect.
"""

from collections import defaultdict

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.metrics import brier_decomposition, smooth_calibration_error
from sklearn_magdg.model_selection import LeaveOneMagnificationOut

SEEDS = range(10)


def describe(images):
    """Colour means, spreads and mean gradients at five scales, (n, 45)."""
    images, features = images.astype(float) / 255, []
    for _ in range(5):
        gradient = np.abs(np.diff(images, axis=1)).mean((1, 2)) + np.abs(np.diff(images, axis=2)).mean((1, 2))
        features += [images.mean((1, 2)), images.std((1, 2)), gradient]
        n, height, width, colours = images.shape
        images = images.reshape(n, height // 2, 2, width // 2, 2, colours).mean((2, 4))
    return np.hstack(features)


PLAIN = make_pipeline(StandardScaler(), LogisticRegression(C=10, max_iter=5000))
INNER = {"magnifications": LeaveOneMagnificationOut(2), "patients": StratifiedGroupKFold(4)}
MODELS = [("temperature", inner, ensemble) for inner in INNER for ensemble in (False, True)]
MODELS += [(method, "magnifications", ensemble) for method in ("sigmoid", "isotonic") for ensemble in (False, True)]


def inner_splits(inner, X, y, patient, magnification):
    cv = INNER[inner]
    if isinstance(cv, LeaveOneMagnificationOut):
        return list(cv.split(X, y, patient=patient, magnification=magnification))
    return list(cv.split(X, y, groups=patient))


def predict(X, y, test_X, patient, magnification):
    """Name -> predictions of the test part."""
    predictions = {("no calibrator", "", "one"): PLAIN.fit(X, y).predict_proba(test_X)[:, 1]}
    for method, inner, ensemble in MODELS:
        splits = inner_splits(inner, X, y, patient, magnification)
        model = CalibratedClassifierCV(PLAIN, method=method, cv=splits, ensemble=ensemble).fit(X, y)
        predictions[method, inner, "ensemble" if ensemble else "one"] = model.predict_proba(test_X)[:, 1]
        if ensemble:
            inside = [pair.estimator.predict_proba(test_X)[:, 1] for pair in model.calibrated_classifiers_]
            predictions["no calibrator", inner, "ensemble"] = np.mean(inside, axis=0)
    return predictions


def measure(y, p):
    score, miscalibration, discrimination, _ = brier_decomposition(y, p)
    return score, miscalibration, discrimination, smooth_calibration_error(y, p)


def study(seed):
    """Name -> (Brier, miscalibration, discrimination, smECE) of the predictions pooled over folds."""
    tissue = make_histology(24, images_per_cell=4, image_size=64, random_state=seed)
    X, y, patient, magnification = describe(tissue.data), tissue.target, tissue.patient, tissue.magnification
    pooled = defaultdict(lambda: np.empty(len(y)))
    for train, test in LeaveOneMagnificationOut(4).split(X, y, patient=patient, magnification=magnification):
        predictions = predict(X[train], y[train], X[test], patient[train], magnification[train])
        for name, p in predictions.items():
            pooled[name][test] = p
    return {name: measure(y, p) for name, p in pooled.items()}


if __name__ == "__main__":
    studies = [study(seed) for seed in SEEDS]
    names = sorted(studies[0], key=lambda name: (name[2] == "ensemble", name[1] == "patients"))
    print("| calibrator | inner folds by | classifiers | Brier (sd) | studies better | MCB | DSC | smECE |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        values = np.array([rows[name] for rows in studies])
        better = sum(rows[name][0] < rows["no calibrator", "", "one"][0] for rows in studies)
        brier, *others = values.mean(axis=0)
        spread = values[:, 0].std(ddof=1)
        rest = " | ".join(f"{each:.3f}" for each in others)
        print(f"| {' | '.join(name)} | {brier:.3f} ({spread:.3f}) | {better} of {len(studies)} | {rest} |")
