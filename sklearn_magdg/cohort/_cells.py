"""Cells: pairs of class and magnification, which a generator is conditional on."""

import numpy as np

from sklearn_magdg._metadata import sort_cells, sort_names
from sklearn_magdg._words import name_some
from sklearn_magdg.cohort._cohort import read_cohort
from sklearn_magdg.cohort._labels import read_labels


def read_generator_cohort(y, n_samples, *, patient, magnification, conditional, asker):
    """`Cohort` of the training rows of a generator; one that is not conditional knows no class and no magnification.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or None
        Classes, needed by a conditional generator and not read by another.
    n_samples : int
        Rows of X.
    patient : array-like of shape (n_samples,) or None
        Patients; a missing one (None, NaN) has code -1.
    magnification : array-like of shape (n_samples,) or None
        Magnifications, none missing.
    conditional : bool
        Whether samples will be asked for by class and magnification.
    asker : str
        Name of the generator, for the messages.

    Raises
    ------
    ValueError
        Without labels for a conditional generator, for a class of one image, and for metadata that `read_cohort`
        refuses.
    """
    if not conditional:
        if n_samples < 2:
            raise ValueError(f"{asker} needs at least 2 images, got n_samples={n_samples}; add some.")
        return read_cohort(n_samples, patient=patient, allow_missing_patients=True)
    if y is None:
        raise ValueError(f"{asker}(conditional=True) needs labels: pass `y` to `fit`, or set conditional=False.")

    y = read_labels(y, n_samples)
    classes, n_images = np.unique(y, return_counts=True)
    single = classes[n_images < 2].tolist()
    if single:
        raise ValueError(
            f"{asker} needs at least 2 images of each class, got 1 (n_samples={n_samples}) of {name_some(single)}: a "
            "generator could only repeat it; add images, or leave the class out."
        )
    return read_cohort(n_samples, y, patient=patient, magnification=magnification, allow_missing_patients=True)


def cells_of(cohort):
    """A (class, magnification) pair per row, as an array of objects; None where the cohort does not know one.

    Examples
    --------
    >>> from sklearn_magdg.cohort import cells_of, read_cohort
    >>> cells_of(read_cohort(2, ["b", "m"], magnification=[40, 100])).tolist()
    [('b', 40), ('m', 100)]
    """
    magnifications = [None] * len(cohort) if cohort.magnification is None else cohort.magnification.values()
    cells = np.empty(len(cohort), dtype=object)
    # by slice, into an array that is there: np.array would make two columns of the pairs
    cells[:] = list(zip(cohort.label.values(), magnifications, strict=True))
    return cells


def cells_to_learn(cohort, held_back):
    """Cells that a generator can learn, and where each row's cell stands among them.

    Parameters
    ----------
    cohort : Cohort
        All rows.
    held_back : ndarray of bool of shape (n,)
        The part set aside, by which samples are judged; nothing is learned from it.

    Returns
    -------
    cells : list of (class, magnification)
        Of the rows left, by class and then by magnification.
    code : ndarray of int64 of shape (n,)
        -1 where a row's cell is none of them: such a row judges no sample, for none is made of its cell.

    Raises
    ------
    ValueError
        Where something is set aside, with fewer than 2 images of a class left, or fewer than 2 to judge by.
    """
    cell_of_row = cells_of(cohort)
    cells = sort_cells(set(cell_of_row[~held_back]))
    code = codes_of(cell_of_row, cells)
    if held_back.any():
        classes, labels = cohort.label.names, cohort.label.codes
        n_left = np.bincount(labels[~held_back], minlength=len(classes))
        short = [classes[code] for code in np.flatnonzero(n_left < 2)]
        if short or np.sum(held_back & (code >= 0)) < 2:
            of_class = f" of {name_some(short)}" if short not in ([], [None]) else ""  # None: no class is known
            lacking = f"2 images{of_class} to {'learn from' if short else 'judge samples by'}"
            raise ValueError(
                f"early_stopping=True sets {held_back.sum()} of {len(cohort)} images aside and has fewer than "
                f"{lacking}: use more patients, another `validation_fraction` or `random_state`, or "
                "early_stopping=False."
            )
    return cells, code


def codes_of(cell_of_row, cells):
    """Position of each row's cell in `cells`, an int64 array `(n,)`; -1 where it is none of them."""
    position = {cell: code for code, cell in enumerate(cells)}
    return np.array([position.get(cell, -1) for cell in cell_of_row], dtype=np.int64)


def parts_of(cells):
    """Codes of class and magnification `(n_cells, 2)`, each the rank among those of its kind that stand in `cells`.

    Examples
    --------
    >>> from sklearn_magdg.cohort import parts_of
    >>> parts_of([("b", "100X"), ("b", "40X"), ("m", "100X")])
    array([[0, 1],
           [0, 0],
           [1, 1]])
    """
    ranks = []
    for names in zip(*cells, strict=True):  # the classes, then the magnifications
        ordered = sort_names(set(names))
        ranks.append([ordered.index(name) for name in names])
    return np.column_stack(ranks)


def draw_cells(cells, counts, n, y, magnification, rng):
    """Position in `cells` of every sample `(n,)`: any that was asked for, as often as it stood in the training set.

    Parameters
    ----------
    cells : sequence of (class, magnification) of length n_cells
        Those of the training set; None in both places of a generator that was fitted without.
    counts : ndarray of shape (n_cells,)
        Number of training images of each, at least 1.
    n : int
        Number of samples.
    y, magnification : scalar, array-like of shape (n,) or None
        What each sample must be of; a scalar asks it of all, None of none.
    rng : numpy.random.RandomState
        Gives one uniform number a sample, whatever was asked for.

    Raises
    ------
    ValueError
        For a wrong length, a name that was not in the training set, and a pair that stood in no training image.
    """
    wanted = np.ones((n, len(cells)), dtype=bool)
    for part, asked, name in ((0, y, "y"), (1, magnification, "magnification")):
        if asked is None:
            continue
        known = [cell[part] for cell in cells]
        if known[0] is None:
            raise ValueError(
                f"`{name}` cannot be asked for: the generator was fitted without; leave it None, or fit anew."
            )
        asked = np.broadcast_to(np.asarray(asked), (n,)) if np.ndim(asked) == 0 else np.asarray(asked)
        if len(asked) != n:
            raise ValueError(f"`{name}` must have n={n} entries, got {len(asked)}; give one per sample.")
        unknown = sorted(set(asked.tolist()) - set(known), key=str)
        if unknown:
            fitted = name_some(sort_names(set(known)))
            raise ValueError(
                f"`{name}` holds {unknown[0]!r}, which was not in the training set: {fitted}; ask for one."
            )
        wanted &= np.array([[value == each for each in known] for value in asked])

    weights = wanted * counts  # (n, n_cells)
    if not weights.any(axis=1).all():
        raise ValueError("No training image had that combination of class and magnification; ask for another.")
    # the inverse of each row's distribution function; its last value, 1 but for rounding, is left out
    cumulative = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    return (rng.random_sample((n, 1)) > cumulative[:, :-1]).sum(axis=1)
