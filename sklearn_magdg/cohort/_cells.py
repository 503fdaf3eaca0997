"""Cells: pairs of class and magnification, which a generator is conditional on."""

import numpy as np

from sklearn_magdg._metadata import sort_names
from sklearn_magdg._words import name_some
from sklearn_magdg.cohort._cohort import read_cohort
from sklearn_magdg.cohort._labels import read_labels


def read_generator_cohort(y, n_samples, *, patient, magnification, conditional):
    """`Cohort` of the training rows of a generator; one that is not conditional knows no class and no magnification.

    Raises
    ------
    ValueError
        Without labels for a conditional generator, for a class of one image, and for metadata that `read_cohort`
        refuses.
    """
    if not conditional:
        if n_samples < 2:
            raise ValueError(f"DCGAN needs at least 2 images, got n_samples={n_samples}; add some.")
        return read_cohort(n_samples, patient=patient, allow_missing_patients=True)
    if y is None:
        raise ValueError("DCGAN(conditional=True) needs labels: pass `y` to `fit`, or set conditional=False.")
    y = read_labels(y, n_samples)
    _refuse_single_images(y)
    return read_cohort(n_samples, y, patient=patient, magnification=magnification, allow_missing_patients=True)


def _refuse_single_images(labels):
    values, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        single = values[counts < 2].tolist()
        raise ValueError(
            f"DCGAN needs at least 2 images of each class, got 1 (n_samples={len(labels)}) of {name_some(single)}: a "
            "generator could only repeat it; add images, or leave the class out."
        )


def cells_of(cohort):
    """A (class, magnification) pair per row, as an array of objects; None where the cohort does not know one."""
    magnifications = [None] * len(cohort) if cohort.magnification is None else cohort.magnification.values()
    cells = np.empty(len(cohort), dtype=object)
    cells[:] = list(zip(cohort.label.values(), magnifications, strict=True))
    return cells


def check_parts(cell_of_row, held_back, code):
    """Refuse a part set aside that leaves a class too few images to learn, or holds too few to judge by."""
    if not held_back.any():
        return
    labels = [cell[0] for cell in cell_of_row]
    left = [label for label, held in zip(labels, held_back, strict=True) if not held]
    short = [label for label in set(labels) if left.count(label) < 2]
    if short or np.sum(held_back & (code >= 0)) < 2:
        lacking = (
            f"2 images of {name_some(sort_names(short))} to learn from" if short else "2 images to judge samples by"
        )
        raise ValueError(
            f"early_stopping=True sets {held_back.sum()} of {len(labels)} images aside and has fewer than {lacking}: "
            "use more patients, another `validation_fraction` or `random_state`, or early_stopping=False."
        )


def codes_of(cell_of_row, cells):
    """Position of each row's cell in `cells`, -1 where it is none of them."""
    position = {cell: code for code, cell in enumerate(cells)}
    return np.array([position.get(cell, -1) for cell in cell_of_row], dtype=np.int64)


def parts_of(cells):
    """Codes of class and magnification `(n_cells, 2)`."""
    return np.column_stack([_ranks([cell[part] for cell in cells]) for part in (0, 1)])


def _ranks(names):
    ordered = sort_names(set(names))
    return [ordered.index(name) for name in names]


def draw_cells(cells, counts, n, y, magnification, rng):
    """Position in `cells` of every sample: any that was asked for, as often as it stood in the training set."""
    wanted = np.ones((n, len(cells)), dtype=bool)
    for part, values, name in ((0, y, "y"), (1, magnification, "magnification")):
        if values is not None:
            wanted &= _matches([cell[part] for cell in cells], n, values, name)
    weights = wanted * counts
    if not weights.any(axis=1).all():
        raise ValueError("No training image had that combination of class and magnification.")
    cumulative = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    return (rng.random_sample((n, 1)) > cumulative[:, :-1]).sum(axis=1)


def _matches(known, n, values, name):
    """Which of the `known` names, one a cell, each of `n` samples was asked for `(n, n_cells)`."""
    if known[0] is None:
        raise ValueError(f"`{name}` cannot be asked for: this DCGAN was fitted without; leave it None, or fit anew.")
    values = np.broadcast_to(np.asarray(values), (n,)) if np.ndim(values) == 0 else np.asarray(values)
    if len(values) != n:
        raise ValueError(f"`{name}` must have n={n} entries, got {len(values)}.")
    unknown = sorted(set(values.tolist()) - set(known), key=str)
    if unknown:
        fitted = name_some(sort_names(set(known)))
        raise ValueError(f"`{name}` holds {unknown[0]!r}, which was not in the training set: {fitted}.")
    return np.array([[value == k for k in known] for value in values])
