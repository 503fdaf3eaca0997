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

    rows: np.ndarray  # (n,)
    fold: np.ndarray  # (n,)
    y_proba: np.ndarray  # (n, n_classes)
    labels: np.ndarray  # (n_classes,)


def as_methods(cv_results, name, default):
    """Method -> results of `cross_validate`, of one such result or of a dict of them."""
    if cv_results and all(isinstance(each, dict) for each in cv_results.values()):
        if name is not None:
            raise ValueError(f"`name` is for one method, got {name!r} with {list(cv_results)}; drop `name`.")
        return cv_results
    return {default if name is None else name: cv_results}


def require_keys(cv_results, keys):
    """Refuse results that lack a key, with the way to get it."""
    for key in keys:
        if key not in cv_results:
            way_out = WAYS_OUT.get(key, "name one of these")
            raise ValueError(f"`cv_results` needs {key!r}, got {sorted(cv_results)}; {way_out}.")


def predict_tested(cv_results, X):
    """What each fold's estimator says of its own test part."""
    require_keys(cv_results, ["estimator", "indices"])
    parts, estimators = cv_results["indices"]["test"], cv_results["estimator"]
    labels = estimators[0].classes_
    for fold, estimator in enumerate(estimators):
        if not np.array_equal(estimator.classes_, labels):
            raise ValueError(
                f"The estimators of folds 0 and {fold} know the classes {list(labels)} and "
                f"{list(estimator.classes_)}; every training part needs all classes."
            )
    proba = [each.predict_proba(_safe_indexing(X, rows)) for each, rows in zip(estimators, parts, strict=True)]
    fold = np.repeat(np.arange(len(parts)), [len(rows) for rows in parts])
    return TestedRows(np.concatenate(parts), fold, np.concatenate(proba), np.asarray(labels))
