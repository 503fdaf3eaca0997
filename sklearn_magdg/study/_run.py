"""The whole protocol: every method on every held-out magnification and patient fold, resumable."""

from pathlib import Path

from sklearn_magdg._files import check_can_hold_files, read_json, write_json
from sklearn_magdg.modules import build_backbone, check_backbone
from sklearn_magdg.study._data import load_study_data
from sklearn_magdg.study._fold import run_fold
from sklearn_magdg.study._folder import fold_file, open_run
from sklearn_magdg.study._methods import build_method, has_frozen_encoder
from sklearn_magdg.study._protocol import list_folds
from sklearn_magdg.study._results import package_versions, write_results
from sklearn_magdg.study._shared_encoder import plan_shared_encoder, run_shared_encoder
from sklearn_magdg.training import seeded, threads


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

    Notes
    -----
    A run is known by its settings, the fingerprint of its data and the versions of the packages: folds of another
    one are never mixed in. An interruption loses the fit that was under way and nothing else. Every fit starts from
    the seed, so resumed and uninterrupted runs agree in all but the seconds.

    Examples
    --------
    >>> from sklearn_magdg.study import StudyConfig, run_study
    >>> config = StudyConfig(methods=("baseline", "gradient-reversal"), held_out=(100, 200), epochs=5)
    >>> summary = run_study(config, "runs/first")  # doctest: +SKIP
    >>> [(row["method"], row["held_out"], row["brier"]) for row in summary["table"]]  # doctest: +SKIP
    """
    out = Path(out)
    on_start, on_begin, on_fold = (each or (lambda *args: None) for each in (on_start, on_begin, on_fold))

    # all that can be refused is refused before the folder is touched
    models = {name: build_method(name, config) for name in config.methods}
    _check_settings(config, models)
    check_can_hold_files(out)
    data = load_study_data(config)
    folds = list_folds(data, config)
    shared = plan_shared_encoder(data, folds, config)
    open_run(out, {**config.identity(), "fingerprint": data.fingerprint, "versions": package_versions()}, fresh)

    # fold by fold rather than method by method: what there is after an interruption can be compared
    fits = [(name, fold) for fold in (*folds, *([] if shared is None else [None])) for name in models]
    files = [fold_file(out, *fit) for fit in fits]
    results = [read_json(file) if file.is_file() else None for file in files]
    on_start(data, folds, len(fits), sum(result is not None for result in results))
    with threads(config.threads):
        for number, (name, fold) in enumerate(fits):
            if results[number] is not None:
                continue
            on_begin(name, fold)
            if fold is None:
                result = run_shared_encoder(models[name], data, shared, config)
            else:
                result = run_fold(models[name], data, fold, config)
            write_json(files[number], result)
            results[number] = result
            on_fold(name, fold, result)

    frozen = [name for name, model in models.items() if has_frozen_encoder(model)]
    done = [(*fit, result) for fit, result in zip(fits, results, strict=True)]
    return write_results(done, frozen, data, config, out)


def _check_settings(config, models):
    """Refuse early what the first fit would refuse late, after images were read and other methods fitted."""
    if not models:
        raise ValueError("The study needs at least one method, got none: name some in `methods`.")
    for model in models.values():
        # a generator's and an inner classifier's parameters are else looked at when their own fit begins
        for part in (model, getattr(model, "estimator", None), getattr(model, "generator", None)):
            if part is not None:
                part._validate_params()
    # building a net draws its random weights; the caller's generator is to stay as it is
    image_shape = (config.image_size, config.image_size, 3)
    with seeded(0):
        backbone = build_backbone(config.backbone, config.weights, None, image_shape)
    check_backbone(*backbone, image_shape)
    if not 0 < config.signature_fraction < 1:
        raise ValueError(f"`signature_fraction` must lie between 0 and 1, got {config.signature_fraction}.")
