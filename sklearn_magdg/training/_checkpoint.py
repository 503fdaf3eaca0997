"""The state of a training on disk, so that a long fit goes on where it was cut off."""

import hashlib
import json
import re
import sys
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from sklearn_magdg._files import whole_file

# What a fit may change from one run to the next without changing what it computes.
_NOT_DECISIVE = ("device", "n_jobs", "image_cache", "checkpoint", "callbacks", "verbose")
# What a repr that does not tell an object from others of its kind shows: where it lies, or a class made by a function.
_NAMELESS = re.compile(r" at 0x[0-9a-fA-F]+|<class '[^']*<locals>")


class Checkpoint(Callback):
    """Keeps the state of the training after every epoch, and takes up what it finds at the start.

    It comes last among the callbacks, for it keeps and sets their state too: what they hold in attributes that end
    in an underscore, of which only those are set that they have when the training begins.

    Parameters
    ----------
    path : Path
        File of the state. Its name tells the fit, see `checkpoint_of`.
    """

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, **kwargs):
        """Take up the state in the file, if there is one; a ValueError names a file that holds none."""
        if not self.path.is_file():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            net.module_.load_state_dict(state["module"])
            net.criterion_.load_state_dict(state["objective"])
            net.optimizer_.load_state_dict(state["optimizer"])
            net.history = History(json.loads(state["history"]))
            for name, callback in net.callbacks_:
                restore_callback(callback, state["callbacks"].get(name, {}))
            # last, for nothing may draw between here and the first batch
            torch.set_rng_state(state["generator"])
            if state["device_generators"]:
                torch.cuda.set_rng_state_all(state["device_generators"])
        except (OSError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a file that this library did not write may hold anything
            raise ValueError(
                f"The checkpoint {self.path} is damaged or no checkpoint: delete it, and the fit starts afresh."
            ) from error

    def on_epoch_end(self, net, **kwargs):
        """Write all that the next epoch depends on: one that goes on from it ends bit for bit as if never cut off."""
        state = {
            "module": net.module_.state_dict(),
            "objective": net.criterion_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "history": json.dumps(net.history.to_list(), default=lambda number: number.item()),
            "callbacks": {name: _state_of_callback(callback) for name, callback in net.callbacks_},
            "generator": torch.get_rng_state(),
            "device_generators": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with whole_file(self.path) as file:
            torch.save(state, file)

    def remove(self):
        """Delete the file of a training that has ended."""
        self.path.unlink(missing_ok=True)


def checkpoint_of(folder, name, settings, module, parts):
    """The checkpoint of this very fit: its file is named by a digest of all that decides the result.

    Parameters
    ----------
    folder : path
        Made if absent; the fits of a search can share it.
    name : str
        Class of the estimator.
    settings : dict
        Its parameters, of which those that change no number play no part.
    module : torch.nn.Module
        With its first weights.
    parts : list of TrainingData
        The training rows and, with early stopping, the validation rows.

    Returns
    -------
    Checkpoint

    Raises
    ------
    ValueError
        If ``settings["random_state"]`` is no int, or a callable among them cannot be told from others of its kind.
    """
    if not isinstance(settings["random_state"], int | np.integer):
        raise ValueError(
            f"`checkpoint` needs an int as `random_state`, got {settings['random_state']!r}: without one the fit that "
            "is to go on would not be the one that was cut off."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(name.encode())
    for key, value in settings.items():
        if key not in _NOT_DECISIVE:
            digest.update(f"{key}={text_of(key, value)}\n".encode())
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy())
    for data in parts:
        data.source.feed(digest)
        cohort = data.cohort
        magnification = None if cohort.magnification is None else cohort.magnification.codes
        for values in (cohort.label.codes, magnification, cohort.weight):
            digest.update(b"" if values is None else np.ascontiguousarray(values))
    return Checkpoint(folder / f"{digest.hexdigest()}.pt")


def text_of(name, value):
    """The parameter `name` as text that is the same in every process, and for no other settings.

    `joblib.hash` would not do: it takes a callable that hides its settings for any other of its class.

    Raises
    ------
    ValueError
        For an object whose text does not tell it from others of its kind.
    """
    text = _describe(value)
    if _NAMELESS.search(text):
        raise ValueError(
            f"`checkpoint` cannot tell {name}={value!r} from others of its kind: use a function or class at the top "
            "level of a module, give it a repr that shows its settings, or leave `checkpoint` None."
        )
    return text


def _describe(value):
    """Text of a value by what it holds, by where it can be imported from, or by its repr.

    An object that shows none of these gets Python's own repr, with the address that `text_of` refuses.
    """
    parts = _parts(value)
    if parts is not None:
        return f"{type(value).__qualname__}({', '.join(map(_describe, parts))})"
    name = getattr(value, "__qualname__", None)
    if name is not None and getattr(sys.modules.get(value.__module__), name, None) is value:
        return f"{value.__module__}.{name}"
    return object.__repr__(value) if _hides_settings(value) else repr(value)


def _parts(value):
    """All that a container, a partial or a dataclass shows of what it holds; None for anything else."""
    if isinstance(value, dict):
        return [part for item in value.items() for part in item]
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, partial):
        return [value.func, *value.args, value.keywords]
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in fields(value) if field.repr]
    return None


def _hides_settings(value):
    """Whether a module, or one inside it, has attributes that torch's own repr does not show."""
    for module in value.modules() if isinstance(value, nn.Module) else []:
        kind = type(module)
        has_bare_repr = kind.__repr__ is nn.Module.__repr__ and kind.extra_repr is nn.Module.extra_repr
        if has_bare_repr and {name for name in vars(module) if not name.startswith("_")} - {"training"}:
            return True
    return False


def restore_callback(callback, state):
    """Set what a callback has learned; a file cannot give it any other attribute.

    Parameters
    ----------
    callback : skorch.callbacks.Callback
        Whose attributes that end in an underscore are there already, as ``on_train_begin`` set them.
    state : dict
        What `_state_of_callback` gave.
    """
    learned = _learned(callback)
    for name in learned.keys() & state.keys():
        if isinstance(learned[name], LRScheduler):
            learned[name].load_state_dict(state[name])
        else:
            setattr(callback, name, state[name])


def _state_of_callback(callback):
    """What a callback has learned, as far as a file can hold it that runs no code when it is read."""
    state = {}
    for name, value in _learned(callback).items():
        if isinstance(value, LRScheduler):
            state[name] = value.state_dict()
        elif isinstance(value, np.generic):
            state[name] = value.item()
        elif isinstance(value, dict) and all(isinstance(v, torch.Tensor) for v in value.values()):
            state[name] = dict(value)  # the best weights of early stopping; torch's own dict of them is a subclass
        elif isinstance(value, int | float | str | torch.Tensor):
            state[name] = value
    return state


def _learned(callback):
    """Attributes that end in an underscore, skorch's mark for what a callback has found out."""
    return {name: value for name, value in vars(callback).items() if name.endswith("_")}
