"""Image paths to one uint8 array: a function, and a transformer around it.

`read_images` is what every route ends in: estimators call it for a batch of paths, `ImageReader` for all. With a cache
an image is decoded by whoever asks for it first and read from disk by all others, other processes among them.
"""

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
    """Images of the paths, uint8 of shape (n, size, size, 3): decoded by threads, or taken from the cache.

    Parameters
    ----------
    paths : sequence of str
        Image files; a path that stands twice is read twice.
    size : int
        Height and width in pixels.
    cache : str, os.PathLike or None, default=None
        Folder of decoded images, as in `ImageReader`. None decodes all.
    n_jobs : int, default=None
        Number of decoding threads, as in `ImageReader`.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_image` does, with a cache for files that are gone or no longer regular ones too.
    OSError
        If an image has to be kept and the cache cannot be written.
    """
    images = np.empty((len(paths), size, size, 3), np.uint8)
    missing = range(len(paths))
    if cache is not None:
        cache = ImageCache(cache, size)
        # in one thread: to take an entry is so short that two would only wait for each other
        entries = [cache.entry(path) for path in paths]
        missing = [row for row, entry in enumerate(entries) if not cache.load(entry, images[row])]
        if missing:
            cache.clear()

    def decode(row):
        images[row] = read_image(paths[row], size)
        if cache is not None:
            cache.store(entries[row], images[row])

    map_threads(decode, missing, n_jobs)
    return images


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
    read_image : One image.
    cut_tiles : Cuts the images that come out into smaller ones.

    Notes
    -----
    As a step of a pipeline it stands first: what comes out can be flattened for a linear model, or encoded by a frozen
    net. With `cache` a cross-validation decodes every image once, whatever its folds. The estimators of
    `sklearn_magdg.estimators` take paths themselves and need no reader; both see the same pixels.

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
        if self.cache is None:
            return read_images(paths, self.size, n_jobs=self.n_jobs)
        return self._map(paths)

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

    def _map(self, paths):
        """Images of the paths as a read-only memory map `(n, size, size, 3)` of a file without a name.

        The file is the system's to remove: it goes with the last array over it, also after a crash.
        """
        folder = self.cache
        try:
            os.makedirs(folder, exist_ok=True)
            file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (closed below)
        except OSError:  # a cache that holds every image may be read-only; any other is named when an image is kept
            folder = tempfile.gettempdir()
            file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed below)

        n_rows = max(1, _BATCH_BYTES // (3 * self.size**2))
        with file:
            for start in range(0, len(paths), n_rows):
                rows = paths[start : start + n_rows]
                images = read_images(rows, self.size, cache=self.cache, n_jobs=self.n_jobs)
                with writing_to(folder):
                    _write(file, images)
            # the map keeps the file when that is closed
            content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        # not np.memmap(file): joblib would reopen that by its name in every process, and there is none
        return content.view(np.memmap).reshape(-1, self.size, self.size, 3)


def _write(file, images):
    """Append the pixels to an unbuffered file: they are not copied, as a buffer would do once more."""
    content = memoryview(images).cast("B")
    while content:  # without a buffer one call need not write all
        content = content[file.write(content) :]
