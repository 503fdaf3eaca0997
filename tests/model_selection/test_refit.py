import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sklearn_magdg.model_selection import LeaveOneMagnificationOut, make_groups, refit_worst_magnification

NAN = np.nan


def results(*folds, scorer="score"):
    return {f"split{i}_test_{scorer}": np.array(scores, dtype=float) for i, scores in enumerate(folds)}


def test_the_best_worst_fold_wins_over_the_best_mean():
    assert refit_worst_magnification(results([0.99, 0.7, 0.6], [0.99, 0.7, 0.6], [0.5, 0.7, 0.6])) == 1


def test_folds_without_a_score_are_passed_over():
    assert refit_worst_magnification(results([NAN, NAN, NAN], [0.7, 0.8, 0.6])) == 1


def test_a_candidate_without_any_score_never_wins_even_over_negative_ones():
    assert refit_worst_magnification(results([NAN, -0.3], [NAN, -0.2])) == 1


def test_a_candidate_without_any_score_never_wins_even_over_infinitely_bad_ones():
    assert refit_worst_magnification(results([NAN, -np.inf, -np.inf], [NAN, -0.2, -0.1])) == 1


def test_the_first_wins_a_tie_also_past_one_without_a_score():
    assert refit_worst_magnification(results([0.5, 0.5], [0.6, 0.9])) == 0
    assert refit_worst_magnification(results([NAN, 0.4, 0.5, 0.5], [NAN, 0.9, 0.6, 0.9])) == 2


def test_a_candidate_without_a_score_on_a_fold_that_others_were_scored_on_does_not_win():
    assert refit_worst_magnification(results([NAN, 0.6], [0.9, 0.8])) == 1
    assert refit_worst_magnification(results([NAN, -0.9], [-0.1, -0.2])) == 1


def test_where_no_candidate_has_all_scores_the_first_with_any_is_chosen():
    assert refit_worst_magnification(results([NAN, NAN, 0.6], [NAN, 0.9, NAN])) == 1


def test_a_fold_without_a_score_excuses_no_candidate_from_the_others():
    assert refit_worst_magnification(results([NAN, 0.7], [0.2, 0.6], [0.9, 0.8])) == 1


def test_no_score_at_all_is_refused():
    with pytest.raises(ValueError, match="No candidate has a test 'score' on any fold"):
        refit_worst_magnification(results([NAN, NAN]))


def test_several_scorers_need_one_to_be_chosen():
    many = results([0.1, 0.2], scorer="auc") | results([0.9, 0.8], scorer="brier_score")
    with pytest.raises(ValueError, match=r"it has \['auc', 'brier_score'\].*functools.partial"):
        refit_worst_magnification(many)
    assert refit_worst_magnification(many, scorer="auc") == 1
    with pytest.raises(ValueError, match="named 'score_brier'"):
        refit_worst_magnification(many, scorer="score_brier")
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


def test_it_finds_a_candidate_where_the_mean_of_scikit_learn_has_none():
    rng = np.random.default_rng(0)
    patient, magnification = np.repeat(np.arange(6), 9), np.tile([40, 100, 200], 18)
    y = np.where(magnification == 40, 0, patient % 2)  # no AUC at 40X
    X = rng.normal(size=(54, 3)) + y[:, None]
    groups = make_groups(patient, magnification)
    search = GridSearchCV(
        LogisticRegression(),
        {"C": [1e-6, 1.0]},
        cv=LeaveOneMagnificationOut(3),
        scoring="roc_auc",
        refit=refit_worst_magnification,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        search.fit(X, y, groups=groups)
    folds = np.array([search.cv_results_[f"split{fold}_test_score"] for fold in range(9)])
    assert np.isnan(folds[:3]).all()
    assert np.isnan(search.cv_results_["mean_test_score"]).all()
    assert search.best_index_ == np.argmax(np.nanmin(folds, axis=0))
