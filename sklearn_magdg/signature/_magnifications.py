"""One signature for all magnifications: what those of the single magnifications share."""

import warnings
from functools import reduce
from typing import NamedTuple

import numpy as np

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg._words import counted, shorten


class SignatureFit(NamedTuple):
    """One fitted signature, the iterations it took, whether C selected nothing, and the cross-validation behind C."""

    C: float
    coef: np.ndarray
    intercept: np.ndarray
    signature: np.ndarray
    n_iter: int
    strongest_alone: bool = False
    Cs: np.ndarray | None = None
    losses: np.ndarray | None = None


class SharedSignature(NamedTuple):
    """What `shared_signature` returns."""

    signature: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    fraction_of_pooled: float


def positions_by_magnification(rows):
    """Magnification -> positions of its rows, in numeric order.

    Raises
    ------
    ValueError
        If a class has no weight at some magnification.
    """
    codes, names = rows.magnification
    positions = {name: np.flatnonzero(codes == code) for code, name in enumerate(names)}
    missing = {name: rows.missing_classes(part) for name, part in positions.items()}
    missing = {name: classes for name, classes in missing.items() if classes}
    if missing:
        raise ValueError(
            f"`per_magnification=True` needs every class at every magnification; missing are (magnification: "
            f"classes) {missing}. Add samples, leave these magnifications out, or use `per_magnification=False`."
        )
    return positions


def shared_signature(pooled, fits):
    """Intersection of the signatures of all magnifications, with mean coefficients and intercepts.

    Parameters
    ----------
    pooled : SignatureFit
        Of all magnifications together.
    fits : dict
        Magnification -> its `SignatureFit`.

    Returns
    -------
    signature : ndarray of int
        The dimension with the largest mean weight where nothing is shared, which warns.
    coef : ndarray of shape (k, n_features)
        0 outside the signature.
    intercept : ndarray of shape (k,)
    fraction_of_pooled : float
        Share of the pooled signature that is selected at every magnification.

    Warns
    -----
    UserWarning
        If nothing is shared, or a shared dimension has weights of both signs.
    """
    coefs = np.array([fit.coef for fit in fits.values()])  # (magnifications, k, n_features)
    coef, intercept = coefs.mean(axis=0), np.mean([fit.intercept for fit in fits.values()], axis=0)
    shared = reduce(np.intersect1d, [fit.signature for fit in fits.values()])
    fraction_of_pooled = float(np.isin(pooled.signature, shared).mean())
    if not shared.size:
        warnings.warn(
            f"The signatures at magnifications {', '.join(map(magnification_text, fits))} share no dimension; the "
            f"strongest one is kept. Raise `C`, or use `per_magnification=False`."
        )
        shared = np.array([np.argmax(np.abs(coef).max(axis=0))])

    signs = np.sign(coefs)[:, :, shared]
    turning = shared[np.any(signs.max(axis=0) - signs.min(axis=0) == 2, axis=0)]
    if turning.size:
        warnings.warn(
            f"{turning.size} of {counted(len(shared), 'dimension')} of the shared signature ({shorten(turning)}) have "
            f"weights of both signs, depending on the magnification: they are no invariant ones (see "
            f"`magnification_coef_`)."
        )
    kept = np.isin(np.arange(coef.shape[1]), shared)
    return SharedSignature(shared, np.where(kept, coef, 0.0), intercept, fraction_of_pooled)
