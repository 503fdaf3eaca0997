"""The path on which a fitted selector chose its signature, followed anew: it keeps the chosen point alone."""

import warnings

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data

from sklearn_magdg.signature._path import default_grid, follow, warn_if_not_converged

SAME_WEIGHTS = 0.01  # of the largest weight; two solutions of one problem differ by less


def follow_anew(selector, X, y, sample_weight):
    """`SignaturePath` of the data as the selector saw them, over its own grid or one that holds its ``C_``.

    A selector keeps the chosen point alone, since a path has as many weights as points times dimensions.

    Parameters
    ----------
    selector : SparseSignatureSelector
        Fitted.
    X, y, sample_weight
        What it was fitted on.

    Raises
    ------
    ValueError
        If `X` has other features or `y` other labels than in `fit`.

    Warns
    -----
    UserWarning
        If the path does not pass through the weights of the selector.
    """
    X = validate_data(selector, X, dtype=[np.float64, np.float32], reset=False)
    y = column_or_1d(y)
    if len(y) != len(X) or not np.array_equal(np.unique(y), selector.classes_):
        raise ValueError(
            f"SignaturePathDisplay needs the `X` and `y` that the selector was fitted on, got {len(X)} rows and "
            f"{len(y)} labels of the classes {np.unique(y).tolist()}, where `fit` saw {selector.classes_.tolist()}."
        )
    model = selector._model(selector._rows(X, y, sample_weight))
    if hasattr(selector, "Cs_"):  # not the parameter `C`, which may have changed since the fit
        Cs = selector.Cs_
    else:  # the usual range of these data, wide enough for the single `C` of the fit
        first, last = default_grid(model, 2)
        grid = np.geomspace(min(first, selector.C_), max(last, selector.C_), selector.n_Cs)
        Cs = np.union1d(grid, selector.C_)
    path = follow(model, Cs, tol=selector.tol, max_iter=selector.max_iter)
    warn_if_not_converged(path, selector.tol, selector.max_iter)

    # the mean over the paths of magnifications, and a single dimension fitted alone, do not lie on the path
    if hasattr(selector, "magnification_coef_") or selector._strongest_alone:
        return path
    expected, found = selector.coef_, path.coefs[position_of(path.Cs, selector.C_)]
    if np.abs(found - expected).max() > SAME_WEIGHTS * np.abs(expected).max():
        warnings.warn(
            f"The path of these data does not pass through the weights of the selector at C={selector.C_:.3g}: give "
            "the `X`, `y` and `sample_weight` that it was fitted on.",
            UserWarning,
        )
    return path


def position_of(Cs, C):
    """Index of `C` on the path of the `Cs`, which it may miss by a rounding.

    Raises
    ------
    ValueError
        If `C` is not on the path.
    """
    near = np.flatnonzero(np.isclose(Cs, C, rtol=1e-6))
    if near.size == 0:
        raise ValueError(
            f"`chosen_C={C!r}` is not on the path, which has {len(Cs)} values from {Cs[0]:.3g} to {Cs[-1]:.3g}; follow "
            f"it again with `signature_path(X, y, Cs=[..., {C!r}])`."
        )
    return int(near[0])
