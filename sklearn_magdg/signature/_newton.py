"""The minimiser of an l1-penalised logistic or softmax loss: proximal Newton on the dimensions that matter.

The heavy products go through SciPy's BLAS, as the Cholesky factors do: NumPy brings a BLAS of its own, and where two
take turns, the threads of one wait in the way of the other's.
"""

import warnings
from itertools import combinations_with_replacement

import numpy as np
from scipy.linalg import LinAlgError, blas, cho_factor, cho_solve, get_blas_funcs
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path
from sklearn.utils import gen_batches

# A saturated sample has no curvature; this floor keeps the quadratic model bounded on separable data.
MIN_CURVATURE = 1e-6
# A quadratic model serves until the curvature has moved by this share; its steps then still shrink the residual to
# about as much.
MAX_DRIFT = 0.03
# Single precision is too coarse where a cycle leaves more than this share of the residual.
STALLED = 0.5
MAX_HALVINGS = 40
# Passes of coordinate descent before a jump, and where there is none.
PASSES, PASSES_WITHOUT_JUMP = 10, 200
N_ROUNDS = 5
# Rows at a time, lest a large X be copied whole for a moment.
CHUNK = 4096


class LinearModel:
    """The weighted logistic loss as a function of coefficients and intercept, and where they stand.

    `X` is used as it comes: not copied unless samples have no weight, in any order, in single or double precision.
    Coefficients stand in the order of `columns.feature`, those of features that are not in there yet behind.
    """

    def __init__(self, X, Y, weight):
        kept = weight > 0
        if not kept.all():
            X, Y, weight = X[kept], Y[kept], weight[kept]
        self.columns = _Columns(X, weight)
        self.Y, self.weight = Y, weight  # (n, k), (n,)
        intercept = _null_intercept(np.average(Y, axis=0, weights=weight))
        self.move_to(np.zeros((Y.shape[1], X.shape[1])), intercept, np.tile(intercept, (len(Y), 1)))
        self.null_gradient = self._full_gradient()  # by all coefficients (k, p), of the model without any
        self.quadratic, self.precision = None, np.float32

    def move_to(self, coef, intercept, scores):
        self.coef, self.intercept, self.scores = coef, intercept, scores  # (k, p), (k,), (n, k)
        self.proba = np.exp(scores - log_partition(scores))
        self.residual = self.weight[:, None] * (self.proba - self.Y)  # gradient by the scores
        self._gradient = np.empty((len(coef), 0))

    def gradient(self):
        """Gradient of the loss by the coefficients of the needed features, (k, m)."""
        missing = self.columns.block[:, self._gradient.shape[1] :]
        if missing.size:
            self._gradient = np.hstack([self._gradient, _left_product(self.residual, missing)])
        return self._gradient

    def curvature(self, k, other):
        """Second derivative of the loss by the scores of two classes, (n,)."""
        if k != other:
            return -self.weight * self.proba[:, k] * self.proba[:, other]
        return self.weight * np.maximum(self.proba[:, k] * (1 - self.proba[:, k]), MIN_CURVATURE)

    def objective(self, alpha, coef, scores):
        losses = log_partition(scores)[:, 0] - np.sum(self.Y * scores, axis=1)
        return self.weight @ losses + alpha * np.abs(coef).sum()

    def separates(self):
        """Whether every sample has the highest score in its own class."""
        if self.Y.shape[1] == 1:
            return bool(np.all((2 * self.Y - 1) * self.scores > 0))
        own = self.scores[self.Y > 0]
        return bool(np.all(np.sum(self.scores >= own[:, None], axis=1) == 1))

    def coef_as_given(self):
        """Coefficients in the order of the columns of `X`."""
        coef = np.zeros_like(self.coef)
        coef[:, self.columns.feature] = self.coef[:, : len(self.columns.feature)]
        return coef

    def intercept_as_given(self):
        """Intercepts for `X` before centring; several of them are made to sum to 0."""
        intercept = self.intercept - self.coef_as_given() @ self.columns.center
        return intercept - intercept.mean() if len(intercept) > 1 else intercept

    def _full_gradient(self):
        columns = self.columns
        gradient = sum(self.residual[rows].T @ columns.X[rows] for rows in gen_batches(len(self.Y), CHUNK))
        return np.where(columns.varies, gradient - np.outer(self.residual.sum(axis=0), columns.center), 0.0)


