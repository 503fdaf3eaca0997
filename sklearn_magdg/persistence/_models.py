"""Models in one file that runs nothing when it is read."""

import os
import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils._metadata_requests import SIMPLE_METHODS
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg._files import whole_file
from sklearn_magdg._words import counted
from sklearn_magdg.estimators import (
    DCGAN,
    CNNClassifier,
    GANAugmentedClassifier,
    GradientReversalClassifier,
    blank_module,
)
from sklearn_magdg.modules import misfit
from sklearn_magdg.persistence._model_file import check_writable, pack, unpack, versions
from sklearn_magdg.persistence._plain_values import from_plain, to_plain
from sklearn_magdg.training import resolve_device

_SAVABLE = (CNNClassifier, GradientReversalClassifier, GANAugmentedClassifier, DCGAN)
_CLASSES = {cls.__name__: cls for cls in (*_SAVABLE, FrozenEstimator)}
_FITTED = ["module_", "estimator_"]  # one of these stands where `fit` has ended
# Folders of one machine, for a file shall not decide where another machine writes; and what only a fit asks.
_LEFT_OUT = ("image_cache", "checkpoint", "kid_embedding")
_LEARNED = re.compile(r"[a-zA-Z]\w*(?<!_)_")


def save_model(estimator, path):
    """Write a fitted model into one file that holds tensors and JSON, nothing that could run.

    The file is a safetensors file; parameters and fitted attributes stand as JSON in its header, with the versions
    of the libraries and a SHA-256 over all of it. The digest tells a damaged file; it is no signature, and does not
    tell one that somebody has changed and sealed again.

    What a file cannot hold is named in it and given again to `load_model`: a callable `backbone` or `augment`
    (`HistologyAugment` can be held), and `callbacks`. `image_cache` and `checkpoint`, which are folders of this
    machine, and the `kid_embedding` of a `DCGAN`, which serves its fit alone, are left out: they are None after
    loading. `weights` are kept by name and not read again, for the trained weights stand in the file; a
    `RandomState` is kept with its state.

    Parameters
    ----------
    estimator : CNNClassifier, GradientReversalClassifier, GANAugmentedClassifier or DCGAN
        Fitted. Not of a subclass, which a file could not restore.
    path : str or os.PathLike
        File to write; its folder must be there. A file that stands there is replaced once the new one is whole.

    Raises
    ------
    TypeError
        For an estimator of another class.
    NotFittedError
        When `estimator` is not fitted.
    ValueError
        When its parameters have been changed since the fit so that they no longer give its net, or when it holds
        an object that a file cannot hold.
    OSError
        When `path` cannot be written: its folder is missing (FileNotFoundError), or it is a folder itself
        (IsADirectoryError).

    See Also
    --------
    load_model : The model again.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.estimators import CNNClassifier, load_model, save_model
    >>> tissue = make_histology(4, images_per_cell=2, image_size=16, random_state=0)
    >>> model = CNNClassifier(max_epochs=1, random_state=0).fit(tissue.data, tissue.target)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, Path(folder) / "model.safetensors")
    ...     again = load_model(Path(folder) / "model.safetensors")
    >>> bool((again.predict_proba(tissue.data) == model.predict_proba(tissue.data)).all())
    True
    """
    if type(estimator) not in _SAVABLE:
        raise _not_savable(estimator)
    check_is_fitted(estimator, _FITTED, all_or_any=any)
    path = check_writable(path)
    described = _Description()
    described.add(estimator)
    content = pack(described.tensors, described.models)
    with whole_file(path) as file:
        file.write(content)


