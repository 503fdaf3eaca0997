"""What one fit of a signature sees."""

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import StandardScaler, label_binarize
from sklearn.utils import gen_batches

from sklearn_magdg.cohort import Cohort
from sklearn_magdg.signature._newton import LinearModel

# One call on all rows would take several copies of X for the moments.
ROWS_PER_BATCH = 1024


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingRows(Cohort):
    """`Cohort` with the features of every row.

    The names of its labels are the classes, all of them, also of a part in which some do not stand.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32 or float64
        Features.
    where : str, default=""
        Which part of the samples these are, for errors and warnings: "" or " at magnification 40".
    """

    X: np.ndarray
    where: str = ""

    def missing_classes(self, rows=slice(None)):
        """Labels of the classes without weight among `rows`."""
        codes, classes = self.label
        weight_of_class = np.bincount(codes[rows], weights=self.weight[rows], minlength=len(classes))
        return classes[weight_of_class == 0].tolist()

    def scaler(self):
        """`StandardScaler` of the weighted mean and variance of every column; constant ones are divided by 1."""
        scaler = StandardScaler()
        # rows without weight are left out, so that the moments have the digits of data without these rows
        weighted = np.flatnonzero(self.weight)
        for batch in gen_batches(len(weighted), ROWS_PER_BATCH):
            rows = weighted[batch]
            scaler.partial_fit(self.X[rows], sample_weight=self.weight[rows])
        return scaler

    def indicators(self):
        """One column (n, 1) of the second of two classes, or one per class."""
        codes, classes = self.label
        return label_binarize(codes, classes=np.arange(len(classes))).astype(float)

    def model(self):
        """`LinearModel` of these rows, without a coefficient so far."""
        return LinearModel(self.X, self.indicators(), self.weight)
