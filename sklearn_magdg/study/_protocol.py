"""Who is trained on and who is tested: the folds of the study, as row numbers.

The protocol is that of the paper (arXiv 2604.25817), stricter in one point. In every fold the test images are of a
magnification that training lacks *and* of patients that training lacks. Beside that, the training patients are parted
once more: the honest signature is chosen on patients whose images its encoder has not seen.
"""

import warnings
from typing import NamedTuple

import numpy as np

from sklearn_magdg.cohort import patient_holdout
from sklearn_magdg.model_selection import LeaveOneMagnificationOut, audit_splits
from sklearn_magdg.study._data import spell_as_known


class Fold(NamedTuple):
    """One patient fold of one held-out magnification, as row numbers.

    ``encoder`` and ``signature`` part ``train`` by patients: the honest signature is chosen on patients that
    its encoder did not see. With too few patients ``encoder`` is all of ``train`` and ``signature`` is empty.

    Parameters
    ----------
    held_out : int, float or str
        Magnification of all test rows, which no training row has; as JSON has it.
    number : int
        From 1, among the folds of this magnification.
    train, test : ndarray of int
        They share neither a patient nor a magnification.
    encoder, signature : ndarray of int
    """

    held_out: object
    number: int
    train: np.ndarray
    test: np.ndarray
    encoder: np.ndarray
    signature: np.ndarray


def study_splitter(config, magnifications):
    """The splitter of the study.

    Parameters
    ----------
    config : StudyConfig
        `held_out`, `folds` and `seed` are read.
    magnifications : list
        Those in the data, by whose spelling the held-out ones are found.

    Returns
    -------
    splitter : LeaveOneMagnificationOut
    """
    held_out = None if config.held_out is None else spell_as_known(config.held_out, magnifications)
    settings = config.arguments_of(LeaveOneMagnificationOut) | {"magnifications": held_out, "shuffle": True}
    return LeaveOneMagnificationOut(**settings)


def list_folds(data, config):
    """The folds of the study, held-out magnification by held-out magnification.

    Parameters
    ----------
    data : StudyData
    config : StudyConfig
        `held_out`, `folds`, `signature_fraction` and `seed` are read; they alone decide, whatever the pixels are.

    Returns
    -------
    folds : list of Fold

    Raises
    ------
    ValueError
        If the protocol cannot be kept with these patients and magnifications, or a fold leaks.

    Warns
    -----
    UserWarning
        If the patients do not suffice for a signature of unseen patients.

    Examples
    --------
    >>> from sklearn_magdg.study import StudyConfig, load_study_data
    >>> from sklearn_magdg.study._protocol import list_folds
    >>> config = StudyConfig(n_patients=16, images_per_cell=1, held_out=(100, 200), folds=2, image_size=32)
    >>> folds = list_folds(load_study_data(config), config)
    >>> [(fold.held_out, fold.number, len(fold.train), len(fold.test)) for fold in folds]
    [(100, 1, 24, 8), (100, 2, 24, 8), (200, 1, 24, 8), (200, 2, 24, 8)]
    """
    metadata = {"patient": data.patient.values(), "magnification": data.magnification.values()}
    splitter = study_splitter(config, data.magnification.names)
    splits = list(splitter.split(data.images, data.label.codes, **metadata))
    # the splitter promises as much; but everything that the study claims rests on it, so look once more
    audit_splits(splits, data.images, data.label.codes, **metadata).raise_if_leaky(magnifications=True)

    folds = []
    for train, test in splits:
        held_out = data.magnification.names[data.magnification.codes[test[0]]]
        number = 1 + sum(fold.held_out == held_out for fold in folds)
        # every fold draws anew from the seed, so that one fold alone gives what it gives among others
        rng = np.random.RandomState(config.seed)
        kept = patient_holdout(data.who.take(train), config.signature_fraction, rng)
        encoder, signature = train[~kept], train[kept]
        if len(np.unique(data.label.codes[encoder])) < 2 or not enough_patients(data, signature):
            warnings.warn(
                "Training folds have too few patients by class for a signature of unseen patients, which is left out "
                "there: use more patients, fewer folds or another signature fraction.",
                UserWarning,
            )
            encoder, signature = train, train[:0]
        folds.append(Fold(held_out, number, train, test, encoder, signature))
    return folds


def enough_patients(data, rows):
    """Whether a signature can be chosen on `rows`: two classes of two patients, which the selector's folds need.

    A patient with images of two classes counts in both.
    """
    pairs = np.unique(np.column_stack([data.label.codes[rows], data.patient.codes[rows]]), axis=0)
    _, n_patients = np.unique(pairs[:, 0], return_counts=True)
    return len(n_patients) > 1 and n_patients.min() > 1
