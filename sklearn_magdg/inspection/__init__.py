"""Numbers to pictures, with the interface of scikit-learn's displays; matplotlib is imported on plotting."""

from sklearn_magdg.inspection._class_activation import ClassActivationDisplay
from sklearn_magdg.inspection._embedding import EmbeddingDisplay
from sklearn_magdg.inspection._image_grid import ImageGridDisplay
from sklearn_magdg.inspection._magnification_score import MagnificationScoreDisplay
from sklearn_magdg.inspection._overlap import SignatureOverlapDisplay
from sklearn_magdg.inspection._reliability import ReliabilityDisplay
from sklearn_magdg.inspection._selection_probability import SelectionProbabilityDisplay
from sklearn_magdg.inspection._signature_path import SignaturePathDisplay
from sklearn_magdg.inspection._signature_weights import SignatureWeightsDisplay
from sklearn_magdg.inspection._splits import SplitDisplay

__all__ = [
    "ClassActivationDisplay",
    "EmbeddingDisplay",
    "ImageGridDisplay",
    "MagnificationScoreDisplay",
    "ReliabilityDisplay",
    "SelectionProbabilityDisplay",
    "SignatureOverlapDisplay",
    "SignaturePathDisplay",
    "SignatureWeightsDisplay",
    "SplitDisplay",
]
