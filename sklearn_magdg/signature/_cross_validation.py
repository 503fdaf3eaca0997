"""Choosing C by cross-validation over patients."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.utils.parallel import Parallel, delayed

from sklearn_magdg.cohort import split_with_metadata
from sklearn_magdg.signature._newton import log_partition
from sklearn_magdg.signature._path import complaint, follow

DEFAULT_FOLDS = 5


def make_splits(cv, rows, random_state):
    """Pairs of train and test; a number of folds, or None, is stratified by class and disjoint in patients."""
    if cv is None or isinstance(cv, Integral):
        return _deal(rows, default_n_folds(rows) if cv is None else int(cv), random_state)
    labels = rows.classes[rows.y]
    splits = list(split_with_metadata(check_cv(cv), rows.X, labels, rows.patient, rows.magnification))
    if rows.patient is not None:
        _warn_shared_patients(splits, rows.patient)
    return splits


def _deal(rows, n_folds, random_state):
    """Folds of the samples that have weight: one without is left out, not a place in a fold."""
    sizes = units_by_class(rows)
    if n_folds > min(sizes.values()):
        raise ValueError(
            f"`cv={n_folds}` needs {n_folds} {unit_name(rows)} in every class{rows.where}, got {sizes}; use fewer "
            f"folds."
        )
    folds = StratifiedKFold if rows.patient is None else StratifiedGroupKFold
    folds = folds(n_folds, shuffle=random_state is not None, random_state=random_state)
    kept = np.flatnonzero(rows.weight)
    groups = None if rows.patient is None else rows.patient[kept]
    return [(kept[train], kept[test]) for train, test in folds.split(kept, rows.y[kept], groups)]


def default_n_folds(rows):
    """5 folds, or as many as the smallest class has samples (patients)."""
    sizes = units_by_class(rows)
    if min(sizes.values()) < 2:
        raise ValueError(
            f'`C="cv"` needs at least 2 {unit_name(rows)} in every class{rows.where}, got {sizes}; give a number for '
            f"`C` instead."
        )
    return min(DEFAULT_FOLDS, *sizes.values())


def unit_name(rows):
    return "samples" if rows.patient is None else "patients"


def units_by_class(rows):
    """Number of samples (patients) with weight by label."""
    unit = np.arange(len(rows.y)) if rows.patient is None else rows.patient
    sizes = [len(np.unique(unit[(rows.y == code) & (rows.weight > 0)])) for code in range(len(rows.classes))]
    return dict(zip(rows.classes.tolist(), sizes, strict=True))


def _warn_shared_patients(splits, patient):
    n_leaking = sum(np.isin(patient[test], patient[train]).any() for train, test in splits)
    if n_leaking:
        warnings.warn(
            f"{n_leaking} of {len(splits)} folds of `cv` have a patient on both sides, which favours dimensions that "
            f"recognise patients; give a number of folds, or a splitter by patients.",
            UserWarning,
        )


def cross_validated_losses(rows, Cs, splits, *, scoring, standardize, tol, max_iter, n_jobs):
    """Weighted mean loss of every C on the test part of every fold, (n_Cs, n_folds).

    A fold has fewer samples than the whole: there C is multiplied by the ratio of their weights, so that the penalty
    per sample is the same.
    """
    # Workers get X itself, which joblib shares, and take their rows of it there.
    outcomes = Parallel(n_jobs=n_jobs)(
        delayed(_fold_losses)(rows, train, test, Cs, LOSSES[scoring], standardize, tol, max_iter)
        for train, test in splits
    )
    losses, complaints = zip(*outcomes, strict=True)
    _warn_not_converged([each for each in complaints if each], len(splits))
    return np.column_stack(losses)


def _fold_losses(rows, train, test, Cs, loss, standardize, tol, max_iter):
    """Losses (n_Cs,) and, in words, what did not converge."""
    train, test = rows.subset(train), rows.subset(test)
    _check_fold(train, test)
    fold_Cs = Cs * (rows.weight.sum() / train.weight.sum())
    if standardize:
        scaler = train.scaler()
        train, test = (each._replace(X=scaler.transform(each.X, copy=False)) for each in (train, test))
    path = follow(train.model(), fold_Cs, tol=tol, max_iter=max_iter)
    scores = np.einsum("nd,ckd->cnk", test.X, path.coefs, optimize=True) + path.intercepts[:, None]
    indicators = test.indicators()
    losses = [np.average(loss(each, indicators), weights=test.weight) for each in scores]
    return losses, complaint(path, tol, max_iter)


def _check_fold(train, test):
    if train.missing_classes():
        raise ValueError(
            f"A fold of `cv` trains without class {train.missing_classes()}{train.where}; use fewer folds, or a number "
            f"for `C`."
        )
    if not test.weight.any():
        raise ValueError(f"A fold of `cv` tests on samples without weight{test.where}; leave these samples out.")


def _warn_not_converged(complaints, n_folds):
    if complaints:
        warnings.warn(f"In {len(complaints)} of {n_folds} folds of `cv`: {complaints[0]}", ConvergenceWarning)


def _log_losses(scores, indicators):
    """Negative log-likelihood per sample under scores (n, k)."""
    return log_partition(scores)[:, 0] - np.sum(indicators * scores, axis=1)


def _squared_errors(scores, indicators):
    """Squared distance of the probabilities to the outcome per sample; two classes count one of them."""
    return np.sum((np.exp(scores - log_partition(scores)) - indicators) ** 2, axis=1)


LOSSES = {"neg_log_loss": _log_losses, "neg_brier_score": _squared_errors}


def choose(losses, one_se):
    """Index of the C with the lowest mean, or of the smallest C within one standard error of it."""
    mean = losses.mean(axis=1)
    best = int(np.argmin(mean))
    n_folds = losses.shape[1]
    if not one_se or n_folds < 2:
        return best
    standard_error = losses[best].std(ddof=1) / np.sqrt(n_folds)
    return int(np.argmax(mean <= mean[best] + standard_error))
