"""The net of all three classifiers: an encoder, a class head and, where wanted, a magnification head."""

from typing import NamedTuple

import torch
from torch import nn

from sklearn_magdg.modules._reversal import GradientReversal


class NetOutput(NamedTuple):
    class_logits: torch.Tensor  # (n, n_classes)
    embedding: torch.Tensor  # (n, d)
    domain_logits: torch.Tensor | None  # (n, n_magnifications)


class DomainHead(nn.Module):
    """Reads the magnification through a gradient-reversal layer.

    Conditional: it reads the outer product of embedding and class probabilities (CDAN, Long et al. 2018,
    eq. 3), so that it aligns the magnifications class by class.
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
        x = embedding
        if self.conditional:
            # The class head is no part of the game: its probabilities only weigh the embedding.
            proba = class_logits.detach().softmax(1)
            x = (proba[:, :, None] * embedding[:, None, :]).flatten(1)  # (n, k), (n, d) -> (n, k d)
        return self.layers(self.reversal(x))


class TwoHeaded(nn.Module):
    """``encoder`` (batch -> ``(n, n_features)``) with a linear class head and, optionally, a domain head."""

    def __init__(self, encoder, n_features, n_classes, domain_head=None):
        super().__init__()
        self.encoder = encoder
        self.class_head = nn.Linear(n_features, n_classes)
        self.domain_head = domain_head

    @classmethod
    def sharing_heads(cls, encoder, other):
        """The heads of `other`, themselves and no copies, on another encoder."""
        module = cls(encoder, other.class_head.in_features, other.class_head.out_features, other.domain_head)
        module.class_head = other.class_head
        return module

    def forward(self, x):
        embedding = self.encoder(x)
        class_logits = self.class_head(embedding)
        domain_logits = None if self.domain_head is None else self.domain_head(embedding, class_logits)
        return NetOutput(class_logits, embedding, domain_logits)
