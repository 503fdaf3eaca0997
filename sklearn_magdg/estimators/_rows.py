"""Training rows: what stands in X and what is known of each row, checked."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from sklearn_magdg.cohort import encode
from sklearn_magdg.images._sources import RowsOf


class Rows(NamedTuple):
    """Training rows: their images or features and what is known of each."""

    source: object
    label: np.ndarray  # int64 (n,)
    patient: np.ndarray | None
    magnification: np.ndarray | None  # int64 codes (n,)
    weight: np.ndarray  # float64 (n,)

    def take(self, mask):
        def part(values):
            return None if values is None else values[mask]

        rows = np.flatnonzero(mask)
        return Rows(RowsOf(self.source, rows), *(part(values) for values in self[1:]))


def check_labels(estimator, y, n):
    """`y` as a 1-D array of `n` labels of at least two classes."""
    y = read_labels(y, n)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs at least 2 classes, got 1 class: {classes.tolist()[0]!r}; "
            "add images of another class."
        )
    return y


def read_labels(y, n):
    """`y` as a 1-D array of `n` labels, none missing."""
    if y is None:
        raise ValueError("A classifier requires y to be passed, but the target y is None: give one label per sample.")
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "O":
        y = pd.Series(y).infer_objects().to_numpy()  # numbers in a column of objects
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    encode(y, "y")  # which refuses missing, blank and mixed labels
    check_classification_targets(y)
    check_consistent_length(range(n), y)
    return y


def training_weight(sample_weight, class_weight, y):
    """Product of both weights (n,), float64, checked."""
    weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
    factor = compute_sample_weight(class_weight, y)
    if not np.isfinite(factor).all() or factor.min() < 0:
        raise ValueError(f"`class_weight` must hold finite numbers of at least 0, got {class_weight!r}.")
    weight = weight * factor
    if not weight.any():
        raise ValueError(f"`sample_weight` times `class_weight` ({class_weight!r}) is 0 for every sample; raise one.")
    return weight


def image_as_patient(n):
    """Every image as a patient of its own, with a warning of what that leaks."""
    warnings.warn(
        "early_stopping=True without `patient`: images of one patient may stand on both sides of the validation "
        "split, which flatters its loss; pass `patient` to `fit`.",
        UserWarning,
    )
    return np.arange(n)


def present_magnifications(rows, magnifications):
    """`rows` with codes of those `magnifications` alone that stand in them, and these."""
    if rows.magnification is None:
        return rows, None
    present, codes = np.unique(rows.magnification, return_inverse=True)
    return rows._replace(magnification=codes), [magnifications[code] for code in present]


def mean_one(weight, groups):
    """Weights over their mean within each group."""
    totals = np.bincount(groups, weights=weight)
    counts = np.bincount(groups)
    means = np.divide(totals, counts, out=np.ones_like(totals), where=totals > 0)
    return weight / means[groups]
