import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from sklearn_magdg.cli import _printing
from sklearn_magdg.cli._app import app
from sklearn_magdg.metrics import patient_bootstrap_difference
from sklearn_magdg.study import difference_note, difference_tables, read_summary, run_study, write_report
from sklearn_magdg.study._comparison import compare_with_baseline
from tests.study.tiny import TINY

N_IMAGES = 3  # of each patient


def _fold(method, fold, *, right, held_out=100, labels=(0, 0, 0, 0, 1, 1, 1), spread=0.0):
    """Predictions of a patient per label, each giving about `right` to the true class."""
    y_true = np.repeat(labels, N_IMAGES)
    patient = [f"f{fold}p{number:02}" for number in np.repeat(np.arange(len(labels)), N_IMAGES)]
    rng = np.random.default_rng(fold)
    proba = np.where(y_true == 1, right, 1 - right) + rng.uniform(-spread, spread, len(y_true))
    frame = {"method": method, "held_out": held_out, "fold": fold, "patient": patient, "y_true": y_true}
    return pd.DataFrame(frame | {"y_proba": proba}).assign(id=[f"{fold}-{row}" for row in range(len(y_true))])


def _compare(*folds):
    predictions = pd.concat(folds, ignore_index=True)
    keys = ["method", "held_out", "fold"]
    rows = [
        dict(zip(keys, key, strict=True)) | {"auc": np.nan if part["y_true"].nunique() < 2 else 0.5}
        for key, part in predictions.groupby(keys, sort=False)
    ]
    return compare_with_baseline(pd.DataFrame(rows), predictions, seed=0)


