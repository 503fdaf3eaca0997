"""Gradient reversal: the identity forward, minus strength times the gradient backward."""

import math

import torch
from torch import nn


class _ReverseGradient(torch.autograd.Function):
    """``R(x) = x`` with ``dR/dx = -strength I``; `strength` itself has no gradient."""

    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)  # a view and not `x`, which autograd would take for an input handed through

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.strength * gradient, None


def reverse_gradient(x, strength):
    """``x`` itself, whose gradient is multiplied by ``-strength`` [1]_ (eq. 18).

    What follows minimises its loss; what comes before, by the turned gradient, maximises it: one backward pass serves
    both players.

    Parameters
    ----------
    x : tensor of any shape
    strength : float
        At least 0; 0 lets no gradient through.

    Returns
    -------
    x : tensor of the same shape

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-adversarial training of neural networks", JMLR 17(59):1-35, 2016.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import reverse_gradient
    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    return _ReverseGradient.apply(x, strength)


def ramp(progress, gamma=10.0):
    """Share of the reversal strength in use at ``progress``: ``2 / (1 + exp(-gamma * progress)) - 1`` [1]_ (eq. 14).

    0 at the start, so that the domain head learns before the encoder listens to it, and close to 1 at the end.

    Parameters
    ----------
    progress : float
        Share of the training that is done, in [0, 1].
    gamma : float, default=10.0
        The larger, the sooner the strength is full: 10 has half of it at a ninth of the training.

    Returns
    -------
    share : float
        In [0, 1).

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-adversarial training of neural networks", JMLR 17(59):1-35, 2016.
    """
    return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0


class GradientReversal(nn.Module):
    """`reverse_gradient` as a layer; a schedule sets its ``strength`` during training.

    Parameters
    ----------
    strength : float, default=1.0
        At least 0.
    """

    def __init__(self, strength=1.0):
        super().__init__()
        self.strength = strength

    def forward(self, x):
        return reverse_gradient(x, self.strength)
