"""Columns of names turned into codes, once, with their order and their faults settled."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_magdg._metadata import magnification_number, sort_names


class Encoded(NamedTuple):
    """A column as codes `(n,)` into its sorted `names`; a missing value has code -1."""

    codes: np.ndarray
    names: list

    def take(self, rows):
        """The same names for some of the rows, so that codes of both still mean the same."""
        return Encoded(self.codes[rows], self.names)

    def present(self):
        """Only the names that stand in some row, and codes that run from 0 without a gap."""
        standing = np.unique(self.codes[self.codes >= 0])
        codes = np.where(self.codes >= 0, np.searchsorted(standing, self.codes), -1)
        return Encoded(codes, [self.names[code] for code in standing])

    def values(self):
        """The column itself `(n,)`, of objects; None where a value is missing."""
        # the last entry is what the code -1 of a missing value picks
        names = np.empty(len(self.names) + 1, dtype=object)
        names[:] = [*np.asarray(self.names, dtype=object), None]
        return names[self.codes]


def as_column(values, name, n_samples=None):
    """`values` as a 1-D array, of length `n_samples` where that is given."""
    # a list goes through `object`: NumPy alone would turn ["a", nan] into the text "nan"
    column = np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise ValueError(f"`{name}` must hold one value per sample, got an array of shape {column.shape}.")
    if n_samples is not None and len(column) != n_samples:
        raise ValueError(f"`{name}` has {len(column)} values for {n_samples} samples; give one per sample.")
    return column


def encode(values, name, n_samples=None, *, allow_missing=False):
    """Codes of the checked `values` into their sorted names, the same for every order of the rows.

    Raises
    ------
    ValueError
        If the length differs from `n_samples`, if a value is missing (unless `allow_missing`) or blank, if
        text and numbers are mixed, so that one patient could stand there as 7 and as "7", or if two names
        differ by white space around them only.
    """
    codes, names = pd.factorize(as_column(values, name, n_samples))
    if not allow_missing:
        _refuse_missing(codes, name)
    names = [_plain(each) for each in names]
    _refuse_mixture(names, name)
    ordered = sort_names(names)
    if names and isinstance(names[0], str):
        _refuse_blank(codes, names, name)
        _refuse_stray_space(ordered, name)
    rank = {each: position for position, each in enumerate(ordered)}
    # the last entry is what the code -1 of a missing value picks
    position = np.array([rank[each] for each in names] + [-1], dtype=np.intp)
    return Encoded(position[codes], ordered)


def encode_magnification(magnification, n_samples=None, *, allow_missing=False):
    """`encode`, which also refuses two spellings of one magnification ("40" and "40X")."""
    encoded = encode(magnification, "magnification", n_samples, allow_missing=allow_missing)
    numbers = [magnification_number(name) for name in encoded.names]
    for number in set(numbers) - {None}:
        same = [name for name, each in zip(encoded.names, numbers, strict=True) if each == number]
        if len(same) > 1:
            raise ValueError(f"`magnification` spells one magnification in several ways, {same}; choose one.")
    return encoded


def _plain(name):
    return name.item() if isinstance(name, np.generic) else name


def _refuse_missing(codes, name):
    missing = np.flatnonzero(codes == -1)
    if len(missing):
        raise ValueError(
            f"`{name}` is missing for {len(missing)} samples (the first at position {missing[0]}); "
            f"fill in or drop these samples."
        )


def _refuse_blank(codes, names, name):
    blank = np.flatnonzero(np.isin(codes, [code for code, each in enumerate(names) if not each.strip()]))
    if len(blank):
        raise ValueError(
            f"`{name}` is blank text for {len(blank)} samples (the first at position {blank[0]}); "
            "fill in or drop these samples."
        )


def _refuse_stray_space(names, name):
    seen = {}
    for each in names:
        if seen.setdefault(each.strip(), each) != each:
            same = [seen[each.strip()], each]
            raise ValueError(f"`{name}` has names that differ by white space only, {same}; write them one way.")


def _refuse_mixture(names, name):
    is_text = [isinstance(each, str) for each in names]
    if any(is_text) and not all(is_text):
        text, number = names[is_text.index(True)], names[is_text.index(False)]
        raise ValueError(f"`{name}` mixes text ({text!r}) and numbers ({number!r}); write all values one way.")