def log_partition(scores):
    """Log of the normaliser; the only place where two classes (sigmoid) and more (softmax) differ."""
    if scores.shape[1] == 1:
        return np.logaddexp(0, scores)
    largest = scores.max(axis=1, keepdims=True)  # SciPy's logsumexp, four times faster on few columns
    return largest + np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))


def _null_intercept(prior):
    if len(prior) == 1:
        return np.log(prior / (1 - prior))
    return np.log(prior) - np.log(prior).mean()


class _Columns:
    """The centred features: all of them in single precision to be screened, those ever needed in double.

    Needed columns stand side by side in `block`, in the order of their coming: column `slot[j]` is feature j.
    """

    def __init__(self, X, weight):
        self.X = X if X.flags.f_contiguous or X.flags.c_contiguous else np.asfortranarray(X)
        # Centring moves only the intercept and spares the solver the cancellation of large column means.
        self.center = (_left_product(weight[:, None].astype(X.dtype), self.X)[0] / weight.sum()).astype(float)
        self.varies = np.ptp(X, axis=0) > 0
        self.coarse, self.coarse_center = _in_single_precision(self.X, self.center)
        largest_norm = np.sqrt(np.einsum("ij,ij->j", self.coarse, self.coarse).max())
        self.rounding = 4 * np.finfo(np.float32).eps * largest_norm
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
        coarse = _left_product(residual.astype(np.float32), self.coarse)
        coarse = coarse - np.outer(residual.sum(axis=0), self.coarse_center)
        reach = np.abs(coarse) + self.rounding * np.linalg.norm(residual, axis=0)[:, None]
        return np.flatnonzero((reach.max(axis=0) > alpha) & self.varies & (self.slot < 0))

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


def _left_product(left, matrix):
    """Left.T @ matrix of shape (k, m), for few columns `left` (n, k)."""
    if left.shape[1] > 1:
        (gemm,) = get_blas_funcs(["gemm"], [matrix])
        return gemm(1.0, matrix, left, trans_a=1).T if matrix.flags.f_contiguous else gemm(1.0, matrix.T, left).T
    (gemv,) = get_blas_funcs(["gemv"], [matrix])
    return (gemv(1.0, matrix, left, trans=1) if matrix.flags.f_contiguous else gemv(1.0, matrix.T, left))[None]


def _product(matrix, right):
    """Matrix @ right.T of shape (n, k), for few rows `right` (k, m)."""
    if len(right) > 1:
        return blas.dgemm(1.0, matrix, right, trans_b=1)
    return blas.dgemv(1.0, matrix, right[0])[:, None]


