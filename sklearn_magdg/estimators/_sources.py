"""What stands in X, batch by batch: images or features in memory, image paths, and both joined."""

import os
from os import PathLike

import numpy as np
import torch
from sklearn.utils.validation import validate_data

from sklearn_magdg._words import counted, name_some
from sklearn_magdg.images import as_paths, resize_images
from sklearn_magdg.images._cache import ImageCache
from sklearn_magdg.images._decode import check_header, file_state
from sklearn_magdg.images._reader import read_images

_PATH_SIZE = 224  # what paths are brought to when `image_size` is None: torchvision's usual input
_BLOCK = 2**18  # numbers of float images that are brought to 8 bits at a time


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
        # laid out alike however the whole is, so that the net computes alike
        return torch.from_numpy(np.ascontiguousarray(self.array[indices]))

    def feed(self, digest):
        """Give `digest` (of hashlib) all that decides what is read."""
        for start in range(0, len(self), 256):  # a mapped array is never in memory whole
            digest.update(np.ascontiguousarray(self.array[start : start + 256]))

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

    def check(self, least=1):
        """Refuse a path that leads to no image, or to one with a side below `least` pixels.

        What the cache holds was an image when it was decoded.
        """
        cache = None if self.cache is None else ImageCache(self.cache, self.size)
        for path in self.paths:
            if cache is None or not cache.holds(cache.entry(path)):
                check_header(path, least)

    def read(self, indices):
        images = read_images(self.paths[indices], self.size, cache=self.cache, n_jobs=self.n_jobs)
        return torch.from_numpy(images)

    def feed(self, digest):
        # a file that was written anew tells so by its length and time; to read all files would take an epoch
        digest.update(str(self.size).encode())
        for path in self.paths:
            state = file_state(path)
            digest.update(repr((os.fspath(path), state.st_size, state.st_mtime_ns)).encode())


class ResizedSource(SquareSource):
    """Images of a source, resampled once more when they are read."""

    def __init__(self, source, size):
        self.source = source
        self.size = size

    def __len__(self):
        return len(self.source)

    def read(self, indices):
        return torch.from_numpy(resize_images(self.source.read(indices).numpy(), self.size))

    def feed(self, digest):
        digest.update(str(self.size).encode())
        self.source.feed(digest)


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

    def feed(self, digest):
        for source in self.sources:
            source.feed(digest)

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

    def feed(self, digest):
        self.source.feed(digest)
        digest.update(self.rows)

    def resized(self, size):
        return RowsOf(self.source.resized(size), self.rows)


_SOURCES = (ArraySource, PathSource, ResizedSource, JoinedSource, RowsOf)


def as_source(estimator, X, *, reset, image_size=None, n_jobs=None, image_cache=None, square_from=None):
    """`X` as a source, checked.

    Parameters
    ----------
    estimator : estimator
        On whom ``n_features_in_`` and ``feature_names_in_`` are set (`reset`) or compared.
    X : array, list, Series, DataFrame or source
        Images, image paths or features: see `CNNClassifier.fit`.
    reset : bool
        True in `fit`, which looks at every path before hours of training; later a batch meets a bad one soon.
    image_size : int or None
        Side in pixels that images are brought to. None keeps arrays and brings paths to 224.
    n_jobs : int or None
        Decoding threads, for paths.
    image_cache : str, os.PathLike or None
        Folder of decoded images, for paths.
    square_from : int or None
        Where arrays of images must be square: the least side in pixels, of files too.

    Raises
    ------
    ValueError
        When X is none of the three, is empty, holds non-finite numbers, or (`reset`) a path leads to no image.
    FileNotFoundError
        When (`reset`) a path leads nowhere.
    """
    if isinstance(X, _SOURCES):
        return X.resized(image_size) if image_size and len(X.shape) == 3 else X
    paths = as_paths(X)
    if paths is None:
        X = _stacked(X)
        _check_form(X)
    is_images = paths is not None or getattr(X, "ndim", 2) == 4
    if reset and is_images:
        _forget_features(estimator)
    if paths is not None:
        source = PathSource(paths, image_size or _PATH_SIZE, n_jobs, image_cache)
        if reset:
            source.check(square_from or 1)
        return source
    if is_images:
        images = _as_uint8(np.asarray(X))
        if square_from is not None:
            _check_square(images.shape, square_from)
        return ArraySource(_resize_if_needed(images, image_size))
    return ArraySource(validate_data(estimator, X, reset=reset, dtype=np.float32, order="C"))


