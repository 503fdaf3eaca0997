"""What makes magnifications alike: functions of the embedding, or of the risk, per magnification of a batch."""

import math

import torch
from torch import nn


def coral(embedding, magnification):
    """Distance of covariances and means of each pair of magnifications.

    The mean over pairs (i, j) of ``|C_i - C_j|^2 / d^2 + |m_i - m_j|^2 / d``, with the covariances C and the means m
    of d features: [1]_ (eq. 1) up to a constant factor; the means are DomainBed's addition [2]_, without which a
    shift goes unseen. A magnification with a single sample in the batch has no covariance and is left out.

    Parameters
    ----------
    embedding : tensor of shape (n, d)
    magnification : tensor of int of shape (n,)

    Returns
    -------
    penalty : scalar tensor
        At least 0; 0 where fewer than two magnifications are left.

    References
    ----------
    .. [1] B. Sun and K. Saenko, "Deep CORAL: correlation alignment for deep domain adaptation", ECCV 2016 workshops.
    .. [2] I. Gulrajani and D. Lopez-Paz, "In search of lost domain generalization", ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import coral
    >>> embedding = torch.tensor([[0.0], [2.0], [3.0], [5.0]])  # the same spread, three apart
    >>> coral(embedding, torch.tensor([0, 0, 1, 1]))
    tensor(9.)
    """
    groups = _groups(embedding, magnification)
    covariances = [torch.cov(g.T).reshape(embedding.shape[1], -1) for g in groups]  # (d, d), also of one feature
    means = [g.mean(0) for g in groups]
    distances = [
        (covariances[i] - covariances[j]).square().mean() + (means[i] - means[j]).square().mean()
        for i, j in _pairs(groups)
    ]
    return _mean(distances, embedding)


def mmd(embedding, magnification):
    """Squared maximum mean discrepancy between each pair of magnifications.

    The mean over pairs of ``E k(a, a') + E k(b, b') - 2 E k(a, b)`` [1]_ (eq. 5, the biased estimate) with the kernel
    ``k(a, b) = exp(-|a - b|^2 / w)``. Its width w is the median squared distance in the batch, which keeps the
    penalty's scale free of the embedding's. A magnification with a single sample in the batch is left out.

    Parameters
    ----------
    embedding : tensor of shape (n, d)
    magnification : tensor of int of shape (n,)

    Returns
    -------
    penalty : scalar tensor
        In [0, 2]; 0 where fewer than two magnifications are left.

    References
    ----------
    .. [1] A. Gretton et al., "A kernel two-sample test", JMLR 13:723-773, 2012.
    """
    groups = _groups(embedding, magnification)
    # no gradient through the width, or the embedding could win by growing; above 0 where all rows are the same
    width = torch.cdist(embedding, embedding).detach().square().median().clamp_min(1e-12)

    def similarity(a, b):
        return torch.exp(-torch.cdist(a, b).square() / width).mean()

    within = [similarity(g, g) for g in groups]
    distances = [within[i] + within[j] - 2 * similarity(groups[i], groups[j]) for i, j in _pairs(groups)]
    return _mean(distances, embedding)


def vrex(risks):
    """Variance of the risks ``(m,)`` over the magnifications, a scalar [1]_ (eq. 8, its second term).

    References
    ----------
    .. [1] D. Krueger et al., "Out-of-distribution generalization via risk extrapolation (REx)", ICML 2021.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import vrex
    >>> vrex(torch.tensor([1.0, 3.0]))
    tensor(1.)
    """
    return risks.var(unbiased=False)


class GroupDRO(nn.Module):
    """Risks weighted by how bad they have been [1]_ (algorithm 1): ``sum(q_m * risk_m)``.

    The weights q are state: multiplied by ``exp(step * risk)`` at every training batch and normalised. A
    magnification that a batch lacks keeps its weight for the next, and those present share the loss. Their logarithms
    are kept: float32 ends at 1e-45, and a weight of 0 could never grow again.

    Parameters
    ----------
    n_magnifications : int
        Number of magnifications of the training set, which start at equal weights.
    step : float, default=0.01
        The algorithm's eta, above 0.

    References
    ----------
    .. [1] S. Sagawa et al., "Distributionally robust neural networks for group shifts", ICLR 2020.
    """

    def __init__(self, n_magnifications, step=0.01):
        super().__init__()
        self.step = step
        self.register_buffer("log_weights", torch.full((n_magnifications,), -math.log(n_magnifications)))

    def forward(self, risks, present):
        """Scalar loss of the risks ``(m,)`` of the magnifications whose codes are `present` ``(m,)``."""
        self.log_weights[present] += self.step * risks.detach()
        self.log_weights -= self.log_weights.logsumexp(0)
        return (self.log_weights[present].softmax(0) * risks).sum()


def _groups(values, magnification):
    """Rows of every magnification that has two or more."""
    groups = [values[magnification == m] for m in magnification.unique()]
    return [g for g in groups if len(g) > 1]


def _pairs(groups):
    """Positions of every pair of groups."""
    return torch.combinations(torch.arange(len(groups))).tolist()


def _mean(distances, embedding):
    """Mean of scalars, 0 of none."""
    return torch.stack(distances).mean() if distances else embedding.new_zeros(())


# A new penalty is one entry: the table it stands in says what it is called with and where its value goes.
EMBEDDING_PENALTIES = {"coral": coral, "mmd": mmd}  # (embedding, magnification) -> scalar beside the class loss
RISK_PENALTIES = {"vrex": vrex}  # (risks) -> scalar beside the class loss
RISK_WEIGHTINGS = {"group_dro": GroupDRO}  # (risks, present) -> scalar in place of the class loss, with state
PENALTIES = EMBEDDING_PENALTIES | RISK_PENALTIES | RISK_WEIGHTINGS
