"""Which samples are equal, and which are two versions of one picture."""

import hashlib
import os
from numbers import Integral

import joblib
import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils.validation import _num_samples

from sklearn_magdg.images import N_BITS, as_paths, fingerprints, perceptual_hash, pixel_digests

_BLOCK = 2048  # hashes compared at once: 16 MB of agreements
_MAX_PAIRS = 20_000_000  # 0.5 GB


def find_alike(X, duplicates, near_distance, n_jobs=None):
    """Which samples count as one, in the words of `Samples`: its `alike` and its `links`.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Paths of images, images or features.
    duplicates : {"identical", "near"} or None
        Which likenesses are looked for: the columns `duplicates`, and `near_duplicates` beside it; None for none.
    near_distance : int
        Number of bits, of 255, in which two near images may differ.
    n_jobs : int, default=None
        Number of decoding threads.

    Raises
    ------
    ValueError
        For an option out of range, for near ones among features, and for images that are not 8-bit RGB nor floats
        from 0 to 1.
    FileNotFoundError
        If an image file does not exist.
    """
    if duplicates not in ("identical", "near", None):
        raise ValueError(f'`duplicates` must be "identical", "near" or None, got {duplicates!r}.')
    if not isinstance(near_distance, Integral) or not 0 <= near_distance <= N_BITS // 2:
        raise ValueError(
            f"`near_distance` must be an integer from 0 to {N_BITS // 2} (bits of {N_BITS}; pictures that have "
            f"nothing to do with each other differ in half of them), got {near_distance!r}."
        )
    if duplicates is None:
        return pd.DataFrame(index=range(_num_samples(X))), {}

    digests, hashes = _fingerprints(X, duplicates == "near", n_jobs)
    alike = pd.DataFrame({"duplicates": pd.factorize(digests)[0]})
    links = {"duplicates": np.empty((0, 2), dtype=np.intp)}  # one digest is like no other
    if hashes is not None:
        alike["near_duplicates"], links["near_duplicates"] = near_likeness(hashes, near_distance)
    return alike, links


def near_likeness(hashes, distance):
    """Codes `(n,)` of equal hashes `(n, n_bits)`, and the pairs of codes whose hashes are near, as of `near_pairs`.

    A picture without structure, as of bare glass, has a hash without a bit set and is near to nothing, not even to
    another of its kind: it has a code of its own that stands in no pair.
    """
    flat = ~hashes.any(axis=1)
    unique, of_structured = np.unique(hashes[~flat], axis=0, return_inverse=True)
    codes = np.empty(len(hashes), dtype=np.intp)
    codes[~flat] = of_structured
    codes[flat] = len(unique) + np.arange(flat.sum())
    return codes, near_pairs(unique, distance)


def twins(codes, links, train, test):
    """Test samples that have a like one in training, each beside the nearest of these `(n_found, 2)`.

    Parameters
    ----------
    codes : ndarray of int of shape (n_samples,)
        Equal for samples that count as one.
    links : ndarray of int of shape (n_pairs, 2)
        Other codes that count as one too: each pair both ways, the most distant pairs first.
    train, test : ndarray of int
        Positions of samples.

    Returns
    -------
    pairs : ndarray of int of shape (n_found, 2)
        Positions, in the order of `test`. A sample of equal code is nearer than any of a linked one, and the first
        in `train` stands for all of its code.
    """
    known = np.full(codes.max(initial=-1) + 1, -1)
    known[codes[train[::-1]]] = train[::-1]  # the last assignment stays: the first in training
    nearest = known.copy()
    code, other = links[known[links[:, 1]] >= 0].T
    nearest[code] = known[other]  # the last assignment stays: the nearest
    twin = np.where(known >= 0, known, nearest)[codes[test]]
    return np.column_stack([test, twin])[twin >= 0]


def near_pairs(hashes, distance):
    """Rows of `hashes` that differ in at most `distance` bits `(n_pairs, 2)`, both ways, most distant first.

    Time grows with the square of their number: signs of +1 and -1 make the agreement of two rows, equal minus unequal
    bits, a scalar product, and that of all with all a product of matrices, taken block by block.

    Parameters
    ----------
    hashes : ndarray of bool of shape (n, n_bits)
        Distinct rows.
    distance : int
        Largest number of unequal bits.

    Raises
    ------
    ValueError
        If there are more pairs than memory should hold.
    """
    threshold = hashes.shape[1] - 2 * distance
    signs = np.where(hashes, np.float32(1), np.float32(-1))  # (n, n_bits); sums of so few ones are exact in float32
    found, n_found = [np.empty((3, 0), dtype=np.intp)], 0
    for start in range(0, len(signs), _BLOCK):
        for other in range(0, start + 1, _BLOCK):
            agreement = signs[start : start + _BLOCK] @ signs[other : other + _BLOCK].T
            first, second = np.nonzero(agreement >= threshold)
            once = first + start > second + other  # no row with itself, and no pair of the diagonal block twice
            first, second = first[once], second[once]
            found.append(np.stack([first + start, second + other, agreement[first, second].astype(np.intp)]))
            n_found += len(first)
            if n_found > _MAX_PAIRS:
                raise ValueError(
                    f"More than {_MAX_PAIRS:,} pairs of images are within `near_distance` = {distance}: lower it, or "
                    'use duplicates="identical".'
                )
    first, second, agreement = np.concatenate(found, axis=1)
    order = np.argsort(agreement, kind="stable")
    pairs = np.column_stack([first, second])[order]
    return np.stack([pairs, pairs[:, ::-1]], axis=1).reshape(-1, 2)


def _fingerprints(X, near, n_jobs):
    """Digest of every sample `(n,)`, and its perceptual hash `(n, 255)` where `near` asks for it, else None."""
    paths = as_paths(X)
    if paths is not None:
        # every file once, however often and in whatever spelling its path stands there
        row, files = pd.factorize(np.array([os.path.normpath(path) for path in paths], dtype=object))
        digests, hashes = fingerprints(files, n_jobs=n_jobs) if near else (pixel_digests(files, n_jobs=n_jobs), None)
        return digests[row], None if hashes is None else hashes[row]
    X = X.tocsr() if issparse(X) else np.asanyarray(X)
    hashes = np.array([perceptual_hash(picture) for picture in _as_pictures(X)]) if near else None
    rows = (X[[row]].toarray() for row in range(X.shape[0])) if issparse(X) else X
    return np.array([_digest(row) for row in rows], dtype=object), hashes


def _as_pictures(X):
    """`X` as 8-bit RGB, picture by picture."""
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
    return (np.rint(picture * 255).astype(np.uint8) for picture in X)  # one at a time: eight times less memory


def _digest(row):
    """Something equal for rows that agree bit for bit, and for Python objects of equal content."""
    if not isinstance(row, np.ndarray | np.generic) or row.dtype.hasobject:
        return joblib.hash(row)  # by value: the bytes of an object array are addresses
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
