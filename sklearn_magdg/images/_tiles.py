"""Images cut into tiles."""

from numbers import Integral

import numpy as np


def cut_tiles(images, n):
    """Images cut into n x n tiles each.

    Small nets see more in a tile than in a whole image brought to the same size, and there are n² times as many. The
    tiles of an image share all that the image has, its patient first: repeat the metadata by `numpy.repeat`, so that
    splitters keep them together.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, ...)
        Height and width divisible by `n`.
    n : int
        Rows, and columns, of tiles, at least 1.

    Returns
    -------
    tiles : ndarray of shape (n_images * n * n, height // n, width // n, ...)
        All tiles of the first image, row by row, then those of the second.

    Raises
    ------
    ValueError
        If `n` is no integer of at least 1, or does not divide height and width.

    Examples
    --------
    >>> images, patient = np.zeros((2, 192, 192, 3), np.uint8), np.array(["a", "b"])
    >>> cut_tiles(images, 3).shape
    (18, 64, 64, 3)
    >>> np.repeat(patient, 9).shape
    (18,)
    """
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"`n` must be an integer of at least 1, got {n!r}.")
    images = np.asarray(images)
    if images.ndim < 3 or images.shape[1] % n or images.shape[2] % n:
        raise ValueError(
            f"`images` must be of shape (n_images, height, width, ...) with height and width divisible by {n}, got "
            f"{images.shape}: resize them first, or choose another `n`."
        )
    n_images, height, width, *rest = images.shape
    grid = images.reshape(n_images, n, height // n, n, width // n, *rest).swapaxes(2, 3)
    return grid.reshape(-1, height // n, width // n, *rest)
