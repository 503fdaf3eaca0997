"""Pure torch: nets, layers and losses that know neither scikit-learn nor skorch."""

from sklearn_magdg.modules._augment import AUGMENTATIONS, augment_histology
from sklearn_magdg.modules._backbones import (
    FeatureInput,
    Frozen,
    ImageInput,
    build_backbone,
    check_backbone,
    last_block,
    perceptron,
    trainable_projection,
)
from sklearn_magdg.modules._dcgan import (
    FeatureDiscriminator,
    FeatureGenerator,
    ImageDiscriminator,
    ImageGenerator,
    diff_augment,
)
from sklearn_magdg.modules._losses import GroupDRO, Objective, coral, mmd, vrex, weighted_mean
from sklearn_magdg.modules._reversal import GradientReversal, ramp, reverse_gradient
from sklearn_magdg.modules._two_headed import DomainHead, NetOutput, TwoHeaded

__all__ = [
    "AUGMENTATIONS",
    "DomainHead",
    "FeatureDiscriminator",
    "FeatureGenerator",
    "FeatureInput",
    "Frozen",
    "GradientReversal",
    "GroupDRO",
    "ImageDiscriminator",
    "ImageGenerator",
    "ImageInput",
    "NetOutput",
    "Objective",
    "TwoHeaded",
    "augment_histology",
    "build_backbone",
    "check_backbone",
    "coral",
    "diff_augment",
    "last_block",
    "mmd",
    "perceptron",
    "ramp",
    "reverse_gradient",
    "trainable_projection",
    "vrex",
    "weighted_mean",
]
