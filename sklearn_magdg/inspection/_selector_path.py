"""The path on which a fitted selector chose its signature, followed anew: it keeps the chosen point alone."""

import warnings

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_class_weight
from sklearn.utils.validation import _check_sample_weight, validate_data

from sklearn_magdg.signature._path import compute_path

LENGTH_OF_PATH = 100  # last C of the path over the first; as many as on the grid of "cv"
SAME_WEIGHTS = 0.01  # of the largest weight; two solutions of one problem differ by less


def follow_anew(selector, X, y, sample_weight):
    """The path of the data as the selector saw them, over its own grid or one that holds its `C_`."""
    X = validate_data(selector, X, dtype=[np.float64, np.float32], reset=False)
    weight = _total_weight(selector, X, np.asarray(y), sample_weight)
    if selector.standardize:
        X = StandardScaler().fit_transform(X, sample_weight=weight)
    options = {"sample_weight": weight, "tol": selector.tol, "max_iter": selector.max_iter}
    path, _ = compute_path(X, y, Cs=_grid(selector, X, y, weight), **options)
    _warn_if_other_data(selector, path)
    return path


def _total_weight(selector, X, y, sample_weight):
    """Sample weights times class weights."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if len(y) != len(X) or not np.array_equal(np.unique(y), selector.classes_):
        raise ValueError(
            f"SignaturePathDisplay needs the `X` and `y` that the selector was fitted on, got {len(X)} rows and "
            f"{len(y)} labels of the classes {np.unique(y).tolist()}, where `fit` saw {selector.classes_.tolist()}."
        )
    known = {"classes": selector.classes_, "y": y, "sample_weight": weight}
    return weight * compute_class_weight(selector.class_weight, **known)[np.searchsorted(selector.classes_, y)]


def _grid(selector, X, y, weight):
    if selector.C == "cv":
        return selector.Cs_
    first = compute_path(X, y, n_Cs=1, sample_weight=weight)[0].Cs[0]
    last = max(LENGTH_OF_PATH * first, selector.C_)
    return np.union1d(np.geomspace(min(first, selector.C_), last, selector.n_Cs), selector.C_)


def _warn_if_other_data(selector, path):
    if selector.per_magnification:  # whose `coef_` are means over paths
        return
    expected, found = selector.coef_, path.coefs[position_of(path.Cs, selector.C_)]
    if np.abs(found - expected).max() > SAME_WEIGHTS * np.abs(expected).max():
        warnings.warn(
            f"The path of these data does not pass through the weights of the selector at C={selector.C_:.3g}: give "
            f"the `X`, `y` and `sample_weight` that it was fitted on.",
            UserWarning,
        )


def position_of(Cs, C):
    """Index of `C` on the path."""
    near = np.flatnonzero(np.isclose(Cs, C, rtol=1e-6))
    if near.size == 0:
        raise ValueError(
            f"`chosen_C={C!r}` is not on the path, which has {len(Cs)} values from {Cs[0]:.3g} to {Cs[-1]:.3g}; follow "
            f"it again with `signature_path(X, y, Cs=[..., {C!r}])`."
        )
    return int(near[0])
