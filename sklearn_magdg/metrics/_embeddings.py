"""What the metrics of embeddings share: checks, and distances that are exact for equal rows."""

from numbers import Integral

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.utils import check_array

from sklearn_magdg.cohort import encode

# computed from differences, so that equal rows are at 0 and a pair has one distance in every block; "euclidean" takes
# products instead, which round
DISTANCE = "sqeuclidean"


def check_embeddings(**embeddings):
    """The named arrays as finite float64 with as many columns, in the order given.

    Raises
    ------
    ValueError
        If one is not a matrix of finite numbers, or if the numbers of columns differ: those of two encoders would.
    """
    checked = {name: check_array(each, dtype=np.float64, input_name=name) for name, each in embeddings.items()}
    if len({each.shape[1] for each in checked.values()}) > 1:
        came = ", ".join(f"`{name}` {each.shape[1]}" for name, each in checked.items())
        raise ValueError(f"Embeddings must have as many columns, got {came}; embed all images with one encoder.")
    return list(checked.values())


def patients_of(embedding, patient, name="patient"):
    """Code of each row's patient `(n,)`, from 0 without a gap; for None every image is a patient of its own.

    Raises
    ------
    ValueError
        If a value of the parameter called `name` is missing, or there are not as many as rows.
    """
    return np.arange(len(embedding)) if patient is None else encode(patient, name, len(embedding)).codes


def check_n_neighbors(n_neighbors):
    """Refuse anything but an integer of at least 1; NumPy's integers are welcome."""
    if not isinstance(n_neighbors, Integral) or n_neighbors < 1:
        raise ValueError(f"`n_neighbors` must be an integer of at least 1, got {n_neighbors!r}.")


def squared_radii(embedding, n_neighbors):
    """Squared distance `(n,)` of each row to its n-th nearest other row, 0 where an equal row is among them.

    Distances come in blocks of scikit-learn's `working_memory`; `n_neighbors` is at most n - 1.
    """

    def reduce(block, start):
        # a row is not its own neighbour, but a copy of it is, so that only the diagonal goes
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        return np.partition(block, n_neighbors - 1, axis=1)[:, n_neighbors - 1]

    return np.concatenate(list(pairwise_distances_chunked(embedding, embedding, reduce_func=reduce, metric=DISTANCE)))
