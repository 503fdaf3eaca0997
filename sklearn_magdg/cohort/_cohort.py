"""The record of who every row is."""

from dataclasses import dataclass, fields, replace

import numpy as np

from sklearn_magdg.cohort._encoding import Encoded, encode, encode_magnification
from sklearn_magdg.cohort._labels import as_target, class_codes, majority_class


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Cohort:
    """Label, patient, magnification and weight of every row, encoded once; None where a column is not known.

    A room that needs one more thing of every row makes a subclass with that field: `take` knows it too.

    Parameters
    ----------
    label : Encoded
        Class of every row.
    patient : Encoded, default=None
        Patient of every row, with code -1 where a row has none (a generated image).
    magnification : Encoded, default=None
        Magnification of every row; names in numeric order.
    weight : ndarray of shape (n,), default=None
        Weights of at least 0; None weighs all rows alike.
    """

    label: Encoded
    patient: Encoded | None = None
    magnification: Encoded | None = None
    weight: np.ndarray | None = None

    def __len__(self):
        return len(self.label.codes)

    def take(self, rows):
        """Only these rows, by positions or by a mask: every column that has one value per row."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(self, **{field.name: _taken(getattr(self, field.name), rows) for field in fields(self)})

    def replace(self, **columns):
        """A copy with other columns."""
        return replace(self, **columns)

    @property
    def patient_class(self):
        """Class of each patient that stands in some row `(n_patients,)`, in the order of their codes.

        A patient counts by the class of most of its rows, the lower code on a tie.
        """
        return majority_class(self.patient.present().codes, self.label.codes)


def _taken(column, rows):
    """Rows of an array, an `Encoded` or a source of images; what is said of all rows at once stays."""
    if isinstance(column, np.ndarray):
        return column[rows]
    return column.take(rows) if hasattr(column, "take") else column


def read_cohort(n_samples, y=None, *, patient=None, magnification=None, weight=None, allow_missing_patients=False):
    """`Cohort` of what a splitter or a metric was given, checked; a column that is None stays unknown.

    Real-valued and multi-output targets, and no target at all, make one class of all rows.

    Raises
    ------
    ValueError
        If a length differs from `n_samples`, or a value is missing, blank, or spelled in two ways.
    """
    return Cohort(
        class_codes(None if y is None else as_target(y, n_samples), n_samples),
        None if patient is None else encode(patient, "patient", n_samples, allow_missing=allow_missing_patients),
        None if magnification is None else encode_magnification(magnification, n_samples),
        weight,
    )
