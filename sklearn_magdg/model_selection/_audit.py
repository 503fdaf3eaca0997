"""What a splitter lets through from the training to the test side."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import check_cv
from sklearn.utils.validation import _num_samples

from sklearn_magdg._words import counted, shorten
from sklearn_magdg.cohort import Encoded, encode, encode_magnification, split_with_metadata
from sklearn_magdg.model_selection._audit_text import as_html, as_text, looked_for
from sklearn_magdg.model_selection._duplicates import find_alike, twins

# a number of three digits or more, a token of its own, and letters to the end: "14-22549AB", not a well "12A"
# and not the barcode "TCGA-A1-A0SB"
_ACCESSION = re.compile(r"(.*(?<![0-9A-Za-z])[0-9]{3,})[A-Za-z]+")


@dataclass(frozen=True, eq=False)  # tables have no one answer to ==
class SplitAudit:
    """Result of `audit_splits`: numbers in `frame`, and what stands behind them under the same names.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per fold:

        n_train, n_test, train_<class>, test_<class>
            Numbers of samples.
        shared_patients, shared_magnifications
            Numbers of patients and of magnifications on both sides.
        shared_accessions
            Number of accession numbers on both sides under different patient ids: "14-22549AB" in training
            and "14-22549CD" in test are one. An id is read as an accession number with a suffix where it ends
            in a number of 3 digits or more, on its own or after a separator, followed by letters.
        duplicates
            Number of test samples with an identical one in training. Absent with `duplicates=None`.
        near_duplicates
            Number of further test samples with a near one in training. Only with `duplicates="near"`.
        empty_cells
            On either side, number of pairs of a class and a magnification of that side without any sample.
    affected : pandas.DataFrame
        One row per fold: number of test samples whose patient, magnification, accession or likeness stands
        in training, in the columns of the same names.
    shared_patients, shared_magnifications, shared_accessions : tuple of list
        Names, for every fold.
    empty_cells : tuple of list
        For every fold, tuples (side, class, magnification), where side is "train" or "test".
    lookalike_patients : list of tuple
        Patients whose names differ by letter case only: "P1" and "p1" count as two.
    duplicates, near_duplicates : tuple of ndarray of shape (n_found, 2), or None
        For every fold, the positions of the test samples concerned, each beside the first identical or the
        nearest training sample. None where they were not looked for.
    """

    frame: pd.DataFrame
    affected: pd.DataFrame
    shared_patients: tuple
    shared_magnifications: tuple
    shared_accessions: tuple
    empty_cells: tuple
    lookalike_patients: list
    duplicates: tuple | None = None
    near_duplicates: tuple | None = None

    @property
    def summary(self):
        """All folds in one row: a Series.

        `n_folds` and `n_tested`, the number of tests of a sample; for each of the columns `shared_patients`,
        `shared_magnifications`, `shared_accessions`, `duplicates`, `near_duplicates` and `empty_cells` the number
        of folds concerned under its own name and, but for the last, the number of tests of a sample concerned
        under `<name>_samples`.
        """
        numbers = {"n_folds": len(self.frame), "n_tested": self.frame["n_test"].sum()}
        for name in looked_for(self.frame):
            numbers[name] = (self.frame[name] > 0).sum()
            if name in self.affected:
                numbers[f"{name}_samples"] = self.affected[name].sum()
        return pd.Series(numbers, dtype=int)

    @property
    def cautions(self):
        """Sentences on what counts as no leak and still needs a look: a list of str.

        Patients whose names differ by letter case only, a training part of one class, and a test part with classes
        that training lacks.
        """
        of_folds = [sentence for fold, row in self.frame.iterrows() for sentence in _cautions(fold, row)]
        return [*_caution_on_names(self.lookalike_patients), *of_folds]

    def raise_if_leaky(self, *, magnifications=False, accessions=False):
        """Raise if a fold shares patients, or identical or near samples, between its sides.

        Parameters
        ----------
        magnifications : bool, default=False
            Whether a magnification on both sides is a leak too: set it where the protocol claims to test
            on unseen magnifications.
        accessions : bool, default=False
            Whether an accession number on both sides under different patient ids is a leak too: set it where
            slides of one accession may be of one person.

        Raises
        ------
        ValueError
            Names the first leaking fold and what it shares.
        """
        for fold in self.frame.index:
            faults = self._faults(fold, magnifications, accessions)
            if faults:
                raise ValueError(f"Fold {fold} leaks from training to test: {'; '.join(faults)}.")

    def _faults(self, fold, magnifications, accessions):
        named = [("patient", self.shared_patients[fold])]
        named += [("magnification", self.shared_magnifications[fold])] if magnifications else []
        named += [("accession number", self.shared_accessions[fold])] if accessions else []
        faults = [
            f"{counted(len(names), what)} on both sides ({shorten(map(repr, names))})" for what, names in named if names
        ]
        for kind, pairs in (("an identical", self.duplicates), ("a near", self.near_duplicates)):
            if pairs is not None and len(pairs[fold]):
                shown = shorten(f"{test} as {train}" for test, train in pairs[fold].tolist())
                faults.append(f"{counted(len(pairs[fold]), 'test sample')} with {kind} one in training ({shown})")
        return faults

    def __str__(self):
        return as_text(self)

    __repr__ = __str__

    def _repr_html_(self):
        return as_html(self)


def audit_splits(cv, X, y, *, patient, magnification, duplicates="identical", near_distance=64, n_jobs=None):
    """Table of what every fold of any splitter shares between its training and test side.

    Parameters
    ----------
    cv : splitter, int or iterable of (train, test)
        What `cv=` takes in scikit-learn. A splitter whose `split` takes `patient` and `magnification` gets
        them; one that takes only `groups` gets the patients.
    X : array-like of shape (n_samples, ...)
        Paths of images, images or features.
    y : array-like of shape (n_samples,)
        Classes.
    patient : array-like of shape (n_samples,)
        Patient of every sample.
    magnification : array-like of shape (n_samples,)
        Magnification of every sample.
    duplicates : {"identical", "near"} or None, default="identical"
        Which samples count as one, beside their patients:

        "identical"
            Images of equal pixels, whatever their files and formats, rows that agree bit for bit, and Python
            objects of equal content. Every file is decoded once, whatever the number of folds: some milliseconds
            each.
        "near"
            Also images whose perceptual hashes differ in at most `near_distance` bits. It finds copies that
            were compressed again (JPEG quality 20 and up), scaled (0.25 to 2), recoloured, brightened or darkened
            short of clipping, turned by 1 degree or cropped by up to 3 %, and a field of view photographed
            twice; of copies cropped by 5 % most. It does not find mirrored, turned (90 degrees) or further
            cropped copies, nor neighbouring fields that overlap in part. A picture of one colour has nothing to
            compare and is near to none. Pairs of images are compared block by block: time grows with the square
            of their number, a second for some ten thousand.
        None
            Samples are not compared and files not opened.
    near_distance : int, default=64
        Largest number of bits, of 255, in which two near images differ, from 0 to 127. On 839 images of
        BreaKHis, 44 slides, two pairs are the same field photographed twice (59 and 63 bits); all others are
        at least 89 apart, the median 127.
    n_jobs : int, default=None
        Number of decoding threads, as in `ImageReader`.

    Returns
    -------
    audit : SplitAudit
        `audit.frame` is the table, `audit.summary` its totals; `audit.raise_if_leaky()` raises where patients,
        or identical or near samples, are shared; in a notebook it shows as a table with a verdict.

    Raises
    ------
    FileNotFoundError
        If an image file does not exist.
    ValueError
        If `cv` is no splitter, lengths differ, a patient, magnification or class is missing, a file is no image,
        near samples are asked for among features, or a split names samples that do not exist.

    Examples
    --------
    >>> X, y, patient = [[1], [2], [3], [4]], [0, 1, 0, 1], ["a", "a", "b", "b"]
    >>> audit = audit_splits([([0, 2], [1, 3])], X, y, patient=patient, magnification=[40, 100, 40, 100])
    >>> audit.frame.loc[0, ["n_train", "n_test", "shared_patients", "shared_magnifications"]].to_dict()
    {'n_train': 2, 'n_test': 2, 'shared_patients': 2, 'shared_magnifications': 0}
    >>> audit.raise_if_leaky()
    Traceback (most recent call last):
        ...
    ValueError: Fold 0 leaks from training to test: 2 patients on both sides ('a', 'b').
    """
    samples = _read_metadata(X, y, patient, magnification)
    splits = split_with_metadata(_as_splitter(cv, y), X, y, patient, magnification)  # before any file is decoded
    return audit_folds(splits, samples._replace(alike=find_alike(X, duplicates, near_distance, n_jobs)))


def _as_splitter(cv, y):
    if isinstance(cv, type):
        raise ValueError(f"`cv` is the class {cv.__name__} itself; give a splitter made of it, {cv.__name__}(...).")
    return check_cv(cv, y, classifier=True)


class Samples(NamedTuple):
    """Who and what every sample is, read once for any number of splits."""

    label: Encoded
    patient: Encoded
    accession: Encoded  # of every patient
    magnification: Encoded
    alike: dict  # of Likeness


def read_samples(X, y, patient, magnification, duplicates="identical", near_distance=64, n_jobs=None):
    """Checked metadata, and which samples are alike; parameters as of `audit_splits`."""
    samples = _read_metadata(X, y, patient, magnification)
    return samples._replace(alike=find_alike(X, duplicates, near_distance, n_jobs))


def _read_metadata(X, y, patient, magnification):
    """`Samples` of which none is known to be alike."""
    n_samples = _num_samples(X)
    label, patient = encode(y, "y", n_samples), encode(patient, "patient", n_samples)
    accession = encode([_accession(name) for name in patient.names], "patient")
    return Samples(label, patient, accession, encode_magnification(magnification, n_samples), {})


def audit_folds(splits, samples):
    """`SplitAudit` of pairs of train and test."""
    n_samples = len(samples.label.codes)
    folds = []
    for fold, (train, test) in enumerate(splits):
        train, test = (_positions(part, n_samples, fold) for part in (train, test))
        folds.append(_audit_fold(samples, train, test))
    if not folds:
        raise ValueError("`cv` gave no split to audit; give one with at least one pair of train and test.")
    tables = [pd.DataFrame(rows).rename_axis("fold") for rows in zip(*(fold[:2] for fold in folds), strict=True)]
    culprits = {name: tuple(fold.culprits[name] for fold in folds) for name in folds[0].culprits}
    return SplitAudit(*tables, **culprits, lookalike_patients=_lookalikes(samples.patient.names))


class _Fold(NamedTuple):
    """Rows of `frame` and `affected`, and what stands behind the numbers."""

    numbers: dict
    affected: dict
    culprits: dict


def _audit_fold(samples, train, test):
    found = {
        "shared_patients": _shared(samples.patient, train, test),
        "shared_magnifications": _shared(samples.magnification, train, test),
        "shared_accessions": _shared_accessions(samples, train, test),
    }
    culprits = {name: names for name, (names, _) in found.items()} | _alike(samples.alike, train, test)
    affected = {name: n_tested for name, (_, n_tested) in found.items()}
    affected |= {name: len(culprits[name]) for name in samples.alike}
    culprits["empty_cells"] = [*_empty_cells(samples, "train", train), *_empty_cells(samples, "test", test)]
    counts = {name: len(culprits[name]) for name in culprits}
    return _Fold(_sizes(samples.label, train, test) | counts, affected, culprits)


def _shared(encoded, train, test):
    """Names on both sides, and number of test samples that bear one."""
    codes, names = encoded
    both = _stands(codes[train], names) & _stands(codes[test], names)
    return [names[code] for code in np.flatnonzero(both)], int(both[codes[test]].sum())


def _stands(codes, names):
    present = np.zeros(len(names), dtype=bool)
    present[codes] = True
    return present


def _shared_accessions(samples, train, test):
    """Accession numbers on both sides under different ids, and number of test samples of them."""
    patient, accession = samples.patient, samples.accession
    trained = _stands(patient.codes[train], patient.names)
    n_trained = np.bincount(accession.codes[trained], minlength=len(accession.names))
    elsewhere = n_trained[accession.codes] - trained > 0  # under another id than the patient's own
    tested = elsewhere & _stands(patient.codes[test], patient.names)
    names = [accession.names[code] for code in np.unique(accession.codes[tested])]
    return names, int(elsewhere[patient.codes[test]].sum())


def _accession(name):
    if not isinstance(name, str):
        return name
    match = _ACCESSION.fullmatch(name.strip())
    return match[1] if match else name.strip()


def _lookalikes(names):
    """Groups of names that differ by letter case only."""
    spelled = {}
    for name in names:
        spelled.setdefault(str(name).strip().casefold(), []).append(name)
    return [tuple(group) for group in spelled.values() if len(group) > 1]


def _alike(alike, train, test):
    """Test samples beside their identical and, where there is none, near ones in training."""
    pairs = {name: twins(likeness, train, test) for name, likeness in alike.items()}
    if "near_duplicates" in pairs:
        further = ~np.isin(pairs["near_duplicates"][:, 0], pairs["duplicates"][:, 0])
        pairs["near_duplicates"] = pairs["near_duplicates"][further]
    return pairs


def _empty_cells(samples, side, index):
    """(side, class, magnification) without a sample, of the magnifications that stand there."""
    (label, classes), (magnification, magnifications) = samples.label, samples.magnification
    cell = magnification[index] * len(classes) + label[index]
    counts = np.bincount(cell, minlength=len(magnifications) * len(classes)).reshape(-1, len(classes))
    empty = (counts == 0) & counts.any(axis=1, keepdims=True)
    return [(side, classes[c], magnifications[m]) for m, c in np.argwhere(empty).tolist()]


def _sizes(label, train, test):
    sizes = {"n_train": len(train), "n_test": len(test)}
    for side, index in (("train", train), ("test", test)):
        counts = np.bincount(label.codes[index], minlength=len(label.names))
        sizes |= {f"{side}_{name}": int(count) for name, count in zip(label.names, counts, strict=True)}
    return sizes


def _caution_on_names(lookalikes):
    shown = shorten(" and ".join(map(repr, group)) for group in lookalikes)
    return [f"Patients that differ by letter case only count as several: {shown}."] if lookalikes else []


def _cautions(fold, row):
    trained = [name.removeprefix("train_") for name in row.index if name.startswith("train_") and row[name]]
    tested = [name.removeprefix("test_") for name in row.index if name.startswith("test_") and row[name]]
    if len(trained) < 2:
        known = f"{trained[0]!r} only" if trained else "no sample"
        return [f"Fold {fold} trains on {known}: no classifier can be fitted."]
    unseen = [repr(name) for name in tested if name not in trained]
    return [f"Fold {fold} tests {shorten(unseen)}, which training lacks."] if unseen else []


def _positions(part, n_samples, fold):
    """One side of a split as positions, from positions or a mask."""
    part = np.asarray(part)
    if part.dtype == bool and part.shape == (n_samples,):
        return np.flatnonzero(part)
    if part.ndim != 1 or (part.size and part.dtype.kind not in "iu"):
        raise ValueError(
            f"Fold {fold} of `cv` must be positions of samples, got {part.dtype} of shape {part.shape}; give pairs of "
            "train and test as `split` returns them."
        )
    if part.size and not (part.min() >= 0 and part.max() < n_samples):
        raise ValueError(
            f"Fold {fold} of `cv` names positions from {part.min()} to {part.max()}, the data have 0 to "
            f"{n_samples - 1}; split the same data that are audited."
        )
    return part.astype(np.intp)
