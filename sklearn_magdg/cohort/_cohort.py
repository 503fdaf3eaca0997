"""The record of who every row is."""

from dataclasses import dataclass, fields, replace

import numpy as np

from sklearn_magdg.cohort._encoding import Encoded, encode, encode_magnification
from sklearn_magdg.cohort._labels import as_target, class_codes, majority_class


def as_positions(rows, n_rows):
    """`rows`, positions or a mask of all `n_rows`, as positions.

    Raises
    ------
    IndexError
        For a mask of another length, which NumPy would take for one of the first rows.
    """
    rows = np.asarray(rows)
    if rows.dtype != bool:
        return rows if rows.size else rows.astype(np.intp)  # an empty list is an array of floats to NumPy
    if rows.shape != (n_rows,):
        raise IndexError(f"A mask of rows must have the length {n_rows}, got an array of shape {rows.shape}.")
    return np.flatnonzero(rows)


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

    Examples
    --------
    >>> from sklearn_magdg.cohort import read_cohort
    >>> cohort = read_cohort(3, ["benign", "malignant", "benign"], patient=["ann", "bob", "ann"])
    >>> ann = cohort.take(cohort.patient.codes == 0)
    >>> len(ann), ann.label.names, ann.magnification
    (2, ['benign', 'malignant'], None)
    """

    label: Encoded
    patient: Encoded | None = None
    magnification: Encoded | None = None
    weight: np.ndarray | None = None

    def __len__(self):
        return len(self.label.codes)

    def take(self, rows):
        """Only these rows: every column that has one value per row is cut, in the order of `rows`.

        Columns are arrays, of any number of axes of which rows are the first, `Encoded`, and whatever else has a
        `take` by positions, such as a source of images. What is said of all rows at once (text, None) stays.

        Parameters
        ----------
        rows : ndarray of int, or of bool and shape (n,)
            Positions, or a mask.

        Returns
        -------
        cohort : Cohort
            Of the same class. Names that no row bears any more are kept, so that codes mean what they meant.
        """
        rows = as_positions(rows, len(self))
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        # not by `take` for arrays: theirs would flatten a column of more than one axis
        arrays = {name: column[rows] for name, column in columns.items() if isinstance(column, np.ndarray)}
        others = {n: column.take(rows) for n, column in columns.items() if n not in arrays and hasattr(column, "take")}
        return replace(self, **arrays, **others)

    def replace(self, **columns):
        """A copy with other columns."""
        return replace(self, **columns)

    @property
    def patient_class(self):
        """Class of each patient that stands in some row `(n_patients,)`, in the order of their codes.

        A patient counts by the class of most of its rows, the lower code on a tie. Every row needs a patient.
        """
        return majority_class(self.patient.present().codes, self.label.codes)


def read_cohort(n_samples, y=None, *, patient=None, magnification=None, weight=None, allow_missing_patients=False):
    """`Cohort` of what a splitter or a metric was given, checked; a column that is None stays unknown.

    Parameters
    ----------
    n_samples : int
        Length that every column must have.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Classes. Real-valued and multi-output targets, and no target at all, make one class of all rows.
    patient, magnification : array-like of shape (n_samples,), default=None
        As `encode` and `encode_magnification` read them.
    weight : ndarray of shape (n_samples,), default=None
        Taken as it is.
    allow_missing_patients : bool, default=False
        Whether rows may be without a patient, which then has code -1.

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