class _Quadratic:
    """Quadratic model of the loss by the coefficients of `classes` at `slots`, the intercepts eliminated."""

    def __init__(self, model, classes, slots):
        n_classes = len(model.coef)
        self.curvature = np.array([[model.curvature(k, other) for other in range(n_classes)] for k in range(n_classes)])
        # The loss ignores what the intercepts share: a direction without curvature.
        self.intercept_inverse = np.linalg.pinv(self.curvature.sum(axis=2), rcond=1e-10, hermitian=True)
        self.classes, self.slots, self.precision = classes, slots, model.precision
        self.coupling = self._coupling(model.columns.block, classes, slots)  # (m, k), with the intercepts
        self.gram = self._products(model.columns) - self.coupling @ self.intercept_inverse @ self.coupling.T
        self.factor = self.factored = None

    def _coupling(self, block, classes, slots):
        coupling = np.empty((len(slots), len(self.curvature)))
        for k in np.unique(classes):
            coupling[classes == k] = _left_product(self.curvature[k].T, block)[:, slots[classes == k]].T
        return coupling

    def _products(self, columns):
        products = np.empty((len(self.slots), len(self.slots)))
        for k, other in combinations_with_replacement(np.unique(self.classes), 2):
            of_k, of_other = np.flatnonzero(self.classes == k), np.flatnonzero(self.classes == other)
            slots = self.slots[of_k]
            others = slots if other == k else self.slots[of_other]
            block = columns.products(slots, others, self.curvature[k, other].astype(self.precision))
            products[np.ix_(of_k, of_other)] = block
            if other != k:
                products[np.ix_(of_other, of_k)] = block.T
        return products

    def drift(self, model):
        """Share by which the curvature has moved."""
        moved = sum(np.abs(model.curvature(k, k) - self.curvature[k, k]).sum() for k in range(len(self.curvature)))
        return moved / np.einsum("kki->", self.curvature)

    def cover(self, block, classes, slots):
        """Take further coefficients in."""
        known = np.isin(classes * block.shape[1] + slots, self.classes * block.shape[1] + self.slots)
        if known.all():
            return
        classes, slots = classes[~known], slots[~known]
        self.classes, self.slots = np.append(self.classes, classes), np.append(self.slots, slots)
        coupling = self._coupling(block, classes, slots)
        self.coupling = np.vstack([self.coupling, coupling])
        border = self._border(block, classes, slots) - self.coupling @ self.intercept_inverse @ coupling.T
        inner, self.gram = self.gram, np.empty((len(self.slots), len(self.slots)))
        self.gram[: len(inner), : len(inner)] = inner
        self.gram[:, len(inner) :], self.gram[len(inner) :] = border, border.T
        self.factored = None

    def _border(self, block, classes, slots):
        """Weighted products of all coefficients with the last, (m, m_new)."""
        border = np.empty((len(self.slots), len(slots)))
        for new, (k, slot) in enumerate(zip(classes, slots, strict=True)):
            weighted = (self.curvature[k] * block[:, slot]).T  # (n, k)
            border[:, new] = _left_product(weighted, block)[self.classes, self.slots]
        return border

    def gradient(self, coef, target):
        return blas.dsymv(1.0, self.gram.T, coef) - target

    def minimum(self, target, alpha, start, accuracy):
        """Minimiser of 1/2 b'Gb - target'b + alpha |b|_1, from `start`, to an optimality miss of `accuracy`."""
        coef = start
        for n_rounds in range(N_ROUNDS):
            if n_rounds or not np.array_equal(self.factored, np.flatnonzero(coef)):
                coef = _descend(self.gram, target, alpha, coef, PASSES)
            jumped = self.jump(target, alpha, coef)
            coef = _descend(self.gram, target, alpha, coef, PASSES_WITHOUT_JUMP) if jumped is None else jumped
            if _misses(self.gradient(coef, target), alpha, coef).max() <= accuracy:
                break
        return coef

    def jump(self, target, alpha, coef):
        """Minimiser on the non-zero dimensions with their signs, as far as the signs hold; None if singular."""
        support = np.flatnonzero(coef)
        if not support.size:
            return coef
        if not self._factorise(support):
            return None
        sign = np.sign(coef[support])
        slope = self.gradient(coef, target)[support] + alpha * sign
        step = np.zeros_like(coef)
        step[support] = -cho_solve(self.factor, slope.astype(self.precision), check_finite=False)
        crossing = support[(coef + step)[support] * sign <= 0]
        jumped = coef + step
        jumped[crossing] = 0.0
        if crossing.size and self.value(jumped, target, alpha) > self.value(coef, target, alpha):
            size = np.min(-coef[crossing] / step[crossing])
            jumped = coef + size * step
        return jumped

    def value(self, coef, target, alpha):
        return (self.gradient(coef, target) - target) @ coef / 2 + alpha * np.abs(coef).sum()

    def _factorise(self, support):
        if not np.array_equal(self.factored, support):
            try:
                matrix = self.gram[np.ix_(support, support)].astype(self.precision, copy=False)
                self.factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
                self.factored = support
            except LinAlgError:
                self.factored = None
        return self.factored is not None


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


