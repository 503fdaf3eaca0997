"""False positives of stable and knockoff selectors where the truth is known, beside what they promise.

A simulated study has 100 patients of 2 images and 150 dimensions, four fifths of whose variance is the patient's. The
class of a patient follows from 5 dimensions. The others are noise: independent (exchangeable, as the bounds assume), or
45 of them correlated by 0.8 with a dimension that matters. Images halved instead of patients show what patients are
for. Every selector takes 20 half-samples.

Run with ``OMP_NUM_THREADS=1 python benchmarks/simulate_error_control.py``; prints a Markdown table.
"""

import argparse
import warnings

import numpy as np
from sklearn.base import clone

from sklearn_magdg.signature import KnockoffSignatureSelector, StableSignatureSelector

N_PATIENTS, N_IMAGES, N_FEATURES, N_TRUE, N_SHADOWS = 100, 2, 150, 5, 9
PATIENT_SHARE = 0.8
METHODS = {
    "meinshausen-buhlmann": StableSignatureSelector(bound="meinshausen-buhlmann", n_resamples=20),
    "meinshausen-buhlmann, weakness 0.5": StableSignatureSelector(
        bound="meinshausen-buhlmann", weakness=0.5, n_resamples=20
    ),
    "unimodal": StableSignatureSelector(bound="unimodal", n_resamples=20),
    "r-concave": StableSignatureSelector(bound="r-concave", n_resamples=20),
    "knockoffs, fdr 0.3": KnockoffSignatureSelector(fdr=0.3, n_resamples=20),
}
HEADER = (
    "| noise | halved | selection | q | mean false positives (SE) | promised | mean share of false positives (SE) "
    "| promised | mean true positives of 5 |"
)


def study(seed, correlated):
    """Embedding, class and patient of every image; the first dimensions are true."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(N_PATIENTS), N_IMAGES)
    of_patient = rng.normal(size=(N_PATIENTS, N_FEATURES))
    of_image = rng.normal(size=(len(patient), N_FEATURES))
    X = np.sqrt(PATIENT_SHARE) * of_patient[patient] + np.sqrt(1 - PATIENT_SHARE) * of_image
    if correlated:
        for shadow in range(N_TRUE, N_TRUE * (1 + N_SHADOWS)):
            X[:, shadow] = 0.8 * X[:, shadow % N_TRUE] + 0.6 * X[:, shadow]
    score = of_patient[:, :N_TRUE].sum(axis=1) + 0.5 * rng.normal(size=N_PATIENTS)
    return X, (score > 0)[patient], patient


def false_and_true(selector):
    n_true = np.sum(selector.signature_ < N_TRUE)
    n_false = selector.n_signature_ - n_true
    return n_false, n_false / max(selector.n_signature_, 1), n_true


def print_row(correlated, by_patient, name, n_seeds):
    counts = []
    for seed in range(n_seeds):
        X, y, patient = study(seed, correlated)
        selector = clone(METHODS[name]).set_params(random_state=seed)
        counts.append(false_and_true(selector.fit(X, y, patient=patient if by_patient else None)))
    mean, error = np.mean(counts, axis=0), np.std(counts, axis=0, ddof=1) / np.sqrt(n_seeds)
    by_share = isinstance(selector, KnockoffSignatureSelector)
    promised = ("", selector.fdr) if by_share else (f"{selector.expected_false_positives_:.2f}", "")
    print(
        f"| {'correlated' if correlated else 'independent'} | {'patients' if by_patient else 'images'} | {name} "
        f"| {selector.max_features_} | {mean[0]:.2f} ({error[0]:.2f}) | {promised[0]} | {mean[1]:.2f} ({error[1]:.2f}) "
        f"| {promised[1]} | {mean[2]:.2f} |",
        flush=True,
    )


def print_table(n_seeds):
    print(HEADER, "|---" * 9 + "|", sep="\n")
    for name in METHODS:
        print_row(False, True, name, n_seeds)
    for name in METHODS:
        print_row(True, True, name, n_seeds)
    for name in ("r-concave", "knockoffs, fdr 0.3"):
        print_row(False, False, name, n_seeds)
    print(f"\nSE: standard error over {n_seeds} simulated studies.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="simulated studies per row")
    # an empty signature is a result here
    warnings.filterwarnings("ignore", "No dimension")
    print_table(parser.parse_args().seeds)
