"""The few embedding dimensions that matter, and how far they agree."""

from sklearn_magdg.signature._alignment import ProcrustesAlignment, match_dimensions
from sklearn_magdg.signature._knockoff_selector import KnockoffSignatureSelector
from sklearn_magdg.signature._overlap import (
    expected_jaccard,
    jaccard_matrix,
    signature_overlap_test,
    signature_stability,
)
from sklearn_magdg.signature._path import signature_path
from sklearn_magdg.signature._selector import SparseSignatureSelector
from sklearn_magdg.signature._selector_path import follow_anew as follow_anew
from sklearn_magdg.signature._selector_path import position_of as position_of
from sklearn_magdg.signature._stable import StableSignatureSelector

__all__ = [
    "KnockoffSignatureSelector",
    "ProcrustesAlignment",
    "SparseSignatureSelector",
    "StableSignatureSelector",
    "expected_jaccard",
    "jaccard_matrix",
    "match_dimensions",
    "signature_overlap_test",
    "signature_path",
    "signature_stability",
]
