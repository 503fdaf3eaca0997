"""Who trains and who is tested: patient-disjoint splits over magnifications."""

from sklearn_magdg.model_selection._audit import audit_splits
from sklearn_magdg.model_selection._lomo import LeaveOneMagnificationOut, make_groups
from sklearn_magdg.model_selection._refit import refit_worst_magnification

__all__ = [
    "LeaveOneMagnificationOut",
    "audit_splits",
    "make_groups",
    "refit_worst_magnification",
]
