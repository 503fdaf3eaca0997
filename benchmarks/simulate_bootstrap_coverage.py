"""How often 95 % intervals hold the truth: patients resampled (percentile, BCa) and images resampled.

A simulated study has 12 images on average per patient, and as many patients of either class or few of one. The log-odds
of an image are +-1.2 by class, plus an effect of its patient and one of its own. The truth comes from 200,000 patients.

Run with ``OMP_NUM_THREADS=1 python benchmarks/simulate_bootstrap_coverage.py``; prints a Markdown table.
"""

import warnings

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score

from sklearn_magdg.metrics import patient_bootstrap, patient_bootstrap_difference

TRUTH = {"roc_auc": roc_auc_score, "brier": brier_score_loss}
INTERVALS = {
    "patients, percentile": (True, "percentile"),
    "patients, BCa": (True, "bca"),
    "images": (False, "percentile"),
}
DESIGNS = [(10, 10), (20, 20), (40, 40), (5, 35), (10, 30)]
HEADER = "| metric | patients per class | resampled | coverage | mean width | p <= 0.05 for equal models |"


def study(rng, design):
    """Labels, patients and the probabilities of two equally good models, for the number of patients per class."""
    n_patients = sum(design)
    n_images = 1 + rng.poisson(11, n_patients)
    patient = np.repeat(np.arange(n_patients), n_images)
    y_true = (patient >= design[0]).astype(int)
    effect = 1.2 * rng.normal(size=(2, n_patients))[:, patient]
    score = 1.2 * (2 * y_true - 1) + effect + 0.8 * rng.normal(size=(2, len(patient)))
    return y_true, patient, 1 / (1 + np.exp(-score))


def truth_of(design):
    """Metric -> its value in a population with the classes in the proportion of the design."""
    y_true, _, (a, _) = study(np.random.default_rng(0), [200_000 * each // sum(design) for each in design])
    return {metric: function(y_true, a) for metric, function in TRUTH.items()}


def coverage(metric, truth, design, n_studies):
    """Share of intervals that hold the truth, mean width, and share of p-values of at most 0.05 for equal models."""
    rng = np.random.default_rng(design)
    rows = []
    for seed in range(n_studies):
        y_true, patient, (a, b) = study(rng, design)
        rows.append([])
        for by_patient, method in INTERVALS.values():
            units = patient if by_patient else np.arange(len(patient))
            options = {"patient": units, "method": method, "n_resamples": 999, "random_state": seed}
            _, low, high = patient_bootstrap(metric, y_true, a, **options)
            p_value = patient_bootstrap_difference(metric, y_true, a, b, **options).p_value
            rows[-1].append((low <= truth <= high, high - low, p_value <= 0.05))
    return np.mean(rows, axis=0)


def print_table(n_studies=400):
    truths = {design: truth_of(design) for design in DESIGNS}
    print(HEADER, "|---" * 6 + "|", sep="\n")
    for metric in TRUTH:
        for design in DESIGNS:
            values = coverage(metric, truths[design][metric], design, n_studies)
            for name, (covered, width, rejected) in zip(INTERVALS, values, strict=True):
                patients = " + ".join(map(str, design))
                line = f"| {metric} | {patients} | {name} | {covered:.3f} | {width:.3f} | {rejected:.3f} |"
                print(line, flush=True)
    print(f"\nMonte Carlo standard error at 0.95: {np.sqrt(0.95 * 0.05 / n_studies):.3f}.")


if __name__ == "__main__":
    # BCa with few patients can ask for more than the outermost resample, which is then taken
    warnings.filterwarnings("ignore", "The interval reaches beyond")
    print_table()
