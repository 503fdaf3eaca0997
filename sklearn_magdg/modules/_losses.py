"""What the nets minimise. Every loss takes logits or embeddings and returns a scalar."""

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_magdg.modules._penalties import EMBEDDING_PENALTIES, RISK_PENALTIES, RISK_WEIGHTINGS


def weighted_mean(values, weight):
    """Sum of weighted values over the batch size: ``sum(w_i v_i) / n``.

    Training weights have mean 1, so that a batch's loss stays an unbiased estimate of the weighted one;
    dividing by the batch's own weight sum would not be.

    Parameters
    ----------
    values : tensor of shape (n,)
    weight : tensor of shape (n,)
        At least 0, of mean 1 over the training set.

    Returns
    -------
    mean : scalar tensor

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import weighted_mean
    >>> weighted_mean(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.0]))
    tensor(1.5000)
    """
    return (values * weight).mean()


class Objective(nn.Module):
    """Class loss plus what the method adds: a domain loss (two-headed nets) or a penalty.

    With L the weighted cross-entropy of the class, one of

    - ``L + domain_weight * L_domain``, L_domain the weighted cross-entropy of the magnification, where the output has
      domain logits [1]_ (eq. 9; its minus sign is the gradient reversal);
    - ``L + penalty_weight * penalty``, a function of embedding and magnification ("coral", "mmd") or of the risks, L
      at each magnification ("vrex");
    - the risks' sum in the weights of `GroupDRO`, in place of L ("group_dro");
    - L alone: without any of these, and always in eval mode, for early stopping looks at the class alone.

    Parameters
    ----------
    domain_weight : float, default=1.0
        At least 0.
    penalty : {"coral", "mmd", "vrex", "group_dro"}, default=None
        A key of `PENALTIES`. Not used where the output has domain logits.
    penalty_weight : float, default=1.0
        At least 0; not used with "group_dro".
    n_magnifications : int, default=0
        Number of magnifications of the training set, which "group_dro" needs.

    Attributes
    ----------
    parts : dict
        The last batch's terms by name, detached: ``class_loss``, and ``domain_loss`` with ``domain_accuracy`` (share
        of magnifications told right) or ``penalty``.

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-adversarial training of neural networks", JMLR 17(59):1-35, 2016.
    """

    def __init__(self, *, domain_weight=1.0, penalty=None, penalty_weight=1.0, n_magnifications=0):
        super().__init__()
        self.domain_weight = domain_weight
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.weighting = RISK_WEIGHTINGS[penalty](n_magnifications) if penalty in RISK_WEIGHTINGS else None
        self.parts = {}

    def forward(self, output, target):
        """Scalar loss of a `NetOutput` and a dict of tensors (n,): ``label``, ``magnification`` (int64), ``weight``."""
        losses = F.cross_entropy(output.class_logits.float(), target["label"], reduction="none")  # (n, k) -> (n,)
        class_loss = weighted_mean(losses, target["weight"])
        self.parts = {"class_loss": class_loss.detach()}
        if not self.training:
            return class_loss

        if output.domain_logits is not None:
            of_domain = F.cross_entropy(output.domain_logits.float(), target["magnification"], reduction="none")
            domain_loss = weighted_mean(of_domain, target["weight"])
            hits = (output.domain_logits.argmax(1) == target["magnification"]).float().mean()
            self.parts |= {"domain_loss": domain_loss.detach(), "domain_accuracy": hits}
            return class_loss + self.domain_weight * domain_loss
        if self.weighting is not None:
            return self.weighting(*_risks(losses, target))
        if self.penalty is None:
            return class_loss
        if self.penalty in EMBEDDING_PENALTIES:
            # in float32 also under autocast: differences of covariances cancel
            penalty = EMBEDDING_PENALTIES[self.penalty](output.embedding.float(), target["magnification"])
        else:
            penalty = RISK_PENALTIES[self.penalty](_risks(losses, target)[0])
        self.parts["penalty"] = penalty.detach()
        return class_loss + self.penalty_weight * penalty


def _risks(losses, target):
    """Mean weighted loss of each magnification in the batch ``(m,)``, and which they are ``(m,)``."""
    present = target["magnification"].unique()
    rows = [target["magnification"] == m for m in present]
    return torch.stack([weighted_mean(losses[r], target["weight"][r]) for r in rows]), present
