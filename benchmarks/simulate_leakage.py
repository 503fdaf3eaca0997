"""What a linear probe reads, by its C, and how often the leakage interval holds chance where nothing is told.

Simulated embeddings of 17 patients, 4 magnifications and 3 images each: an effect of the patient and noise, both with a
decaying spectrum. The magnification shifts one dimension, all dimensions a little, or eight directions of large or
of small variance.

Run with ``OMP_NUM_THREADS=1 python benchmarks/simulate_leakage.py``; prints two Markdown tables in about three minutes.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.metrics import magnification_leakage

CS = (0.001, 0.01, 0.1, 1, 10)
K = 4


def embed(rng, n_patients, n_dimensions, shift=None):
    """Embedding, magnification (0 to 3) and patient of every image."""
    patient = np.repeat(np.arange(n_patients), K * 3)
    magnification = np.tile(np.repeat(np.arange(K), 3), n_patients)
    spectrum = 1 / np.sqrt(1 + np.arange(min(n_dimensions, 256)))
    rank = len(spectrum)
    directions = rng.normal(size=(rank, n_dimensions)) / np.sqrt(rank)
    factors = (0.7 * rng.normal(size=(n_patients, rank))[patient] + rng.normal(size=(len(patient), rank))) * spectrum
    X = 3 * factors @ directions + 0.3 * rng.normal(size=(len(patient), n_dimensions))
    if shift == "one dimension":
        X[:, 0] += 6 * X[:, 0].std() * magnification
    if shift == "all dimensions":
        X += 0.15 * X.std(axis=0) * rng.normal(size=(K, n_dimensions))[magnification]
    if shift == "large variance":
        X += 3 * (rng.normal(size=(K, 8))[magnification] * spectrum[:8]) @ directions[:8]
    if shift == "small variance":
        X += 4.5 * spectrum[rank // 2] * rng.normal(size=(K, 8))[magnification] @ directions[rank // 2 : rank // 2 + 8]
    return X, magnification, patient


def power(n_dimensions, shift, n_studies=6):
    """Mean balanced accuracy (as many images at every magnification) for every C."""
    accuracy = np.empty((n_studies, len(CS)))
    for seed in range(n_studies):
        X, magnification, patient = embed(np.random.default_rng(seed), 17, n_dimensions, shift)
        folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(X, magnification, patient))
        for each, C in enumerate(CS):
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, class_weight="balanced", max_iter=1000))
            accuracy[seed, each] = cross_val_score(probe, X, magnification, cv=folds).mean()
    return accuracy.mean(axis=0)


def coverage(n_patients, n_studies=150):
    """Share of intervals that hold chance, mean estimate, share of intervals above chance."""
    rows = []
    for seed in range(n_studies):
        X, magnification, patient = embed(np.random.default_rng(seed), n_patients, 32)
        result = magnification_leakage(X, magnification, patient=patient, n_resamples=399, random_state=seed)
        rows.append((result.low <= 1 / K <= result.high, result.balanced_accuracy, result.low > 1 / K))
    return np.mean(rows, axis=0)


if __name__ == "__main__":
    print("| dimensions | shift | " + " | ".join(f"C = {C:g}" for C in CS) + " |\n|---|---|" + "---|" * len(CS))
    for n_dimensions in (16, 128, 2048):
        for shift in ("one dimension", "all dimensions", "large variance", "small variance"):
            values = " | ".join(f"{value:.3f}" for value in power(n_dimensions, shift))
            print(f"| {n_dimensions:,} | {shift} | {values} |", flush=True)
    print("\n| patients | chance held | mean estimate | low above chance |\n|---|---|---|---|")
    for n_patients in (17, 40, 80):
        print(f"| {n_patients} | " + " | ".join(f"{value:.3f}" for value in coverage(n_patients)) + " |", flush=True)