def _forget_features(estimator):
    """Remove what an earlier fit on features left behind."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            delattr(estimator, name)


def _stacked(X):
    """A list, object array or Series of arrays as one array, anything else as it is."""
    is_column = isinstance(X, list | tuple) or getattr(X, "ndim", 0) == 1
    if not is_column or not len(X) or np.ndim(next(iter(X))) < 2:
        return X
    shapes = {np.shape(each) for each in X}
    if len(shapes) > 1:
        raise ValueError(
            f"X holds images of several shapes, {name_some(sorted(shapes))}; bring them to one first, or give "
            "their paths, which are brought to one size."
        )
    return np.stack(list(X))


def _check_form(X):
    if isinstance(X, str | PathLike):
        raise ValueError(f"X is one path, {str(X)!r}; give a list of paths: [X].")
    ndim = getattr(X, "ndim", 2)
    if ndim == 3 or ndim > 4:
        raise ValueError(
            f"X has the shape {X.shape}; images need (n, height, width, 3), one image `X[None]`; "
            "features need (n, n_features)."
        )


def _as_uint8(images):
    """Images checked and stored in 8 bits, which is what microscopes and PNG files hold."""
    _check_image_shape(images.shape)
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ValueError(f"Images must be uint8, or float in [0, 1], got {images.dtype}; {_way_to_8_bits(images)}.")
    return _rounded(images)


def _check_image_shape(shape):
    if shape[0] == 0:
        raise ValueError("X holds no image: give at least one.")
    if 0 in shape:
        raise ValueError(f"Images must have at least one pixel, got an array of shape {shape}.")
    if shape[3] != 3:
        way_out = "bring greyscale or transparent images to RGB first (`ImageReader` does)"
        if shape[1] == 3:
            way_out = "move the channels last: `np.moveaxis(X, 1, -1)`"
        raise ValueError(f"Images must have the shape (n, height, width, 3), got {shape}; {way_out}.")


def _check_square(shape, least):
    height, width = shape[1:3]
    if height != width:
        raise ValueError(
            f"Arrays of images must be square here, got {height} x {width} pixels: crop them, or squeeze them by "
            "`sklearn_magdg.images.resize_images`, which is what happens to image paths."
        )
    if height < least:
        raise ValueError(
            f"Images must have at least {least} x {least} pixels here, got {height} x {width}: give them as they were "
            "taken, or `sklearn_magdg.images.resize_images` them and know that they stay blurred."
        )


def _way_to_8_bits(images):
    if images.dtype.kind not in "iu":
        return "convert them first"
    low, high = images.min(), images.max()
    if low < 0 or high > 255:
        return f"bring all, now {low} to {high}, to [0, 1] by one rule, such as `X / 65535` for 16 bits"
    return "cast them: `X.astype('uint8')`"


def _rounded(images):
    """Float images in [0, 1] in 8 bits: read once, block by block, without a second array of floats."""
    rounded = np.empty(images.shape, np.uint8)
    n_rows = max(1, _BLOCK // images[0].size)
    for start in range(0, len(images), n_rows):
        block = images[start : start + n_rows]
        if not (block.min() >= 0 and block.max() <= 1):
            raise _out_of_range(images)
        rounded[start : start + n_rows] = np.rint(block * 255)
    return rounded


def _out_of_range(images):
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    if not finite.all():
        return ValueError(
            f"NaN or infinite values stand in {counted(np.count_nonzero(~finite), 'image')}, the first at position "
            f"{finite.argmin()}; repair or drop what holds them."
        )
    return ValueError(
        f"Images must be uint8, or float in [0, 1], got {images.dtype} from {images.min():g} to {images.max():g}; "
        "bring all to [0, 1] by one rule, such as `X / 255` for 8 bits."
    )


def _resize_if_needed(images, size):
    if size is None or images.shape[1:3] == (size, size):
        return images
    return resize_images(images, size)
