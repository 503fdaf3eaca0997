"""What each way of splitting a collection would leak, and the folds of the study in detail."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, StratifiedKFold

from sklearn_magdg._words import counted
from sklearn_magdg.datasets import official_holdouts
from sklearn_magdg.model_selection import (
    HEADINGS,
    audit_folds,
    looked_for,
    read_samples,
    refuse_unknown,
    text_table,
    verdict,
)
from sklearn_magdg.study._data import count_images, load_collection, study_splitter
from sklearn_magdg.study._tables import Table, magnification_name

OURS = "LeaveOneMagnificationOut"


class CollectionAudit(NamedTuple):
    """Result of `audit_collection`: for every way of splitting an audit, or in `obstacles` why there is none."""

    description: str
    audits: dict  # of SplitAudit
    obstacles: dict  # of str
    tested_at: list  # magnification of every fold of ours


def audit_collection(config, duplicates):
    """Audit the splits that usual splitters and the study's own would make of a collection.

    Parameters
    ----------
    config : StudyConfig
        `data`, `target`, `patient_by`, `held_out`, `folds`, `seed` and `threads` are read.
    duplicates : {"identical", "near"} or None
        As in `audit_splits`.

    Returns
    -------
    audit : CollectionAudit

    Raises
    ------
    OSError, ValueError
        If the collection cannot be read, or lacks a magnification to hold out.
    """
    bunch, _ = load_collection(config)
    y = np.array(bunch.target_names, dtype=object)[bunch.target]
    ours = study_splitter(config, bunch.magnification)
    refuse_unknown(ours.magnifications or [], np.unique(bunch.magnification).tolist())
    samples = read_samples(bunch.data, y, bunch.patient, bunch.magnification, duplicates, n_jobs=config.threads)
    audits, obstacles, tested_at = {}, {}, []
    for name, split in _ways(bunch, y, ours, config).items():
        try:
            splits = _silently(split)
        except ValueError as error:
            obstacles[name] = str(error)
            continue
        audits[name] = audit_folds(splits, samples)
        if name == OURS:
            tested_at = [bunch.magnification[test][:1].tolist()[0] for _, test in splits]
    description = f"{count_images(bunch, config)}, {counted(len(np.unique(bunch.patient)), 'patient')}"
    return CollectionAudit(description, audits, obstacles, tested_at)


def _ways(bunch, y, ours, config):
    """By name, functions that give the pairs of train and test."""
    X, patient, magnification = bunch.data, bunch.patient, bunch.magnification
    shuffled = {"shuffle": True, "random_state": config.seed}
    ways = {
        "KFold, shuffled": lambda: KFold(config.folds, **shuffled).split(X),
        "StratifiedKFold, shuffled": lambda: StratifiedKFold(config.folds, **shuffled).split(X, y),
        "GroupKFold on patient": lambda: GroupKFold(config.folds).split(X, y, patient),
        "LeaveOneGroupOut on magnification": lambda: LeaveOneGroupOut().split(X, y, magnification),
    }
    if "inventory" in bunch:  # of BreaKHis alone
        ways["official hold-outs"] = lambda: official_holdouts(bunch).split(X)
    return ways | {OURS: lambda: ours.split(X, y, patient=patient, magnification=magnification)}


def _silently(split):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare classes and leaks: the tables count them
        return list(split())


def audit_overview(audit):
    """Table of all ways of splitting: in how many folds something stands on both sides."""
    columns = looked_for(next(iter(audit.audits.values())).frame) if audit.audits else []
    rows = [[name, *_row(each.summary, columns)] for name, each in audit.audits.items()]
    rows += [[name, "–", *("–" for _ in columns)] for name in audit.obstacles]
    note = (
        "number of folds where it stands on both sides, in brackets the tests of an image concerned; empty cells: "
        "folds where a class has no image at a magnification"
    )
    return Table("Ways of splitting", note, ["splitter", "folds", *(HEADINGS[name] for name in columns)], rows)


def _row(summary, columns):
    cells = [str(summary["n_folds"])]
    for name in columns:
        samples = f" ({summary[f'{name}_samples']:,})" if summary[name] and f"{name}_samples" in summary else ""
        cells.append(f"{summary[name]}{samples}")
    return cells


def audit_reading(audit):
    """What the overview means, in sentences."""
    known = [name for name, each in audit.audits.items() if each.summary["shared_patients"]]
    seen = [name for name, each in audit.audits.items() if each.summary["shared_magnifications"]]
    sentences = [f"{name} cannot be used: {reason}" for name, reason in audit.obstacles.items()]
    if known:
        sentences.append(f"Patients that were trained on are tested by {'; '.join(known)}: no score on new patients.")
    if seen:
        sentences.append(
            f"Magnifications that were trained on are tested by {'; '.join(seen)}: no score on a new magnification."
        )
    return sentences


def audit_details(audit):
    """Table of the folds of the study's own splitter, None where it cannot be used."""
    if OURS not in audit.audits:
        return None
    ours = audit.audits[OURS]
    table = text_table(ours.frame)
    table.insert(1, "held out", [magnification_name(name) for name in audit.tested_at])
    return Table(f"Folds of {OURS}", " ".join(verdict(ours)), list(table), table.astype(str).to_numpy().tolist())


overview, details, reading = audit_overview, audit_details, audit_reading  # until cli imports the room's names
