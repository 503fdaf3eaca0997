"""What one fit of a signature sees."""

from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from sklearn_magdg.signature._newton import LinearModel
from sklearn_magdg.signature._path import one_hot

# One call on all rows would take several copies of X for the moments.
ROWS_PER_BATCH = 1024


class TrainingRows(NamedTuple):
    """X (n, d), codes y (n,) into classes, weight (n,), patient codes (n,) or None, magnification (n,) or None.

    `where` says in errors and warnings which part of the samples these are.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    patient: np.ndarray | None
    magnification: np.ndarray | None
    classes: np.ndarray
    where: str = ""

    def subset(self, rows):
        *columns, classes, where = self
        return TrainingRows(*(None if each is None else each[rows] for each in columns), classes, where)

    def missing_classes(self, rows=slice(None)):
        """Labels of the classes without weight among `rows`."""
        weight_of_class = np.bincount(self.y[rows], weights=self.weight[rows], minlength=len(self.classes))
        return self.classes[weight_of_class == 0].tolist()

    def scaler(self):
        """The weighted mean and variance of every column."""
        scaler = StandardScaler()
        weighted = np.flatnonzero(self.weight)
        for batch in gen_batches(len(weighted), ROWS_PER_BATCH):
            rows = weighted[batch]
            scaler.partial_fit(self.X[rows], sample_weight=self.weight[rows])
        return scaler

    def standardised(self):
        return self._replace(X=self.scaler().transform(self.X))

    def indicators(self):
        """One column (n, 1) of the second of two classes, or one per class."""
        return one_hot(self.y, len(self.classes))

    def model(self):
        return LinearModel(self.X, self.indicators(), self.weight)
