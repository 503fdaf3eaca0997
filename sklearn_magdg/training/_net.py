"""Training by skorch: batches, seeding, threads, device, and the loop's few hooks."""

from collections import defaultdict
from contextlib import contextmanager

import numpy as np
import torch
from joblib import effective_n_jobs
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from skorch.helper import predefined_split
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.data import DataLoader, Dataset

from sklearn_magdg.training._callbacks import LogParts


@contextmanager
def seeded(seed):
    """Torch's global generator runs from `seed` inside and is as before outside."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def threads(n_jobs):
    """Torch computes with `n_jobs` threads inside; None leaves its own choice."""
    before = torch.get_num_threads()
    try:
        if n_jobs is not None:
            torch.set_num_threads(effective_n_jobs(n_jobs))
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(device):
    """A torch device that is there; "auto" is the GPU if there is one."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, NotImplementedError, AssertionError) as error:  # the last: torch without CUDA
        raise ValueError(
            f"`device` {device!r} cannot be used ({str(error).splitlines()[0]}); use 'auto' or 'cpu'."
        ) from error


class TrainingData(Dataset):
    """Batches of a source with their targets, fetched whole and not sample by sample."""

    def __init__(self, source, target):
        self.source = source
        self.target = target

    def __len__(self):
        return len(self.source)

    def __getitems__(self, indices):
        indices = np.asarray(indices)
        return self.source.read(indices), {name: values[indices] for name, values in self.target.items()}


class ShuffledBatches:
    """Random batches, each sample once an epoch; a last batch of one joins the one before.

    Batch norm has no variance to learn from a single sample.
    """

    def __init__(self, n, batch_size):
        self.n = n
        self.batch_size = batch_size

    def _starts(self):
        starts = list(range(0, self.n, self.batch_size))
        return starts[:-1] if len(starts) > 1 and self.n - starts[-1] == 1 else starts

    def __len__(self):
        return len(self._starts())

    def __iter__(self):
        order = torch.randperm(self.n).numpy()
        yield from np.split(order, self._starts()[1:])


