"""The few embedding dimensions that matter, and how far they agree."""

from sklearn_magdg.signature._overlap import expected_jaccard, jaccard_matrix, signature_stability
from sklearn_magdg.signature._path import signature_path
from sklearn_magdg.signature._selector import SparseSignatureSelector

__all__ = [
    "SparseSignatureSelector",
    "expected_jaccard",
    "jaccard_matrix",
    "signature_path",
    "signature_stability",
]
