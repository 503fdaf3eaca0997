"""Numbers to pictures, with the interface of scikit-learn's displays; matplotlib is imported on plotting."""

from sklearn_magdg.inspection._class_activation import ClassActivationDisplay
from sklearn_magdg.inspection._embedding import EmbeddingDisplay
from sklearn_magdg.inspection._magnification_score import MagnificationScoreDisplay
from sklearn_magdg.inspection._overlap import SignatureOverlapDisplay
from sklearn_magdg.inspection._reliability import ReliabilityDisplay
from sklearn_magdg.inspection._splits import SplitDisplay

__all__ = [
    "ClassActivationDisplay",
    "EmbeddingDisplay",
    "MagnificationScoreDisplay",
    "ReliabilityDisplay",
    "SignatureOverlapDisplay",
    "SplitDisplay",
]
