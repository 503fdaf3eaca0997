"""Where a method did better than the baseline and where worse: differences of their scores fold by fold."""

import numpy as np

from sklearn_magdg.metrics import brier_score, patient_bootstrap_difference

BASELINE = "baseline"
FEWEST_PATIENTS = 6  # five all favour the same one of two equal methods in 2 of 32 cases, oftener than 5 %
_ROUNDING = 1e-6  # nets answer in single precision


def compare_with_baseline(results, predictions, seed):
    """Per other method a dict for every fold, for each magnification's folds together, and for all together.

    ``fold`` is None where the folds are taken together, and so is ``held_out`` in the last. Differences are the
    method's score minus the baseline's, so that a Brier difference below 0 is for the method; ``low`` and ``high``
    are the ends of its interval of 95 %. Without a baseline there is nothing to compare with: an empty dict.
    """
    results, predictions = (dict(list(table.groupby("method", sort=False))) for table in (results, predictions))
    if BASELINE not in results:
        return {}
    parts = _parts(results[BASELINE])
    return {
        method: [_compare(results, predictions, method, *part, seed) for part in parts]
        for method in results
        if method != BASELINE
    }


def _parts(folds):
    """(held-out magnification, fold) of each row of a table; None stands for all of several."""
    parts = []
    for held_out, here in folds.groupby("held_out", sort=False):
        parts += [(held_out, fold) for fold in here["fold"]]
        if len(here) > 1:
            parts.append((held_out, None))
    return [*parts, (None, None)] if folds["held_out"].nunique() > 1 else parts


def _compare(results, predictions, method, held_out, fold, seed):
    own, base = (_part(predictions[name], held_out, fold) for name in (method, BASELINE))
    if own["id"].tolist() != base["id"].tolist():
        raise ValueError(
            f"The predictions of {method} and {BASELINE} are not of the same test images, in the same order; run the "
            "study again."
        )
    auc, auc_baseline = (_part(results[name], held_out, fold)["auc"].mean() for name in (method, BASELINE))
    return {
        "held_out": held_out,
        "fold": fold,
        "n_test": len(base),
        "n_patients": base["patient"].nunique(),
        **_brier_difference(own, base, seed),
        "auc_baseline": auc_baseline,
        "auc": auc,
        "auc_difference": auc - auc_baseline,
    }


def _part(table, held_out, fold):
    """Rows of one fold; None leaves the choice open."""
    if held_out is not None:
        table = table[table["held_out"] == held_out]
    return table if fold is None else table[table["fold"] == fold]


def _brier_difference(own, base, seed):
    columns = [name for name in base if name.startswith("y_proba")]
    labels = range(max(2, len(columns)))  # one column is that of the second of two classes
    y_true, y_proba, y_proba_baseline = base["y_true"].to_numpy(), own[columns].to_numpy(), base[columns].to_numpy()
    low, high = np.nan, np.nan
    if _enough_patients(base):
        patient = base["patient"].astype(str).to_numpy()  # as in the file: their order decides the draws
        _, low, high, _ = patient_bootstrap_difference(
            "brier", y_true, y_proba, y_proba_baseline, patient=patient, labels=labels, random_state=seed
        )
    brier, baseline = (brier_score(y_true, each, labels=labels) for each in (y_proba, y_proba_baseline))
    return {
        "brier_baseline": baseline,
        "brier": brier,
        "brier_difference": brier - baseline,
        "low": low,
        "high": high,
        "verdict": _verdict(low, high),
    }


def _enough_patients(images):
    """Whether drawing patients says something: the only one of a class would be in every draw."""
    classes = images.groupby("patient")["y_true"].agg(lambda labels: labels.mode()[0])
    return len(classes) >= FEWEST_PATIENTS and classes.value_counts().min() > 1


def _verdict(low, high):
    """What the interval says, whatever the difference itself; None without one."""
    if np.isnan(low):
        return None
    if high < -_ROUNDING:
        return "helped"
    return "hurt" if low > _ROUNDING else "unclear"