class BalancedBatches:
    """Random batches with the same number of samples of every group (magnification).

    An epoch has as many batches as `ShuffledBatches`; small groups come round more often.
    """

    def __init__(self, groups, batch_size):
        self.members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
        self.per_group = max(1, min(batch_size, len(groups)) // len(self.members))
        self.n_batches = len(ShuffledBatches(len(groups), batch_size))

    def __len__(self):
        return self.n_batches

    def _stream(self, members):
        wanted = self.n_batches * self.per_group
        rounds = [members[torch.randperm(len(members)).numpy()] for _ in range(-(-wanted // len(members)))]
        return np.concatenate(rounds)[:wanted].reshape(self.n_batches, self.per_group)

    def __iter__(self):
        yield from np.concatenate([self._stream(members) for members in self.members], axis=1)


def load_batches(data, batches):
    return DataLoader(data, batch_sampler=batches, collate_fn=lambda batch: batch)


class Net(NeuralNet):
    """skorch's loop over our batches, in the wanted precision."""

    def __init__(self, *args, batches=None, parameter_groups=None, betas=None, precision="float32", **kwargs):
        super().__init__(*args, **kwargs)
        self.batches = batches
        self.parameter_groups = parameter_groups
        self.betas = betas
        self.precision = precision
        self.mode = None  # as the layers were set last: training, or not

    def get_iterator(self, dataset, training=False):
        if training:
            return load_batches(dataset, self.batches)
        return load_batches(dataset, np.array_split(np.arange(len(dataset)), -(-len(dataset) // self.batch_size)))

    def initialize_optimizer(self, *args, **kwargs):
        fused = torch.device(self.device).type in ("cpu", "cuda")  # a third of the plain one's time on a CPU
        self.optimizer_ = torch.optim.AdamW(self.parameter_groups, lr=self.lr, betas=self.betas, fused=fused)
        return self

    def _set_training(self, training=True):
        if not training == self.mode == self.module_.training:  # skorch walks through all layers before every batch
            super()._set_training(training)
            self.mode = training

    def infer(self, x, **fit_params):
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return super().infer(x, **fit_params)


def group_parameters(module, learning_rate, weight_decay):
    """What trains of `module`, grouped as AdamW wants it.

    Only the weights of linear and convolution layers decay, not biases, norms, scales and position embeddings, which
    have nothing to be kept small for; nor does the domain head, whose part is to read as well as it can.

    Parameters
    ----------
    module : TwoHeaded
    learning_rate : callable
        From a parameter's name to its rate.
    weight_decay : float
    """
    weights = {id(weight) for layer in module.modules() if (weight := _weight(layer)) is not None}
    groups = defaultdict(list)
    for name, parameter in module.named_parameters():
        decays = id(parameter) in weights and not name.startswith("domain_head.")
        if parameter.requires_grad:
            groups[learning_rate(name), weight_decay if decays else 0.0].append(parameter)
    return [{"params": group, "lr": lr, "weight_decay": decay} for (lr, decay), group in groups.items()]


def _weight(layer):
    """The matrix that a linear, convolution or attention layer multiplies by, or None."""
    if isinstance(layer, nn.MultiheadAttention):
        return layer.in_proj_weight
    return layer.weight if isinstance(layer, nn.Linear | _ConvNd) else None


def train(module, objective, data, batches, *, valid=None, patience=5, callbacks=(), device, **net_params):
    """Train `module` in place.

    Returns
    -------
    history : list of dict
        One an epoch.
    best_epoch : int or None
        The epoch whose weights the module has, where there is a validation part.
    interrupted : bool
        Whether a keyboard interrupt ended it early.
    """
    hooks = [("parts", LogParts())]
    if valid is not None:
        hooks.append(("early_stopping", EarlyStopping(patience=patience, load_best=True)))
    net = Net(
        module,
        criterion=objective,
        train_split=None if valid is None else predefined_split(valid),
        batches=batches,
        callbacks=[*hooks, *callbacks],
        device=device,
        **net_params,
    ).initialize()
    interrupted = run(net, data)
    return completed_epochs(net), None if valid is None else kept_epoch(net), interrupted


def run(net, data):
    """Skorch's `partial_fit`, for the epochs that a checkpoint has left to do; returns whether it was interrupted."""
    net.notify("on_train_begin", X=data, y=None)
    interrupted = False
    try:
        net.fit_loop(data, epochs=net.max_epochs - len(net.history))
    except KeyboardInterrupt:
        interrupted = not _stopped_early(net)
    try:
        net.notify("on_train_end", X=data, y=None)
    except KeyboardInterrupt:
        interrupted = True
    return interrupted


def kept_epoch(net):
    """Number of the epoch whose weights the training leaves: the last, or the one that early stopping puts back."""
    stoppers = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
    keepers = [each for each in stoppers if each.load_best and each.best_model_weights_ is not None]
    last = net.history[-1, "epoch"]
    return [last, *(each.best_epoch_ for each in keepers if each.best_epoch_ != last)][-1]


def _stopped_early(net):
    """Whether an early-stopping callback ended the training: skorch has it raise the same KeyboardInterrupt."""
    stoppers = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
    return any(stopper.misses_ >= stopper.patience for stopper in stoppers)


def completed_epochs(net):
    """The net's history as one dict an epoch, without an epoch that was cut off."""
    return [_scalars(row) for row in net.history if "train_loss" in row]


def _scalars(row):
    return {
        key: value.item() if hasattr(value, "item") else value
        for key, value in row.items()
        if key != "batches" and not key.endswith(("_best", "_batch_count"))
    }


def infer(module, source, *, batch_size, device, read_output):
    """`read_output` of the module's output over the whole source, as one float32 array."""
    module.eval()
    rows = np.array_split(np.arange(len(source)), -(-len(source) // batch_size))
    with torch.inference_mode():
        batches = [read_output(module(source.read(r).to(device))).float().cpu() for r in rows]
    return torch.cat(batches).numpy()
