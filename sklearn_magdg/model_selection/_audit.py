"""What a splitter lets through from the training to the test side."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import check_cv
from sklearn.utils.validation import _num_samples

from sklearn_magdg.cohort import Cohort, Encoded, encode, encode_magnification, spelled_alike, split_with_metadata
from sklearn_magdg.model_selection._duplicates import find_alike, twins
from sklearn_magdg.model_selection._split_audit import SplitAudit

# The end of an accession number with a suffix: a number of three digits or more, a token of its own, and letters to
# the end: "14-22549AB", not a well "12A" and not the barcode "TCGA-A1-A0SB".
_SUFFIXED = re.compile(r"((?<![0-9A-Za-z])[0-9]{3,})[A-Za-z]+\Z")


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
        Largest number of bits, of 255, in which two near images differ, from 0 to 127. On 1,010 images of
        BreaKHis, 47 slides, two pairs are the same field photographed twice (59 and 63 bits); all others are
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
    if isinstance(cv, type):
        raise ValueError(f"`cv` is the class {cv.__name__} itself; give a splitter made of it, {cv.__name__}(...).")
    samples = read_samples(X, y, patient, magnification, duplicates=None)
    # before any file is decoded, which may take minutes: a splitter that does not fit the data fails here
    splits = split_with_metadata(check_cv(cv, y, classifier=True), X, y, patient, magnification)
    alike, links = find_alike(X, duplicates, near_distance, n_jobs)
    return audit_folds(splits, samples.replace(alike=alike, links=links))


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples(Cohort):
    """A cohort that also knows which samples are of one accession, and which are alike.

    Parameters
    ----------
    accession : Encoded
        Accession number of every sample: its patient's name without white space around it and without a suffix.
    alike : pandas.DataFrame of shape (n_samples, n_kinds)
        For every kind of likeness that was looked for, named as the column of `SplitAudit.frame` that counts it,
        codes that are equal for samples that count as one. A table, so that `take` cuts it like any column.
    links : dict of ndarray of shape (n_pairs, 2)
        By the same names, other codes that count as one too, as `near_pairs` orders them.
    """

    accession: Encoded
    alike: pd.DataFrame
    links: dict


def read_samples(X, y, patient, magnification, duplicates="identical", near_distance=64, n_jobs=None):
    """`Samples` for any number of audits, checked; parameters and errors as of `audit_splits`.

    Every value of `y` is a class, also where it is a fraction: the audit counts them, it stratifies by nothing.
    """
    n_samples = _num_samples(X)
    label, patient = encode(y, "y", n_samples), encode(patient, "patient", n_samples)
    names = [_SUFFIXED.sub(r"\1", name.strip()) if isinstance(name, str) else name for name in patient.names]
    of_patient = encode(names, "patient")
    magnification = encode_magnification(magnification, n_samples)
    alike, links = find_alike(X, duplicates, near_distance, n_jobs)
    return Samples(
        label,
        patient,
        magnification,
        accession=Encoded(of_patient.codes[patient.codes], of_patient.names),
        alike=alike,
        links=links,
    )


def audit_folds(splits, samples):
    """`SplitAudit` of pairs of train and test.

    Parameters
    ----------
    splits : iterable of (train, test)
        Positions of samples, or masks of shape (n_samples,).
    samples : Samples
        What `read_samples` returned.

    Raises
    ------
    ValueError
        If there is no split, or one names samples that do not exist.
    """
    folds = []
    for fold, (train, test) in enumerate(splits):
        train, test = (_positions(side, len(samples), fold) for side in (train, test))
        culprits, affected = _on_both_sides(samples, train, test)
        of_train, empty_in_train = _count_side(samples, "train", train)
        of_test, empty_in_test = _count_side(samples, "test", test)
        culprits["empty_cells"] = empty_in_train + empty_in_test
        sizes = {"n_train": len(train), "n_test": len(test)} | of_train | of_test
        folds.append((sizes | {name: len(found) for name, found in culprits.items()}, affected, culprits))
    if not folds:
        raise ValueError("`cv` gave no split to audit; give one with at least one pair of train and test.")

    frame, affected, culprits = zip(*folds, strict=True)
    spelled = spelled_alike(samples.patient.names, lambda name: str(name).strip().casefold())
    return SplitAudit(
        *(pd.DataFrame(rows).rename_axis("fold") for rows in (frame, affected)),
        **{name: tuple(each[name] for each in culprits) for name in culprits[0]},
        lookalike_patients=[tuple(names) for names in spelled],
    )


def _positions(side, n_samples, fold):
    """One side of a split as positions, from positions or a mask."""
    side = np.asarray(side)
    if side.dtype == bool and side.shape == (n_samples,):
        return np.flatnonzero(side)
    # an empty list is an array of floats
    if side.ndim != 1 or (side.size and side.dtype.kind not in "iu"):
        raise ValueError(
            f"Fold {fold} of `cv` must be positions of samples, got {side.dtype} of shape {side.shape}; give pairs of "
            "train and test as `split` returns them."
        )
    # negative ones would count from the end, and hide a sample that stands on both sides
    if side.size and not (side.min() >= 0 and side.max() < n_samples):
        raise ValueError(
            f"Fold {fold} of `cv` names positions from {side.min()} to {side.max()}, the data have 0 to "
            f"{n_samples - 1}; split the same data that are audited."
        )
    return side.astype(np.intp)


def _on_both_sides(samples, train, test):
    """What stands in training and in test, and the number of test samples concerned, by column of `SplitAudit.frame`.

    Patients, magnifications and accessions are lists of names in their order, likenesses pairs of positions.
    """
    culprits, affected = {}, {}
    for name, column in (("shared_patients", samples.patient), ("shared_magnifications", samples.magnification)):
        # counts of every name, in one pass each: set operations would sort a million codes
        in_train, in_test = (np.bincount(column.codes[rows], minlength=len(column.names)) for rows in (train, test))
        shared = np.flatnonzero((in_train > 0) & (in_test > 0))
        culprits[name] = [column.names[code] for code in shared]
        affected[name] = int(in_test[shared].sum())

    culprits["shared_accessions"], affected["shared_accessions"] = _shared_accessions(samples, train, test)
    for name, codes in samples.alike.items():
        pairs = twins(codes.to_numpy(), samples.links[name], train, test)
        if name == "near_duplicates":  # what is identical is near too, and counts once
            pairs = pairs[~np.isin(pairs[:, 0], culprits["duplicates"][:, 0])]
        culprits[name], affected[name] = pairs, len(pairs)
    return culprits, affected


def _shared_accessions(samples, train, test):
    """Accession numbers that training has under another id than a test sample's own, and how many have such a one."""
    patient, accession = samples.patient.codes, samples.accession.codes
    is_trained = np.bincount(patient[train], minlength=len(samples.patient.names)) > 0  # (n_patients,)
    accession_of = np.empty(len(is_trained), dtype=np.intp)
    accession_of[patient] = accession  # every patient has samples
    n_ids = np.bincount(accession_of, weights=is_trained)  # in training, of every accession
    elsewhere = n_ids[accession[test]] > is_trained[patient[test]]
    names = [samples.accession.names[code] for code in np.unique(accession[test][elsewhere])]
    return names, int(elsewhere.sum())


def _count_side(samples, side, rows):
    """Numbers of samples of every class, and the empty cells of the magnifications that stand on this side.

    The numbers are named "<side>_<class>", a cell is (side, class, magnification).
    """
    (label, classes), (magnification, magnifications) = samples.label, samples.magnification
    cell = magnification[rows] * len(classes) + label[rows]
    counts = np.bincount(cell, minlength=len(magnifications) * len(classes)).reshape(-1, len(classes))
    empty = (counts == 0) & counts.any(axis=1, keepdims=True)  # (n_magnifications, n_classes)
    sizes = {f"{side}_{name}": count for name, count in zip(classes, counts.sum(axis=0).tolist(), strict=True)}
    return sizes, [(side, classes[c], magnifications[m]) for m, c in np.argwhere(empty).tolist()]
