import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom
from sklearn.metrics import f1_score, roc_auc_score

from sklearn_magdg.study._results import KINDS
from sklearn_magdg.study._scores import score

SCORES = ["auc", "f1", "balanced_accuracy", "brier", "ece", "patient_recognition_rate"]


def test_results_have_a_row_per_method_and_fold(finished):
    results = pd.read_csv(finished[0] / "results.csv")
    assert results.columns[:5].tolist() == ["method", "held_out", "fold", "n_train", "n_test"]
    assert set(SCORES) <= set(results.columns)
    assert {f"{kind}signature_{what}" for kind in ("", "in_sample_") for what in ("size", "auc", "f1")} <= set(results)
    assert results.groupby("method").size().to_dict() == {"baseline": 2, "gan": 2, "gradient-reversal": 2}


def test_predictions_have_a_row_per_method_and_test_image_and_give_the_scores(finished):
    results, predictions = (pd.read_csv(finished[0] / name) for name in ("results.csv", "predictions.csv"))
    assert predictions.columns.tolist() == ["method", "held_out", "fold", "id", "patient", "y_true", "y_proba"]
    for (method, fold), part in predictions.groupby(["method", "fold"]):
        row = results[(results["method"] == method) & (results["fold"] == fold)].iloc[0]
        assert row["n_test"] == len(part)
        assert row["auc"] == pytest.approx(roc_auc_score(part["y_true"], part["y_proba"]))
        assert row["brier"] == pytest.approx(np.mean((part["y_proba"] - part["y_true"]) ** 2))
        assert row["f1"] == pytest.approx(f1_score(part["y_true"], part["y_proba"] > 0.5))
        hits = (part["y_proba"] > 0.5) == part["y_true"]
        assert row["patient_recognition_rate"] == pytest.approx(hits.groupby(part["patient"]).mean().mean())


def test_table_averages_auc_over_folds_and_pools_brier(finished):
    out, summary = finished
    results, predictions = (pd.read_csv(out / name) for name in ("results.csv", "predictions.csv"))
    for row in summary["table"]:
        folds = results[results["method"] == row["method"]]
        images = predictions[predictions["method"] == row["method"]]
        assert row["auc"] == pytest.approx(folds["auc"].mean())
        assert row["auc_sd"] == pytest.approx(folds["auc"].std())
        assert row["brier"] == pytest.approx(np.mean((images["y_proba"] - images["y_true"]) ** 2))


def test_signatures_are_dimensions_of_the_embedding_and_their_overlap_is_symmetric(finished):
    signatures = json.loads((finished[0] / "signatures.json").read_text())
    assert len(signatures) == 6
    for entry in signatures:
        for kind in KINDS:
            assert set(entry[kind]) <= set(range(entry["embedding_dim"]))
            assert len(entry[kind]) > 0
    for overlap in finished[1]["overlap"].values():
        for kind in KINDS:
            jaccard = np.array(overlap[kind]["jaccard"])
            np.testing.assert_allclose(jaccard, jaccard.T)
            np.testing.assert_allclose(np.diag(jaccard), 1)


def test_overlap_in_the_summary_is_that_of_the_signatures_on_disk(finished):
    signatures = json.loads((finished[0] / "signatures.json").read_text())
    for method, overlap in finished[1]["overlap"].items():
        for kind in KINDS:
            first, second = (set(s[kind]) for s in signatures if s["method"] == method)
            n_shared = len(first & second)
            tail = hypergeom.sf(n_shared - 1, overlap["embedding_dim"], len(first), len(second))
            assert overlap[kind]["jaccard_mean"] == pytest.approx(n_shared / len(first | second))
            assert overlap[kind]["p_value"] == pytest.approx(tail, abs=0.02)


def test_summary_on_disk_is_strict_json(finished):
    def refuse(constant):
        raise AssertionError(constant)

    summary = json.loads((finished[0] / "summary.json").read_text(), parse_constant=refuse)
    assert summary["methods"] == ["baseline", "gan", "gradient-reversal"]
    assert summary["paper"]["gradient-reversal"]["brier"] == 0.063
    assert summary["settings"]["seed"] == 0


def test_a_cell_of_one_class_has_no_auc_but_a_brier_score():
    scores = score(np.array([1, 1]), np.array([[0.2, 0.8], [0.4, 0.6]]), patient=np.array(["a", "b"]))
    assert np.isnan([scores["auc"], scores["f1"], scores["balanced_accuracy"]]).all()
    assert scores["brier"] == pytest.approx((0.04 + 0.16) / 2)
    assert scores["patient_recognition_rate"] == 1


def test_perfect_and_worthless_predictions_have_the_scores_known_by_hand():
    y, patient = np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "b"])
    perfect = score(y, np.eye(2)[y], patient=patient)
    assert [perfect[name] for name in SCORES] == pytest.approx([1, 1, 1, 0, 0, 1])
    coin = score(y, np.full((4, 2), 0.5), patient=patient)
    assert coin["auc"] == 0.5
    assert coin["brier"] == 0.25