def _misses(gradient, alpha, coef):
    """By how much each coefficient misses its optimality condition."""
    at_zero = np.maximum(np.abs(gradient) - alpha, 0)
    return np.where(coef == 0, at_zero, np.abs(gradient + alpha * np.sign(coef)))


def minimise(model, alpha, *, tol, max_iter):
    """Move `model` to the minimum of alpha x l1 norm + loss; the iterations and the relative residual reached."""
    n_iter, before, unscreened = 0, np.inf, np.inf
    while True:
        misses, residual = _optimality(model, alpha)
        if model.precision == np.float32 and n_iter > 1 and residual > max(STALLED * before, tol):
            model.quadratic, model.precision = None, np.float64
        if residual <= max(tol, 0.1 * unscreened) or n_iter == 1:
            new = model.columns.screen(model.residual, alpha)
            model.columns.need(new)
            misses, residual = _optimality(model, alpha)
            unscreened = misses[:, len(misses.T) - len(new) :].max(initial=0.0) / alpha
        if residual <= tol or n_iter == max_iter:
            return max(n_iter, 1), residual
        predict = n_iter == 0 and model.coef.any()
        _improve(model, alpha, misses, max(0.05 * residual, 0.1 * tol) * alpha, predict)
        n_iter, before = n_iter + 1, residual


def _optimality(model, alpha):
    """By how much every needed coefficient (k, m) misses its condition, and the largest miss relative to alpha."""
    gradient = model.gradient()
    misses = _misses(gradient, alpha, model.coef[:, : len(gradient.T)])
    return misses, max(misses.max(), np.abs(model.residual.sum(axis=0)).max()) / alpha


def _improve(model, alpha, misses, accuracy, predict):
    """A Newton step; with `predict` one of the non-zero coefficients alone, by the quadratic model that is there."""
    wanted = model.coef[:, : len(misses.T)] != 0
    quadratic = _up_to_date(model, *np.nonzero(wanted if predict else wanted | (misses > 0)), predict)
    places = quadratic.classes, quadratic.slots
    coef, excess = model.coef[places], model.residual.sum(axis=0)
    slope = model.gradient()[places] - quadratic.coupling @ (quadratic.intercept_inverse @ excess)
    target = quadratic.gradient(coef, slope)
    better = quadratic.jump(target, alpha, coef) if predict else quadratic.minimum(target, alpha, coef, accuracy)
    step = np.zeros_like(coef) if better is None else better - coef
    steps = np.zeros_like(misses)
    steps[places] = step
    _move(model, alpha, steps, -quadratic.intercept_inverse @ (excess + quadratic.coupling.T @ step))


def _up_to_date(model, classes, slots, predict):
    """Quadratic model of at least these coefficients, of a curvature close to the present one."""
    if not classes.size:
        classes, slots = np.array([0]), np.array([0])  # spares all others the case of no coefficient
    if model.quadratic is None or not (predict or model.quadratic.drift(model) <= MAX_DRIFT):
        model.quadratic = _Quadratic(model, classes, slots)
    model.quadratic.cover(model.columns.block, classes, slots)
    return model.quadratic


def _move(model, alpha, steps, intercept_step):
    """Take the step, halved until the objective no longer rises."""
    scores_step = _product(model.columns.block, steps) + intercept_step
    before = model.objective(alpha, model.coef, model.scores)
    for halving in range(MAX_HALVINGS):
        size = 0.5**halving
        coef, scores = model.coef.copy(), model.scores + size * scores_step
        coef[:, : len(steps.T)] += size * steps
        # Close to the minimum the decrease drowns in rounding, which must not stop the Newton step.
        if model.objective(alpha, coef, scores) <= before * (1 + 1e-14):
            return model.move_to(coef, model.intercept + size * intercept_step, scores)
