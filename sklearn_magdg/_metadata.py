"""Names of magnifications: as numbers, in order, as text."""

import re
from numbers import Number

_NUMBER = re.compile(r"\s*([xX×]\s*)?([0-9]+(?:\.[0-9]+)?)(?(1)|\s*[xX×]?)\s*")


def magnification_number(name):
    """`name` (40, 40.0, "40", "40X", "x40") as a float, None where it does not read as a number."""
    if isinstance(name, Number):
        return float(name)
    match = _NUMBER.fullmatch(str(name))
    return float(match[2]) if match else None


def magnification_text(name):
    """A magnification as people write it: 100 and 100.0 as "100X", names that are text as they are."""
    return f"{name:g}X" if isinstance(name, Number) else str(name)


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
