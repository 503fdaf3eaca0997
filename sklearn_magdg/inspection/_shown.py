"""Which of many images are shown: what is known of them, and draws that leave no class or patient out."""

from numbers import Integral

import numpy as np
import pandas as pd

from sklearn_magdg.cohort import Cohort, Encoded, encode, encode_magnification


def check_n_images(n_images):
    """Refuse, by `ValueError`, what is no whole number of at least 1."""
    if not isinstance(n_images, Integral) or n_images < 1:
        raise ValueError(f"`n_images` must be a whole number of at least 1, got {n_images!r}.")


def read_known(n_samples, *, y=None, patient=None, magnification=None):
    """`Cohort` of what is given of the samples; without `y` all are of one class, whose name is None.

    In `read_cohort`, which splitters and metrics ask, real-valued targets make one class; here `y` names what is
    drawn, so that 0.5 and 1.5 are two names.

    Raises
    ------
    ValueError
        If a length differs from `n_samples`, or a value is missing, blank, or spelled in two ways.
    """
    return Cohort(
        Encoded(np.zeros(n_samples, dtype=np.intp), [None]) if y is None else encode(y, "y", n_samples),
        None if patient is None else encode(patient, "patient", n_samples),
        None if magnification is None else encode_magnification(magnification, n_samples),
    )


def draw_varied(cohort, n_images, rng):
    """Rows of `n_images` at most, ascending: patients take turns, and cells of class and magnification do so first.

    The rows are shuffled and then sorted twice by the turn in which a row's group comes to it. Since the sort is
    stable the last key counts most: every cell is shown once before any is shown twice, and among the images that a
    cell offers in a turn those of new patients come first.
    """
    rows = rng.permutation(len(cohort))
    for columns in ([cohort.patient], [cohort.label, cohort.magnification]):
        group = np.zeros(len(cohort), dtype=int)
        for column in columns:
            if column is not None:
                group = group * len(column.names) + column.codes
        rows = rows[np.argsort(turns(group[rows]), kind="stable")]
    return np.sort(rows[:n_images])


def draw_of_each(codes, n_images, rng):
    """Rows of `n_images` at most of every code, code by code, ascending."""
    shuffled = rng.permutation(len(codes))
    rows = np.sort(shuffled[turns(codes[shuffled]) < n_images])
    return rows[np.argsort(codes[rows], kind="stable")]


def turns(group):
    """How many earlier rows are of the same group `(n,)`: 0 for the first of each, 1 for its second and so on."""
    return pd.Series(group).groupby(group).cumcount().to_numpy()
