"""Where a method did better than the baseline and where worse: differences of their scores fold by fold.

Both methods predict the same test images, so each image is its own control and only the difference counts. Its
uncertainty comes from drawing the test patients again, with all of their images (a paired bootstrap by patient):
images of one patient are alike, and drawing images alone would make the interval far too narrow.
"""

import numpy as np

from sklearn_magdg.metrics import patient_bootstrap_difference
from sklearn_magdg.study._scores import pooled_scores, read_probabilities

BASELINE = "baseline"
FEWEST_PATIENTS = 6  # five all favour the same one of two equal methods in 2 of 32 cases, oftener than 5 %
_ROUNDING = 1e-6  # nets answer in single precision


def compare_with_baseline(results, predictions, seed):
    """Differences of every other method to the baseline, of each fold and of folds taken together.

    Parameters
    ----------
    results : DataFrame
        As ``results.csv``; `method`, `held_out`, `fold` and `auc` are read.
    predictions : DataFrame
        As ``predictions.csv``, the same test images in the same order for every method.
    seed : int
        Of the draws of patients.

    Returns
    -------
    differences : dict of lists of dicts
        Per method a row for every fold, one for each magnification of several folds, and one for all of them if
        there are several magnifications. Without a baseline there is nothing to compare with: an empty dict. A row
        holds

        - ``held_out`` and ``fold``, None where all of them are taken together;
        - ``n_test`` images of ``n_patients`` patients;
        - ``brier_baseline``, ``brier`` and ``brier_difference``, pooled over the images; a difference is the method's
          score minus the baseline's, so that below 0 is for the method;
        - ``low`` and ``high``, the ends of its interval of 95 %, nan where there are too few patients;
        - ``verdict``: what the interval says, whatever the difference itself ("helped", "hurt" or "unclear"); None
          without one;
        - ``auc_baseline``, ``auc`` and ``auc_difference``, means over the folds.

    Raises
    ------
    ValueError
        If two methods did not predict the same images.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_magdg.study._comparison import compare_with_baseline
    >>> key = {"method": ["baseline", "gan"], "held_out": 100, "fold": 1}
    >>> predictions = pd.DataFrame(key | {"id": "a", "patient": "p", "y_true": 1, "y_proba": [0.5, 1.0]})
    >>> results = pd.DataFrame(key | {"auc": [0.5, 0.75]})
    >>> (row,) = compare_with_baseline(results, predictions, seed=0)["gan"]
    >>> float(row["brier_difference"]), float(row["auc_difference"]), row["verdict"] is None
    (-0.25, 0.25, True)
    """
    results, predictions = (dict(list(table.groupby("method", sort=False))) for table in (results, predictions))
    if BASELINE not in results:
        return {}

    parts = []
    for held_out, here in results[BASELINE].groupby("held_out", sort=False):
        parts += [(held_out, fold) for fold in here["fold"]]
        if len(here) > 1:
            parts.append((held_out, None))
    if results[BASELINE]["held_out"].nunique() > 1:
        parts.append((None, None))

    others = [method for method in results if method != BASELINE]
    return {method: [_compare(results, predictions, method, *part, seed) for part in parts] for method in others}


def _compare(results, predictions, method, held_out, fold, seed):
    """A row of `compare_with_baseline`; `results` and `predictions` are dicts of the methods' tables."""
    own, base = (_part(predictions[name], held_out, fold) for name in (method, BASELINE))
    if own["id"].tolist() != base["id"].tolist():
        raise ValueError(
            f"The predictions of {method} and {BASELINE} are not of the same test images, in the same order; run the "
            "study again."
        )
    brier, brier_baseline = (pooled_scores(images)["brier"] for images in (own, base))
    # the mean leaves folds of one class out, whose AUC is undefined: they are the same for both methods
    auc, auc_baseline = (_part(results[name], held_out, fold)["auc"].mean() for name in (method, BASELINE))
    return {
        "held_out": held_out,
        "fold": fold,
        "n_test": len(base),
        "n_patients": base["patient"].nunique(),
        "brier_baseline": brier_baseline,
        "brier": brier,
        "brier_difference": brier - brier_baseline,
        **_judge(own, base, seed),
        "auc_baseline": auc_baseline,
        "auc": auc,
        "auc_difference": auc - auc_baseline,
    }


def _part(table, held_out, fold):
    """Rows of one fold; None leaves the choice open."""
    if held_out is not None:
        table = table[table["held_out"] == held_out]
    return table if fold is None else table[table["fold"] == fold]


def _judge(own, base, seed):
    """Interval of the Brier difference and the verdict, without one where drawing patients would say nothing."""
    classes = base.groupby("patient")["y_true"].agg(lambda labels: labels.mode()[0])
    # a class with a single patient: it would be in every draw, and the interval would not know how it differs
    if len(classes) < FEWEST_PATIENTS or classes.value_counts().min() < 2:
        return {"low": np.nan, "high": np.nan, "verdict": None}

    y_true, y_proba, labels = read_probabilities(own)
    _, y_proba_baseline, _ = read_probabilities(base)
    patient = base["patient"].astype(str).to_numpy()  # as in the file: their order decides the draws
    _, low, high, _ = patient_bootstrap_difference(
        "brier", y_true, y_proba, y_proba_baseline, patient=patient, labels=labels, random_state=seed
    )
    verdict = "unclear"
    if high < -_ROUNDING:
        verdict = "helped"
    elif low > _ROUNDING:
        verdict = "hurt"
    return {"low": low, "high": high, "verdict": verdict}
