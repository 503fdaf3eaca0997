from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sklearn_magdg.model_selection import refit_worst_magnification

NAN = np.nan


def results(*folds, scorer="score"):
    return {f"split{i}_test_{scorer}": np.array(scores, dtype=float) for i, scores in enumerate(folds)}


def test_the_best_worst_fold_wins_over_the_best_mean():
    assert refit_worst_magnification(results([0.99, 0.7, 0.6], [0.99, 0.7, 0.6], [0.5, 0.7, 0.6])) == 1


def test_folds_without_a_score_are_passed_over():
    assert refit_worst_magnification(results([NAN, NAN, NAN], [0.7, 0.8, 0.6])) == 1


def test_a_candidate_without_any_score_never_wins_even_over_negative_ones():
    assert refit_worst_magnification(results([NAN, -0.3], [NAN, -0.2])) == 1


def test_the_first_wins_a_tie():
    assert refit_worst_magnification(results([0.5, 0.5], [0.6, 0.9])) == 0


def test_no_score_at_all_is_refused():
    with pytest.raises(ValueError, match="No candidate has a test 'score' on any fold"):
        refit_worst_magnification(results([NAN, NAN]))


def test_several_scorers_need_one_to_be_chosen():
    many = results([0.1, 0.2], scorer="auc") | results([0.9, 0.8], scorer="brier_score")
    with pytest.raises(ValueError, match=r"it has \['auc', 'brier_score'\].*functools.partial"):
        refit_worst_magnification(many)
    assert refit_worst_magnification(many, scorer="auc") == 1
    assert refit_worst_magnification(many, scorer="brier_score") == 0


def test_training_scores_are_left_alone():
    scores = results([0.5, 0.6]) | {
        "split0_train_score": np.array([0.0, -9.0]),
        "mean_test_score": [0.5, 0.6],
    }
    assert refit_worst_magnification(scores) == 1


@pytest.mark.parametrize("scoring", [None, ["accuracy", "neg_brier_score"]])
def test_it_serves_grid_search(scoring):
    X, y = np.random.default_rng(0).normal(size=(21, 5)), np.arange(21) % 2
    refit = refit_worst_magnification
    refit = refit if scoring is None else partial(refit, scorer="neg_brier_score")
    search = GridSearchCV(LogisticRegression(), {"C": [0.01, 1.0]}, cv=3, scoring=scoring, refit=refit)
    search.fit(X, y)
    name = "score" if scoring is None else "neg_brier_score"
    worst = [min(search.cv_results_[f"split{f}_test_{name}"][c] for f in range(3)) for c in range(2)]
    assert search.best_index_ == int(np.argmax(worst))
