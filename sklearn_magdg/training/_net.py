"""skorch's loop over our batches, and what comes out of it."""

from collections import defaultdict

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from skorch.helper import predefined_split
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.data import DataLoader

from sklearn_magdg.training._callbacks import LogParts


def load_batches(data, batches):
    """Torch's loader over `data`, batch by batch; the data fetch a batch whole, so that nothing is left to collate.

    Parameters
    ----------
    data : TrainingData
    batches : sequence of ndarray
        Positions of the rows of every batch. What shuffles does so each time that the loader is iterated.
    """
    return DataLoader(data, batch_sampler=batches, collate_fn=lambda batch: batch)


class Net(NeuralNet):
    """skorch's loop over our batches, by AdamW, in the wanted precision.

    Parameters
    ----------
    batches : sequence of ndarray
        Positions of the rows of every training batch, drawn anew at each iteration.
    parameter_groups : list of dict
        As `group_parameters` gives them.
    betas : pair of floats
        Of AdamW.
    precision : {"float32", "bfloat16"}
        Of the forward pass in training and validation.
    *args, **kwargs
        As of `skorch.NeuralNet`.
    """

    def __init__(self, *args, batches=None, parameter_groups=None, betas=None, precision="float32", **kwargs):
        super().__init__(*args, **kwargs)
        self.batches = batches
        self.parameter_groups = parameter_groups
        self.betas = betas
        self.precision = precision
        self.mode = None  # as the layers were set last: training, or not

    def get_iterator(self, dataset, training=False):
        """Training batches as `batches` draws them, validation batches in order and of nearly equal size."""
        if training:
            return load_batches(dataset, self.batches)
        return load_batches(dataset, np.array_split(np.arange(len(dataset)), -(-len(dataset) // self.batch_size)))

    def initialize_optimizer(self, *args, **kwargs):
        """AdamW over `parameter_groups`, which skorch's own way of naming groups by patterns could not give."""
        fused = torch.device(self.device).type in ("cpu", "cuda")  # a third of the plain one's time on a CPU
        self.optimizer_ = torch.optim.AdamW(self.parameter_groups, lr=self.lr, betas=self.betas, fused=fused)
        return self

    def _set_training(self, training=True):
        if not training == self.mode == self.module_.training:  # skorch walks through all layers before every batch
            super()._set_training(training)
            self.mode = training

    def infer(self, x, **fit_params):
        # losses are computed outside, from logits that they turn into float32 themselves
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return super().infer(x, **fit_params)


def group_parameters(module, learning_rate, weight_decay):
    """What trains of `module`, grouped as AdamW wants it: a dict of parameters, rate and decay per group.

    Only the weights of linear and convolution layers decay, not biases, norms, scales and position embeddings, which
    have nothing to be kept small for; nor does the domain head, whose part is to read as well as it can.

    Parameters
    ----------
    module : TwoHeaded
    learning_rate : callable
        From a parameter's name to its rate.
    weight_decay : float
        Decoupled decay per step, as a share of the rate; at least 0.
    """
    matrices = set()  # what a layer multiplies by
    for layer in module.modules():
        if isinstance(layer, nn.MultiheadAttention):
            matrices.add(id(layer.in_proj_weight))  # its output projection is a linear layer of its own
        elif isinstance(layer, nn.Linear | _ConvNd):
            matrices.add(id(layer.weight))
    groups = defaultdict(list)
    for name, parameter in module.named_parameters():
        decays = id(parameter) in matrices and not name.startswith("domain_head.")
        if parameter.requires_grad:
            groups[learning_rate(name), weight_decay if decays else 0.0].append(parameter)
    return [{"params": group, "lr": lr, "weight_decay": decay} for (lr, decay), group in groups.items()]


def train(module, objective, data, batches, *, valid=None, patience=5, callbacks=(), device, **net_params):
    """Train `module` in place.

    Parameters
    ----------
    module : TwoHeaded
        On `device` already.
    objective : torch.nn.Module
        Takes the module's output and the batch's targets, returns a scalar; its ``parts`` are logged.
    data, valid : TrainingData
        `valid` is what early stopping looks at after every epoch; None goes without.
    batches : sequence of ndarray
        As in `Net`.
    patience : int, default=5
        Epochs without a better validation loss before stopping.
    callbacks : sequence of skorch.callbacks.Callback
        After the log and early stopping, in this order.
    device : torch.device
    **net_params
        Further parameters of `Net`.

    Returns
    -------
    history : list of dict
        One an epoch.
    best_epoch : int or None
        The epoch whose weights the module has, where there is a validation part.
    interrupted : bool
        Whether a keyboard interrupt ended it early.
    """
    # The log comes first, so that the others, and the table that skorch prints, find an epoch's numbers there.
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
    """Skorch's `partial_fit`, for the epochs that a checkpoint has left to do; returns whether it was interrupted.

    skorch's own swallows a keyboard interrupt, and does not tell it from the one by which early stopping ends the loop.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialised. ``max_epochs`` is the number of epochs in all, those of a checkpoint included.
    data : TrainingData
        Handed to ``on_train_begin`` and ``on_train_end`` too, for callbacks that look at the rows.
    """
    net.notify("on_train_begin", X=data, y=None)
    interrupted = False
    try:
        net.fit_loop(data, epochs=net.max_epochs - len(net.history))
    except KeyboardInterrupt:
        interrupted = not any(stopper.misses_ >= stopper.patience for stopper in _early_stopping(net))
    try:
        net.notify("on_train_end", X=data, y=None)
    except KeyboardInterrupt:
        interrupted = True
    return interrupted


def _early_stopping(net):
    """Early stopping of this library or of the user's `callbacks`, in skorch's order."""
    return [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]


def kept_epoch(net):
    """Number of the epoch whose weights the training leaves: the last, or the one that early stopping puts back."""
    keepers = [each for each in _early_stopping(net) if each.load_best and each.best_model_weights_ is not None]
    last = net.history[-1, "epoch"]
    # skorch puts weights back only where a later epoch has come; of several stoppers the last one has its way
    return [last, *(each.best_epoch_ for each in keepers if each.best_epoch_ != last)][-1]


def completed_epochs(net):
    """The net's history as one dict of plain numbers an epoch, without an epoch that was cut off.

    Left out are skorch's own notes: the batches, which of a score's values was the best, and counts of batches.
    """
    return [
        {
            key: value.item() if hasattr(value, "item") else value
            for key, value in row.items()
            if key != "batches" and not key.endswith(("_best", "_batch_count"))
        }
        for row in net.history
        if "train_loss" in row
    ]


def infer(module, source, *, batch_size, device, read_output):
    """`read_output` of the module's output over the whole source, as one float32 array.

    Parameters
    ----------
    module : torch.nn.Module
        On `device`; it is left in evaluation mode.
    source : Source
        Read batch by batch, so that paths are never in memory at once.
    batch_size : int
        Rows at a time, at most.
    device : torch.device
    read_output : callable
        From the module's output for a batch to a tensor (batch, ...).
    """
    module.eval()
    # batches of nearly equal size, for a last one of a single row would be computed another way, to other last bits
    rows = np.array_split(np.arange(len(source)), -(-len(source) // batch_size))
    with torch.inference_mode():
        batches = [read_output(module(torch.from_numpy(source.read(r)).to(device))).float().cpu() for r in rows]
    return torch.cat(batches).numpy()
