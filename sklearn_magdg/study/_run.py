"""The whole protocol: every method on every held-out magnification and patient fold, resumable."""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from sklearn_magdg._files import whole_file
from sklearn_magdg.cohort import patient_holdout, read_cohort
from sklearn_magdg.model_selection import audit_splits
from sklearn_magdg.modules import build_backbone, check_backbone
from sklearn_magdg.study._data import load_study_data, study_splitter
from sklearn_magdg.study._fold import enough_patients, run_fold
from sklearn_magdg.study._methods import build_method, has_frozen_encoder
from sklearn_magdg.study._results import RESULT_FILES, package_versions, write_results
from sklearn_magdg.study._shared_encoder import plan_shared_encoder, run_shared_encoder
from sklearn_magdg.training import seeded, threads

_FOLDS = "folds"  # finished folds, one file each
_RUN = "run.json"  # the settings and data they belong to


class Fold(NamedTuple):
    """One patient fold of one held-out magnification, as row numbers.

    ``encoder`` and ``signature`` part ``train`` by patients: the honest signature is chosen on patients that
    its encoder did not see.
    """

    held_out: object
    number: int
    train: np.ndarray
    test: np.ndarray
    encoder: np.ndarray
    signature: np.ndarray


def run_study(config, out, *, fresh=False, on_start=None, on_begin=None, on_fold=None):
    """Run the study that `config` asks for and write its results into the folder `out`.

    Finished folds are kept, one file each, so that the same command goes on after an interruption;
    ``results.csv`` and its companions are written when all are there.

    Parameters
    ----------
    config : StudyConfig
    out : path
        Made if absent.
    fresh : bool, default=False
        Whether to delete another run's results in `out`.
    on_start : callable, default=None
        Called with (data, folds, number of fits in all, of which done).
    on_begin : callable, default=None
        Called with (method, fold) before each fit; the fold of the shared encoder is None.
    on_fold : callable, default=None
        Called with (method, fold, result) after each.

    Returns
    -------
    summary : dict
        What ``summary.json`` holds.

    Raises
    ------
    ValueError
        For settings that cannot work, and for an `out` that holds another run.
    """
    models = {name: build_method(name, config) for name in config.methods}
    _check_settings(config, models)
    check_can_hold_files(Path(out))
    data = load_study_data(config)
    folds = list_folds(data, config)
    shared = plan_shared_encoder(data, folds, config)
    identity = {**config.identity(), "fingerprint": data.fingerprint, "versions": package_versions()}
    folder = _open_folder(Path(out), identity, fresh)
    with threads(config.threads):
        done = _run_all(models, folds, shared, data, config, folder, (on_start, on_begin, on_fold))
    frozen = [name for name, model in models.items() if has_frozen_encoder(model)]
    return write_results(done, frozen, data, config, folder.parent)


def _run_all(models, folds, shared, data, config, folder, callbacks):
    """(method, fold) -> result, of those in the folder and of those still to be run; None is the shared encoder."""
    on_start, on_begin, on_fold = (callback or _do_nothing for callback in callbacks)
    todo = [(name, fold) for fold in (*folds, *([] if shared is None else [None])) for name in models]
    done = {_key(*each): _load(_file(folder, *each)) for each in todo}
    on_start(data, folds, len(todo), sum(result is not None for result in done.values()))
    for name, fold in todo:
        if done[_key(name, fold)] is None:
            on_begin(name, fold)
            result = _run_one(models[name], fold, shared, data, config)
            write_json(_file(folder, name, fold), result)
            done[_key(name, fold)] = result
            on_fold(name, fold, result)
    return done


def _run_one(model, fold, shared, data, config):
    if fold is None:
        return run_shared_encoder(model, data, shared, config)
    return run_fold(model, data, fold, config)


def _key(method, fold):
    return (method, None) if fold is None else (method, (fold.held_out, fold.number))


def _do_nothing(*args):
    pass


def list_folds(data, config):
    """The folds, checked to share neither a patient nor the held-out magnification."""
    metadata = {"patient": data.patient, "magnification": data.magnification}
    splits = list(study_splitter(config, data.magnification).split(data.images, data.y, **metadata))
    audit_splits(splits, data.images, data.y, **metadata).raise_if_leaky(magnifications=True)
    folds = []
    for train, test in splits:
        held = data.magnification[test][:1].tolist()[0]  # as JSON has it
        number = 1 + sum(fold.held_out == held for fold in folds)
        folds.append(Fold(held, number, train, test, *_part_patients(train, data, config)))
    return folds


def _part_patients(train, data, config):
    rng = np.random.RandomState(config.seed)
    kept = patient_holdout(
        read_cohort(len(train), data.y[train], patient=data.patient[train]), config.signature_fraction, rng
    )
    encoder, signature = train[~kept], train[kept]
    if len(np.unique(data.y[encoder])) < 2 or not enough_patients(data, signature):
        warnings.warn(
            "Training folds have too few patients by class for a signature of unseen patients, which is left out "
            "there: use more patients, fewer folds or another signature fraction.",
            UserWarning,
        )
        return train, train[:0]
    return encoder, signature


def write_json(file, content):
    """Write whole or not at all."""
    with whole_file(file) as stream:
        stream.write(json.dumps(content).encode())


def _check_settings(config, models):
    """Refuse early what the first fit would refuse late."""
    if not models:
        raise ValueError("The study needs at least one method, got none.")
    for model in models.values():
        for part in (model, getattr(model, "estimator", None), getattr(model, "generator", None)):
            if part is not None:
                part._validate_params()
    image_shape = (config.image_size, config.image_size, 3)
    with seeded(0):
        backbone = build_backbone(config.backbone, config.weights, None, image_shape)
    check_backbone(*backbone, image_shape)
    if not 0 < config.signature_fraction < 1:
        raise ValueError(f"`signature_fraction` must lie between 0 and 1, got {config.signature_fraction}.")


def check_can_hold_files(out):
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ValueError(f"Cannot write to {out}: {nearest} is no folder that can be written to; choose another.")


def _open_folder(out, identity, fresh):
    """The folder of finished folds, of this very run."""
    if (out / _RUN).is_file():
        other = json.loads((out / _RUN).read_text())
        if other != identity and not fresh and _has_results(out):
            differing = ", ".join(name for name in identity if other.get(name) != identity[name])
            raise ValueError(
                f"{out} holds another run's results (other {differing}): choose another folder, or delete them with "
                "--fresh (fresh=True)."
            )
        if fresh:
            _delete_run(out)
    elif out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no run of magdg: choose another folder.")
    (out / _FOLDS).mkdir(parents=True, exist_ok=True)
    write_json(out / _RUN, identity)
    return out / _FOLDS


def _has_results(out):
    return any((out / _FOLDS).glob("*.json")) or (out / "results.csv").is_file()


def _delete_run(out):
    """Delete what a run wrote, and nothing else that may lie there."""
    for folder in (_FOLDS, "figures"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in (*RESULT_FILES, "report.html", _RUN):
        (out / name).unlink(missing_ok=True)


def _file(folder, method, fold):
    if fold is None:
        return folder / f"{method}-shared.json"
    return folder / f"{method}-{quote(str(fold.held_out), safe='')}-{fold.number}.json"


def _load(file):
    return json.loads(file.read_text()) if file.is_file() else None


_check_can_hold_files = check_can_hold_files  # until generation imports the room's name
