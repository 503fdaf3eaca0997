"""The quadratic model of a loss and its l1-penalised minimum."""

import warnings
from itertools import combinations_with_replacement

import numpy as np
from scipy.linalg import LinAlgError, blas, cho_factor, cho_solve
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from sklearn_magdg.signature._columns import left_product

# Passes of coordinate descent before a jump, and where there is none.
PASSES, PASSES_WITHOUT_JUMP = 10, 200
# Alternations of both; what they leave, the next Newton step takes up.
N_ROUNDS = 5
# In units of the rounding of the matrix's precision.
RIDGE = 1_000


class Quadratic:
    r"""Quadratic model of the loss by m of its coefficients, the intercepts eliminated.

    With :math:`X` the columns of the m coefficients, :math:`W` the curvature by the scores, :math:`S = 1'W1` (k, k)
    and :math:`A = X'W1` (m, k), the intercepts that go with a step :math:`d` are :math:`-S^+ A'd`, which leaves

    .. math:: \tfrac{1}{2} d' G d, \quad G = X' W X - A S^+ A'.

    Parameters
    ----------
    model : LinearModel
        Where the curvature is taken; `model.precision` is that of the products.
    classes, slots : ndarrays of shape (m,)
        Row of `model.coef` and column of `columns.block` of every coefficient.

    Attributes
    ----------
    gram : ndarray of shape (m, m)
        G.
    coupling : ndarray of shape (m, k)
        A.
    curvature : ndarray of shape (k, k, n)
        W.
    """

    def __init__(self, model, classes, slots):
        n_classes = len(model.coef)
        self.curvature = np.array([[model.curvature(k, other) for other in range(n_classes)] for k in range(n_classes)])
        # The loss ignores what the intercepts share: a direction without curvature.
        self.intercept_inverse = np.linalg.pinv(self.curvature.sum(axis=2), rcond=1e-10, hermitian=True)
        self.classes, self.slots, self.precision = classes, slots, model.precision
        self.coupling = self._coupling(model.columns.block, classes, slots)
        products = np.empty((len(slots), len(slots)))
        for k, other in combinations_with_replacement(np.unique(classes), 2):
            of_k, of_other = np.flatnonzero(classes == k), np.flatnonzero(classes == other)
            of_class = slots[of_k]
            # the same array, not an equal one, tells `Columns.products` to compute one triangle only
            others = of_class if other == k else slots[of_other]
            block = model.columns.products(of_class, others, self.curvature[k, other].astype(self.precision))
            products[np.ix_(of_k, of_other)] = block
            if other != k:
                products[np.ix_(of_other, of_k)] = block.T
        self.gram = products - self.coupling @ self.intercept_inverse @ self.coupling.T
        self.factor = self.factored = None

    def _coupling(self, block, classes, slots):
        """Products (m, k) of the coefficients' columns with the curvature towards every class."""
        coupling = np.empty((len(slots), len(self.curvature)))
        for k in np.unique(classes):
            coupling[classes == k] = left_product(self.curvature[k].T, block)[:, slots[classes == k]].T
        return coupling

    def drift(self, model):
        """Share by which the curvature has moved since."""
        moved = sum(np.abs(model.curvature(k, k) - self.curvature[k, k]).sum() for k in range(len(self.curvature)))
        return moved / np.einsum("kki->", self.curvature)

    def cover(self, block, classes, slots):
        """Take further coefficients in, behind those that are there: G grows by a border, of the same curvature."""
        known = np.isin(classes * block.shape[1] + slots, self.classes * block.shape[1] + self.slots)
        if known.all():
            return
        classes, slots = classes[~known], slots[~known]
        self.classes, self.slots = np.append(self.classes, classes), np.append(self.slots, slots)
        coupling = self._coupling(block, classes, slots)
        self.coupling = np.vstack([self.coupling, coupling])

        products = np.empty((len(self.slots), len(slots)))  # of all coefficients with the new ones
        for new, (k, slot) in enumerate(zip(classes, slots, strict=True)):
            weighted = (self.curvature[k] * block[:, slot]).T  # (n, k)
            products[:, new] = left_product(weighted, block)[self.classes, self.slots]
        border = products - self.coupling @ self.intercept_inverse @ coupling.T

        inner, self.gram = self.gram, np.empty((len(self.slots), len(self.slots)))
        self.gram[: len(inner), : len(inner)] = inner
        self.gram[:, len(inner) :], self.gram[len(inner) :] = border, border.T
        self.factored = None

    def gradient(self, coef, target):
        """Gb - target (m,); the transpose is what LAPACK reads as a matrix in its own order."""
        return blas.dsymv(1.0, self.gram.T, coef) - target

    def minimum(self, target, alpha, start, accuracy):
        """Minimiser of 1/2 b'Gb - target'b + alpha |b|_1, from `start`, to an optimality miss of `accuracy`.

        Coordinate descent finds which coefficients are 0, quickly, and their values, slowly; the jump the reverse.
        """
        coef = start
        for n_rounds in range(N_ROUNDS):
            if n_rounds or not np.array_equal(self.factored, np.flatnonzero(coef)):
                coef = _descend(self.gram, target, alpha, coef, PASSES)
            jumped = self.jump(target, alpha, coef)
            coef = _descend(self.gram, target, alpha, coef, PASSES_WITHOUT_JUMP) if jumped is None else jumped
            if optimality_misses(self.gradient(coef, target), alpha, coef).max() <= accuracy:
                break
        return coef

    def jump(self, target, alpha, coef):
        """Minimiser on the non-zero dimensions with their signs, as far as the signs hold; None if singular."""
        support = np.flatnonzero(coef)
        if not support.size:
            return coef
        if not np.array_equal(self.factored, support):
            self.factor = _cholesky(self.gram[np.ix_(support, support)].astype(self.precision, copy=False))
            self.factored = support
        if self.factor is None:
            return None
        sign = np.sign(coef[support])
        slope = self.gradient(coef, target)[support] + alpha * sign
        step = np.zeros_like(coef)
        step[support] = -cho_solve(self.factor, slope.astype(self.precision), check_finite=False)
        crossing = support[(coef + step)[support] * sign <= 0]
        jumped = coef + step
        jumped[crossing] = 0.0
        # Cutting several at 0 may overshoot: then only as far as the first of them.
        if crossing.size and self.value(jumped, target, alpha) > self.value(coef, target, alpha):
            size = np.min(-coef[crossing] / step[crossing])
            jumped = coef + size * step
        return jumped

    def value(self, coef, target, alpha):
        """1/2 b'Gb - target'b + alpha |b|_1."""
        return (self.gradient(coef, target) - target) @ coef / 2 + alpha * np.abs(coef).sum()


