"""Nets that train in part: which blocks, and what the rest does meanwhile."""

from torch import nn


class Frozen(nn.Module):
    """A module of which only the named `blocks` (or nothing) train; the rest stays in eval mode.

    In eval mode batch norms keep the statistics of their pretraining and dropout is off, whatever the net around
    is told: the output of the frozen part depends on each image alone, and can be computed once.

    Parameters
    ----------
    module : nn.Module
        Its parameters lose or get ``requires_grad``, in place.
    blocks : sequence of str, default=()
        Dotted names of submodules, such as `last_block` gives.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_magdg.modules import Frozen
    >>> frozen = Frozen(nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 2)), blocks=["1"])
    >>> [parameter.requires_grad for parameter in frozen.parameters()]
    [False, False, True, True]
    """

    def __init__(self, module, blocks=()):
        super().__init__()
        self.module = module.requires_grad_(False)
        self.blocks = tuple(blocks)
        for block in self.blocks:
            module.get_submodule(block).requires_grad_(True)

    def train(self, mode=True):
        super().train(False)  # which goes through all submodules; the blocks are turned on again after it
        for block in self.blocks:
            self.module.get_submodule(block).train(mode)
        self.training = mode
        return self

    def forward(self, x):
        return self.module(x)


def last_block(module, least=0.02, most=0.9):
    """Names of a net's last stage with weights and of what follows it: ``["layer4"]`` of a ResNet.

    A stage holds at least the share `least` of the parameters, so that a closing norm is not taken for one,
    and at most the share `most`, so that a container of stages is looked into.

    Parameters
    ----------
    module : nn.Module
        With its stages as children, or as children of children, in the order of the forward pass.
    least, most : float
        Shares of the parameters, in (0, 1).

    Returns
    -------
    names : list of str
        Dotted, from the last to the first.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> from sklearn_magdg.modules import last_block
    >>> net = resnet18()
    >>> net.fc = None
    >>> last_block(net)
    ['layer4']
    """
    total, names, taken, prefix = _n_parameters(module), [], 0.0, ""
    while True:
        for name, child in reversed(list(module.named_children())):
            share = _n_parameters(child) / total
            # what follows it was named already and stays; the loop goes on inside, where `taken` counts on
            if share > most and len(list(child.children())):
                prefix, module = f"{prefix}{name}.", child
                break
            names += [f"{prefix}{name}"] if share else []
            taken += share
            if taken >= least:
                return names
        else:
            return names


def _n_parameters(module):
    """Number of weights, trained or not."""
    return sum(parameter.numel() for parameter in module.parameters())
