"""Per-sample metadata (patient, magnification): checking it, and sorting its names."""

import re
from numbers import Number
from typing import NamedTuple

import numpy as np
import pandas as pd

_NUMBER = re.compile(r"\s*([xX×]\s*)?([0-9]+(?:\.[0-9]+)?)(?(1)|\s*[xX×]?)\s*")


class Encoded(NamedTuple):
    """Codes `(n,)` into the sorted `names`; a missing value has code -1."""

    codes: np.ndarray
    names: list


def magnification_number(name):
    """`name` (40, 40.0, "40", "40X", "x40") as a float, None where it does not read as a number."""
    if isinstance(name, Number):
        return float(name)
    match = _NUMBER.fullmatch(str(name))
    return float(match[2]) if match else None


def sort_names(names):
    """Names in numeric order where all read as numbers ("40X" < "100X"), else in the order of their text."""
    names = list(names)
    numbers = [magnification_number(name) for name in names]
    if None in numbers:
        return sorted(names, key=str)
    return [name for _, _, name in sorted((n, str(s), s) for n, s in zip(numbers, names, strict=True))]


def sort_cells(cells):
    """Pairs of class and magnification by class, and within it by magnification, as `sort_names` has them."""
    ranks = [{name: rank for rank, name in enumerate(sort_names(set(names)))} for names in zip(*cells, strict=True)]
    return sorted(cells, key=lambda cell: [rank[name] for rank, name in zip(ranks, cell, strict=True)])


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
