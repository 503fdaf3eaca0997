"""The net of all three classifiers: an encoder, a class head and, where wanted, a magnification head."""

from typing import NamedTuple

import torch
from torch import nn

from sklearn_magdg.modules._reversal import GradientReversal


class NetOutput(NamedTuple):
    """What `TwoHeaded` gives for n samples: logits, never probabilities.

    Parameters
    ----------
    class_logits : tensor of shape (n, n_classes)
    embedding : tensor of shape (n, d)
        What the encoder gave and both heads read.
    domain_logits : tensor of shape (n, n_magnifications) or None
        None of a net without a domain head.
    """

    class_logits: torch.Tensor
    embedding: torch.Tensor
    domain_logits: torch.Tensor | None


class DomainHead(nn.Module):
    """Reads the magnification from the embedding, through a gradient-reversal layer [1]_.

    Conditional, it reads the outer product ``p * z`` of class probabilities p and embedding z [2]_ (eq. 3), so that
    it aligns the magnifications class by class.

    Parameters
    ----------
    n_features : int
        Width d of the embedding.
    n_classes, n_magnifications : int
    conditional : bool, default=False
        Whether the class probabilities are read too.
    hidden : int, default=64
        Width of the hidden layer.

    Attributes
    ----------
    reversal : GradientReversal
        Its ``strength`` is that of the game.

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-adversarial training of neural networks", JMLR 17(59):1-35, 2016.
    .. [2] M. Long et al., "Conditional adversarial domain adaptation", NeurIPS 2018.
    """

    def __init__(self, n_features, n_classes, n_magnifications, conditional=False, hidden=64):
        super().__init__()
        self.conditional = conditional
        self.reversal = GradientReversal()
        n_inputs = n_features * n_classes if conditional else n_features
        # Normalised, the embedding cannot win by growing faster than the head's weights do.
        self.layers = nn.Sequential(
            nn.BatchNorm1d(n_inputs, affine=False),
            nn.Linear(n_inputs, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, n_magnifications),
        )

    def forward(self, embedding, class_logits):
        """Logits ``(n, n_magnifications)`` of the embedding ``(n, d)`` and the logits ``(n, k)`` of its classes."""
        x = embedding
        if self.conditional:
            # The class head is no part of the game: its probabilities only weigh the embedding.
            proba = class_logits.detach().softmax(1)
            x = (proba[:, :, None] * embedding[:, None, :]).flatten(1)  # (n, k), (n, d) -> (n, k d)
        return self.layers(self.reversal(x))


class TwoHeaded(nn.Module):
    """An encoder with a linear class head and, optionally, a domain head; gives a `NetOutput`.

    Parameters
    ----------
    encoder : nn.Module
        A batch of any kind -> ``(n, n_features)``.
    n_features : int
        Width of the embedding.
    n_classes : int
        At least 2: two classes have two logits.
    domain_head : nn.Module, default=None
        Embedding and class logits -> domain logits, such as a `DomainHead`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import DomainHead, TwoHeaded
    >>> net = TwoHeaded(torch.nn.Identity(), 5, n_classes=2, domain_head=DomainHead(5, 2, n_magnifications=4))
    >>> class_logits, embedding, domain_logits = net(torch.zeros(3, 5))
    >>> class_logits.shape, embedding.shape, domain_logits.shape
    (torch.Size([3, 2]), torch.Size([3, 5]), torch.Size([3, 4]))
    """

    def __init__(self, encoder, n_features, n_classes, domain_head=None):
        super().__init__()
        self.encoder = encoder
        self.class_head = nn.Linear(n_features, n_classes)
        self.domain_head = domain_head

    @classmethod
    def sharing_heads(cls, encoder, other):
        """The heads of `other`, themselves and no copies, on another encoder: training one trains both.

        For an encoder that starts further up, behind layers that do not train and whose output is kept.
        """
        module = cls(encoder, other.class_head.in_features, other.class_head.out_features, other.domain_head)
        module.class_head = other.class_head
        return module

    def forward(self, x):
        embedding = self.encoder(x)  # (n, d)
        class_logits = self.class_head(embedding)  # (n, d) -> (n, k)
        domain_logits = None if self.domain_head is None else self.domain_head(embedding, class_logits)
        return NetOutput(class_logits, embedding, domain_logits)
