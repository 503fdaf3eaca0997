"""What stands in X, batch by batch: images or features in memory, image paths, and both joined."""

import numpy as np
import torch
from sklearn.utils.validation import validate_data

from sklearn_magdg.images import as_paths, resize_images
from sklearn_magdg.images._reader import read_images

_PATH_SIZE = 224  # what paths are brought to when `image_size` is None: torchvision's usual input


class ArraySource:
    """Images ``(n, h, w, 3)`` as uint8, or features ``(n, d)`` as float32: an array, in memory or mapped."""

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    @property
    def shape(self):
        return self.array.shape[1:]

    def read(self, indices):
        return torch.from_numpy(self.array[indices])

    def resized(self, size):
        return ArraySource(_resize_if_needed(self.array, size))


class SquareSource:
    """What images of one `size` have in common that are made when a batch asks for them."""

    @property
    def shape(self):
        return (self.size, self.size, 3)

    def resized(self, size):
        return self if size == self.size else ResizedSource(self, size)


class PathSource(SquareSource):
    """Images decoded, or taken from a cache on disk, batch by batch: memory does not grow with their number."""

    def __init__(self, paths, size, n_jobs=None, cache=None):
        self.paths = paths
        self.size = size
        self.n_jobs = n_jobs
        self.cache = cache

    def __len__(self):
        return len(self.paths)

    def read(self, indices):
        images = read_images(self.paths[indices], self.size, cache=self.cache, n_jobs=self.n_jobs)
        return torch.from_numpy(images)


class ResizedSource(SquareSource):
    """Images of a source, resampled once more when they are read."""

    def __init__(self, source, size):
        self.source = source
        self.size = size

    def __len__(self):
        return len(self.source)

    def read(self, indices):
        return torch.from_numpy(resize_images(self.source.read(indices).numpy(), self.size))


class JoinedSource:
    """Several sources of one shape, one after the other."""

    def __init__(self, sources):
        self.sources = sources
        self.starts = np.cumsum([0, *map(len, sources)])

    def __len__(self):
        return self.starts[-1]

    @property
    def shape(self):
        return self.sources[0].shape

    def read(self, indices):
        which = np.searchsorted(self.starts, indices, side="right") - 1
        parts = [(np.flatnonzero(which == k), source) for k, source in enumerate(self.sources)]
        parts = [
            (rows, source.read(indices[rows] - self.starts[k])) for k, (rows, source) in enumerate(parts) if len(rows)
        ]
        batch = parts[0][1].new_empty((len(indices), *parts[0][1].shape[1:]))
        for rows, values in parts:
            batch[torch.from_numpy(rows)] = values
        return batch

    def resized(self, size):
        return JoinedSource([source.resized(size) for source in self.sources])


class RowsOf:
    """Some rows of a source."""

    def __init__(self, source, rows):
        self.source = source
        self.rows = np.asarray(rows)

    def __len__(self):
        return len(self.rows)

    @property
    def shape(self):
        return self.source.shape

    def read(self, indices):
        return self.source.read(self.rows[indices])

    def resized(self, size):
        return RowsOf(self.source.resized(size), self.rows)


_SOURCES = (ArraySource, PathSource, ResizedSource, JoinedSource, RowsOf)


def as_source(estimator, X, *, reset, image_size=None, n_jobs=None, image_cache=None):
    """`X` as a source, checked.

    Parameters
    ----------
    estimator : estimator
        On whom ``n_features_in_`` and ``feature_names_in_`` are set (`reset`) or compared.
    X : array, list, Series, DataFrame or source
        Images, image paths or features: see `CNNClassifier.fit`.
    reset : bool
        True in `fit`.
    image_size : int or None
        Side in pixels that images are brought to. None keeps arrays and brings paths to 224.
    n_jobs : int or None
        Decoding threads, for paths.
    image_cache : str, os.PathLike or None
        Folder of decoded images, for paths.

    Raises
    ------
    ValueError
        When X is none of the three, is empty, or holds non-finite numbers.
    """
    if isinstance(X, _SOURCES):
        return X.resized(image_size) if image_size and len(X.shape) == 3 else X
    paths = as_paths(X)
    if isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) == 3:
        X = np.asarray(X)
    is_images = paths is not None or getattr(X, "ndim", 2) == 4
    if reset and is_images:
        _forget_features(estimator)
    if paths is not None:
        return PathSource(_not_empty(paths), image_size or _PATH_SIZE, n_jobs, image_cache)
    if is_images:
        return ArraySource(_resize_if_needed(_as_uint8(_not_empty(np.asarray(X))), image_size))
    if getattr(X, "ndim", 2) == 3:
        raise ValueError(f"X has the shape {X.shape}; images need (n, height, width, 3), features (n, n_features).")
    return ArraySource(validate_data(estimator, X, reset=reset, dtype=np.float32, order="C"))


def _forget_features(estimator):
    """Remove what an earlier fit on features left behind."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            delattr(estimator, name)


def _not_empty(X):
    if len(X) == 0:
        raise ValueError("X holds no image: give at least one per class.")
    return X


def _as_uint8(images):
    """Images checked and stored in 8 bits, which is what microscopes and PNG files hold."""
    if images.shape[3] != 3 or 0 in images.shape:
        raise ValueError(
            f"Images must have the shape (n, height, width, 3), got {images.shape}; "
            "bring greyscale or transparent images to RGB first (`ImageReader` does)."
        )
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if images.dtype.kind not in "fbiu":
        raise ValueError(f"Images must be uint8, or float in [0, 1], got dtype {images.dtype}.")
    low, high = float(images.min()), float(images.max())
    if images.dtype.kind != "f" or not (low >= 0 and high <= 1):
        raise ValueError(
            f"Images must be uint8, or float in [0, 1], got {images.dtype} from {low:g} to {high:g}; "
            "divide floats by their maximum, or cast with `astype('uint8')`."
        )
    return np.rint(images * 255).astype(np.uint8)


def _resize_if_needed(images, size):
    if size is None or images.shape[1:3] == (size, size):
        return images
    return resize_images(images, size)
