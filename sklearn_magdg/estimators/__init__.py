"""Classifiers, the generator and frozen encoders: scikit-learn outside, skorch inside."""

from sklearn_magdg.estimators._cnn import CNNClassifier
from sklearn_magdg.estimators._dcgan import DCGAN
from sklearn_magdg.estimators._gan_augmented import GANAugmentedClassifier
from sklearn_magdg.estimators._gradient_reversal import GradientReversalClassifier
from sklearn_magdg.estimators._image_encoder import ImageEncoder
from sklearn_magdg.estimators._onnx import export_onnx
from sklearn_magdg.estimators._persistence import load_model, save_model

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
