"""How often bands of a reliability diagram hold what they say, for calibrated forecasts of clustered images.

Run with ``python benchmarks/simulate_reliability_bands.py``; prints the Markdown table
``docs/measured/bands.md`` in three minutes of one core: the mean over 120 cohorts and the forecasts 0.1, 0.3, 0.5, 0.7
and 0.9. All images of a patient share its label; what they show of it is independent,
half shared or the same. A consistency band should hold the curve, a confidence band the diagonal.
"""

import numpy as np
from scipy.special import expit

from sklearn_magdg.inspection._corp import consistency_band, corp_curve

N_COHORTS, N_RESAMPLES, LEVEL = 120, 200, 0.95
PLACES = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
EFFECT = 0.8  # distance of a class from 0, in spreads of an image's evidence


def cohort(n_patients, n_images, shared, rng):
    """Outcomes, calibrated forecasts and patients."""
    patient = np.repeat(np.arange(n_patients), n_images)
    y = rng.integers(0, 2, n_patients)[patient]
    noise = np.sqrt(shared) * rng.normal(size=n_patients)[patient] + np.sqrt(1 - shared) * rng.normal(size=len(y))
    return y, np.round(expit(2 * EFFECT * (EFFECT * (2 * y - 1) + noise)), 3), patient


def at_places(predicted, values):
    return np.interp(PLACES, predicted, values)


def curve(y, p):
    return corp_curve(y, p, np.ones(len(y)))


def consistency(y, p, unit, rng):
    """Whether the band holds the curve, and its width, at every place."""
    options = {"n_resamples": N_RESAMPLES, "confidence_level": LEVEL, "random_state": rng}
    predicted, recalibrated, _ = curve(y, p)
    low, high = (at_places(predicted, end) for end in consistency_band(p, unit, np.ones(len(p)), **options))
    observed = at_places(predicted, recalibrated)
    return (low <= observed) & (observed <= high), high - low


def confidence(y, p, patient, rng):
    """Whether the percentile band of patients drawn within class holds the diagonal, and its width."""
    images = [np.flatnonzero(patient == each) for each in range(patient.max() + 1)]
    label = np.array([y[rows[0]] for rows in images])
    curves = []
    for _ in range(N_RESAMPLES):
        drawn = [rng.choice(np.flatnonzero(label == each), np.sum(label == each)) for each in np.unique(label)]
        rows = np.concatenate([images[each] for each in np.concatenate(drawn)])
        curves.append(at_places(*curve(y[rows], p[rows])[:2]))
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return (low <= PLACES) & (high >= PLACES), high - low


BANDS = {
    "consistency, by patient": consistency,
    "consistency, image by image": lambda y, p, patient, rng: consistency(y, p, np.arange(len(y)), rng),
    "bootstrap of patients": confidence,
}

if __name__ == "__main__":
    print("| patients x images | evidence of a patient's images | band | coverage (95 %) | width |")
    print("|---|---|---|---|---|")
    for n_patients, n_images in ((24, 12), (60, 8)):
        for shared, words in ((0, "independent"), (0.5, "half shared"), (1, "the same")):
            for name, band in BANDS.items():
                rows = []
                for seed in range(N_COHORTS):
                    rng = np.random.RandomState(seed)
                    draws = np.random.default_rng(seed)
                    rows.append(band(*cohort(n_patients, n_images, shared, draws), rng))
                held, width = np.mean(rows, axis=(0, 2))
                print(f"| {n_patients} x {n_images} | {words} | {name} | {held:.3f} | {width:.2f} |")
