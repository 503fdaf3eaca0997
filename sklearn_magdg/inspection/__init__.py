"""Numbers to pictures, with the interface of scikit-learn's displays; matplotlib is imported on plotting."""

from sklearn_magdg.inspection._magnification_score import MagnificationScoreDisplay
from sklearn_magdg.inspection._overlap import SignatureOverlapDisplay
from sklearn_magdg.inspection._reliability import ReliabilityDisplay

__all__ = ["MagnificationScoreDisplay", "ReliabilityDisplay", "SignatureOverlapDisplay"]
