"""Image paths to one uint8 array: a function, and a transformer around it."""

import mmap
import os
import tempfile
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval

from sklearn_magdg.images._cache import ImageCache, writing_to
from sklearn_magdg.images._decode import read_image
from sklearn_magdg.images._paths import as_paths
from sklearn_magdg.images._threads import map_threads

_BATCH_BYTES = 2**24  # of images on their way from the cache into one mapped file


def read_images(paths, size, *, cache=None, n_jobs=None):
    """Images of the paths, uint8 of shape (n, size, size, 3): decoded by threads, or taken from the cache."""
    images = np.empty((len(paths), size, size, 3), np.uint8)
    if cache is None:
        map_threads(lambda row: _decode_into(images[row], paths[row]), range(len(paths)), n_jobs)
    else:
        _load_or_decode(images, paths, ImageCache(cache, size), n_jobs)
    return images


def _decode_into(image, path):
    image[:] = read_image(path, len(image))


def _load_or_decode(images, paths, cache, n_jobs):
    # in one thread: to take an entry is so short that two would only wait for each other
    entries = [cache.entry(path) for path in paths]
    missing = [row for row, entry in enumerate(entries) if not cache.load(entry, images[row])]
    if not missing:
        return

    def decode_and_store(row):
        _decode_into(images[row], paths[row])
        cache.store(entries[row], images[row])

    cache.clear()
    map_threads(decode_and_store, missing, n_jobs)


class ImageReader(TransformerMixin, BaseEstimator):
    """Images of the given paths as one uint8 array.

    Every image is turned upright (EXIF), brought to 8-bit RGB (transparent parts on white) and squeezed
    into a square by one antialiased resize, the same that `resize_images` applies to arrays.

    Parameters
    ----------
    size : int, default=224
        Height and width in pixels, at least 1.
    cache : str or os.PathLike, default=None
        Folder for decoded images, made where it is missing: a file of 3 x `size` x `size` bytes per image,
        by absolute path, `size` and version of Pillow, that every later call takes instead of the image,
        in whatever list and order, from any process. An image whose size in bytes, time of modification, inode or
        time of change (`st_ctime`) differs is decoded anew, and so is a damaged file of the cache. The folder may
        be removed at any time, and be read-only once it holds every image. None decodes every time.
    n_jobs : int, default=None
        Number of decoding threads. None means 1 unless in a `joblib.parallel_config` context, -1 all
        processors.

    Raises
    ------
    ValueError
        If a parameter is out of range, `X` holds no paths, or a file is no image that can be read whole.
    FileNotFoundError
        If a file does not exist.
    OSError
        If the cache cannot be written.

    See Also
    --------
    readable_images : Mask of the files that can be read.

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
            Without `cache` an array in memory. With `cache` a read-only memory map, so that memory does not
            grow with the number of images: of a file without a name in that folder, or in the system's
            temporary folder where nothing can be written to that one. It takes its own 3 x `size` x `size`
            bytes per image there until the array is gone.
        """
        self._validate_params()
        paths = as_paths(X)
        if paths is None:
            raise ValueError(f"ImageReader needs image paths, at least one, got {type(X).__name__}: {str(X)[:60]!r}.")
        return self._read(paths) if self.cache is None else self._map(paths)

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

    def _read(self, paths):
        return read_images(paths, self.size, cache=self.cache, n_jobs=self.n_jobs)

    def _map(self, paths):
        n_rows = max(1, _BATCH_BYTES // (3 * self.size**2))
        file, folder = _open_unnamed(self.cache)
        with file:
            for start in range(0, len(paths), n_rows):
                images = self._read(paths[start : start + n_rows])
                with writing_to(folder):
                    _write(file, images)
            return _mapped(file).reshape(-1, self.size, self.size, 3)


def _open_unnamed(folder):
    """File without a name, and where it is: the folder, or the system's temporary one."""
    try:
        os.makedirs(folder, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder, buffering=0), folder
    except OSError:  # a cache that holds every image may be read-only; any other is named when an image is kept
        return tempfile.TemporaryFile(buffering=0), tempfile.gettempdir()


def _write(file, images):
    content = memoryview(images).cast("B")
    while content:  # without a buffer one call need not write all
        content = content[file.write(content) :]


def _mapped(file):
    """Bytes of a file, read-only, as a memory map that lives on when the file is closed."""
    content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    # not np.memmap(file): joblib would reopen that by its name in every process, and there is none
    return content.view(np.memmap)
