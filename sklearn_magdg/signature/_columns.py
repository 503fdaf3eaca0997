"""The features of a path: all of them in single precision, those that matter in double.

Products go through SciPy's BLAS, as the Cholesky factors of the solver do: NumPy brings a BLAS of its own, and where
two take turns, the threads of one wait in the way of the other's.
"""

from functools import cache

import numpy as np
from scipy.linalg import blas, get_blas_funcs
from sklearn.utils import gen_batches
from threadpoolctl import ThreadpoolController

# Rows at a time, lest a large X be copied whole for a moment.
CHUNK = 4096
# Rows whose products are added in the precision of the matrix, where BLAS adds row to row.
ROWS_PER_SUM = 256
# Within them squares and their sums keep to the range of single precision.
SMALLEST, LARGEST = 1e-15, 1e15
# Below this size of X the products are so short that threads wait for each other longer than they work.
SMALL = 50_000_000

# It looks through all libraries that are loaded, which takes longer than a short path: once, and not at import.
thread_pools = cache(ThreadpoolController)


class Columns:
    """The centred features (n, p): all of them in single precision to be screened, those ever needed in double.

    Needed columns stand side by side in `block` (n, m), in the order of their coming: column `slot[j]` is feature j,
    `feature[s]` the feature of column s, and `slot[j]` is -1 for a feature that no solution has needed so far.

    Parameters
    ----------
    X : ndarray of shape (n, p), float32 or float64
        In Fortran or C order it is not copied.
    weight : ndarray of shape (n,)
        Greater than 0; features are centred by the mean under it.

    Raises
    ------
    ValueError
        If the largest number of `X` is not between 1e-15 and 1e15.
    """

    def __init__(self, X, weight):
        self.X = X if X.flags.f_contiguous or X.flags.c_contiguous else np.asfortranarray(X)
        low, high = X.min(axis=0), X.max(axis=0)
        self.varies = high > low
        reach = np.maximum(np.abs(low), np.abs(high))[self.varies]
        if reach.size and not SMALLEST < reach.max() < LARGEST:
            raise ValueError(
                f"The largest number of `X` is {reach.max():.3g}, outside {SMALLEST:g} to {LARGEST:g}, where squares "
                f"leave the range of single precision: standardise `X`."
            )
        # Centring moves only the intercept and spares the solver the cancellation of large column means.
        self.center = (left_product(weight[:, None].astype(X.dtype), self.X)[0] / weight.sum()).astype(float)
        self.coarse, self.coarse_center = _in_single_precision(self.X, self.center)
        # Norms of single precision: they only say by how much the screening can err.
        norm = np.sqrt(np.einsum("ij,ij->j", self.coarse, self.coarse), dtype=float)
        self.rounding = np.where(self.varies, 4 * np.finfo(np.float32).eps * norm, 0.0)
        # Only pages that are written to take memory: those of the columns needed.
        self._block = np.empty(X.shape, order="F")
        self.slot, self.feature = np.full(X.shape[1], -1), np.zeros(0, dtype=np.intp)
        self.need(np.array([0]))  # spares all others the case of no column

    @property
    def block(self):
        """The needed columns, centred, in double precision (n, m); a view, which grows."""
        return self._block[:, : len(self.feature)]

    def need(self, features):
        """Put these features (indices into the p) at the end of the block, except those that are in it."""
        new = features[self.slot[features] < 0]
        start, stop = len(self.feature), len(self.feature) + len(new)
        self._block.T[start:stop] = self.X.T[new]
        self._block.T[start:stop] -= self.center[new, None]
        # 0.1 minus the mean of many 0.1 is some 1e-17, a direction that the solver would follow
        self._block.T[start:stop][~self.varies[new]] = 0.0
        self.slot[new] = np.arange(start, stop)
        self.feature = np.append(self.feature, new).astype(np.intp)

    def screen(self, residual, alpha):
        """Features outside the block whose gradient exceeds alpha, or might but for rounding; `residual` is (n, k)."""
        reach = np.abs(self.coarse_gradient(residual)) + np.outer(np.linalg.norm(residual, axis=0), self.rounding)
        return np.flatnonzero((reach.max(axis=0) > alpha) & self.varies & (self.slot < 0))

    def coarse_gradient(self, residual):
        """Products (k, p) of all centred features with `residual`, wrong by no more than `rounding` times its norm."""
        product = left_product(residual.astype(np.float32), self.coarse)
        return product - np.outer(residual.sum(axis=0), self.coarse_center)

    def fine_gradient(self, residual):
        """The same in double precision, by NumPy: several times slower, once per model."""
        products = sum(residual[rows].T @ self.X[rows] for rows in gen_batches(len(residual), CHUNK))
        return np.where(self.varies, products - np.outer(residual.sum(axis=0), self.center), 0.0)

    def products(self, slots, others, curvature):
        """Products (m, m') of the columns `slots` with `others`, weighted by `curvature` (n,) and in its precision.

        `others is slots` halves the work: the product is symmetric then.
        """
        syrk, gemm = get_blas_funcs(["syrk", "gemm"], [curvature])
        products = np.zeros((len(slots), len(others)), dtype=curvature.dtype, order="F")
        for rows in gen_batches(len(curvature), CHUNK):
            left = self._part(rows, slots, curvature.dtype)
            if others is slots:
                left *= np.sqrt(curvature[rows])
                products = syrk(1.0, left.T, beta=1.0, c=products, trans=1, overwrite_c=True)  # the upper triangle
            else:
                right = self._part(rows, others, curvature.dtype) * curvature[rows]
                products = gemm(1.0, left.T, right.T, trans_a=1, beta=1.0, c=products, overwrite_c=True)
        if others is slots:
            products += np.triu(products, 1).T
        return products

    def _part(self, rows, slots, dtype):
        """Rows of needed columns, transposed (m, rows); of single precision from there, else from the block."""
        if dtype == np.float64:
            return self.block[rows].T[slots]
        features = self.feature[slots]
        part = self.coarse[rows].T[features]
        part -= self.coarse_center[features, None]
        return part