def _columns(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


def test_differences_are_those_of_the_predictions_by_hand(finished):
    out, summary = finished
    predictions = pd.read_csv(out / "predictions.csv")
    assert list(summary["differences"]) == ["gan", "gradient-reversal"]
    for method, rows in summary["differences"].items():
        assert _columns(rows, "held_out", "fold", "n_test", "n_patients") == [
            (100, 1, 8, 8), (100, 2, 8, 8), (100, None, 16, 16)
        ]  # fmt: skip
        for row in rows[:2]:
            own, base = (
                predictions[(predictions["method"] == name) & (predictions["fold"] == row["fold"])]
                for name in (method, "baseline")
            )
            brier, brier_baseline = (((each["y_proba"] - each["y_true"]) ** 2).mean() for each in (own, base))
            auc, auc_baseline = (roc_auc_score(each["y_true"], each["y_proba"]) for each in (own, base))
            by_hand = [brier_baseline, brier, brier - brier_baseline, auc_baseline, auc, auc - auc_baseline]
            names = ("brier_baseline", "brier", "brier_difference", "auc_baseline", "auc", "auc_difference")
            assert [row[name] for name in names] == pytest.approx(by_hand)


def test_the_row_of_all_folds_pools_the_images_and_averages_the_auc(finished):
    predictions = pd.read_csv(finished[0] / "predictions.csv")
    for method, (*folds, together) in finished[1]["differences"].items():
        error = (predictions["y_proba"] - predictions["y_true"]) ** 2
        means = error.groupby(predictions["method"]).mean()
        assert together["brier_difference"] == pytest.approx(means[method] - means["baseline"])
        assert together["auc_difference"] == pytest.approx(np.mean([row["auc_difference"] for row in folds]))


def test_the_interval_is_that_of_drawing_the_folds_patients_with_the_seed_of_the_run(finished):
    predictions = pd.read_csv(finished[0] / "predictions.csv", dtype={"patient": str})
    row = finished[1]["differences"]["gan"][1]
    own, base = (
        predictions[(predictions["method"] == name) & (predictions["fold"] == 2)] for name in ("gan", "baseline")
    )
    drawn = patient_bootstrap_difference(
        "brier", base["y_true"], own["y_proba"], base["y_proba"], patient=base["patient"], random_state=TINY.seed
    )
    assert (row["low"], row["high"]) == pytest.approx((drawn.low, drawn.high))
    assert row["low"] <= row["brier_difference"] <= row["high"]


def test_a_method_that_copies_the_baseline_differs_by_exactly_0_which_is_unclear():
    folds = [_fold(name, fold, right=0.7, spread=0.2) for name in ("baseline", "copy") for fold in (1, 2)]
    ((method, rows),) = _compare(*folds).items()
    assert method == "copy"
    assert _columns(rows, "brier_difference", "low", "high", "verdict") == [(0, 0, 0, "unclear")] * 3


def test_a_method_better_in_one_fold_and_worse_in_another_helped_and_hurt():
    baseline = [_fold("baseline", fold, right=0.7, spread=0.1) for fold in (1, 2)]
    planted = [_fold("gan", 1, right=0.8, spread=0.1), _fold("gan", 2, right=0.6, spread=0.1)]
    better, worse, together = _compare(*baseline, *planted)["gan"]
    assert (better["verdict"], worse["verdict"], together["verdict"]) == ("helped", "hurt", "unclear")
    assert better["brier_difference"] < better["high"] < 0 < worse["low"] < worse["brier_difference"]


def test_a_better_score_is_no_help_where_patients_disagree():
    own = _fold("gan", 1, right=0.7)
    own.loc[own["patient"].isin(["f1p00", "f1p05"]), "y_proba"] = own["y_true"]
    own.loc[own["patient"] == "f1p06", "y_proba"] = 0.6
    (row,) = _compare(_fold("baseline", 1, right=0.7), own)["gan"]
    assert row["brier_difference"] < 0 <= row["high"]
    assert row["verdict"] == "unclear"


def test_one_patient_per_class_is_no_help_however_many_images_it_has():
    own = _fold("gan", 1, right=0.7)
    own.loc[own["patient"].isin(["f1p00", "f1p05"]), "y_proba"] = own["y_true"]
    (row,) = _compare(_fold("baseline", 1, right=0.7), own)["gan"]
    assert row["low"] < row["brier_difference"] < row["high"] == 0  # many draws hold neither of the two
    assert row["verdict"] == "unclear"


def test_rounding_of_single_precision_is_no_difference():
    own = _fold("gan", 1, right=0.7)
    own["y_proba"] += np.where(own["y_true"] == 1, 6e-8, -6e-8)
    (row,) = _compare(_fold("baseline", 1, right=0.7), own)["gan"]
    assert row["high"] < 0
    assert row["verdict"] == "unclear"


@pytest.mark.parametrize("labels", [(0, 0, 1, 1, 1), (0, 1, 1, 1, 1, 1, 1, 1)], ids=["five", "one of a class"])
def test_too_few_patients_have_a_difference_without_interval_and_verdict(labels):
    folds = [_fold(name, 1, right=right, labels=labels) for name, right in (("baseline", 0.6), ("gan", 0.9))]
    (row,) = _compare(*folds)["gan"]
    assert row["brier_difference"] == pytest.approx(0.1**2 - 0.4**2)
    assert np.isnan([row["low"], row["high"]]).all()
    assert row["verdict"] is None


def test_a_fold_of_one_class_has_a_verdict_but_no_auc():
    labels = (1,) * 6
    one = [_fold(name, 1, right=right, labels=labels) for name, right in (("baseline", 0.6), ("gan", 0.9))]
    both = [_fold(name, 2, right=right) for name, right in (("baseline", 0.6), ("gan", 0.9))]
    row, other, together = _compare(*one, *both)["gan"]
    assert row["brier_difference"] == pytest.approx(0.1**2 - 0.4**2)
    assert row["verdict"] == "helped"
    assert np.isnan([row["auc"], row["auc_difference"]]).all()
    assert together["auc"] == other["auc"] == 0.5


def test_magnifications_are_taken_together_each_and_all():
    folds = [
        _fold(name, fold, right=0.7, held_out=held_out)
        for name in ("baseline", "gan")
        for held_out in (40, "NA")
        for fold in (1, 2)
    ]
    assert _columns(_compare(*folds)["gan"], "held_out", "fold", "n_test", "n_patients") == [
        (40, 1, 21, 7), (40, 2, 21, 7), (40, None, 42, 14),
        ("NA", 1, 21, 7), ("NA", 2, 21, 7), ("NA", None, 42, 14),
        (None, None, 84, 14),
    ]  # fmt: skip


def test_the_brier_score_of_several_classes_sums_their_columns():
    labels = (0, 0, 1, 1, 2, 2)
    base, own = (_fold(name, 1, right=0.5, labels=labels).drop(columns="y_proba") for name in ("baseline", "gan"))
    columns = ["y_proba_a", "y_proba_b", "y_proba_c"]
    base[columns], own[columns] = 1 / 3, 0.8 * np.eye(3)[own["y_true"]] + 0.1 * (1 - np.eye(3)[own["y_true"]])
    (row,) = _compare(base, own)["gan"]
    assert row["brier_baseline"] == pytest.approx(6 / 9)
    assert row["brier"] == pytest.approx(0.2**2 + 2 * 0.1**2)
    assert row["verdict"] == "helped"


def test_predictions_of_other_images_are_not_compared():
    with pytest.raises(ValueError, match="predictions of gan and baseline are not of the same test images"):
        _compare(_fold("baseline", 1, right=0.7), _fold("gan", 1, right=0.7).iloc[::-1])


def test_tables_count_the_folds_and_write_a_dash_for_what_is_undefined():
    summary = {"folds": [[100, 1], [100, 2], [100, 3]], "differences": {"vrex": [
        _row(fold=1, brier_difference=-0.05, low=-0.07, high=-0.0001, verdict="helped"),
        _row(fold=2, brier_difference=0.02, low=-0.01, high=0.03, verdict="unclear", auc_difference=None),
        _row(fold=3, brier_difference=0.01),
        _row(fold=None, brier_difference=-0.01, low=-0.02, high=-0.005, verdict="helped"),
    ]}}  # fmt: skip
    (table,) = difference_tables(summary)
    assert table.note == (
        "of 3 folds the Brier score is better than the baseline's in 1 and worse in 2; the interval excludes 0 in 1: "
        "helped in 1, hurt in 0; no interval in 1"
    )
    assert [[row[1], row[6], row[9], row[10]] for row in table.rows] == [
        ["1", "-0.0500 (-0.0700 to -0.0001)", "+0.100", "helped"],
        ["2", "+0.0200 (-0.0100 to +0.0300)", "–", "unclear"],
        ["3", "+0.0100", "+0.100", "–"],
        ["all", "-0.0100 (-0.0200 to -0.0050)", "+0.100", "helped"],
    ]
    assert all(len(row) == len(table.header) for row in table.rows)


def _row(**given):
    scores = {"brier_baseline": 0.2, "brier": 0.2, "low": None, "high": None, "verdict": None}
    scores |= {"auc_baseline": 0.8, "auc": 0.9, "auc_difference": 0.1}
    return {"held_out": 100, "n_test": 9, "n_patients": 3} | scores | given


def test_many_folds_print_the_table_of_the_gan_alone():
    rows = [_row(fold=1, brier_difference=0.0)]
    for n_folds, printed in ((20, [True, True]), (21, [True, False])):
        summary = {"folds": [[100, 1]] * n_folds, "differences": {"gan": rows, "vrex": rows}}
        assert [table.is_main for table in difference_tables(summary)] == printed


def test_differences_are_on_disk_in_print_and_on_the_page(finished, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["differences"] == finished[1]["differences"]
    result = CliRunner().invoke(app, ["report", str(out)])
    page = (out / "report.html").read_text()
    assert "<h2>Fold by fold against the baseline</h2>" in page
    for text in (result.output, page):
        assert text.count("docs/evaluation.rst") == 1
        for table in difference_tables(summary):
            assert table.title in text
            for row in table.rows:
                assert row[6] in text


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (160, "Brier, baseline | Brier, method | Brier, difference"),
        (100, "| held out | fold | patients | Brier, difference"),
        (80, "| held out | fold | patients | Brier, difference"),
    ],
)
def test_a_narrow_terminal_leaves_columns_out_and_cuts_no_interval(finished, width, header, monkeypatch):
    monkeypatch.setattr(_printing, "console", Console(width=width, file=io.StringIO()))
    (table, _) = difference_tables(finished[1])
    _printing.print_table(table)
    printed = _printing.console.file.getvalue()
    assert header in printed
    assert ("AUC, difference" in printed) == (width > 80)
    assert all(row[6] in printed and row[10] in printed for row in table.rows)
    assert "…" not in printed


