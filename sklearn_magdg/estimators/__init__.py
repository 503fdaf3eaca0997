"""Classifiers and the generator: scikit-learn outside, skorch inside."""

from sklearn_magdg.estimators._cnn import CNNClassifier
from sklearn_magdg.estimators._dcgan import DCGAN
from sklearn_magdg.estimators._gan_augmented import GANAugmentedClassifier
from sklearn_magdg.estimators._gradient_reversal import GradientReversalClassifier

__all__ = ["DCGAN", "CNNClassifier", "GANAugmentedClassifier", "GradientReversalClassifier"]
