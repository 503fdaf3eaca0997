"""What makes magnifications alike: functions of the embedding, or of the risk, per magnification of a batch."""

import math

import torch
from torch import nn


def coral(embedding, magnification):
    """Squared distance of covariances and means of each pair of magnifications.

    Sun & Saenko 2016, eq. 1, up to a constant factor; the means are DomainBed's addition, without which a
    shift goes unseen. A magnification with a single sample in the batch has no covariance and is left out.
    """
    groups = _groups(embedding, magnification)
    covariances = [torch.cov(g.T).reshape(embedding.shape[1], -1) for g in groups]
    means = [g.mean(0) for g in groups]
    distances = [
        (covariances[i] - covariances[j]).square().mean() + (means[i] - means[j]).square().mean()
        for i, j in _pairs(groups)
    ]
    return _mean(distances, embedding)


def mmd(embedding, magnification):
    """Squared maximum mean discrepancy between each pair of magnifications (Gretton et al. 2012, eq. 5).

    A Gaussian kernel whose width is the median distance in the batch, which keeps the penalty's scale free
    of the embedding's. A magnification with a single sample in the batch is left out.
    """
    groups = _groups(embedding, magnification)
    width = torch.cdist(embedding, embedding).detach().square().median().clamp_min(1e-12)

    def similarity(a, b):
        return torch.exp(-torch.cdist(a, b).square() / width).mean()

    within = [similarity(g, g) for g in groups]
    distances = [within[i] + within[j] - 2 * similarity(groups[i], groups[j]) for i, j in _pairs(groups)]
    return _mean(distances, embedding)


def vrex(risks):
    """Variance of the risks over the magnifications (Krueger et al. 2021, eq. 8)."""
    return risks.var(unbiased=False)


class GroupDRO(nn.Module):
    """Risks weighted by how bad they have been (Sagawa et al. 2020, algorithm 1).

    The weights are state: multiplied by ``exp(step * risk)`` at every training batch and normalised. A
    magnification that a batch lacks keeps its weight for the next, and those present share the loss. Their logarithms
    are kept: float32 ends at 1e-45, and a weight of 0 could never grow again.
    """

    def __init__(self, n_magnifications, step=0.01):
        super().__init__()
        self.step = step
        self.register_buffer("log_weights", torch.full((n_magnifications,), -math.log(n_magnifications)))

    def forward(self, risks, present):
        self.log_weights[present] += self.step * risks.detach()
        self.log_weights -= self.log_weights.logsumexp(0)
        return (self.log_weights[present].softmax(0) * risks).sum()


def _groups(values, magnification):
    groups = [values[magnification == m] for m in magnification.unique()]
    return [g for g in groups if len(g) > 1]


def _pairs(groups):
    return torch.combinations(torch.arange(len(groups))).tolist()


def _mean(distances, embedding):
    return torch.stack(distances).mean() if distances else embedding.new_zeros(())


# A new penalty is one entry: the table it stands in says what it is called with and where its value goes.
EMBEDDING_PENALTIES = {"coral": coral, "mmd": mmd}  # (embedding, magnification) -> scalar beside the class loss
RISK_PENALTIES = {"vrex": vrex}  # (risks) -> scalar beside the class loss
RISK_WEIGHTINGS = {"group_dro": GroupDRO}  # (risks, present) -> scalar in place of the class loss, with state
PENALTIES = EMBEDDING_PENALTIES | RISK_PENALTIES | RISK_WEIGHTINGS
