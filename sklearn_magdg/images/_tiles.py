"""Images cut into tiles: more and smaller images at the full resolution, where a resize would blur."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar


def cut_tiles(images, n):
    """Images cut into n x n tiles each.

    The tiles of an image share all that the image has, its patient first: repeat the metadata by `numpy.repeat`, so
    that splitters keep them together.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, n_channels)
        Of height and width divisible by `n`; of paths, what `ImageReader` makes of them.
    n : int
        Rows, and columns, of tiles, at least 1.

    Returns
    -------
    tiles : ndarray of shape (n_images * n * n, height // n, width // n, n_channels)
        All tiles of the first image, row by row, then those of the second: a copy, or a view where `n` is 1.

    Raises
    ------
    ValueError
        If `n` is below 1 or does not divide height and width, or `images` has another shape.
    TypeError
        If `n` is no integer.

    See Also
    --------
    resize_images : Brings images to a multiple of `n`.

    Examples
    --------
    >>> images, patient = np.zeros((2, 192, 192, 3), np.uint8), np.array(["a", "b"])
    >>> cut_tiles(images, 3).shape
    (18, 64, 64, 3)
    >>> np.repeat(patient, 9).shape
    (18,)
    """
    check_scalar(n, "n", Integral, min_val=1)
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"`images` must be an array of shape (n_images, height, width, n_channels), got {images.shape}: read paths "
            "with ImageReader, and give a single image as images[None]."
        )
    n_images, height, width, n_channels = images.shape
    if height % n or width % n:
        raise ValueError(
            f"Images of {height} x {width} pixels cannot be cut into {n} x {n} tiles: resize them to a multiple of {n} "
            "(resize_images), or choose another `n`."
        )
    # (n, rows, height of a tile, columns, width, c) -> (n, rows, columns, height, width, c): tiles row by row
    grid = images.reshape(n_images, n, height // n, n, width // n, n_channels).swapaxes(2, 3)
    return grid.reshape(-1, height // n, width // n, n_channels)
