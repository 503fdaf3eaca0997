"""The path of l1-penalised logistic and softmax regressions."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path
from sklearn.preprocessing import label_binarize
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_X_y

# The default grid starts where the first dimension has just entered and ends where, on embeddings, hundreds have.
FIRST_ALPHA, LAST_ALPHA = 0.9, 0.01
# A saturated sample has no curvature; this floor keeps the quadratic model bounded on separable data.
MIN_CURVATURE = 1e-6
MAX_HALVINGS = 40
# Iterates mixed by Anderson acceleration; five is what celer and skglm found enough.
N_EXTRAPOLATED = 5
# Passes of coordinate descent over one quadratic model; the outer residual decides whether they were enough.
MAX_PASSES, CLEANING_PASSES = 200, 20


class SignaturePath(NamedTuple):
    """What `signature_path` returns."""

    Cs: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray


def signature_path(X, y, *, Cs=None, n_Cs=30, sample_weight=None, tol=1e-6, max_iter=100):
    r"""Coefficients of l1-penalised logistic regressions over a grid of `C`.

    For every :math:`C` of the grid the minimiser over :math:`B, b` of

    .. math:: \|B\|_1 + C \sum_i w_i \, \ell(y_i, B x_i + b),

    where :math:`\ell` is the logistic loss of two classes or the softmax loss of more. The intercept
    :math:`b` is not penalised and `X` is taken as given (standardise it before).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Embeddings, or any features.
    y : array-like of shape (n_samples,)
        Labels of at least two classes; numbers or strings.
    Cs : array-like of shape (n_Cs,), default=None
        Inverse penalties, greater than 0, in any order. `None` is a geometric grid of `n_Cs` values from
        1 / 0.9 to 100 times the `C` at which the first dimension enters.
    n_Cs : int, default=30
        Number of values of the default grid.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights, at least 0; a weight of 2 is the sample twice, of 0 the sample left out.
    tol : float, default=1e-6
        A solution is accepted when no optimality condition is missed by more than `tol / C`.
    max_iter : int, default=100
        Most Newton iterations (multinomial: cycles over the classes) for one `C`.

    Returns
    -------
    Cs : ndarray of shape (n_Cs,)
        Ascending.
    coefs : ndarray of shape (n_Cs, n_classes or 1, n_features)
        Two classes have one row, that of the last of the sorted labels.
    intercepts : ndarray of shape (n_Cs, n_classes or 1)
        In the multinomial case they sum to 0, since the loss ignores what they share.

    Raises
    ------
    ValueError
        If a `C` is not positive, or `y` has fewer than two classes of positive weight.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` ended before `tol` was reached.

    Notes
    -----
    Proximal Newton with a working set: the loss is replaced by its quadratic model (one class at a time, as
    glmnet does), that model is a weighted Lasso on the dimensions that are non-zero or violate their
    optimality condition, and the step is halved until the objective falls. Anderson acceleration [3]_ over
    the cycles makes up for the curvature that classes share.

    References
    ----------
    .. [1] J. Friedman, T. Hastie, R. Tibshirani, "Regularization Paths for Generalized Linear Models via
       Coordinate Descent", Journal of Statistical Software 33(1), 2010, sections 3 and 4.
    .. [2] J. D. Lee, Y. Sun, M. A. Saunders, "Proximal Newton-type methods for minimizing composite
       functions", SIAM Journal on Optimization 24(3), 2014, algorithm 1.
    .. [3] Q. Bertrand, M. Massias, "Anderson acceleration of coordinate descent", AISTATS 2021, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.signature import signature_path
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> path = signature_path(X, X[:, 2] > 0, n_Cs=3)
    >>> [np.flatnonzero(coef[0]).tolist() for coef in path.coefs]
    [[2], [2], [0, 1, 2, 3]]
    """
    model = _LinearModel(*_check_training_data(X, y, sample_weight))
    Cs = model.default_grid(n_Cs) if Cs is None else _check_grid(Cs)
    coefs, intercepts, _ = _follow(model, Cs, tol=tol, max_iter=max_iter)
    return SignaturePath(Cs, coefs, intercepts)


def _follow(model, Cs, *, tol, max_iter):
    """Coefficients and intercepts at every C, each started at the one before, and the most iterations of any."""
    coefs, intercepts, n_iters, residuals = [], [], [], []
    for C in Cs:
        n_iter, residual = _minimise(model, 1 / C, tol=tol, max_iter=max_iter)
        coefs.append(model.coef.copy())
        intercepts.append(model.intercept_as_given())
        n_iters.append(n_iter)
        residuals.append(residual)
    _warn_if_not_converged(Cs, np.array(residuals), tol, max_iter)
    return np.array(coefs), np.array(intercepts), max(n_iters)


def _check_training_data(X, y, sample_weight):
    X, y = check_X_y(X, y, dtype=np.float64)
    check_classification_targets(y)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    classes, codes = np.unique(y, return_inverse=True)
    present = np.bincount(codes, weights=weight, minlength=len(classes)) > 0
    if present.sum() < 2 or not present.all():
        raise ValueError(
            f"Every class needs a positive weight and there must be at least 2 classes, got weight for "
            f"{classes[present].tolist()} of {classes.tolist()}; add samples or drop the empty class."
        )
    return X, _one_hot(codes, len(classes)), weight


def _one_hot(codes, n_classes):
    """Indicators of shape (n, n_classes), or (n, 1) of the second of two classes."""
    return label_binarize(codes, classes=np.arange(n_classes)).astype(float)


def _check_grid(Cs):
    Cs = np.sort(np.asarray(Cs, dtype=float).ravel())
    if Cs.size == 0 or not np.all(np.isfinite(Cs)) or Cs[0] <= 0:
        raise ValueError(f"`Cs` must be finite numbers greater than 0, got {Cs.tolist()}.")
    return Cs


def _log_partition(scores):
    """Log of the normaliser; the only place where two classes (sigmoid) and more (softmax) differ."""
    if scores.shape[1] == 1:
        return np.logaddexp(0, scores)
    largest = scores.max(axis=1, keepdims=True)  # SciPy's logsumexp, four times faster on few columns
    return largest + np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))


class _LinearModel:
    """The weighted logistic loss as a function of coefficients and intercept, and where they stand."""

    def __init__(self, X, Y, weight):
        kept = weight > 0
        X, Y, weight = X[kept], Y[kept], weight[kept]
        # Centring moves only the intercept and spares the solver the cancellation of large column means.
        self.mean = np.average(X, axis=0, weights=weight)
        self.X = np.asfortranarray(X - self.mean)  # (n, p)
        self.X[:, np.ptp(X, axis=0) == 0] = 0.0
        self.Y, self.weight = Y, weight  # (n, k), (n,)
        self.coef = np.zeros((Y.shape[1], X.shape[1]))
        self.intercept = _null_intercept(np.average(Y, axis=0, weights=weight))
        self.scores = np.tile(self.intercept, (len(Y), 1))  # (n, k)

    def probabilities(self):
        return np.exp(self.scores - _log_partition(self.scores))

    def loss(self, scores):
        return self.weight @ (_log_partition(scores)[:, 0] - np.sum(self.Y * scores, axis=1))

    def gradient(self):
        """Gradient of the loss by coefficients (k, p) and intercepts (k,)."""
        residual = self.weight[:, None] * (self.probabilities() - self.Y)
        return residual.T @ self.X, residual.sum(axis=0)

    def default_grid(self, n_Cs):
        """Geometric grid relative to the strongest gradient of the intercept-only model."""
        alpha_max = np.max(np.abs(self.gradient()[0]), initial=0) or 1.0
        return 1 / np.geomspace(FIRST_ALPHA * alpha_max, LAST_ALPHA * alpha_max, n_Cs)

    def intercept_as_given(self):
        """Intercepts for `X` before centring; several of them are made to sum to 0."""
        intercept = self.intercept - self.coef @ self.mean
        return intercept - intercept.mean() if len(intercept) > 1 else intercept


def _null_intercept(prior):
    if len(prior) == 1:
        return np.log(prior / (1 - prior))
    return np.log(prior) - np.log(prior).mean()


def _minimise(model, alpha, *, tol, max_iter):
    """Move `model` to the minimum of alpha x l1 norm + loss; the iterations and the relative residual reached."""
    history = []
    violation, residual = _optimality(model, alpha)
    n_iter = 0
    while residual > tol and n_iter < max_iter:
        n_iter += 1
        _extrapolate(model, alpha, history)
        for k in range(len(model.coef)):
            working = np.flatnonzero((model.coef[k] != 0) | (violation[k] > 0))
            _move_class(model, k, alpha, *_newton_direction(model, k, working, alpha, accuracy=residual))
        history.append((model.coef.copy(), model.intercept.copy(), model.scores.copy()))
        violation, residual = _optimality(model, alpha)
    return max(n_iter, 1), residual


def _extrapolate(model, alpha, history):
    """Anderson acceleration: replace the model by an affine mix of the last iterates if that is better.

    Cycling over classes converges linearly, since a class ignores the curvature it shares with the others.
    """
    if len(history) <= N_EXTRAPOLATED:
        return
    points = np.array([np.append(coef, intercept) for coef, intercept, _ in history])
    steps = np.diff(points, axis=0)
    gram = steps @ steps.T
    if not gram.any():
        return
    mix = np.linalg.lstsq(gram / np.trace(gram), np.ones(len(gram)), rcond=1e-14)[0]
    mix /= mix.sum()
    coef, intercept, scores = (np.tensordot(mix, np.array(each[1:]), axes=1) for each in zip(*history, strict=True))
    history.clear()
    if model.loss(scores) + alpha * np.abs(coef).sum() < model.loss(model.scores) + alpha * np.abs(model.coef).sum():
        model.coef, model.intercept, model.scores = coef, intercept, scores


def _optimality(model, alpha):
    """By how much every coefficient (k, p) misses its condition, and the largest miss relative to alpha."""
    gradient, intercept_gradient = model.gradient()
    at_zero = np.maximum(np.abs(gradient) - alpha, 0)
    violation = np.where(model.coef == 0, at_zero, np.abs(gradient + alpha * np.sign(model.coef)))
    worst = max(violation.max(), np.abs(intercept_gradient).max())
    return violation, worst / alpha


def _newton_direction(model, k, working, alpha, accuracy):
    """Step of coefficients `working` and intercept of class k to the minimum of the quadratic model."""
    proba = model.probabilities()[:, k]
    curvature = model.weight * np.maximum(proba * (1 - proba), MIN_CURVATURE)
    newton_residual = model.weight * (model.Y[:, k] - proba) / curvature
    if working.size == 0:
        return working, np.zeros(0), np.average(newton_residual, weights=curvature)
    columns = model.X.T[working].T  # a row gather of the transpose is contiguous and stays Fortran-ordered
    coef = model.coef[k, working]
    column_means, residual_mean = curvature @ columns / curvature.sum(), np.average(newton_residual, weights=curvature)
    root = np.sqrt(curvature)
    design = root[:, None] * (columns - column_means)
    response = root * (newton_residual - residual_mean) + design @ coef
    step = _lasso(design, response, alpha, coef, accuracy) - coef
    return working, step, residual_mean - column_means @ step


def _lasso(design, response, alpha, coef, accuracy):
    """Minimiser of 1/2 ||response - design b||^2 + alpha ||b||_1, from `coef`, to a tenth of `accuracy`."""
    # A duality gap d bounds the optimality miss at zeros by sqrt(2 d max_j ||x_j||^2); `enet_path` stops by the
    # gap relative to ||response||^2.
    scale = 2 * np.square(design).sum(axis=0).max() * (response @ response)
    better = _descend(design, response, alpha, coef, (0.1 * accuracy * alpha) ** 2 / scale, MAX_PASSES)
    if np.array_equal(better, coef):
        # The gap was met at the start and no pass was made, yet a tiny weight that belongs at zero may be left.
        return _descend(design, response, alpha, coef, 0.0, CLEANING_PASSES)
    return better


def _descend(design, response, alpha, coef, tol, max_passes):
    # The copy: `enet_path` works in the memory of `coef_init`. The filter: the residual of the whole problem is
    # what is promised, and checked.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, coefs, _ = enet_path(
            design, response, l1_ratio=1.0, alphas=[alpha / len(design)], coef_init=coef.copy(), check_input=False,
            precompute="auto", tol=tol, max_iter=max_passes,
        )  # fmt: skip
    return coefs[:, 0]


def _move_class(model, k, alpha, working, step, intercept_step):
    """Take the step, halved until the objective no longer rises."""
    scores_step = model.X.T[working].T @ step + intercept_step
    coef, scores = model.coef[k, working], model.scores.copy()
    before = model.loss(model.scores) + alpha * np.abs(coef).sum()
    for halving in range(MAX_HALVINGS):
        size = 0.5**halving
        scores[:, k] = model.scores[:, k] + size * scores_step
        # Close to the minimum the decrease drowns in rounding, which must not stop the Newton step.
        if model.loss(scores) + alpha * np.abs(coef + size * step).sum() <= before * (1 + 1e-14):
            model.coef[k, working] += size * step
            model.intercept[k] += size * intercept_step
            model.scores = scores
            return


def _warn_if_not_converged(Cs, residuals, tol, max_iter):
    failed = residuals > tol
    if failed.any():
        warnings.warn(
            f"signature_path stopped after `max_iter={max_iter}` iterations at {failed.sum()} of {len(Cs)} values "
            f"of C (from C={Cs[failed][0]:.3g}) with an optimality residual of up to {residuals.max():.1e}, above "
            f"`tol={tol:g}`. Raise `max_iter` or `tol`, standardise X, or stop the grid at a smaller C.",
            ConvergenceWarning,
        )
