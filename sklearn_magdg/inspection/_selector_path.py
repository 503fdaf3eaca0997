"""The path on which a fitted selector chose its signature, followed anew: it keeps the chosen point alone."""

import warnings

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data

from sklearn_magdg.signature import default_grid, follow, warn_if_not_converged

SAME_WEIGHTS = 0.01  # of the largest weight; two solutions of one problem differ by less


def follow_anew(selector, X, y, sample_weight):
    """The path of the data as the selector saw them, over its own grid or one that holds its `C_`."""
    X = validate_data(selector, X, dtype=[np.float64, np.float32], reset=False)
    y = column_or_1d(y)
    _refuse_other_labels(selector, X, y)
    model = selector._model(selector._rows(X, y, sample_weight))
    path = follow(model, _grid(selector, model), tol=selector.tol, max_iter=selector.max_iter)
    warn_if_not_converged(path, selector.tol, selector.max_iter)
    _warn_if_other_data(selector, path)
    return path


def _refuse_other_labels(selector, X, y):
    if len(y) != len(X) or not np.array_equal(np.unique(y), selector.classes_):
        raise ValueError(
            f"SignaturePathDisplay needs the `X` and `y` that the selector was fitted on, got {len(X)} rows and "
            f"{len(y)} labels of the classes {np.unique(y).tolist()}, where `fit` saw {selector.classes_.tolist()}."
        )


def _grid(selector, model):
    if hasattr(selector, "Cs_"):  # not the parameter `C`, which may have changed since the fit
        return selector.Cs_
    first, last = default_grid(model, 2)
    grid = np.geomspace(min(first, selector.C_), max(last, selector.C_), selector.n_Cs)
    return np.union1d(grid, selector.C_)


def _warn_if_other_data(selector, path):
    means_over_paths = hasattr(selector, "magnification_coef_")
    if means_over_paths or selector._strongest_alone:  # neither lies on the path
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
