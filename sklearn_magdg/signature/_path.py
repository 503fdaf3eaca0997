"""The path of l1-penalised logistic and softmax regressions."""

import warnings
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_X_y

from sklearn_magdg.cohort import Encoded
from sklearn_magdg.signature._columns import blas_threads
from sklearn_magdg.signature._newton import minimise
from sklearn_magdg.signature._training_rows import TrainingRows

# The default grid starts where the first dimension has just entered and ends where, on embeddings, hundreds have.
FIRST_ALPHA, LAST_ALPHA = 0.9, 0.01
# Halvings of the interval of log C in which a path exceeds `max_features`.
N_BISECTIONS = 6


class SignaturePath(NamedTuple):
    """What `signature_path` returns."""

    Cs: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray


def signature_path(X, y, *, Cs=None, n_Cs=30, sample_weight=None, tol=1e-6, max_iter=100, max_features=None):
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
        A solution is accepted when it misses no optimality condition, of `X` centred by its weighted mean, by more
        than `tol / C`.
    max_iter : int, default=100
        Most Newton iterations for one `C`.
    max_features : int, default=None
        Where the path stops: at the largest `C`, of the grid or found by bisection beyond it, with at most so
        many non-zero dimensions. `None` goes on to the end of the grid.

    Returns
    -------
    Cs : ndarray of shape (n_Cs,)
        Ascending; with `max_features` those until the stop, at least one.
    coefs : ndarray of shape (n_Cs, n_classes or 1, n_features)
        Two classes have one row, that of the last of the sorted labels.
    intercepts : ndarray of shape (n_Cs, n_classes or 1)
        In the multinomial case they sum to 0, since the loss ignores what they share.

    Raises
    ------
    ValueError
        If a `C` or `tol` is not positive, `y` has fewer than two classes of positive weight, a count is below 1, or
        the largest number of `X` is not between 1e-15 and 1e15.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` ended before `tol` was reached.
    UserWarning
        If the last fit puts every sample on the side of its class: from there on the weights grow with `C` without
        the data having a say.

    Notes
    -----
    Proximal Newton [2]_, each fit started at the one before [1]_, on the coefficients that are non-zero or violate
    their optimality condition. The quadratic model is minimised by coordinate descent, which finds the zeros, and a
    Cholesky solve on the others; it is kept while the curvature hardly moves. All other dimensions are screened in
    single precision, with room for its rounding; what decides is computed in double precision.

    Beside `X`, which is not copied, memory holds a copy in single precision (none if that is what `X` has) and the
    dimensions that were ever needed in double precision. Where `X` has fewer than 50 million numbers BLAS is held to
    one thread, which is faster there.

    References
    ----------
    .. [1] J. Friedman, T. Hastie, R. Tibshirani, "Regularization Paths for Generalized Linear Models via
       Coordinate Descent", Journal of Statistical Software 33(1), 2010, sections 3 and 4.
    .. [2] J. D. Lee, Y. Sun, M. A. Saunders, "Proximal Newton-type methods for minimizing composite
       functions", SIAM Journal on Optimization 24(3), 2014, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.signature import signature_path
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 4))
    >>> path = signature_path(X, X[:, 2] + rng.normal(size=50) > 0, n_Cs=3)
    >>> [np.flatnonzero(coef[0]).tolist() for coef in path.coefs]
    [[2], [1, 2, 3], [0, 1, 2, 3]]
    """
    path, separated = compute_path(
        X, y, Cs=Cs, n_Cs=n_Cs, sample_weight=sample_weight, tol=tol, max_iter=max_iter, max_features=max_features
    )
    if separated:
        warnings.warn(
            f"At C={path.Cs[-1]:.3g}, the end of the path, every sample is on the side of its class: the weights there "
            f"grow with C, and the data do not stop them. Stop the grid at a smaller C."
        )
    return path


def compute_path(X, y, *, Cs=None, n_Cs=30, sample_weight=None, tol=1e-6, max_iter=100, max_features=None):
    """The `SignaturePath`, and whether every sample is on the side of its class at the end of it."""
    counts = {"n_Cs": n_Cs, "max_iter": max_iter, "max_features": 1 if max_features is None else max_features}
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"`{name}` must be an integer of at least 1, got {count!r}.")
    if not 0 < tol < np.inf:
        raise ValueError(f"`tol` must be a finite number greater than 0, got {tol!r}; 1e-6 is the default.")

    model = _read_rows(X, y, sample_weight).model()
    Cs = default_grid(model, n_Cs) if Cs is None else np.sort(np.asarray(Cs, dtype=float).ravel())
    if Cs.size == 0 or not np.all(np.isfinite(Cs)) or Cs[0] <= 0:
        raise ValueError(f"`Cs` must be finite numbers greater than 0, got {Cs.tolist()}.")

    path = follow(model, Cs, tol=tol, max_iter=max_iter, max_features=max_features)
    warn_if_not_converged(path, tol, max_iter)
    return SignaturePath(path.Cs, path.coefs, path.intercepts), model.separates()


def _read_rows(X, y, sample_weight):
    """`TrainingRows` of checked data; single precision stays what it is."""
    X, y = check_X_y(X, y, dtype=[np.float64, np.float32])
    check_classification_targets(y)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    classes, codes = np.unique(y, return_inverse=True)
    rows = TrainingRows(Encoded(codes, classes), weight=weight, X=X)
    missing = rows.missing_classes()
    if len(classes) < 2 or missing:
        present = np.setdiff1d(classes, missing)
        raise ValueError(
            f"Every class needs a positive weight and there must be at least 2 classes, got weight for "
            f"{present.tolist()} of {classes.tolist()}; add samples or drop the empty class."
        )
    return rows


class FollowedPath(NamedTuple):
    """What `follow` returns: a `SignaturePath` with the iterations and the optimality residual of every C."""

    Cs: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray
    n_iters: np.ndarray
    residuals: np.ndarray


class _Point(NamedTuple):
    """One C of a path."""

    C: float
    coef: np.ndarray
    intercept: np.ndarray
    n_iter: int
    residual: float

    @property
    def size(self):
        """Number of dimensions with a weight for any class."""
        return np.count_nonzero(self.coef.any(axis=0))


def follow(model, Cs, *, tol, max_iter, max_features=None):
    """The path of `model` along ascending Cs, each fit started at the one before.

    With `max_features` it stops at the first C with more dimensions, and ends in the last point found before it with
    at most so many.
    """
    points = []
    with blas_threads(model.columns.X.size):
        for C in Cs:
            point = _fit(model, C, tol, max_iter)
            if max_features is not None and point.size > max_features:
                points += _stop_between(model, points, C, tol, max_iter, max_features)
                break
            points.append(point)
    return FollowedPath(*(np.array(each) for each in zip(*points, strict=True)))


def _stop_between(model, points, too_large, tol, max_iter, max_features):
    """The last point before `too_large` with at most `max_features` dimensions, found by bisection; none if none.

    The interval of log C is halved `N_BISECTIONS` times. Without a point before, the C at which the first dimension
    enters is one, so that a path never is empty.
    """
    below = points[-1].C if points else 1 / alpha_max(model)
    found = [] if points else [_fit(model, min(below, too_large), tol, max_iter)]
    for _ in range(N_BISECTIONS):
        C = np.sqrt(below * too_large)
        point = _fit(model, C, tol, max_iter)
        if point.size > max_features:
            too_large = C
        else:
            below, found = C, [point]
    return found


def _fit(model, C, tol, max_iter):
    """The minimum at one C, from where the model stands."""
    n_iter, residual = minimise(model, 1 / C, tol=tol, max_iter=max_iter)
    return _Point(float(C), model.coef_as_given(), model.intercept_as_given(), n_iter, residual)


def complaint(path, tol, max_iter):
    """What did not converge, in words; empty if all did."""
    failed = ~(path.residuals <= tol)  # so that nan is one
    if not failed.any():
        return ""
    return (
        f"signature_path stopped after `max_iter={max_iter}` iterations at {failed.sum()} of {len(failed)} values of C "
        f"(from C={path.Cs[failed][0]:.3g}) with an optimality residual of up to {path.residuals.max():.1e}, above "
        f"`tol={tol:g}`. Raise `max_iter` or `tol`, standardise X, or stop the grid at a smaller C."
    )


def warn_if_not_converged(path, tol, max_iter):
    """Warn with the `complaint` about a `FollowedPath`, if there is one."""
    words = complaint(path, tol, max_iter)
    if words:
        warnings.warn(words, ConvergenceWarning)


def default_grid(model, n_Cs):
    """Geometric grid (n_Cs,), ascending, relative to the C at which the first dimension enters."""
    return 1 / (alpha_max(model) * np.geomspace(FIRST_ALPHA, LAST_ALPHA, n_Cs))


def alpha_max(model):
    """The penalty at which the first dimension enters: the largest gradient at 0; 1 where nothing goes with `y`."""
    return np.abs(model.null_gradient).max() or 1.0
