"""The minimiser of an l1-penalised logistic or softmax loss: proximal Newton on the dimensions that matter."""

import numpy as np

from sklearn_magdg.signature._columns import Columns, blas_threads, left_product, product
from sklearn_magdg.signature._loss import log_losses, probabilities
from sklearn_magdg.signature._quadratic import Quadratic, optimality_misses

# A saturated sample has no curvature; this floor keeps the quadratic model bounded on separable data.
MIN_CURVATURE = 1e-6
# A quadratic model serves until the curvature has moved by this share, or until its steps leave that of the residual.
MAX_DRIFT, MAX_LEFT = 0.03, 0.3
# A step that leaves more than this share of the residual says that single precision is too coarse for the model.
STALLED = 0.9
MAX_HALVINGS = 40
# Share of the weights that the sum of residuals can miss 0 by, for rounding alone.
SUM_ROUNDING = 1e-14


class LinearModel:
    """The weighted logistic loss as a function of coefficients and intercept, and where they stand.

    `X` is used as it comes: not copied unless samples have no weight, in any order, in single or double precision.
    Coefficients stand in the order of `columns.feature`, those of features that are not in there yet behind.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Features, as given: not centred, not scaled.
    Y : ndarray of shape (n, k)
        Indicators; k is 1 for two classes.
    weight : ndarray of shape (n,)
        At least 0; every class has some.

    Attributes
    ----------
    coef, intercept, scores : ndarrays of shape (k, p), (k,) and (n, k)
        Where the model stands; at first at the best intercept without coefficients. Of centred features.
    residual : ndarray of shape (n, k)
        Gradient of the loss by the scores.
    null_gradient : ndarray of shape (k, p)
        Gradient by the coefficients of all features, where all are 0.
    quadratic : Quadratic or None
        The quadratic model that is in use, and `precision` that of its products.
    """

    def __init__(self, X, Y, weight):
        kept = weight > 0
        if not kept.all():
            X, Y, weight = X[kept], Y[kept], weight[kept]
        self.Y, self.weight = Y, weight
        prior = np.average(Y, axis=0, weights=weight)
        intercept = np.log(prior / (1 - prior)) if len(prior) == 1 else np.log(prior) - np.log(prior).mean()
        self.move_to(np.zeros((Y.shape[1], X.shape[1])), intercept, np.tile(intercept, (len(Y), 1)))
        with blas_threads(X.size):
            self.columns = Columns(X, weight)
            self.null_gradient = self.columns.fine_gradient(self.residual)
        self.quadratic, self.precision = None, np.float32

    def move_to(self, coef, intercept, scores):
        """Stand at these coefficients, whose scores are known already."""
        self.coef, self.intercept, self.scores = coef, intercept, scores
        self.proba = probabilities(scores)
        self.residual = self.weight[:, None] * (self.proba - self.Y)
        self._gradient = np.empty((len(coef), 0))

    def gradient(self):
        """Gradient of the loss by the coefficients of the needed features, (k, m)."""
        # kept until the next move, and only prolonged where features have come since
        missing = self.columns.block[:, self._gradient.shape[1] :]
        if missing.size:
            self._gradient = np.hstack([self._gradient, left_product(self.residual, missing)])
        return self._gradient

    def curvature(self, k, other):
        """Second derivative of the loss by the scores of two classes, (n,): w p_k ([k = other] - p_other)."""
        if k != other:
            return -self.weight * self.proba[:, k] * self.proba[:, other]
        return self.weight * np.maximum(self.proba[:, k] * (1 - self.proba[:, k]), MIN_CURVATURE)

    def objective(self, alpha, coef, scores):
        """Loss at `scores` and alpha times the l1 norm of `coef`."""
        return self.weight @ log_losses(scores, self.Y) + alpha * np.abs(coef).sum()

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


