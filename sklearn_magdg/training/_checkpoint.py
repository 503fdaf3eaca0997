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
    """

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, **kwargs):
        if self.path.is_file():
            _take_up(net, self.path)

    def on_epoch_end(self, net, **kwargs):
        with whole_file(self.path) as file:
            torch.save(_state(net), file)

    def remove(self):
        self.path.unlink(missing_ok=True)


def checkpoint_of(estimator, module, rows, valid):
    """The checkpoint of this very fit: its file is named by all that decides the result."""
    if isinstance(estimator.random_state, int | np.integer):
        folder = Path(estimator.checkpoint)
        folder.mkdir(parents=True, exist_ok=True)
        return Checkpoint(folder / f"{fingerprint(estimator, module, rows, valid)}.pt")
    raise ValueError(
        f"`checkpoint` needs an int as `random_state`, got {estimator.random_state!r}: without one the fit that "
        "is to go on would not be the one that was cut off."
    )


def fingerprint(estimator, module, rows, valid):
    """Hexadecimal digest of parameters, data and first weights."""
    digest = hashlib.blake2b(digest_size=16)
    settings = {k: v for k, v in estimator.get_params(deep=False).items() if k not in _NOT_DECISIVE}
    digest.update(type(estimator).__name__.encode())
    for name, value in settings.items():
        digest.update(f"{name}={_text_of(name, value)}\n".encode())
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy())
    for part in [rows] if valid is None else [rows, valid]:
        part.source.feed(digest)
        for values in (part.label, part.magnification, part.weight):
            digest.update(b"" if values is None else np.ascontiguousarray(values))
    return digest.hexdigest()


def _text_of(name, value):
    """The parameter as text that is the same in every process and for no other settings."""
    text = _describe(value)
    if _NAMELESS.search(text):
        raise ValueError(
            f"`checkpoint` cannot tell {name}={value!r} from others of its kind: use a function or class at the top "
            "level of a module, give it a repr that shows its settings, or leave `checkpoint` None."
        )
    return text


def _describe(value):
    parts = _parts(value)
    if parts is not None:
        return f"{type(value).__qualname__}({', '.join(map(_describe, parts))})"
    if _is_importable(value):
        return f"{value.__module__}.{value.__qualname__}"
    return object.__repr__(value) if _hides_settings(value) else repr(value)


def _is_importable(value):
    name = getattr(value, "__qualname__", None)
    return name is not None and getattr(sys.modules.get(value.__module__), name, None) is value


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
    """Whether a module has attributes that torch's own repr does not show."""
    modules = value.modules() if isinstance(value, nn.Module) else []
    return any(_has_bare_repr(module) and _plain_attributes(module) for module in modules)


def _has_bare_repr(module):
    kind = type(module)
    return kind.__repr__ is nn.Module.__repr__ and kind.extra_repr is nn.Module.extra_repr


def _plain_attributes(module):
    return {name for name in vars(module) if not name.startswith("_")} - {"training"}


def _state(net):
    return {
        "module": net.module_.state_dict(),
        "objective": net.criterion_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
        "history": json.dumps(net.history.to_list(), default=lambda number: number.item()),
        "callbacks": {name: _state_of_callback(callback) for name, callback in net.callbacks_},
        "generator": torch.get_rng_state(),
        "device_generators": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _take_up(net, path):
    try:
        _restore(net, torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a file that this library did not write may hold anything
        raise ValueError(
            f"The checkpoint {path} is damaged or no checkpoint: delete it, and the fit starts afresh."
        ) from error


def _restore(net, state):
    net.module_.load_state_dict(state["module"])
    net.criterion_.load_state_dict(state["objective"])
    net.optimizer_.load_state_dict(state["optimizer"])
    net.history = History(json.loads(state["history"]))
    for name, callback in net.callbacks_:
        _restore_callback(callback, state["callbacks"].get(name, {}))
    torch.set_rng_state(state["generator"])
    if state["device_generators"]:
        torch.cuda.set_rng_state_all(state["device_generators"])


def _restore_callback(callback, state):
    learned = _learned(callback)
    for name in learned.keys() & state.keys():
        if isinstance(learned[name], LRScheduler):
            learned[name].load_state_dict(state[name])
        else:
            setattr(callback, name, state[name])


def _state_of_callback(callback):
    return {name: plain for name, value in _learned(callback).items() if (plain := _plain(value)) is not None}


def _learned(callback):
    return {name: value for name, value in vars(callback).items() if name.endswith("_")}


def _plain(value):
    """`value` as what a file can hold that runs no code when it is read, or None."""
    if isinstance(value, LRScheduler):
        return value.state_dict()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict) and all(isinstance(v, torch.Tensor) for v in value.values()):
        return dict(value)
    return value if isinstance(value, int | float | str | torch.Tensor) else None
