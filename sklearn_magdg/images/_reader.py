"""A transformer from image paths to one uint8 array."""

import hashlib
import os
import uuid
from numbers import Integral
from pathlib import Path

import numpy as np
import PIL
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval

from sklearn_magdg.images._decode import read_image
from sklearn_magdg.images._paths import as_paths


class ImageReader(TransformerMixin, BaseEstimator):
    """Images of the given paths as one uint8 array.

    Every image is turned upright (EXIF), brought to 8-bit RGB (transparent parts on white) and squeezed
    into a square by one antialiased resize, the same that `resize_images` applies to arrays.

    Parameters
    ----------
    size : int, default=224
        Height and width in pixels, at least 1.
    cache : str or os.PathLike, default=None
        Folder for decoded images, made where it is missing. One list of paths gives one memory-mapped
        file there, which later calls read instead of the images, until an image changes its size in bytes
        or its time of change. Transform once before cross-validation: every fold is a list of its own.
        None decodes every time.
    n_jobs : int, default=None
        Number of decoding threads. None means 1 unless in a `joblib.parallel_config` context, -1 all
        processors.

    Raises
    ------
    ValueError
        If a parameter is out of range, `X` holds no paths, or a file is no image that can be read whole.
    FileNotFoundError
        If a file does not exist.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "patch.png")
    ...     Image.new("RGB", (700, 460), "pink").save(path)
    ...     ImageReader(size=5).fit_transform([path]).shape
    (1, 5, 5, 3)
    """

    _parameter_constraints = {
        "size": [Interval(Integral, 1, None, closed="left")],
        "cache": [str, os.PathLike, None],
        "n_jobs": [Integral, None],
    }

    def __init__(self, size=224, *, cache=None, n_jobs=None):
        self.size = size
        self.cache = cache
        self.n_jobs = n_jobs

    def fit(self, X=None, y=None):
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X, y : object, default=None
            Not used.

        Returns
        -------
        self : ImageReader
            The reader itself.
        """
        self._validate_params()
        return self

    def transform(self, X):
        """Images of the paths.

        Parameters
        ----------
        X : array-like of str or os.PathLike, of shape (n_samples,) or (n_samples, 1)
            Paths: a list, array, Series or one-column DataFrame.

        Returns
        -------
        images : ndarray of shape (n_samples, size, size, 3), dtype uint8
            With `cache` a read-only memory map.
        """
        self._validate_params()
        paths = as_paths(X)
        if paths is None:
            raise ValueError(f"ImageReader needs image paths, at least one, got {type(X).__name__}: {str(X)[:60]!r}.")
        if self.cache is None:
            return self._decode_into(np.empty((len(paths), self.size, self.size, 3), np.uint8), paths)
        return self._load_or_decode(paths)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def _decode_into(self, images, paths):
        def fill(row):
            images[row] = read_image(paths[row], self.size)

        Parallel(n_jobs=self.n_jobs, require="sharedmem")(delayed(fill)(row) for row in range(len(paths)))
        return images

    def _load_or_decode(self, paths):
        shape = (len(paths), self.size, self.size, 3)
        file = Path(self.cache, f"images-{_fingerprint(paths, self.size)}.npy")
        cached = _load(file, shape)
        if cached is None:
            _write(file, shape, lambda images: self._decode_into(images, paths))
            cached = np.load(file, mmap_mode="r")
        return cached


def _fingerprint(paths, size):
    """Name of the decoded images: another file, another size or another Pillow gives another one."""
    digest = hashlib.blake2b(f"1 {PIL.__version__} {size}".encode(), digest_size=16)
    for path in paths:
        try:
            state = os.stat(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no image file {path!r}; check the path and its root folder.") from None
        digest.update(f"\0{os.path.abspath(path)}\0{state.st_size}\0{state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _load(file, shape):
    """Memory map of a cache file, None where it is missing or damaged."""
    try:
        images = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def _write(file, shape, fill):
    """Fill a new array file under a name of its own and move it into place in one step.

    So a reader never sees half a file, whether two processes write it or one is killed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        images = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
        fill(images)
        images.flush()
        del images
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
