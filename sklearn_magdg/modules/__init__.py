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
from sklearn_magdg.modules._dcgan_players import build_discriminator as build_discriminator
from sklearn_magdg.modules._dcgan_players import build_generator as build_generator
from sklearn_magdg.modules._encoder import feature_encoder as feature_encoder
from sklearn_magdg.modules._encoder import image_encoder as image_encoder
from sklearn_magdg.modules._frozen import Frozen, last_block
from sklearn_magdg.modules._grad_cam import grad_cam as grad_cam
from sklearn_magdg.modules._grad_cam import last_map_layer as last_map_layer
from sklearn_magdg.modules._grad_cam import upsample as upsample
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
