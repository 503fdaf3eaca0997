"""Telling image paths from arrays, in whatever container they come."""

import os

import numpy as np


def as_paths(X):
    """Paths in `X` as text, None if `X` is something else.

    Parameters
    ----------
    X : object
        A list, tuple, 1-D array, Series (pandas, polars), one-column DataFrame or (n, 1) array of str or
        os.PathLike counts as paths.

    Returns
    -------
    paths : ndarray of shape (n,), dtype object, or None
        The paths as str.

    Raises
    ------
    ValueError
        If paths stand beside something else, a missing value say.

    Examples
    --------
    >>> from pathlib import Path
    >>> as_paths([Path("a.png"), "b.png"])
    array(['a.png', 'b.png'], dtype=object)
    >>> as_paths([[0.5, 1.5]]) is None
    True
    """
    column = _one_column(X)
    if column is None:
        return None
    is_path = [isinstance(each, str | os.PathLike) for each in column]
    if not any(is_path):
        return None
    if not all(is_path):
        row = is_path.index(False)
        raise ValueError(
            f"`X` mixes image paths and other things (position {row} is {column[row]!r}); give paths only."
        )
    paths = np.empty(len(column), dtype=object)
    paths[:] = [str(os.fspath(each)) for each in column]  # NumPy's own str as Python's
    return paths


def _one_column(X):
    """`X` as a 1-D object array where it is one column that can hold paths, else None."""
    if hasattr(X, "columns"):
        if len(X.columns) != 1:
            return None
        X = X[X.columns[0]]
    if isinstance(X, list | tuple):
        # a long list of numbers or arrays must not be copied just to be told apart
        return _object_column(X) if any(isinstance(each, str | os.PathLike) for each in X) else None
    if not hasattr(X, "dtype") or getattr(X, "ndim", 1) > 2 or not hasattr(X, "__len__"):
        return None
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUT":
        return None
    column = np.asarray(X, dtype=object)
    column = column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column
    return column if column.ndim == 1 else None


def _object_column(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
