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


class Columns:
    """The centred features: all of them in single precision to be screened, those ever needed in double.

    Needed columns stand side by side in `block`, in the order of their coming: column `slot[j]` is feature j.
    """

    def __init__(self, X, weight):
        self.X = X if X.flags.f_contiguous or X.flags.c_contiguous else np.asfortranarray(X)
        low, high = X.min(axis=0), X.max(axis=0)
        self.varies = high > low
        _check_scale(np.maximum(np.abs(low), np.abs(high))[self.varies])
        # Centring moves only the intercept and spares the solver the cancellation of large column means.
        self.center = (left_product(weight[:, None].astype(X.dtype), self.X)[0] / weight.sum()).astype(float)
        self.coarse, self.coarse_center = _in_single_precision(self.X, self.center)
        norm = np.sqrt(np.einsum("ij,ij->j", self.coarse, self.coarse), dtype=float)
        self.rounding = np.where(self.varies, 4 * np.finfo(np.float32).eps * norm, 0.0)
        # Only pages that are written to take memory: those of the columns needed.
        self._block = np.empty(X.shape, order="F")
        self.slot, self.feature = np.full(X.shape[1], -1), np.zeros(0, dtype=np.intp)
        self.need(np.array([0]))  # spares all others the case of no column

    @property
    def block(self):
        return self._block[:, : len(self.feature)]

    def need(self, features):
        new = features[self.slot[features] < 0]
        start, stop = len(self.feature), len(self.feature) + len(new)
        self._block.T[start:stop] = self.X.T[new]
        self._block.T[start:stop] -= self.center[new, None]
        self._block.T[start:stop][~self.varies[new]] = 0.0
        self.slot[new] = np.arange(start, stop)
        self.feature = np.append(self.feature, new).astype(np.intp)

    def screen(self, residual, alpha):
        """Features outside the block whose gradient exceeds alpha, or might but for rounding."""
        reach = np.abs(self.coarse_gradient(residual)) + np.outer(np.linalg.norm(residual, axis=0), self.rounding)
        return np.flatnonzero((reach.max(axis=0) > alpha) & self.varies & (self.slot < 0))

    def coarse_gradient(self, residual):
        """Products (k, p) of all centred features with `residual`, wrong by no more than `rounding` times its norm."""
        product = left_product(residual.astype(np.float32), self.coarse)
        return product - np.outer(residual.sum(axis=0), self.coarse_center)

    def fine_gradient(self, residual):
        """The same in double precision."""
        products = sum(residual[rows].T @ self.X[rows] for rows in gen_batches(len(residual), CHUNK))
        return np.where(self.varies, products - np.outer(residual.sum(axis=0), self.center), 0.0)

    def products(self, slots, others, curvature):
        """Products of the columns `slots` with `others`, weighted by `curvature` and in its precision."""
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
        """Rows of needed columns, transposed: (m, rows)."""
        if dtype == np.float64:
            return self.block[rows].T[slots]
        features = self.feature[slots]
        part = self.coarse[rows].T[features]
        part -= self.coarse_center[features, None]
        return part


def _in_single_precision(X, center):
    """X in single precision, not copied if it is, and what remains to be subtracted from it."""
    if X.dtype == np.float32:
        return X, center
    coarse = np.empty_like(X, dtype=np.float32)
    for rows in gen_batches(len(X), CHUNK):
        coarse[rows] = X[rows] - center
    return coarse, np.zeros_like(center)


def _check_scale(reach):
    """Refuse numbers whose squares single precision cannot hold."""
    if reach.size and not SMALLEST < reach.max() < LARGEST:
        raise ValueError(
            f"The largest number of `X` is {reach.max():.3g}, outside {SMALLEST:g} to {LARGEST:g}, where squares leave "
            f"the range of single precision: standardise `X`."
        )


def blas_threads(size):
    """Context that holds BLAS to one thread for an X of so few numbers that more would not be faster."""
    return _blas().limit(limits=1 if size < SMALL else None, user_api="blas")


@cache
def _blas():
    return ThreadpoolController()


def left_product(left, matrix):
    """Left.T @ matrix of shape (k, m), for few columns `left` (n, k)."""
    if matrix.flags.f_contiguous:
        return _transposed_product(matrix, left)
    # BLAS adds row to row here: the rounding of long sums in single precision would grow with their number.
    batches = gen_batches(len(matrix), ROWS_PER_SUM)
    return sum(_plain_product(matrix[rows].T, left[rows]).astype(float) for rows in batches)


def _transposed_product(matrix, left):
    gemv, gemm = get_blas_funcs(["gemv", "gemm"], [matrix])
    return gemm(1.0, matrix, left, trans_a=1).T if left.shape[1] > 1 else gemv(1.0, matrix, left, trans=1)[None]


def _plain_product(matrix, left):
    gemv, gemm = get_blas_funcs(["gemv", "gemm"], [matrix])
    return gemm(1.0, matrix, left).T if left.shape[1] > 1 else gemv(1.0, matrix, left)[None]


def product(matrix, right):
    """Matrix @ right.T of shape (n, k), for few rows `right` (k, m)."""
    if len(right) > 1:
        return blas.dgemm(1.0, matrix, right, trans_b=1)
    return blas.dgemv(1.0, matrix, right[0])[:, None]
