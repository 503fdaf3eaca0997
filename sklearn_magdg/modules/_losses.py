"""What the nets minimise. Every loss takes logits or embeddings and returns a scalar."""

import torch
from torch import nn
from torch.nn import functional as F


def weighted_mean(values, weight):
    """Sum of weighted values over the batch size.

    Training weights have mean 1, so that a batch's loss stays an unbiased estimate of the weighted one;
    dividing by the batch's own weight sum would not be.
    """
    return (values * weight).mean()


def _groups(values, magnification):
    return [values[magnification == m] for m in magnification.unique()]


def coral(embedding, magnification):
    """Squared distance of covariances and means of each pair of magnifications.

    Sun & Saenko 2016, eq. 1, up to a constant factor; the means are DomainBed's addition, without which a
    shift goes unseen.
    """
    groups = [g for g in _groups(embedding, magnification) if len(g) > 1]
    covariances = [torch.cov(g.T).reshape(embedding.shape[1], -1) for g in groups]
    means = [g.mean(0) for g in groups]
    pairs = torch.combinations(torch.arange(len(groups)))
    if not len(pairs):
        return embedding.new_zeros(())
    return torch.stack(
        [(covariances[i] - covariances[j]).square().mean() + (means[i] - means[j]).square().mean() for i, j in pairs]
    ).mean()


def mmd(embedding, magnification):
    """Squared maximum mean discrepancy between each pair of magnifications (Gretton et al. 2012, eq. 5).

    A Gaussian kernel whose width is the median distance in the batch, which keeps the penalty's scale free
    of the embedding's.
    """
    groups = [g for g in _groups(embedding, magnification) if len(g) > 1]
    pairs = torch.combinations(torch.arange(len(groups)))
    if not len(pairs):
        return embedding.new_zeros(())
    width = torch.cdist(embedding, embedding).detach().square().median().clamp_min(1e-12)

    def similarity(a, b):
        return torch.exp(-torch.cdist(a, b).square() / width).mean()

    within = [similarity(g, g) for g in groups]
    return torch.stack([within[i] + within[j] - 2 * similarity(groups[i], groups[j]) for i, j in pairs]).mean()


def vrex(risks):
    """Variance of the risks over the magnifications (Krueger et al. 2021, eq. 8)."""
    return risks.var(unbiased=False)


EMBEDDING_PENALTIES = {"coral": coral, "mmd": mmd}


class GroupDRO(nn.Module):
    """Risks weighted by how bad they have been (Sagawa et al. 2020, algorithm 1).

    The weights are state: multiplied by ``exp(step * risk)`` at every training batch and normalised.
    """

    def __init__(self, n_magnifications, step=0.01):
        super().__init__()
        self.step = step
        self.register_buffer("weights", torch.full((n_magnifications,), 1.0 / n_magnifications))

    def forward(self, risks, present):
        self.weights[present] *= torch.exp(self.step * risks.detach())
        self.weights /= self.weights.sum()
        weights = self.weights[present]
        return (weights / weights.sum() * risks).sum()


class Objective(nn.Module):
    """Class loss plus what the method adds: a domain loss (two-headed nets) or a penalty.

    ``forward(output, target)`` takes a `NetOutput` and a dict of ``label``, ``magnification`` (both int64)
    and ``weight`` (mean 1 over the training set); its ``parts`` hold the last batch's terms by name.
    """

    def __init__(self, *, domain_weight=1.0, penalty=None, penalty_weight=1.0, n_magnifications=0):
        super().__init__()
        self.domain_weight = domain_weight
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.group_dro = GroupDRO(n_magnifications) if penalty == "group_dro" else None
        self.parts = {}

    def forward(self, output, target):
        losses = F.cross_entropy(output.class_logits.float(), target["label"], reduction="none")  # (n,)
        class_loss = weighted_mean(losses, target["weight"])
        self.parts = {"class_loss": class_loss.detach()}
        if not self.training:  # early stopping looks at the class loss alone
            return class_loss
        if output.domain_logits is not None:
            return class_loss + self.domain_weight * self._domain_loss(output.domain_logits, target)
        if self.penalty is not None:
            return self._penalised(class_loss, losses, output.embedding, target)
        return class_loss

    def _domain_loss(self, logits, target):
        losses = F.cross_entropy(logits.float(), target["magnification"], reduction="none")
        domain_loss = weighted_mean(losses, target["weight"])
        hits = (logits.argmax(1) == target["magnification"]).float().mean()
        self.parts |= {"domain_loss": domain_loss.detach(), "domain_accuracy": hits}
        return domain_loss

    def _penalised(self, class_loss, losses, embedding, target):
        magnification = target["magnification"]
        if self.penalty in EMBEDDING_PENALTIES:
            penalty = EMBEDDING_PENALTIES[self.penalty](embedding.float(), magnification)
            self.parts["penalty"] = penalty.detach()
            return class_loss + self.penalty_weight * penalty
        present = magnification.unique()
        risks = torch.stack([weighted_mean(*_part(losses, target, m)) for m in present])
        if self.group_dro is not None:
            return self.group_dro(risks, present)
        penalty = vrex(risks)
        self.parts["penalty"] = penalty.detach()
        return class_loss + self.penalty_weight * penalty


def _part(losses, target, magnification):
    rows = target["magnification"] == magnification
    return losses[rows], target["weight"][rows]
