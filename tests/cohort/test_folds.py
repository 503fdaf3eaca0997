from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sklearn_magdg.cohort._folds import deal_patients

patients = st.lists(st.tuples(st.integers(1, 50) | st.integers(1, 2000), st.integers(0, 3)), min_size=1, max_size=40)
seeds = st.none() | st.integers(0, 9)


def deal(patients, n_folds, seed=None):
    n_images, patient_class = np.array(patients).T
    rng = None if seed is None else np.random.RandomState(seed)
    return deal_patients(n_images, patient_class, n_folds, rng), n_images, patient_class


def loads(fold, n_images, n_folds):
    return np.bincount(fold, weights=n_images, minlength=n_folds)


def fewest_possible(n_images, n_folds):
    """Images in the fullest fold of the best of all partitions."""
    every = product(range(n_folds), repeat=len(n_images))
    return min(loads(np.array(fold), n_images, n_folds).max() for fold in every)


@given(patients, st.integers(1, 12), seeds)
def test_no_fold_is_empty_where_patients_are_as_many_as_folds(patients, n_folds, seed):
    assume(len(patients) >= n_folds)
    fold, *_ = deal(patients, n_folds, seed)
    assert set(fold) == set(range(n_folds))


@given(patients, st.integers(1, 8), seeds)
def test_folds_differ_by_at_most_the_largest_patient_in_all_and_in_every_class(patients, n_folds, seed):
    fold, n_images, patient_class = deal(patients, n_folds, seed)
    assert np.ptp(loads(fold, n_images, n_folds)) <= n_images.max()
    for each in np.unique(patient_class):
        own = patient_class == each
        assert np.ptp(loads(fold[own], n_images[own], n_folds)) <= n_images[own].max()


def test_remainders_of_the_classes_do_not_pile_up_on_one_fold():
    # largest first alone gives three of these four to one fold
    fold, n_images, patient_class = deal([(10, 0), (10, 2), (10, 1), (10, 2)], 2)
    np.testing.assert_array_equal(loads(fold, n_images, 2), [20, 20])
    assert set(fold[patient_class == 2]) == {0, 1}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=7), st.integers(2, 3))
def test_the_fullest_fold_of_a_class_is_within_grahams_bound_of_the_best_partition(n_images, n_folds):
    # R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17(2), 1969, theorem 2
    fold, n_images, _ = deal([(n, 0) for n in n_images], n_folds)
    bound = (4 / 3 - 1 / (3 * n_folds)) * fewest_possible(n_images, n_folds)
    assert loads(fold, n_images, n_folds).max() <= bound + 1e-9


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=30), st.integers(1, 6))
def test_dealing_agrees_with_a_plain_search_of_the_least_loaded_fold(patients, n_folds):
    n_images, patient_class = np.array(patients).T
    in_class, total, expected = Counter(), Counter(), np.empty(len(patients), dtype=int)
    for p in sorted(range(len(patients)), key=lambda p: -n_images[p]):
        c = patient_class[p]
        expected[p] = f = min(range(n_folds), key=lambda f: (in_class[c, f], total[f], f))
        in_class[c, f] += n_images[p]
        total[f] += n_images[p]
    fold, *_ = deal(patients, n_folds)
    if np.ptp([total[f] for f in range(n_folds)]) <= n_images.max():
        np.testing.assert_array_equal(fold, expected)
    # levelled or not, the parts of a class are the same patients
    for c in np.unique(patient_class):
        own = patient_class == c
        renumbering = set(zip(expected[own].tolist(), fold[own].tolist(), strict=True))
        assert len(renumbering) == len(set(expected[own])) == len(set(fold[own]))


@pytest.mark.parametrize("seed", [None, 0])
def test_very_unequal_patients_make_nearly_equal_folds(seed):
    rng = np.random.default_rng(0)
    n_images, patient_class = np.ceil(np.exp(rng.normal(3, 1, size=90))).astype(int), np.arange(90) % 3
    fold, *_ = deal(list(zip(n_images, patient_class, strict=True)), 5, seed)
    totals = loads(fold, n_images, 5)
    assert np.ptp(totals) < (0.05 if seed is None else 0.25) * totals.mean()


def test_a_seed_changes_the_folds_and_repeats_them():
    patients = [(5, 0), (5, 1)] * 10
    dealt = [tuple(deal(patients, 3, seed)[0]) for seed in (None, 0, 0, 1)]
    assert dealt[1] == dealt[2]
    assert len(set(dealt)) == 3
