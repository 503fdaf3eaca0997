"""What a splitter lets through from the training to the test side."""

import hashlib
import os
from dataclasses import dataclass
from inspect import signature

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.model_selection import check_cv
from sklearn.utils.validation import _num_samples

from sklearn_magdg._metadata import encode, encode_magnification
from sklearn_magdg.images import as_paths


@dataclass(frozen=True)
class SplitAudit:
    """Result of `audit_splits`.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per fold: `n_train`, `n_test`; `train_<class>`, `test_<class>`, numbers of samples;
        `shared_patients`, `shared_magnifications`, numbers of patients and magnifications on both sides;
        `duplicates`, number of test samples with an identical one in training.
    shared_patients : tuple of list
        For every fold the names of the patients on both sides.
    """

    frame: pd.DataFrame
    shared_patients: tuple

    def raise_if_leaky(self, *, magnifications=False):
        """Raise if a fold shares patients or identical samples between its sides.

        Parameters
        ----------
        magnifications : bool, default=False
            Whether a magnification on both sides is a leak too: set it where the protocol claims to test
            on unseen magnifications.

        Raises
        ------
        ValueError
            Names the first leaking fold and what it shares.
        """
        for fold, row in self.frame.iterrows():
            faults = self._faults(fold, row, magnifications)
            if faults:
                raise ValueError(f"Fold {fold} leaks from training to test: {'; '.join(faults)}.")

    def _faults(self, fold, row, magnifications):
        faults = []
        if row["shared_patients"]:
            names = self.shared_patients[fold]
            shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
            faults.append(f"{len(names)} patients on both sides ({shown})")
        if row["duplicates"]:
            faults.append(f"{row['duplicates']} test samples with an identical one in training")
        if magnifications and row["shared_magnifications"]:
            faults.append(f"{row['shared_magnifications']} magnifications on both sides")
        return faults

    def _summary(self):
        counts = [f"{(self.frame[name] > 0).sum()} share {what}" for name, what in _LEAKS.items()]
        return f"{len(self.frame)} folds: {', '.join(counts)}"

    def __str__(self):
        return f"{self._summary()}\n{self.frame.to_string()}"

    __repr__ = __str__

    def _repr_html_(self):
        return f"<p>{self._summary()}</p>{self.frame.to_html()}"


_LEAKS = {
    "shared_patients": "patients",
    "shared_magnifications": "magnifications",
    "duplicates": "identical samples",
}


def audit_splits(cv, X, y, *, patient, magnification):
    """Table of what every fold of any splitter shares between its training and test side.

    Parameters
    ----------
    cv : splitter, int or iterable of (train, test)
        What `cv=` takes in scikit-learn. A splitter whose `split` takes `patient` and `magnification` gets
        them; one that takes only `groups` gets the patients.
    X : array-like of shape (n_samples, ...)
        Paths, images or features. Duplicates are equal paths, or rows that agree bit for bit: to find one
        image under two paths, pass the decoded images (`ImageReader().transform(paths)`).
    y : array-like of shape (n_samples,)
        Classes.
    patient : array-like of shape (n_samples,)
        Patient of every sample.
    magnification : array-like of shape (n_samples,)
        Magnification of every sample.

    Returns
    -------
    audit : SplitAudit
        `audit.frame` is the table; `audit.raise_if_leaky()` raises where patients or identical samples
        are shared.

    Raises
    ------
    ValueError
        If lengths differ, or a patient, magnification or class is missing.

    Examples
    --------
    >>> X, y, patient = [[1], [2], [3], [4]], [0, 1, 0, 1], ["a", "a", "b", "b"]
    >>> audit = audit_splits([([0, 2], [1, 3])], X, y, patient=patient, magnification=[40, 100, 40, 100])
    >>> audit.frame.loc[0, ["n_train", "n_test", "shared_patients", "shared_magnifications"]].to_dict()
    {'n_train': 2, 'n_test': 2, 'shared_patients': 2, 'shared_magnifications': 0}
    """
    n_samples = _num_samples(X)
    label, patients = encode(y, "y", n_samples), encode(patient, "patient", n_samples)
    magnifications = encode_magnification(magnification, n_samples).codes
    identity = _identities(X)
    rows, shared = [], []
    for train, test in _split(check_cv(cv, y, classifier=True), X, y, patient, magnification):
        both = np.intersect1d(patients.codes[train], patients.codes[test])
        shared.append([patients.names[code] for code in both])
        rows.append(
            _sizes(label, train, test)
            | {
                "shared_patients": len(both),
                "shared_magnifications": len(np.intersect1d(magnifications[train], magnifications[test])),
                "duplicates": int(np.isin(identity[test], identity[train]).sum()),
            }
        )
    return SplitAudit(pd.DataFrame(rows).rename_axis("fold"), tuple(shared))


def _split(cv, X, y, patient, magnification):
    """Pairs of train and test from `cv`, given the metadata that it asks for."""
    accepted = _accepted_metadata(cv)
    if {"patient", "magnification"} <= accepted:
        return cv.split(X, y, patient=patient, magnification=magnification)
    if "groups" in accepted:
        return cv.split(X, y, groups=patient)
    return cv.split(X, y)


def _accepted_metadata(cv):
    # the signature alone would not do: KFold.split has a `groups` that it warns about
    if hasattr(cv, "get_metadata_routing"):
        return set(cv.get_metadata_routing().split.requests)
    return set(signature(cv.split).parameters)


def _sizes(label, train, test):
    sizes = {"n_train": len(train), "n_test": len(test)}
    for side, index in (("train", train), ("test", test)):
        counts = np.bincount(label.codes[index], minlength=len(label.names))
        sizes |= {f"{side}_{name}": int(count) for name, count in zip(label.names, counts, strict=True)}
    return sizes


def _identities(X):
    """One code per sample, equal for equal samples only."""
    keys = as_paths(X)
    if keys is not None:
        keys = map(os.path.normpath, keys)
    elif issparse(X):
        X = X.tocsr()
        keys = (_digest(X[[row]].toarray()) for row in range(X.shape[0]))
    else:
        keys = map(_digest, np.asanyarray(X))
    return pd.factorize(np.array(list(keys), dtype=object))[0]


def _digest(row):
    # the bytes of an object array are addresses, not values
    content = repr(row.tolist()).encode() if row.dtype.hasobject else row.tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()
