"""Time of 2,000 resamples of 82 patients with 8,000 predictions, and of scikit-learn on each.

Run with ``OMP_NUM_THREADS=1 python benchmarks/bench_bootstrap.py``; prints the median and quartiles of the repetitions.
"""

import numpy as np
from _timing import seconds
from sklearn.metrics import brier_score_loss, roc_auc_score

from sklearn_magdg.metrics import patient_bootstrap


def predictions(n_patients=82, n_images=8_000, seed=0):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, n_patients, n_images)
    y_true = (patient % 3 > 0).astype(int)
    score = 2 * y_true - 1 + rng.normal(size=n_patients)[patient] + rng.normal(size=n_images)
    return y_true, 1 / (1 + np.exp(-score)), patient


def run(metric, n_resamples):
    y_true, y_score, patient = predictions()
    patient_bootstrap(metric, y_true, y_score, patient=patient, n_resamples=n_resamples, random_state=0)


def one_by_one(metric):
    """The same metric as another function, which is called on every resample."""
    return lambda y, s, sample_weight: metric(y, s, sample_weight=sample_weight)


if __name__ == "__main__":
    print("| metric | resamples | seconds, median (quartiles) |\n|---|---|---|")
    for name, metric, n_resamples, n_repetitions in (
        ("roc_auc", "roc_auc", 2_000, 9),
        ("brier", "brier", 2_000, 9),
        ("roc_auc, one by one", one_by_one(roc_auc_score), 200, 3),
        ("brier, one by one", one_by_one(brier_score_loss), 200, 3),
    ):
        low, median, high = seconds(lambda metric=metric, n=n_resamples: run(metric, n), n_repetitions)
        print(f"| {name} | {n_resamples:,} | {median:.3f} ({low:.3f} to {high:.3f}) |")
