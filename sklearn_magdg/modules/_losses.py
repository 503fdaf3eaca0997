"""What the nets minimise. Every loss takes logits or embeddings and returns a scalar."""

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_magdg.modules._penalties import EMBEDDING_PENALTIES, RISK_PENALTIES, RISK_WEIGHTINGS


def weighted_mean(values, weight):
    """Sum of weighted values over the batch size.

    Training weights have mean 1, so that a batch's loss stays an unbiased estimate of the weighted one;
    dividing by the batch's own weight sum would not be.
    """
    return (values * weight).mean()


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
        self.weighting = RISK_WEIGHTINGS[penalty](n_magnifications) if penalty in RISK_WEIGHTINGS else None
        self.parts = {}

    def forward(self, output, target):
        losses = F.cross_entropy(output.class_logits.float(), target["label"], reduction="none")  # (n,)
        class_loss = weighted_mean(losses, target["weight"])
        self.parts = {"class_loss": class_loss.detach()}
        if not self.training:  # early stopping looks at the class loss alone
            return class_loss
        if output.domain_logits is not None:
            return class_loss + self.domain_weight * self._domain_loss(output.domain_logits, target)
        if self.weighting is not None:
            return self.weighting(*_risks(losses, target))
        if self.penalty is not None:
            return class_loss + self.penalty_weight * self._penalty(losses, output.embedding, target)
        return class_loss

    def _domain_loss(self, logits, target):
        losses = F.cross_entropy(logits.float(), target["magnification"], reduction="none")
        domain_loss = weighted_mean(losses, target["weight"])
        hits = (logits.argmax(1) == target["magnification"]).float().mean()
        self.parts |= {"domain_loss": domain_loss.detach(), "domain_accuracy": hits}
        return domain_loss

    def _penalty(self, losses, embedding, target):
        if self.penalty in EMBEDDING_PENALTIES:
            penalty = EMBEDDING_PENALTIES[self.penalty](embedding.float(), target["magnification"])
        else:
            penalty = RISK_PENALTIES[self.penalty](_risks(losses, target)[0])
        self.parts["penalty"] = penalty.detach()
        return penalty


def _risks(losses, target):
    """Mean weighted loss of each magnification in the batch, and which they are."""
    present = target["magnification"].unique()
    rows = [target["magnification"] == m for m in present]
    return torch.stack([weighted_mean(losses[r], target["weight"][r]) for r in rows]), present
