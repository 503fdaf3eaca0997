"""Classifiers, the generator and frozen encoders: scikit-learn outside, skorch inside."""

from importlib import import_module

from sklearn_magdg.estimators._base import blank_module as blank_module
from sklearn_magdg.estimators._classifier import BaseNetClassifier as BaseNetClassifier
from sklearn_magdg.estimators._cnn import CNNClassifier
from sklearn_magdg.estimators._dcgan import DCGAN
from sklearn_magdg.estimators._gan_augmented import GANAugmentedClassifier
from sklearn_magdg.estimators._gan_augmented import seen_by_net as seen_by_net
from sklearn_magdg.estimators._gradient_reversal import GradientReversalClassifier
from sklearn_magdg.estimators._image_encoder import ImageEncoder

__all__ = [
    "DCGAN",
    "CNNClassifier",
    "GANAugmentedClassifier",
    "GradientReversalClassifier",
    "ImageEncoder",
    "export_onnx",
    "load_model",
    "save_model",
]

_OF_PERSISTENCE = ("export_onnx", "load_model", "save_model")


def __getattr__(name):
    # The one way up: users look for these where models are made, and the room that has them stands below.
    if name in _OF_PERSISTENCE:
        return getattr(import_module("sklearn_magdg.persistence"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_OF_PERSISTENCE})