@pytest.mark.parametrize("methods", [("baseline",), ("gradient-reversal", "coral")], ids=["alone", "absent"])
def test_without_a_baseline_to_compare_with_there_is_no_table(finished, methods, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    summary = json.loads((out / "summary.json").read_text())
    results = pd.DataFrame({"method": methods, "held_out": 100, "fold": 1, "auc": 0.5})
    summary["differences"] = compare_with_baseline(results, results.assign(id="a", patient="p", y_true=0), seed=0)
    assert summary["differences"] == {}
    assert difference_tables(summary) == []
    assert difference_note(summary) is None
    (out / "summary.json").write_text(json.dumps(summary))
    assert "Fold by fold" not in write_report(out).read_text()
    assert "fold by fold" not in CliRunner().invoke(app, ["report", str(out)]).output


def test_a_run_without_a_baseline_has_no_differences(tmp_path):
    assert run_study(replace(TINY, methods=("gradient-reversal",)), tmp_path / "run")["differences"] == {}


def test_the_report_of_an_older_run_finds_the_same_differences_in_its_tables(finished, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    summary = json.loads((out / "summary.json").read_text())
    differences = summary.pop("differences")
    (out / "summary.json").write_text(json.dumps(summary))
    for method, rows in read_summary(out)["differences"].items():
        for row, expected in zip(rows, differences[method], strict=True):
            assert row == pytest.approx(expected)
    page = write_report(out).read_text()
    assert differences
    assert all(f"<h3>{method} against the baseline, fold by fold</h3>" in page for method in differences)
