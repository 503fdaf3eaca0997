"""Which image files can be read, and which show the same picture."""

import hashlib
import warnings

import numpy as np

from sklearn_magdg._words import name_some
from sklearn_magdg.images._decode import decode
from sklearn_magdg.images._paths import as_paths
from sklearn_magdg.images._threads import map_threads


def pixel_digests(paths, *, n_jobs=None):
    """Digest of the pixels of every image, equal for equal pictures in different files or formats.

    Parameters
    ----------
    paths : array-like of str or os.PathLike, of shape (n,)
        Image files.
    n_jobs : int, default=None
        Number of decoding threads, as in `ImageReader`.

    Returns
    -------
    digests : ndarray of shape (n,), dtype object
        Hexadecimal text of 32 characters, of the upright 8-bit RGB pixels at their own size.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_image` does.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [Path(folder, name) for name in ("patch.png", "again.tif", "other.png")]
    ...     for path, colour in zip(paths, ["pink", "pink", "plum"]):
    ...         Image.new("RGB", (7, 5), colour).save(path)
    ...     first, again, other = pixel_digests(paths)
    >>> first == again, first == other
    (True, False)
    """
    return np.array(_map(_digest, paths, n_jobs), dtype=object)


def readable_images(paths, *, n_jobs=None):
    """Mask of the image files that can be decoded whole.

    Parameters
    ----------
    paths : array-like of str or os.PathLike, of shape (n,)
        Image files.
    n_jobs : int, default=None
        Number of decoding threads, as in `ImageReader`.

    Returns
    -------
    readable : ndarray of shape (n,), dtype bool
        False where `read_image` raises ValueError: a file that is cut off, is no image or no regular file, or
        is refused as a decompression bomb.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.

    Warns
    -----
    UserWarning
        Names the files that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = np.array([Path(folder, name) for name in ("whole.png", "half.png")])
    ...     Image.new("RGB", (7, 5), "pink").save(paths[0])
    ...     _ = paths[1].write_bytes(paths[0].read_bytes()[:50])
    ...     with warnings.catch_warnings(action="ignore"):
    ...         readable = readable_images(paths)
    >>> [path.name for path in paths[readable]]
    ['whole.png']
    """
    faults = _map(_fault, paths, n_jobs)
    damaged = [fault for fault in faults if fault]
    if damaged:
        warnings.warn(f"{len(damaged)} of {len(faults)} image files cannot be read: {name_some(damaged)}.", UserWarning)
    return np.array([fault is None for fault in faults], dtype=bool)


def _map(function, X, n_jobs):
    paths = as_paths(X)
    if paths is None:
        raise ValueError(f"`paths` must be image paths, at least one, got {type(X).__name__}: {str(X)[:60]!r}.")
    return map_threads(function, paths, n_jobs)


def _digest(path):
    return digest_pixels(np.asarray(decode(path)))


def digest_pixels(pixels):
    """Digest of one decoded picture `(height, width, 3)`."""
    return hashlib.blake2b(pixels.tobytes(), digest_size=16, salt=b"%dx%d" % pixels.shape[:2]).hexdigest()


def _fault(path):
    try:
        decode(path)
    except ValueError as error:
        return f"{path!r} ({error.__cause__})"
    return None
