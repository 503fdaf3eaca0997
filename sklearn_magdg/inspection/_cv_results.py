"""What `cross_validate` returned, read for the displays: which rows were tested, and what was said of them."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing

WAYS_OUT = {
    "estimator": "call `cross_validate` with `return_estimator=True`",
    "indices": "call `cross_validate` with `return_indices=True`",
}


class TestedRows(NamedTuple):
    """Probabilities of the rows of every test part, folds one after the other; a row tested twice stands twice."""

    rows: np.ndarray  # positions in X (n,)
    method: np.ndarray  # names (n,), of objects
    fold: np.ndarray  # numbers (n,)
    y_proba: np.ndarray  # (n, n_classes)
    labels: np.ndarray  # what the columns are called (n_classes,)


def as_methods(cv_results, name, default):
    """Method -> results of `cross_validate`, of one such result or of a dict of them.

    One result is called `name`, or `default` where that is None. A dict of results is known by its values, which are
    dicts too; those of one result are arrays, lists and, under "indices", a single dict.

    Raises
    ------
    ValueError
        If several results come with `name`.
    """
    if cv_results and all(isinstance(each, dict) for each in cv_results.values()):
        if name is not None:
            raise ValueError(f"`name` is for one method, got {name!r} with {list(cv_results)}; drop `name`.")
        return cv_results
    return {default if name is None else name: cv_results}


def require_keys(cv_results, keys):
    """Refuse, by `ValueError`, results that lack one of the `keys`, with the way to get it."""
    for key in keys:
        if key not in cv_results:
            way_out = WAYS_OUT.get(key, "name one of these")
            raise ValueError(f"`cv_results` needs {key!r}, got {sorted(cv_results)}; {way_out}.")


def predict_tested(methods, X):
    """`TestedRows`: what each fold's estimator says of its own test part, methods one after the other.

    Parameters
    ----------
    methods : dict
        As from `as_methods`.
    X : array-like of shape (n_samples, ...)
        What was cross-validated.

    Raises
    ------
    ValueError
        If results lack estimators or indices, or the folds of a method know different classes.
    """
    parts = []
    for method, results in methods.items():
        require_keys(results, ["estimator", "indices"])
        estimators = results["estimator"]
        # before any of them predicts, which of a net takes minutes
        for fold, estimator in enumerate(estimators):
            if not np.array_equal(estimator.classes_, estimators[0].classes_):
                raise ValueError(
                    f"The estimators of folds 0 and {fold} know the classes {list(estimators[0].classes_)} and "
                    f"{list(estimator.classes_)}; every training part needs all classes."
                )
        for fold, (estimator, rows) in enumerate(zip(estimators, results["indices"]["test"], strict=True)):
            names = np.full(len(rows), method, dtype=object)
            parts.append((rows, names, np.full(len(rows), fold), estimator.predict_proba(_safe_indexing(X, rows))))
    first = next(iter(methods.values()))["estimator"][0]
    return TestedRows(*(np.concatenate(each) for each in zip(*parts, strict=True)), np.asarray(first.classes_))
