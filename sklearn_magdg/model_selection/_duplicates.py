"""Which samples are equal, and which are two versions of one picture."""

import hashlib
import os
from numbers import Integral
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from scipy.sparse import issparse

from sklearn_magdg.images import N_BITS, as_paths, fingerprints, perceptual_hash, pixel_digests

_BLOCK = 2048  # hashes compared at once: 16 MB of agreements
_MAX_PAIRS = 20_000_000  # 0.5 GB


class Likeness(NamedTuple):
    """Codes `(n_samples,)`, equal for samples that count as one, and other codes that do too `(n_pairs, 2)`.

    A pair stands there both ways, the most distant pairs first.
    """

    codes: np.ndarray
    pairs: np.ndarray


def find_alike(X, duplicates, near_distance, n_jobs=None):
    """`Likeness` by the name of the column that counts it: `duplicates`, and `near_duplicates` where asked for."""
    _check_options(duplicates, near_distance)
    if duplicates is None:
        return {}
    digests, hashes = _fingerprints(X, duplicates == "near", n_jobs)
    alike = {"duplicates": Likeness(pd.factorize(digests)[0], np.empty((0, 2), dtype=np.intp))}
    if duplicates == "near":
        alike["near_duplicates"] = near_likeness(hashes, near_distance)
    return alike


def near_likeness(hashes, distance):
    """`Likeness` of pictures by their hashes; one without structure, as of bare glass, is near to nothing."""
    flat = ~hashes.any(axis=1)
    unique, of_structured = np.unique(hashes[~flat], axis=0, return_inverse=True)
    codes = np.empty(len(hashes), dtype=np.intp)
    codes[~flat] = of_structured
    codes[flat] = len(unique) + np.arange(flat.sum())
    return Likeness(codes, near_pairs(unique, distance))


def twins(likeness, train, test):
    """Test samples that have a like one in training, each beside the nearest of these `(n_found, 2)`."""
    known = np.full(likeness.codes.max(initial=-1) + 1, -1)
    known[likeness.codes[train[::-1]]] = train[::-1]  # the last assignment stays: the first in training
    nearest = known.copy()
    code, other = likeness.pairs[known[likeness.pairs[:, 1]] >= 0].T
    nearest[code] = known[other]  # the last assignment stays: the nearest
    twin = np.where(known >= 0, known, nearest)[likeness.codes[test]]
    return np.column_stack([test, twin])[twin >= 0]


def near_pairs(hashes, distance):
    """Rows of `hashes` that differ in at most `distance` bits `(n_pairs, 2)`, both ways, most distant first."""
    found = [np.empty((3, 0), dtype=np.intp)]
    for first, second, agreement in _agreeing(hashes, hashes.shape[1] - 2 * distance):
        found.append(np.stack([first, second, agreement]))
        _refuse_many(sum(part.shape[1] for part in found), distance)
    first, second, agreement = np.concatenate(found, axis=1)
    order = np.argsort(agreement, kind="stable")
    pairs = np.column_stack([first, second])[order]
    return np.stack([pairs, pairs[:, ::-1]], axis=1).reshape(-1, 2)


def _agreeing(hashes, threshold):
    """First and second row, and agreement = equal minus unequal bits, of the pairs that reach `threshold`."""
    signs = np.where(hashes, np.float32(1), np.float32(-1))  # (n, n_bits); products are whole and exact
    for start in range(0, len(signs), _BLOCK):
        for other in range(0, start + 1, _BLOCK):
            agreement = signs[start : start + _BLOCK] @ signs[other : other + _BLOCK].T
            first, second = np.nonzero(agreement >= threshold)
            once = first + start > second + other
            first, second = first[once], second[once]
            yield first + start, second + other, agreement[first, second].astype(np.intp)


def _refuse_many(n_found, distance):
    if n_found > _MAX_PAIRS:
        raise ValueError(
            f"More than {_MAX_PAIRS:,} pairs of images are within `near_distance` = {distance}: lower it, or use "
            'duplicates="identical".'
        )


def _check_options(duplicates, near_distance):
    if duplicates not in ("identical", "near", None):
        raise ValueError(f'`duplicates` must be "identical", "near" or None, got {duplicates!r}.')
    if not isinstance(near_distance, Integral) or not 0 <= near_distance <= N_BITS // 2:
        raise ValueError(
            f"`near_distance` must be an integer from 0 to {N_BITS // 2} (bits of {N_BITS}; pictures that have "
            f"nothing to do with each other differ in half of them), got {near_distance!r}."
        )


def _fingerprints(X, near, n_jobs):
    """Digest of every sample, and its perceptual hash `(n, 255)` where `near` asks for it."""
    paths = as_paths(X)
    if paths is not None:
        return _of_files(paths, near, n_jobs)
    if near:
        hashes = [perceptual_hash(picture) for picture in _as_pictures(X)]
        return _of_rows(X), np.array(hashes)
    return _of_rows(X), None


def _of_files(paths, near, n_jobs):
    """Of every file once, however often its path stands there."""
    row, files = pd.factorize(np.array([os.path.normpath(path) for path in paths], dtype=object))
    if not near:
        return pixel_digests(files, n_jobs=n_jobs)[row], None
    digests, hashes = fingerprints(files, n_jobs=n_jobs)
    return digests[row], hashes[row]


def _as_pictures(X):
    """`X` as 8-bit RGB, picture by picture."""
    X = X if issparse(X) else np.asanyarray(X)
    if X.ndim != 4 or X.shape[-1] != 3:
        raise ValueError(
            'duplicates="near" compares images: `X` must hold paths or be of shape (n, height, width, 3), got '
            f'{X.shape}; use duplicates="identical" for features.'
        )
    if X.dtype == np.uint8:
        return X
    if X.dtype.kind != "f" or not (X.min(initial=0) >= 0 and X.max(initial=1) <= 1):
        raise ValueError(
            f"Images must be uint8, or floats from 0 to 1, got {X.dtype} from {X.min()} to {X.max()}; rescale them."
        )
    return (np.rint(picture * 255).astype(np.uint8) for picture in X)


def _of_rows(X):
    if issparse(X):
        X = X.tocsr()
        rows = (X[[row]].toarray() for row in range(X.shape[0]))
    else:
        rows = np.asanyarray(X)
    return np.array([_digest(row) for row in rows], dtype=object)


def _digest(row):
    if not isinstance(row, np.ndarray | np.generic) or row.dtype.hasobject:
        return joblib.hash(row)  # by value: the bytes of an object array are addresses
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
