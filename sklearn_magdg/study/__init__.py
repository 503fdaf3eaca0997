"""The whole study in one call: protocol, methods, signatures, results.

`run_study` takes a `StudyConfig` from images to a folder of results; the files of this room are its steps, in order:
``_data`` reads the collection, ``_protocol`` lists the folds, ``_methods`` builds the estimators, ``_fold`` and
``_shared_encoder`` fit and score them, ``_results``, ``_scores`` and ``_comparison`` make the tables of numbers,
``_folder`` writes them, ``_tables``, ``_figures`` and ``_report`` bring them to people. ``_audit`` stands apart: it
looks at a collection's splits without a run.
"""

from importlib import import_module

from sklearn_magdg.study._audit import audit_collection as audit_collection
from sklearn_magdg.study._audit import audit_details as audit_details
from sklearn_magdg.study._audit import audit_overview as audit_overview
from sklearn_magdg.study._audit import audit_reading as audit_reading
from sklearn_magdg.study._config import CollectionConfig as CollectionConfig
from sklearn_magdg.study._config import StudyConfig
from sklearn_magdg.study._config import documented as documented
from sklearn_magdg.study._config import setting as setting
from sklearn_magdg.study._config import threads_of as threads_of
from sklearn_magdg.study._data import StudyData as StudyData
from sklearn_magdg.study._data import load_study_data as load_study_data
from sklearn_magdg.study._results import package_versions as package_versions
from sklearn_magdg.study._results import plain as plain
from sklearn_magdg.study._results import read_summary as read_summary
from sklearn_magdg.study._tables import Table as Table
from sklearn_magdg.study._tables import difference_note as difference_note
from sklearn_magdg.study._tables import difference_tables as difference_tables
from sklearn_magdg.study._tables import number as number
from sklearn_magdg.study._tables import overlap_table as overlap_table
from sklearn_magdg.study._tables import overlap_warning as overlap_warning
from sklearn_magdg.study._tables import score_tables as score_tables

__all__ = ["StudyConfig", "run_study"]

# these bring torch and matplotlib, which `magdg --help` does without: imported when they are asked for
_LAZY = {"METHODS": "_methods", "run_study": "_run", "write_report": "_report"}


def __getattr__(name):
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