def _in_single_precision(X, center):
    """X in single precision, and what remains to be subtracted from it.

    X of that precision is not copied, and remains to be centred. Of double precision it is centred before it is
    rounded, so that large means cost no digits.
    """
    if X.dtype == np.float32:
        return X, center
    coarse = np.empty_like(X, dtype=np.float32)
    for rows in gen_batches(len(X), CHUNK):
        coarse[rows] = X[rows] - center
    return coarse, np.zeros_like(center)


def blas_threads(size):
    """Context that holds BLAS to one thread for an X of so few numbers that more would not be faster."""
    return thread_pools().limit(limits=1 if size < SMALL else None, user_api="blas")


def left_product(left, matrix):
    """Left.T @ matrix of shape (k, m), for few columns `left` (n, k)."""
    if matrix.flags.f_contiguous:
        return _thin_product(matrix, left, transpose=1)
    # BLAS adds row to row here: the rounding of long sums in single precision would grow with their number.
    batches = gen_batches(len(matrix), ROWS_PER_SUM)
    return sum(_thin_product(matrix[rows].T, left[rows], transpose=0).astype(float) for rows in batches)


def _thin_product(matrix, left, transpose):
    """(matrix.T @ left).T, or without the first transpose, in the precision of the matrix; one column as a vector."""
    gemv, gemm = get_blas_funcs(["gemv", "gemm"], [matrix])
    if left.shape[1] > 1:
        return gemm(1.0, matrix, left, trans_a=transpose).T
    return gemv(1.0, matrix, left, trans=transpose)[None]


def product(matrix, right):
    """Matrix @ right.T of shape (n, k), for few rows `right` (k, m)."""
    if len(right) > 1:
        return blas.dgemm(1.0, matrix, right, trans_b=1)
    return blas.dgemv(1.0, matrix, right[0])[:, None]
