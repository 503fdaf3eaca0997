"""The state of a training on disk, so that a long fit goes on where it was cut off."""

import hashlib
import json
import os
import pickle
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.history import History
from torch.optim.lr_scheduler import LRScheduler

# What a fit may change from one run to the next without changing what it computes.
_NOT_DECISIVE = ("device", "n_jobs", "image_cache", "checkpoint", "callbacks", "verbose")


class Checkpoint(Callback):
    """Keeps the state of the training after every epoch, and takes up what it finds at the start.

    It comes last among the callbacks, for it keeps and sets their state too: what they hold in attributes that end
    in an underscore.
    """

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, **kwargs):
        if self.path.is_file():
            _restore(net, _read(self.path))

    def on_epoch_end(self, net, **kwargs):
        _write(_state(net), self.path)

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
    digest.update(re.sub(r" at 0x[0-9a-f]+", "", repr([type(estimator).__name__, settings])).encode())
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy())
    for part in [rows] if valid is None else [rows, valid]:
        part.source.feed(digest)
        for values in (part.label, part.magnification, part.weight):
            digest.update(b"" if values is None else np.ascontiguousarray(values))
    return digest.hexdigest()


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


def _restore(net, state):
    net.module_.load_state_dict(state["module"])
    net.criterion_.load_state_dict(state["objective"])
    net.optimizer_.load_state_dict(state["optimizer"])
    net.history = History(json.loads(state["history"]))
    for name, callback in net.callbacks_:
        for attribute, value in state["callbacks"].get(name, {}).items():
            if isinstance(getattr(callback, attribute, None), LRScheduler):
                getattr(callback, attribute).load_state_dict(value)
            else:
                setattr(callback, attribute, value)
    torch.set_rng_state(state["generator"])
    if state["device_generators"]:
        torch.cuda.set_rng_state_all(state["device_generators"])


def _state_of_callback(callback):
    learned = {name: value for name, value in vars(callback).items() if name.endswith("_")}
    return {name: plain for name, value in learned.items() if (plain := _plain(value)) is not None}


def _plain(value):
    """`value` as what a file can hold that runs no code when it is read, or None."""
    if isinstance(value, LRScheduler):
        return value.state_dict()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict) and all(isinstance(v, torch.Tensor) for v in value.values()):
        return dict(value)
    return value if isinstance(value, int | float | str | torch.Tensor) else None


def _write(state, path):
    """All of the file or nothing of it."""
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise


def _read(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"The checkpoint {path} is damaged or no checkpoint: delete it, and the fit starts afresh."
        ) from error
