"""Pure torch: nets, layers and losses that know neither scikit-learn nor skorch."""

from sklearn_magdg.modules._adversarial import (
    ADVERSARIAL_LOSSES,
    AdversarialLoss,
    diff_augment,
    moving_average,
    r1_penalty,
    turn,
)
from sklearn_magdg.modules._augment import AUGMENTATIONS, HistologyAugment
from sklearn_magdg.modules._backbones import build_backbone, check_backbone, perceptron, trainable_projection
from sklearn_magdg.modules._dcgan import (
    UPSAMPLINGS,
    FeatureDiscriminator,
    FeatureGenerator,
    ImageDiscriminator,
    ImageGenerator,
    SignedInput,
    standing_statistics,
)
from sklearn_magdg.modules._frozen import Frozen, last_block
from sklearn_magdg.modules._inputs import FeatureInput, ImageInput
from sklearn_magdg.modules._losses import Objective, weighted_mean
from sklearn_magdg.modules._penalties import EMBEDDING_PENALTIES, PENALTIES, GroupDRO, coral, mmd, vrex
from sklearn_magdg.modules._random_features import MeanOverTurns, RandomFeatures
from sklearn_magdg.modules._reversal import GradientReversal, ramp, reverse_gradient
from sklearn_magdg.modules._shapes import misfit as misfit
from sklearn_magdg.modules._shapes import without_numbers as without_numbers
from sklearn_magdg.modules._two_headed import DomainHead, NetOutput, TwoHeaded

__all__ = [
    "ADVERSARIAL_LOSSES",
    "AUGMENTATIONS",
    "EMBEDDING_PENALTIES",
    "PENALTIES",
    "UPSAMPLINGS",
    "AdversarialLoss",
    "DomainHead",
    "FeatureDiscriminator",
    "FeatureGenerator",
    "FeatureInput",
    "Frozen",
    "GradientReversal",
    "GroupDRO",
    "HistologyAugment",
    "ImageDiscriminator",
    "ImageGenerator",
    "ImageInput",
    "MeanOverTurns",
    "NetOutput",
    "Objective",
    "RandomFeatures",
    "SignedInput",
    "TwoHeaded",
    "build_backbone",
    "check_backbone",
    "coral",
    "diff_augment",
    "last_block",
    "mmd",
    "moving_average",
    "perceptron",
    "r1_penalty",
    "ramp",
    "reverse_gradient",
    "standing_statistics",
    "trainable_projection",
    "turn",
    "vrex",
    "weighted_mean",
]
