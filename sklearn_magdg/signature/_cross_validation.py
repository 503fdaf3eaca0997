"""Choosing C by cross-validation over patients."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.utils.parallel import Parallel, delayed

from sklearn_magdg.cohort import split_with_metadata
from sklearn_magdg.signature._loss import LOSSES
from sklearn_magdg.signature._path import complaint, follow

DEFAULT_FOLDS = 5


def make_splits(cv, rows, random_state):
    """Pairs of train and test positions.

    A number of folds, or None, is stratified by class and disjoint in patients. A splitter gets labels and
    magnifications as they were given, and patients as codes; folds of it that share a patient warn.
    """
    patient = None if rows.patient is None else rows.patient.codes
    if cv is None or isinstance(cv, Integral):
        return _stratified_folds(rows, patient, cv, random_state)
    codes, classes = rows.label
    magnification = None if rows.magnification is None else rows.magnification.values()
    splits = list(split_with_metadata(check_cv(cv), rows.X, classes[codes], patient, magnification))
    n_leaking = 0 if patient is None else sum(np.isin(patient[test], patient[train]).any() for train, test in splits)
    if n_leaking:
        warnings.warn(
            f"{n_leaking} of {len(splits)} folds of `cv` have a patient on both sides, which favours dimensions that "
            f"recognise patients; give a number of folds, or a splitter by patients.",
            UserWarning,
        )
    return splits


def _stratified_folds(rows, patient, n_folds, random_state):
    """Folds of the samples that have weight: one without is left out, not a place in a fold.

    None is 5 folds, or as many as the smallest class has samples (patients).
    """
    codes, classes = rows.label
    unit, unit_name = (np.arange(len(rows)), "samples") if patient is None else (patient, "patients")
    n_units = [len(np.unique(unit[(codes == code) & (rows.weight > 0)])) for code in range(len(classes))]
    if min(n_units) < (2 if n_folds is None else n_folds):
        asked, way_out = f"`cv={n_folds}` needs {n_folds}", "use fewer folds"
        if n_folds is None:
            asked, way_out = '`C="cv"` needs at least 2', "give a number for `C` instead"
        sizes = dict(zip(classes.tolist(), n_units, strict=True))
        raise ValueError(f"{asked} {unit_name} in every class{rows.where}, got {sizes}; {way_out}.")

    n_folds = min(DEFAULT_FOLDS, *n_units) if n_folds is None else int(n_folds)
    folds = StratifiedKFold if patient is None else StratifiedGroupKFold
    folds = folds(n_folds, shuffle=random_state is not None, random_state=random_state)
    kept = np.flatnonzero(rows.weight)
    groups = None if patient is None else patient[kept]
    return [(kept[train], kept[test]) for train, test in folds.split(kept, codes[kept], groups)]


def cross_validated_losses(rows, Cs, splits, *, scoring, standardize, tol, max_iter, n_jobs):
    """Weighted mean loss of every C on the test part of every fold, (n_Cs, n_folds).

    A fold has fewer samples than the whole: there C is multiplied by the ratio of their weights, so that the penalty
    per sample is the same.

    Raises
    ------
    ValueError
        If a fold trains without a class, or tests on samples without weight.

    Warns
    -----
    ConvergenceWarning
        Once for all folds that did not converge, with the words of the first.
    """
    # Workers get X itself, which joblib shares, and take their rows of it there.
    outcomes = Parallel(n_jobs=n_jobs)(
        delayed(_fold_losses)(rows, train, test, Cs, LOSSES[scoring], standardize, tol, max_iter)
        for train, test in splits
    )
    losses, complaints = zip(*outcomes, strict=True)
    complaints = [each for each in complaints if each]
    if complaints:
        warnings.warn(f"In {len(complaints)} of {len(splits)} folds of `cv`: {complaints[0]}", ConvergenceWarning)
    return np.column_stack(losses)


def _fold_losses(rows, train, test, Cs, loss, standardize, tol, max_iter):
    """Losses (n_Cs,) and, in words, what did not converge: a process that works for another cannot warn there."""
    train, test = rows.take(train), rows.take(test)
    missing = train.missing_classes()
    if missing:
        raise ValueError(
            f"A fold of `cv` trains without class {missing}{train.where}; use fewer folds, or a number for `C`."
        )
    if not test.weight.any():
        raise ValueError(f"A fold of `cv` tests on samples without weight{test.where}; leave these samples out.")

    fold_Cs = Cs * (rows.weight.sum() / train.weight.sum())
    if standardize:
        scaler = train.scaler()
        # in place: `take` has made copies of the rows already
        train, test = (each.replace(X=scaler.transform(each.X, copy=False)) for each in (train, test))
    path = follow(train.model(), fold_Cs, tol=tol, max_iter=max_iter)
    scores = np.einsum("nd,ckd->cnk", test.X, path.coefs, optimize=True) + path.intercepts[:, None]
    indicators = test.indicators()
    losses = [np.average(loss(each, indicators), weights=test.weight) for each in scores]
    return losses, complaint(path, tol, max_iter)


def choose(losses, one_se):
    """Index of the C with the lowest mean loss (n_Cs, n_folds), or of the smallest C within one error of it.

    The error is the standard error of the lowest mean, std / sqrt(n_folds); one fold has none.
    """
    mean = losses.mean(axis=1)
    best = int(np.argmin(mean))
    n_folds = losses.shape[1]
    if not one_se or n_folds < 2:
        return best
    standard_error = losses[best].std(ddof=1) / np.sqrt(n_folds)
    return int(np.argmax(mean <= mean[best] + standard_error))
