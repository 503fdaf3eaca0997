"""Embeddings whose truth is known."""

import numpy as np


def informative(n_patients=40, n_images=3, n_features=20, n_informative=2, seed=0):
    """Patients of one class each, which follows from the first dimensions; string labels, odd scales."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), n_images)
    of_patient = rng.normal(size=(n_patients, n_features))
    X = of_patient[patient] + 0.3 * rng.normal(size=(len(patient), n_features))
    score = of_patient[:, :n_informative].sum(axis=1)
    y = np.where(score > np.median(score), "malignant", "benign")[patient]
    return X * rng.uniform(0.1, 10, n_features) + 3, y, patient
