"""Columns of names turned into codes, once, with their order and their faults settled."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_magdg._metadata import magnification_number, sort_names


class Encoded(NamedTuple):
    """A column of names as codes: row i has the name ``names[codes[i]]``.

    Codes compare, count and index as whole numbers do, whether the names were text or numbers; and they mean the same
    in every part of the data, for a part keeps all `names`, also those that stand in no row of it.

    Parameters
    ----------
    codes : ndarray of int of shape (n,)
        Position of each row's name in `names`, -1 where the row has none.
    names : sequence of length n_names
        Distinct names in the order of `sort_names`, or of NumPy where they are a classifier's ``classes_``.

    Examples
    --------
    >>> from sklearn_magdg.cohort import encode_magnification
    >>> column = encode_magnification(["100X", "40X", "100X"])
    >>> column.codes, column.names
    (array([1, 0, 1]), ['40X', '100X'])
    >>> column.take([0, 2]).present()
    Encoded(codes=array([0, 0]), names=['100X'])
    """

    codes: np.ndarray
    names: list | np.ndarray

    def take(self, rows):
        """The same names for some of the rows, so that codes of both still mean the same."""
        return Encoded(self.codes[rows], self.names)

    def present(self):
        """Only the names that stand in some row, in the same order, and codes that run from 0 without a gap."""
        standing = np.unique(self.codes[self.codes >= 0])
        codes = np.where(self.codes >= 0, np.searchsorted(standing, self.codes), -1)
        is_array = isinstance(self.names, np.ndarray)
        return Encoded(codes, self.names[standing] if is_array else [self.names[code] for code in standing])

    def values(self):
        """The column itself `(n,)`, of objects; None where a value is missing."""
        # the last entry is what the code -1 of a missing value picks
        names = np.empty(len(self.names) + 1, dtype=object)
        names[:] = [*np.asarray(self.names, dtype=object), None]
        return names[self.codes]


def as_column(values, name, n_samples=None):
    """`values` as a 1-D array, from a list, a Series of any library, or an array of shape (n,) or (n, 1).

    Raises
    ------
    ValueError
        If there is more than one value per sample, or the length differs from `n_samples` where that is given.
    """
    # a list goes through `object`: NumPy alone would turn ["a", nan] into the text "nan"
    column = np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise ValueError(
            f"`{name}` must hold one value per sample, got an array of shape {column.shape}; give one column."
        )
    if n_samples is not None and len(column) != n_samples:
        raise ValueError(f"`{name}` has {len(column)} values for {n_samples} samples; give one per sample.")
    return column


def encode(values, name, n_samples=None, *, allow_missing=False):
    """`Encoded` of the checked `values`, the same for every order of the rows.

    Parameters
    ----------
    values : array-like of shape (n,)
        Text, or numbers; missing are None, NaN and pandas' NA.
    name : str
        What the messages call the column.
    n_samples : int, default=None
        Length that it must have; None takes any.
    allow_missing : bool, default=False
        Whether a value may be missing, which then has code -1.

    Raises
    ------
    ValueError
        If the length differs from `n_samples`, if a value is missing (unless `allow_missing`) or blank, if
        text and numbers are mixed, so that one patient could stand there as 7 and as "7", or if two names
        differ by white space around them only.
    """
    codes, names = pd.factorize(as_column(values, name, n_samples))
    if not allow_missing:
        _refuse_rows(codes == -1, name, "missing")
    names = [each.item() if isinstance(each, np.generic) else each for each in names]

    text = [each for each in names if isinstance(each, str)]
    if 0 < len(text) < len(names):
        number = next(each for each in names if not isinstance(each, str))
        raise ValueError(f"`{name}` mixes text ({text[0]!r}) and numbers ({number!r}); write all values one way.")
    ordered = sort_names(names)
    if text:
        _refuse_rows(np.isin(codes, [code for code, each in enumerate(names) if not each.strip()]), name, "blank text")
        for same in spelled_alike(ordered, str.strip):
            raise ValueError(f"`{name}` has names that differ by white space only, {same}; write them one way.")

    # from the order in which names were met, which the order of the rows decides, to their own order
    rank = {each: position for position, each in enumerate(ordered)}
    # the last entry is what the code -1 of a missing value picks
    position = np.array([rank[each] for each in names] + [-1], dtype=np.intp)
    return Encoded(position[codes], ordered)


def encode_magnification(magnification, n_samples=None, *, allow_missing=False):
    """`encode`, which also refuses two spellings of one magnification ("40" and "40X")."""
    encoded = encode(magnification, "magnification", n_samples, allow_missing=allow_missing)
    for same in spelled_alike(encoded.names, magnification_number):
        raise ValueError(f"`magnification` spells one magnification in several ways, {same}; choose one.")
    return encoded


def spelled_alike(names, reading):
    """Groups of two `names` or more for which `reading` gives the same, in their order; None is like nothing."""
    groups = {}
    for name in names:
        groups.setdefault(reading(name), []).append(name)
    groups.pop(None, None)
    return [group for group in groups.values() if len(group) > 1]


def _refuse_rows(faulty, name, fault):
    """Raise where a row is `faulty` (a mask), naming the first, for the user will look at that one."""
    rows = np.flatnonzero(faulty)
    if len(rows):
        raise ValueError(
            f"`{name}` is {fault} for {len(rows)} samples (the first at position {rows[0]}); "
            "fill in or drop these samples."
        )
