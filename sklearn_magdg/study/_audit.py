"""What each way of splitting a collection would leak, and the folds of the study in detail.

No net is trained: the usual splitters of scikit-learn and the study's own are asked for their folds, and of each fold
is counted what stands on both sides (patients, magnifications, images that are alike).
"""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, StratifiedKFold

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg._words import counted
from sklearn_magdg.cohort import encode_magnification
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
from sklearn_magdg.study._data import count_images, load_collection
from sklearn_magdg.study._protocol import study_splitter
from sklearn_magdg.study._tables import Table

OURS = "LeaveOneMagnificationOut"


class CollectionAudit(NamedTuple):
    """Result of `audit_collection`: for every way of splitting an audit, or in `obstacles` why there is none.

    Parameters
    ----------
    description : str
        How many images and patients there are.
    audits : dict of SplitAudit
        By the name of the splitter, those that can split this collection.
    obstacles : dict of str
        By the name of the splitter, the error of those that cannot.
    tested_at : list
        Magnification of every fold of ours; empty if it cannot split.
    """

    description: str
    audits: dict
    obstacles: dict
    tested_at: list


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
    magnifications = encode_magnification(bunch.magnification).names
    ours = study_splitter(config, magnifications)
    # before the images are read for duplicates, which takes minutes
    refuse_unknown(ours.magnifications or [], magnifications)
    samples = read_samples(bunch.data, y, bunch.patient, bunch.magnification, duplicates, n_jobs=config.threads)

    audits, obstacles, tested_at = {}, {}, []
    for name, split in _ways(bunch, y, ours, config).items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # rare classes and leaks: the tables count them
                splits = list(split())
        except ValueError as error:
            obstacles[name] = str(error)
            continue
        audits[name] = audit_folds(splits, samples)
        if name == OURS:
            tested_at = [bunch.magnification[test][:1].tolist()[0] for _, test in splits]
    description = f"{count_images(bunch, config)}, {counted(len(np.unique(bunch.patient)), 'patient')}"
    return CollectionAudit(description, audits, obstacles, tested_at)


def _ways(bunch, y, ours, config):
    """By name, functions that give the pairs of train and test; they raise a ValueError only when they are called.

    The splitters get the columns as the loader gives them, as a user's own call would: `GroupKFold` breaks ties by the
    order of the patients' names.
    """
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


def audit_overview(audit):
    """`Table` of all ways of splitting: in how many folds something stands on both sides.

    A row per splitter, dashes for one that cannot split this collection. The columns are those of what was looked for:
    without duplicates there is none of identical images.
    """
    columns = looked_for(next(iter(audit.audits.values())).frame) if audit.audits else []
    rows = []
    for splitter, each in audit.audits.items():
        cells = [splitter, str(each.summary["n_folds"])]
        for name in columns:
            n_folds, n_samples = each.summary[name], each.summary.get(f"{name}_samples")
            # not every leak concerns single images: an empty cell has none
            cells.append(f"{n_folds} ({n_samples:,})" if n_folds and n_samples is not None else f"{n_folds}")
        rows.append(cells)
    rows += [[splitter, "–", *("–" for _ in columns)] for splitter in audit.obstacles]
    note = (
        "number of folds where it stands on both sides, in brackets the tests of an image concerned; empty cells: "
        "folds where a class has no image at a magnification"
    )
    return Table("Ways of splitting", note, ["splitter", "folds", *(HEADINGS[name] for name in columns)], rows)


def audit_reading(audit):
    """What the overview means: a list of sentences, of obstacles first and then of leaks; empty if all is well."""
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
    """`Table` of the folds of the study's own splitter with their held-out magnifications, None if it cannot split."""
    if OURS not in audit.audits:
        return None
    ours = audit.audits[OURS]
    table = text_table(ours.frame)
    table.insert(1, "held out", [magnification_text(name) for name in audit.tested_at])
    return Table(f"Folds of {OURS}", " ".join(verdict(ours)), list(table), table.astype(str).to_numpy().tolist())
