"""What hiding the magnification brings at a held-out one: adversary and penalties by their weights, and the baseline.

Run with ``OMP_NUM_THREADS=1 python benchmarks/measure_adversary.py``; prints a Markdown table row by row, in about ten
minutes on two cores.

Rendered tissue; 100 and 200 are held out in turn, and the scores are those of patients who are not trained on. Mean
over six studies (three seeds, two held-out magnifications), and in brackets the standard deviation of the difference to
the baseline of the same study. The leakage is read from the embedding of the new patients at all four magnifications
(chance 0.25).
"""

import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import brier_score_loss, roc_auc_score

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier
from sklearn_magdg.metrics import magnification_leakage
from sklearn_magdg.model_selection import LeaveOneMagnificationOut

SEEDS = range(3)
HELD_OUT = (100, 200)
TRAINING = {"max_epochs": 25, "batch_size": 16, "n_jobs": 1}


def reversal(**parameters):
    return GradientReversalClassifier(**TRAINING, **parameters)


def penalised(penalty, weight):
    return CNNClassifier(penalty=penalty, penalty_weight=weight, **TRAINING)


METHODS = {"baseline": CNNClassifier(**TRAINING), "reversal, strength 0": reversal(reversal_strength=0.0)}
METHODS |= {
    f"reversal, strength {strength:g}, domain weight {weight:g}": reversal(
        reversal_strength=strength, domain_weight=weight
    )
    for strength in (0.3, 1.0, 3.0)
    for weight in (0.1, 1.0)
}
METHODS["reversal, strength 1, warm-up 0.3"] = reversal(reversal_warmup=0.3)
METHODS["reversal, strength 1, cosine"] = reversal(lr_schedule="cosine")
METHODS |= {f"conditional, strength {s:g}": reversal(reversal_strength=s, conditional=True) for s in (0.3, 1.0)}
METHODS |= {
    f"{penalty}, weight {weight:g}": penalised(penalty, weight)
    for penalty, weights in {"coral": (1.0, 10.0), "mmd": (1.0, 10.0), "vrex": (1.0, 10.0)}.items()
    for weight in weights
}
METHODS["group_dro"] = penalised("group_dro", 1.0)


def study(model, tissue, seed, held_out):
    """AUC and Brier at the held-out magnification, leakage, and whether the adversary was reported."""
    X, y, patient, magnification = tissue.data, tissue.target, tissue.patient, tissue.magnification
    cv = LeaveOneMagnificationOut(magnifications=[held_out], patient_test_size=0.4, random_state=seed)
    ((train, test),) = cv.split(X, y, patient=patient, magnification=magnification)
    model.set_params(random_state=seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X[train], y[train], patient=patient[train], magnification=magnification[train])
    proba = model.predict_proba(X[test])[:, 1]
    new = np.isin(patient, patient[test])
    leakage = magnification_leakage(
        model.transform(X[new]), magnification[new], patient=patient[new], n_resamples=39, random_state=0
    )
    reported = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return roc_auc_score(y[test], proba), brier_score_loss(y[test], proba), leakage.balanced_accuracy, reported


if __name__ == "__main__":
    print("| method | AUC | Brier | leakage | studies with a warning |\n|---|---|---|---|---|", flush=True)
    tissues = [make_histology(56, images_per_cell=4, image_size=32, random_state=seed) for seed in SEEDS]
    studies = [(tissues[seed], seed, held_out) for seed in SEEDS for held_out in HELD_OUT]
    baseline = None
    with Parallel(n_jobs=2) as parallel:
        for name, model in METHODS.items():
            rows = np.array(parallel(delayed(study)(model, *each) for each in studies))
            baseline = rows if baseline is None else baseline
            spread = (rows - baseline).std(axis=0, ddof=1)
            cells = " | ".join(f"{m:.3f} ({s:.3f})" for m, s in zip(rows.mean(axis=0)[:3], spread[:3], strict=True))
            print(f"| {name} | {cells} | {rows[:, 3].sum():.0f} of {len(rows)} |", flush=True)