def _cholesky(matrix):
    """Factor of the matrix, or None; a ridge of the size of rounding tells near copies of a column apart."""
    for ridge in (0, RIDGE * np.finfo(matrix.dtype).eps):
        matrix.flat[:: len(matrix) + 1] *= 1 + ridge
        try:
            return cho_factor(matrix, check_finite=False)
        except LinAlgError:
            continue
    return None


def _descend(gram, target, alpha, coef, passes):
    """Passes of coordinate descent over 1/2 b'Gb - target'b + alpha |b|_1."""
    # The copy: `enet_path` works in the memory of `coef_init`. Its screening needs a response, which `target` is not.
    # The filter: the residual of the whole problem is what is promised, and checked.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, coefs, _ = enet_path(
            gram, target, l1_ratio=1.0, alphas=[alpha / len(gram)], precompute=gram, Xy=target,
            coef_init=coef.copy(), check_input=False, do_screening=False, tol=0.0, max_iter=passes,
        )  # fmt: skip
    return coefs[:, 0]


def optimality_misses(gradient, alpha, coef):
    """By how much each coefficient misses its optimality condition.

    That is |gradient| <= alpha where it is 0, else gradient = -alpha sign(coefficient).
    """
    at_zero = np.maximum(np.abs(gradient) - alpha, 0)
    return np.where(coef == 0, at_zero, np.abs(gradient + alpha * np.sign(coef)))
