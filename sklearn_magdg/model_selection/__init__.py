"""Who trains and who is tested: patient-disjoint splits over magnifications."""

from sklearn_magdg.model_selection._audit import audit_folds as audit_folds
from sklearn_magdg.model_selection._audit import audit_splits
from sklearn_magdg.model_selection._audit import read_samples as read_samples
from sklearn_magdg.model_selection._audit_text import HEADINGS as HEADINGS
from sklearn_magdg.model_selection._audit_text import looked_for as looked_for
from sklearn_magdg.model_selection._audit_text import text_table as text_table
from sklearn_magdg.model_selection._audit_text import verdict as verdict
from sklearn_magdg.model_selection._lomo import LeaveOneMagnificationOut, make_groups
from sklearn_magdg.model_selection._lomo import refuse_unknown as refuse_unknown
from sklearn_magdg.model_selection._refit import refit_worst_magnification

__all__ = [
    "LeaveOneMagnificationOut",
    "audit_splits",
    "make_groups",
    "refit_worst_magnification",
]