def load_model(path, **callables):
    """The model that `save_model` wrote: its parameters, fitted attributes and predictions, bit for bit.

    Nothing of the file is run. Bit for bit it predicts with the same versions of the libraries on the same kind of
    machine. The net goes to the model's `device`; where that is not there, to the CPU, with a warning.

    Parameters
    ----------
    path : str or os.PathLike
    **callables : callable or list
        What the file cannot hold, by the parameter's name: `backbone` (which is called), `augment`, `callbacks`, or
        ``estimator__backbone`` inside a `GANAugmentedClassifier`. To predict alone, ``augment=None`` and
        ``callbacks=None`` do.

    Returns
    -------
    estimator

    Raises
    ------
    FileNotFoundError
        When there is no file `path`.
    ValueError
        When the file is foreign, damaged, cut off or of a later format, when its tensors are not those of the net
        that it describes, or when `callables` are not those that it asks for.

    See Also
    --------
    save_model : Writes the file; has an example.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {str(path)!r}; check the path.")
    with _explained(path):
        file = unpack(path)
    tensors = [{} for _ in file.description]  # of each model, by the position that their names begin with
    with _explained(path, file.written_by):
        wanted = {
            value["given"]
            for model in file.description
            for value in [*model["parameters"].values(), *model["learned"].values()]
            if isinstance(value, dict) and "given" in value
        }
        for name, values in file.tensors.items():
            position, _, own = name.partition(".")
            tensors[int(position)][own] = values
    _check_given(wanted, callables, path)
    restored = []
    for model, own in zip(file.description, tensors, strict=True):
        with _explained(path, file.written_by):
            estimator = _restored(model, restored, callables)
            module = _filled(blank_module(estimator), own) if own else None
        if module is not None:  # the device is this machine's matter, no fault of the file's
            estimator.module_ = module.to(_device_here(estimator.device), memory_format=torch.channels_last)
        restored.append(estimator)
    with _explained(path, file.written_by):
        check_is_fitted(restored[-1], _FITTED, all_or_any=any)
    return restored[-1]


# Saving


class _Description:
    """Models one after the other, each after those that it holds, and their tensors.

    A model that two others hold (a frozen generator) stands there once.

    Attributes
    ----------
    models : list of dict
        Class, parameters, learned attributes and settings of each, as JSON can hold them.
    tensors : dict of str to torch.Tensor
        By the model's position and the tensor's name in its net: "0.generator.project.weight".
    positions : dict of int to int
        From the identity of an estimator to its place in `models`.
    """

    def __init__(self):
        self.models, self.tensors, self.positions = [], {}, {}

    def add(self, estimator, prefix=""):
        """Position of `estimator`, which is described now unless it was before.

        Parameters
        ----------
        estimator : estimator
        prefix : str
            What leads to its parameters from outside, as in ``set_params``: "estimator__", say.
        """
        if id(estimator) not in self.positions:
            model = self._model(estimator, prefix)
            self.positions[id(estimator)] = position = len(self.models)
            self.models.append(model)
            if "module_" in vars(estimator):
                tensors = _tensors(estimator)
                self.tensors |= {f"{position}.{name}": values for name, values in tensors.items()}
        return self.positions[id(estimator)]

    def _model(self, estimator, prefix):
        cls = type(estimator)
        if _CLASSES.get(cls.__name__) is not cls:
            raise _not_savable(estimator)
        if cls is not FrozenEstimator:  # a faulty parameter would be found out at loading only
            estimator._validate_params()
        own = vars(estimator)
        parameters = {k: v for k, v in estimator.get_params(deep=False).items() if k not in _LEFT_OUT}
        learned = {k: v for k, v in own.items() if _LEARNED.fullmatch(k) and k != "module_"}
        # what `clone` carries over beside the parameters: `set_output` and `set_..._request`
        asked = own.get("_metadata_request")
        requests = {m: getattr(asked, m).requests for m in SIMPLE_METHODS if asked and hasattr(asked, m)}
        return {
            "class": cls.__name__,
            "parameters": {name: self._value(value, prefix + name) for name, value in parameters.items()},
            "learned": {name: self._value(value, prefix + name) for name, value in learned.items()},
            "settings": {"output": own.get("_sklearn_output_config", {}), "requests": requests},
        }

    def _value(self, value, name):
        """`value` as JSON: a position for a model, the name under which a callable is given again, else `to_plain`."""
        if isinstance(value, BaseEstimator):
            return {"model": self.add(value, f"{name.removesuffix('_')}__")}
        try:
            return to_plain(value)
        except TypeError as error:
            if callable(value) or name.endswith("callbacks"):
                return {"given": name}
            raise ValueError(
                f"`{name}` holds {error}, which a model file cannot hold: change it to numbers, texts, or lists and "
                "dicts of them."
            ) from error


def _tensors(estimator):
    """Copies of what the net has learned, laid out as safetensors wants them: on the CPU, contiguous.

    Raises
    ------
    ValueError
        Where the parameters no longer give this net, so that no file could restore it.
    """
    state = estimator.module_.state_dict()
    if not callable(getattr(estimator, "backbone", None)):  # what a callable makes shows at loading
        fault = misfit(blank_module(estimator).state_dict(), state)
        if fault:
            raise ValueError(
                f"The parameters of {type(estimator).__name__} no longer give the net of its last fit, which could not "
                f"be loaded ({fault}): undo `set_params`, or fit again."
            )
    return {name: values.cpu().clone(memory_format=torch.contiguous_format) for name, values in state.items()}


def _not_savable(estimator):
    """The error for a class that is not in the list, which says what is and what else there is to do."""
    known = ", ".join(cls.__name__ for cls in _SAVABLE)
    return TypeError(
        f"save_model writes {known}, got {type(estimator).__module__}.{type(estimator).__name__}; `joblib.dump` keeps "
        "other estimators, in a file that runs code when it is loaded."
    )


# Loading


def _restored(model, restored, callables):
    """The estimator that `model` describes, without its net.

    Parameters
    ----------
    model : dict
        One entry of the file's description.
    restored : list of estimator
        Those before it in the file, which it may hold.
    callables : dict
        What the user gave again, by name.
    """

    def value(stored):
        match stored:
            case {"model": position}:
                return restored[position]
            case {"given": name}:
                return callables[name]
        return from_plain(stored)

    cls, settings = _CLASSES[model["class"]], model["settings"]
    estimator = cls(**{name: value(v) for name, v in model["parameters"].items() if name not in _LEFT_OUT})
    if cls is not FrozenEstimator:
        estimator._validate_params()
    for name, stored in model["learned"].items():
        # or a file could put a value in the place of a method
        if not _LEARNED.fullmatch(name) or hasattr(cls, name):
            raise ValueError(f"{name!r} is not an attribute that `fit` sets")
        setattr(estimator, name, value(stored))
    if settings["output"]:
        estimator.set_output(**settings["output"])
    with config_context(enable_metadata_routing=True):  # without it scikit-learn has no `set_..._request`
        for method, requests in settings["requests"].items():
            if requests and method in SIMPLE_METHODS:
                getattr(estimator, f"set_{method}_request")(**requests)
    return estimator


def _filled(module, tensors):
    """The blank `module` with the numbers of `tensors`, in evaluation mode on the CPU."""
    fault = misfit(module.state_dict(), tensors)
    if fault:
        raise ValueError(f"its tensors are not those of the net that its parameters give, {fault}")
    for part in module.modules():
        own = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
        # a callable's part of the net has numbers, and what is no tensor of the state, already
        if any(values.is_meta for values in own):
            part.to_empty(device="cpu", recurse=False)
    module.load_state_dict(tensors)
    return module.eval()


def _device_here(name):
    """The device of that name, or the CPU, with a warning, where it is not there."""
    try:
        return resolve_device(name)
    except ValueError:
        warnings.warn(
            f"The model was saved with device={name!r}, which is not here: it is on the CPU; before another `fit`, set "
            "`device`.",
            UserWarning,
        )
        return torch.device("cpu")


def _check_given(wanted, callables, path):
    """Refuse too few and too many `callables`: a forgotten one would be missed later, another one be lost silently."""
    missing, needless = sorted(wanted - callables.keys()), sorted(callables.keys() - wanted)
    if missing:
        again = ", ".join(f"{name}=..." for name in missing)
        raise ValueError(
            f"{path} was saved with {counted(len(missing), 'object')} that no file can hold: give what it was again, "
            f"`load_model(path, {again})`."
        )
    if needless:
        raise ValueError(
            f"load_model got {needless}, which {path} does not ask for (it asks for {sorted(wanted) or 'nothing'}): "
            "leave them out, or use `set_params` on the loaded model."
        )


@contextmanager
def _explained(path, written_by=None):
    """Whatever a file's content brings about becomes one kind of error.

    Parameters
    ----------
    path : Path
        Of the file, for the message.
    written_by : str, default=None
        Versions that wrote it; None while they are not known, when a ValueError says enough by itself.
    """
    try:
        yield
    except Exception as error:
        if written_by is None and isinstance(error, ValueError):
            raise
        by = f"; written by {written_by}, read by {versions()}"
        raise ValueError(
            f"{os.fspath(path)} does not describe a model that can be built here: {str(error) or type(error).__name__}"
            f"{by if written_by else ''}."
        ) from error
