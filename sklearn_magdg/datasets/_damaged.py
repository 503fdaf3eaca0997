"""What a loader does about image files that cannot be decoded."""

import warnings

import numpy as np

from sklearn_magdg._words import name_some
from sklearn_magdg.images import fault_of, readable_images


def keep_readable(paths, on_damaged, name_rows=None):
    """Mask of the rows to keep.

    Parameters
    ----------
    paths : ndarray of shape (n,), dtype object
        Image files.
    on_damaged : {None, "raise", "skip"}
        None keeps all and opens none.
    name_rows : callable, default=None
        Puts a mask of damaged rows into words for an error; None counts them.

    Returns
    -------
    keep : ndarray of shape (n,), dtype bool
        Some are True; with None and "raise" all.

    Raises
    ------
    ValueError
        If `on_damaged` is unknown, if it is "raise" and a file is damaged, or if none would be left.

    Warns
    -----
    UserWarning
        With "skip", names the files that are left out.
    """
    if on_damaged not in (None, "raise", "skip"):
        raise ValueError(f"`on_damaged` must be None, 'raise' or 'skip', got {on_damaged!r}.")
    if on_damaged is None:
        return np.ones(len(paths), dtype=bool)
    with warnings.catch_warnings():
        if on_damaged == "raise":
            warnings.simplefilter("ignore", UserWarning)  # the error names the files
        readable = readable_images(paths)

    if on_damaged == "raise" and not readable.all():
        damaged = paths[~readable]
        rows = name_rows(~readable) if name_rows else f"{len(damaged)} image files"
        raise ValueError(
            f"These image files cannot be read: {rows} ({name_some(damaged)}), the first because "
            f'{fault_of(damaged[0])}; get them again, or leave them out by `on_damaged="skip"`.'
        )
    if not readable.any():
        raise ValueError(f"None of the {len(paths)} image files can be read; get them again.")
    return readable