def minimise(model, alpha, *, tol, max_iter):
    """Move `model` to the minimum of alpha x l1 norm + loss.

    Every round takes the quadratic model of the needed coefficients that are not 0 or miss their condition, and steps
    towards its minimum. All other features are screened when the needed ones are nearly settled, and once after the
    first step, for what enters late costs rounds.

    Returns
    -------
    n_iter : int
        Newton steps, at least 1.
    residual : float
        Largest miss of an optimality condition relative to alpha; above `tol` if `max_iter` ended the search.
    """
    n_iter, before, unscreened = 0, np.inf, np.inf
    while True:
        misses, residual = _optimality(model, alpha)
        if n_iter > 1 and residual > max(MAX_LEFT * before, tol):
            model.quadratic = None
            model.precision = np.float64 if residual > STALLED * before else model.precision
        if residual <= max(tol, 0.1 * unscreened) or n_iter == 1:
            new = model.columns.screen(model.residual, alpha)
            model.columns.need(new)
            misses, residual = _optimality(model, alpha)
            unscreened = misses[:, len(misses.T) - len(new) :].max(initial=0.0) / alpha
        if residual <= tol or n_iter >= max_iter:
            return max(n_iter, 1), residual
        # The first step follows the path on: only alpha has changed, so that the model of the fit before still holds.
        predict = n_iter == 0 and model.coef.any()
        _newton_step(model, alpha, misses, max(0.05 * residual, 0.1 * tol) * alpha, predict)
        n_iter, before = n_iter + 1, residual


def _optimality(model, alpha):
    """By how much every needed coefficient (k, m) misses its condition, and the largest miss relative to alpha."""
    gradient = model.gradient()
    misses = optimality_misses(gradient, alpha, model.coef[:, : len(gradient.T)])
    excess = np.abs(model.residual.sum(axis=0)).max() - SUM_ROUNDING * model.weight.sum()
    return misses, max(misses.max(), excess) / alpha


def _newton_step(model, alpha, misses, accuracy, predict):
    """A Newton step; with `predict` one of the non-zero coefficients alone, by the quadratic model that is there."""
    wanted = model.coef[:, : len(misses.T)] != 0
    classes, slots = np.nonzero(wanted if predict else wanted | (misses > 0))
    if not classes.size:
        classes, slots = np.array([0]), np.array([0])  # spares all others the case of no coefficient
    if model.quadratic is None or not (predict or model.quadratic.drift(model) <= MAX_DRIFT):
        model.quadratic = Quadratic(model, classes, slots)
    quadratic = model.quadratic
    quadratic.cover(model.columns.block, classes, slots)

    # It may hold more coefficients than are wanted: all of them take part.
    places = quadratic.classes, quadratic.slots
    coef, excess = model.coef[places], model.residual.sum(axis=0)
    slope = model.gradient()[places] - quadratic.coupling @ (quadratic.intercept_inverse @ excess)
    target = quadratic.gradient(coef, slope)
    better = quadratic.jump(target, alpha, coef) if predict else quadratic.minimum(target, alpha, coef, accuracy)
    step = np.zeros_like(coef) if better is None else better - coef
    steps = np.zeros_like(misses)
    steps[places] = step
    _move(model, alpha, steps, -quadratic.intercept_inverse @ (excess + quadratic.coupling.T @ step))


def _move(model, alpha, steps, intercept_step):
    """Take the step, halved until the objective no longer rises; none at all if it always does."""
    scores_step = product(model.columns.block, steps) + intercept_step
    before = model.objective(alpha, model.coef, model.scores)
    for halving in range(MAX_HALVINGS):
        size = 0.5**halving
        coef, scores = model.coef.copy(), model.scores + size * scores_step
        coef[:, : len(steps.T)] += size * steps
        # Close to the minimum the decrease drowns in rounding, which must not stop the Newton step.
        if model.objective(alpha, coef, scores) <= before * (1 + 1e-14):
            return model.move_to(coef, model.intercept + size * intercept_step, scores)
