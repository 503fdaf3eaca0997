"""A hash that two files of one picture have nearly in common.

The grey picture is brought to 64 x 64 pixels and transformed by the cosine transform, and of the 16 x 16 lowest
frequencies the signs are kept. A sign survives what multiplies or adds to the grey as a whole, and what changes high
frequencies alone: exposure, JPEG, resizing. The number of signs in which two pictures differ tells how unlike they are.
"""

import numpy as np
from PIL import Image
from scipy.fft import dctn

from sklearn_magdg.images._decode import decode
from sklearn_magdg.images._identity import digest_pixels
from sklearn_magdg.images._threads import map_threads

_SIDE = 64  # pixels of the small grey picture
_KEPT = 16  # frequencies per axis
N_BITS = _KEPT**2 - 1
_NO_STRUCTURE = 1e-6  # grey levels: below it a coefficient is rounding, whose sign says nothing


def perceptual_hash(pixels):
    """Signs of the low spatial frequencies of a picture's grey.

    Brightness and contrast leave signs alone, and so do, all but a few, compression, scale and colour. The hash
    knows nothing of what is turned, mirrored or shifted by more than a few per cent.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), dtype uint8
        RGB picture of any size.

    Returns
    -------
    bits : ndarray of shape (255,), dtype bool
        Sign of every coefficient of the discrete cosine transform up to 15 half-waves per axis, the mean left
        out. False where there is no such frequency, throughout for a picture of one colour.

    References
    ----------
    C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1.

    See Also
    --------
    sklearn_magdg.images.pixel_digests : Equal only where every pixel is.
    sklearn_magdg.model_selection.audit_splits : Counts nearly equal pictures on both sides of a split.

    Notes
    -----
    The signs are those of C_jk = sum_xy g_xy cos(pi j (2x + 1) / 128) cos(pi k (2y + 1) / 128), j, k = 0 ... 15, of
    the grey g of 64 x 64 pixels. C_00 says only how bright the picture is and is left out.

    Examples
    --------
    >>> picture = np.random.default_rng(0).integers(0, 180, size=(50, 70, 3), dtype=np.uint8)
    >>> brighter = picture + np.uint8(30)
    >>> int(np.sum(perceptual_hash(picture) != perceptual_hash(brighter))) < 5
    True
    """
    grey = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    frequencies = dctn(np.asarray(grey, dtype=float), norm="ortho")[:_KEPT, :_KEPT]
    return frequencies.ravel()[1:] > _NO_STRUCTURE


def fingerprints(paths, *, n_jobs=None):
    """Pixel digests `(n,)` as of `pixel_digests`, and perceptual hashes `(n, 255)`, each file decoded once.

    Parameters
    ----------
    paths : ndarray of shape (n,), dtype object
        Image files, at least one, as `as_paths` returns them.
    n_jobs : int, default=None
        Number of decoding threads, as in `ImageReader`.
    """
    digests, hashes = zip(*map_threads(_fingerprint, paths, n_jobs), strict=True)
    return np.array(digests, dtype=object), np.array(hashes)


def _fingerprint(path):
    """Digest and hash of one file: decoding takes most of the time, so that both come from one decoding."""
    pixels = np.asarray(decode(path))
    return digest_pixels(pixels), perceptual_hash(pixels)
