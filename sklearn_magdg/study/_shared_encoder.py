"""One encoder per method for all of its signatures, so that these name the same dimensions."""

import time
import warnings
from typing import NamedTuple

import numpy as np

from sklearn_magdg.cohort import deal_into_folds, patient_holdout, read_cohort
from sklearn_magdg.study._fold import choose_signature, enough_patients, fit_method


class SharedEncoder(NamedTuple):
    """Rows of all magnifications that the encoder is fitted on, and the choices to make with it."""

    encoder: np.ndarray
    choices: list


class Choice(NamedTuple):
    """Rows of one signature: patients kept from the encoder, but for a part of them, at the other magnifications."""

    held_out: object
    fold: int
    rows: np.ndarray


def plan_shared_encoder(data, folds, config):
    """Rows of the shared encoder and of a signature for each of the study's folds; None with too few patients.

    A part of the patients is kept from the encoder and dealt into as many parts as a held-out magnification has
    folds. The signature of a fold is chosen without its held-out magnification and without one of the parts.
    """
    rng = np.random.RandomState(config.seed)
    kept = patient_holdout(read_cohort(len(data.y), data.y, patient=data.patient), config.signature_fraction, rng)
    part = np.zeros(len(kept), dtype=int)
    choices = []
    if len(np.unique(data.patient[kept])) >= config.folds:
        part[kept] = 1 + _deal(data, kept, config.folds, rng)
        choices = [_choice(data, kept & (part != fold.number), fold) for fold in folds]
    if not choices or not all(enough_patients(data, choice.rows) for choice in choices):
        warnings.warn(
            "There are too few patients by class for signatures of a shared encoder, which are left out: use more "
            "patients, fewer folds or another signature fraction.",
            UserWarning,
        )
        return None
    return SharedEncoder(np.flatnonzero(~kept), choices)


def run_shared_encoder(model, data, plan, config):
    """The encoder's signatures, as plain JSON."""
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder = fit_method(model, data, plan.encoder)
        used = np.unique(np.concatenate([choice.rows for choice in plan.choices]))
        embedding = encoder.transform(data.images[used])
        signatures = [
            choose_signature(embedding[np.searchsorted(used, rows)], data, rows, config).signature_.tolist()
            for _, _, rows in plan.choices
        ]
    return {
        "signatures": [
            {"held_out": choice.held_out, "fold": choice.fold, "dimensions": dimensions}
            for choice, dimensions in zip(plan.choices, signatures, strict=True)
        ],
        "seconds": time.perf_counter() - started,
        "warnings": sorted({str(w.message) for w in caught}),
    }


def _deal(data, kept, n_parts, rng):
    """Part of every kept row, from 0: patients dealt by class."""
    cohort = read_cohort(np.count_nonzero(kept), data.y[kept], patient=data.patient[kept])
    return deal_into_folds(cohort, n_parts, rng)


def _choice(data, available, fold):
    rows = np.flatnonzero(available & (data.magnification != fold.held_out))
    return Choice(fold.held_out, fold.number, rows)
