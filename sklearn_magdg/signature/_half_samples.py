"""Complementary half-samples of patients."""

import numpy as np

from sklearn_magdg.cohort import majority_class


def complementary_halves(patient, label, n_pairs, rng):
    """Rows of 2 `n_pairs` half-samples; the second of a pair holds the patients that the first does not.

    Parameters
    ----------
    patient, label : ndarrays of shape (n_samples,)
        Codes from 0. A patient counts to the class of most of its samples, and every class is halved by itself.
    n_pairs : int
        At least 1.
    rng : RandomState
        Deals the patients; where their number in a class is odd, chance decides which half has one more.

    Returns
    -------
    list of 2 n_pairs ndarrays of int
        Pair after pair.
    """
    patient_class = majority_class(patient, label)
    halves = []
    for _ in range(n_pairs):
        in_first = _deal_half(patient_class, rng)[patient]
        halves += [np.flatnonzero(in_first), np.flatnonzero(~in_first)]
    return halves


def _deal_half(patient_class, rng):
    """Mask `(n_patients,)` of a random half within every class."""
    in_first = np.zeros(len(patient_class), dtype=bool)
    for each in np.unique(patient_class):
        members = rng.permutation(np.flatnonzero(patient_class == each))
        in_first[members[: (len(members) + rng.randint(2)) // 2]] = True
    return in_first
