"""Telling image paths from arrays, in whatever container they come.

What decides is the type of the values, never the container or the shape: text and `os.PathLike` are paths, numbers and
arrays are not. So an estimator takes whatever column holds the paths, and a table of features is not looked through.
"""

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

    Notes
    -----
    A single path as bare text is no collection of paths: None. So is an empty collection, of which nobody can tell what
    it would hold.

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
    return _object_column([str(os.fspath(each)) for each in column])  # NumPy's own str as Python's


def _one_column(X):
    """`X` as a 1-D object array where it is one column that can hold paths, else None.

    No value of an array of numbers is looked at, and no array is copied unless its type can hold text.
    """
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
    """A list as a 1-D object array; `np.array` would make text of it, and of arrays a second dimension."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
