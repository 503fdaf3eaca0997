"""One encoder per method for all of its signatures, so that these name the same dimensions.

The axes of two nets trained apart are not comparable: dimension 7 of one has nothing to do with dimension 7 of the
other, and signatures of folds agree no better than chance even if the nets know the same. Here one encoder serves all
folds, and only the images that the signature is chosen on differ. The price is that the encoder has seen the held-out
magnification, so these signatures serve the comparison alone and have no score.
"""

import time
import warnings
from typing import NamedTuple

import numpy as np

from sklearn_magdg.cohort import deal_into_folds, patient_holdout
from sklearn_magdg.study._fold import choose_signature, fit_method
from sklearn_magdg.study._protocol import enough_patients


class SharedEncoder(NamedTuple):
    """Rows of all magnifications that the encoder is fitted on `(n_encoder,)`, and each `Choice` made with it."""

    encoder: np.ndarray
    choices: list


class Choice(NamedTuple):
    """Rows of one signature: patients kept from the encoder, but for a part of them, at the other magnifications.

    ``held_out`` and ``fold`` (its number) are those of the fold of the study that the signature stands for.
    """

    held_out: object
    fold: int
    rows: np.ndarray


def plan_shared_encoder(data, folds, config):
    """Rows of the shared encoder and of a signature for each of the study's folds.

    A part of the patients is kept from the encoder and dealt into as many parts as a held-out magnification has
    folds. The signature of a fold is chosen without its held-out magnification and without one of the parts. The parts
    are the same at every magnification, so two signatures of one magnification differ by patients, and two of one
    part by magnification.

    Parameters
    ----------
    data : StudyData
    folds : list of Fold
    config : StudyConfig
        `signature_fraction` is the share of patients kept from the encoder; `folds` and `seed` are read.

    Returns
    -------
    plan : SharedEncoder or None
        None with too few patients for any one of the signatures, for a comparison of some would mislead.

    Warns
    -----
    UserWarning
        If it is None.

    Examples
    --------
    >>> from sklearn_magdg.study import StudyConfig, load_study_data
    >>> from sklearn_magdg.study._protocol import list_folds
    >>> from sklearn_magdg.study._shared_encoder import plan_shared_encoder
    >>> config = StudyConfig(n_patients=16, images_per_cell=1, held_out=(100,), folds=2, image_size=32)
    >>> data = load_study_data(config)
    >>> plan = plan_shared_encoder(data, list_folds(data, config), config)
    >>> len(plan.encoder), [(choice.held_out, choice.fold, len(choice.rows)) for choice in plan.choices]
    (32, [(100, 1, 12), (100, 2, 12)])
    """
    # one generator for both draws, in this order: another order would be another study of the same seed
    rng = np.random.RandomState(config.seed)
    kept = patient_holdout(data.who, config.signature_fraction, rng)
    part = np.zeros(len(kept), dtype=int)  # 0 is the encoder's
    choices = []
    if len(np.unique(data.patient.codes[kept])) >= config.folds:
        part[kept] = 1 + deal_into_folds(data.who.take(kept), config.folds, rng)
        for fold in folds:
            elsewhere = data.magnification.codes != data.magnification.names.index(fold.held_out)
            rows = np.flatnonzero(kept & (part != fold.number) & elsewhere)
            choices.append(Choice(fold.held_out, fold.number, rows))
    if not choices or not all(enough_patients(data, choice.rows) for choice in choices):
        warnings.warn(
            "There are too few patients by class for signatures of a shared encoder, which are left out: use more "
            "patients, fewer folds or another signature fraction.",
            UserWarning,
        )
        return None
    return SharedEncoder(np.flatnonzero(~kept), choices)


def run_shared_encoder(model, data, plan, config):
    """Fit the shared encoder of a method and choose the signatures of all folds with it.

    Parameters
    ----------
    model : estimator
        Unfitted; a clone of it is fitted.
    data : StudyData
    plan : SharedEncoder
    config : StudyConfig
        `seed` is read.

    Returns
    -------
    result : dict
        As plain JSON: ``signatures``, a dict of ``held_out``, ``fold`` and ``dimensions`` for each choice, and
        ``seconds`` and ``warnings`` as of `run_fold`.
    """
    started = time.perf_counter()
    signatures = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder = fit_method(model, data, plan.encoder)
        # every image is embedded once, though most stand in several choices
        used = np.unique(np.concatenate([choice.rows for choice in plan.choices]))
        embedding = encoder.transform(data.images[used])
        for held_out, fold, rows in plan.choices:
            # `used` is sorted, so that the place of a row in it is found by bisection
            selector = choose_signature(embedding[np.searchsorted(used, rows)], data, rows, config)
            signatures.append({"held_out": held_out, "fold": fold, "dimensions": selector.signature_.tolist()})
    return {
        "signatures": signatures,
        "seconds": time.perf_counter() - started,
        "warnings": sorted({str(w.message) for w in caught}),
    }
