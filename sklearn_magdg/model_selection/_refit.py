"""Choosing a candidate of a search by its worst fold."""

import re

import numpy as np


def refit_worst_magnification(cv_results, *, scorer="score"):
    """Index of the candidate whose worst fold is best.

    For `GridSearchCV(refit=refit_worst_magnification, cv=LeaveOneMagnificationOut())`. A test part of that
    splitter has one magnification, so the worst fold is the worst patients at the worst magnification:
    argmax over candidates of the minimum over folds. Folds on which no candidate has a score (nan: a test part of
    one class scored by AUC) are passed over, where the mean of scikit-learn would be nan for every candidate. A
    candidate without a score on any other fold, where its fit failed say, counts as infinitely bad there.

    Parameters
    ----------
    cv_results : dict
        What a search passes to `refit`: `split<i>_test_<scorer>`, arrays of shape (n_candidates,),
        higher is better.
    scorer : str, default="score"
        Name of the scorer. A search with several scorers needs
        `refit=functools.partial(refit_worst_magnification, scorer=<name>)`.

    Returns
    -------
    best_index : int
        Position of the candidate, the first on a tie. A candidate without any score is never chosen; one
        with a score on some folds only, where none has a score on all.

    Raises
    ------
    ValueError
        If there is no score of that name, or no candidate has a score on any fold.

    Examples
    --------
    >>> refit_worst_magnification({"split0_test_score": [0.9, 0.8], "split1_test_score": [0.5, 0.7]})
    1
    """
    matches = [match for match in map(re.compile(r"split\d+_test_(.+)").fullmatch, cv_results) if match]
    of_folds = [cv_results[match[0]] for match in matches if match[1] == scorer]
    if not of_folds:
        names = sorted({match[1] for match in matches})
        raise ValueError(
            f"`cv_results` has no test scores named {scorer!r}, it has {names}; choose one with "
            "refit=functools.partial(refit_worst_magnification, scorer=<name>)."
        )
    scores = np.array(of_folds, dtype=float)  # (n_folds, n_candidates)
    is_scored = ~np.isnan(scores)
    folds, candidates = np.flatnonzero(is_scored.any(axis=1)), np.flatnonzero(is_scored.any(axis=0))
    if not len(folds):
        raise ValueError(
            f"No candidate has a test {scorer!r} on any fold (all are nan); see the warnings of the fits, or "
            "use a score that is defined on one class, such as the Brier score."
        )
    # -inf and not nan, whose minimum would be nan: argmax would take the first of these for the best
    comparable = np.where(is_scored, scores, -np.inf)[np.ix_(folds, candidates)]
    return int(candidates[np.argmax(comparable.min(axis=0))])
