"""What stands in X, batch by batch: images or features in memory, image paths, and both joined."""

import os

import numpy as np

from sklearn_magdg.cohort import as_positions
from sklearn_magdg.images._cache import ImageCache
from sklearn_magdg.images._decode import check_header, file_state, resize_images
from sklearn_magdg.images._reader import read_images


class Source:
    """Rows of X that are made when a batch asks for them.

    A subclass has `shape`, that of one row, ``len``, `read`, which gives some rows as an array, `feed`, which gives a
    digest (of hashlib) all that decides what is read, and, for images, `resized`, the same at another size.
    """

    def take(self, rows):
        """A part of the rows, by positions or by a mask."""
        return RowsOf(self, as_positions(rows, len(self)))


class ArraySource(Source):
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
        return np.ascontiguousarray(self.array[indices])

    def feed(self, digest):
        for start in range(0, len(self), 256):  # a mapped array is never in memory whole
            digest.update(np.ascontiguousarray(self.array[start : start + 256]))

    def resized(self, size):
        return ArraySource(resize_images(self.array, size))


class SquareSource(Source):
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
        return read_images(self.paths[indices], self.size, cache=self.cache, n_jobs=self.n_jobs)

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
        return resize_images(self.source.read(indices), self.size)

    def feed(self, digest):
        digest.update(str(self.size).encode())
        self.source.feed(digest)


class JoinedSource(Source):
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
        batch = np.empty((len(indices), *self.shape), parts[0][1].dtype)
        for rows, values in parts:
            batch[rows] = values
        return batch

    def feed(self, digest):
        for source in self.sources:
            source.feed(digest)

    def resized(self, size):
        return JoinedSource([source.resized(size) for source in self.sources])


class RowsOf(Source):
    """Some rows of a source."""

    def __init__(self, source, rows):
        self.source = source
        self.rows = rows

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
