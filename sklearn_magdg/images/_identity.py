"""Which image files can be read, and which show the same picture.

Both questions decode every file whole, in threads: a header says neither whether the pixels are all there nor what they
show.
"""

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

    See Also
    --------
    sklearn_magdg.model_selection.audit_splits : Counts equal pictures on both sides of a split, and nearly equal ones.

    Notes
    -----
    The digest is BLAKE2b with 16 bytes, salted with height and width, so that pictures of one colour and of several
    shapes differ. Two of n pictures that differ share a digest with a probability below n^2 / 2^129. A picture that was
    compressed with loss or resized has another digest.

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
    return np.array(_map(lambda path: digest_pixels(np.asarray(decode(path))), paths, n_jobs), dtype=object)


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
        Names the files that cannot be read, each with the reason.

    See Also
    --------
    sklearn_magdg.datasets.load_manifest : Leaves damaged files out by `on_damaged="skip"`.

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
    faults = _map(fault_of, paths, n_jobs)
    damaged = [f"{path!r} ({fault})" for path, fault in zip(as_paths(paths), faults, strict=True) if fault is not None]
    if damaged:
        warnings.warn(f"{len(damaged)} of {len(faults)} image files cannot be read: {name_some(damaged)}.", UserWarning)
    return np.array([fault is None for fault in faults], dtype=bool)


def fault_of(path):
    """Why a file cannot be decoded whole, as the exception of the decoder; None where it can.

    Raises
    ------
    FileNotFoundError
        If there is no such file: that is no fault of it.
    """
    try:
        decode(path)
    except ValueError as error:
        return error.__cause__
    return None


def _map(function, X, n_jobs):
    """List of `function` of every path in `X`, which must be paths."""
    paths = as_paths(X)
    if paths is None:
        raise ValueError(f"`paths` must be image paths, at least one, got {type(X).__name__}: {str(X)[:60]!r}.")
    return map_threads(function, paths, n_jobs)


def digest_pixels(pixels):
    """Digest of one decoded picture `(height, width, 3)` of uint8, as `pixel_digests` gives it for its file."""
    # the salt is the shape: the bytes alone are the same for 2 x 6 and 3 x 4 pixels
    return hashlib.blake2b(pixels.tobytes(), digest_size=16, salt=b"%dx%d" % pixels.shape[:2]).hexdigest()
