"""Gradient reversal: the identity forward, minus strength times the gradient backward."""

import math

import torch
from torch import nn


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.strength * gradient, None


def reverse_gradient(x, strength):
    """``x`` itself, whose gradient is multiplied by ``-strength`` (Ganin et al. 2016, eq. 18)."""
    return _ReverseGradient.apply(x, strength)


def ramp(progress, gamma=10.0):
    """Share of the reversal strength in use at ``progress`` in [0, 1] (Ganin et al. 2016, eq. 14).

    ``2 / (1 + exp(-gamma * progress)) - 1``: 0 at the start, so that the domain head learns before the
    encoder listens to it, and close to 1 at the end.
    """
    return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0


class GradientReversal(nn.Module):
    """`reverse_gradient` as a layer; a schedule sets its ``strength`` during training."""

    def __init__(self, strength=1.0):
        super().__init__()
        self.strength = strength

    def forward(self, x):
        return reverse_gradient(x, self.strength)
