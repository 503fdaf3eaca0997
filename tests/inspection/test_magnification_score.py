import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score

from sklearn_magdg.inspection import MagnificationScoreDisplay
from sklearn_magdg.metrics import patient_bootstrap, patient_brier_score


def scores():
    rows = [
        (method, held_out, fold, score + 0.1 * fold)
        for method, score in (("GAN", 0.4), ("CNN", 0.5))
        for held_out in ("200X", "40X", "100X")
        for fold in range(2)
    ]
    return pd.DataFrame(rows, columns=["method", "held_out", "fold", "score"])


def test_magnifications_stand_in_numeric_order():
    ax = MagnificationScoreDisplay.from_frame(scores()).ax_
    assert [text.get_text() for text in ax.get_xticklabels()] == ["40X", "100X", "200X"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["GAN", "CNN"]


def test_every_fold_and_the_mean_are_drawn():
    display = MagnificationScoreDisplay.from_frame(scores())
    folds, means = display.ax_.lines[:2]
    np.testing.assert_allclose(folds.get_ydata(), [0.4, 0.5] * 3)
    np.testing.assert_allclose(means.get_ydata(), [0.45] * 3)
    assert len(set(folds.get_xdata())) == 3
    frame = display.frame()
    np.testing.assert_allclose(frame.loc[frame["method"] == "CNN", "mean"], 0.55)


def test_missing_cells_and_undefined_scores_leave_a_gap_that_is_told():
    frame = scores()
    frame.loc[0, "score"] = np.nan  # GAN, 200X, fold 0
    frame = frame[~((frame["method"] == "GAN") & (frame["held_out"] == "40X"))]
    with pytest.warns(UserWarning, match=r"1 of 10 folds have no score \(nan\) .*: GAN at 200X\."):
        display = MagnificationScoreDisplay.from_frame(frame)
    np.testing.assert_allclose(display.ax_.lines[1].get_ydata(), [np.nan, 0.45, 0.5])
    table = display.frame()
    gap = (table["method"] == "GAN") & (table["held_out"] == "200X")
    np.testing.assert_array_equal(table["undefined"], gap.astype(int))
    hollow = display.ax_.lines[2]
    assert (hollow.get_xdata().tolist(), hollow.get_ydata().tolist()) == ([2 - 0.3], [0.5])
    assert "hollow: folds without score left out" in words_of(display)


def words_of(display):
    return display.ax_.get_legend().get_title().get_text().replace("\n", " ")


def test_a_table_without_any_score_is_refused():
    with pytest.raises(ValueError, match="None of 12 folds has a score"):
        MagnificationScoreDisplay.from_frame(scores().assign(score=np.nan))


def test_a_failed_fold_of_cross_validate_is_told():
    results, magnification = cross_validated(0)
    results["test_score"][1] = np.nan
    with pytest.warns(UserWarning, match=r"1 of 3 folds have no score \(nan\) .*: scores at 100X\."):
        display = MagnificationScoreDisplay.from_cv_results(results, magnification=magnification)
    np.testing.assert_allclose(display.frame()["mean"], [-0.1, -0.1, -0.5])
    assert list(display.frame()["undefined"]) == [1, 1, 0]


@pytest.mark.parametrize("column", ["method", "held_out", "fold"])
def test_a_row_without_its_cell_is_refused(column):
    frame = scores().assign(y_true=0, y_score=0.5).astype({column: object})
    frame.loc[3, column] = np.nan
    words = rf"`{column}` is missing for 1 samples \(the first at position 3\)"
    with pytest.raises(ValueError, match=words):
        MagnificationScoreDisplay.from_frame(frame)
    with pytest.raises(ValueError, match=words):
        MagnificationScoreDisplay.from_predictions("brier", frame)


def test_two_spellings_of_a_magnification_are_refused():
    frame = scores()
    frame.loc[0, "held_out"] = "200"
    with pytest.raises(ValueError, match=r"several ways, \['200', '200X'\]"):
        MagnificationScoreDisplay.from_frame(frame)


def test_methods_differ_without_colour():
    lines = MagnificationScoreDisplay.from_frame(scores()).ax_.lines
    assert lines[1].get_marker() != lines[3].get_marker()


def test_scores_of_predictions_are_computed_per_cell():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "method": "CNN",
            "held_out": np.repeat([400, 40], 14),
            "fold": np.tile([0, 1], 14),
            "y_true": rng.integers(0, 2, 28),
            "label": rng.integers(0, 2, 28),
        }
    )
    display = MagnificationScoreDisplay.from_predictions(accuracy_score, frame, y_score="label")
    cell = frame[(frame["held_out"] == 40) & (frame["fold"] == 1)]
    row = display.frame().query("held_out == 40 and fold == 1")
    assert row["score"].item() == accuracy_score(cell["y_true"], cell["label"])
    assert display.ax_.get_ylabel() == "accuracy_score"
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["40X", "400X"]


def patient_predictions():
    """14 patients of 3 images in two folds at two magnifications, by two methods of which one is sharper."""
    rng = np.random.default_rng(0)
    rows = [
        (method, held_out, patient % 4 // 2, patient % 2, np.clip(0.5 + sign * (patient % 2 - 0.5), 0, 1), patient)
        for method, sign in (("CNN", 0.4), ("GAN", 0.8))
        for held_out in (400, 40)
        for patient in range(14)
        for _ in range(3)
    ]
    frame = pd.DataFrame(rows, columns=["method", "held_out", "fold", "y_true", "y_score", "patient"])
    frame["y_score"] = np.clip(frame["y_score"] + rng.normal(scale=0.2, size=len(frame)), 0, 1)
    return frame


def test_with_patients_the_large_point_is_the_pool_with_its_patient_interval():
    frame = patient_predictions()
    display = MagnificationScoreDisplay.from_predictions(
        brier_score_loss, frame, patient="patient", n_resamples=99, confidence_level=0.9, random_state=3
    )
    for row in display.intervals.itertuples():
        part = frame[(frame["method"] == row.method) & (frame["held_out"] == row.held_out)]
        options = {"patient": part["patient"], "n_resamples": 99, "confidence_level": 0.9, "random_state": 3}
        expected = patient_bootstrap(brier_score_loss, part["y_true"], part["y_score"], **options)
        assert (row.pooled, row.low, row.high) == tuple(expected)
        assert row.pooled == pytest.approx(np.mean((part["y_true"] - part["y_score"]) ** 2))
    cnn = display.intervals.query("method == 'CNN'").set_index("held_out").loc[[40, 400]]
    np.testing.assert_array_equal(display.ax_.lines[1].get_ydata(), cnn["pooled"])
    segments = display.ax_.collections[0].get_segments()
    np.testing.assert_array_equal([segment[:, 1] for segment in segments], cnn[["low", "high"]])
    assert {"fold", "score", "mean", "pooled", "low", "high"} <= set(display.frame().columns)
    assert len(display.frame()) == 8


def test_points_and_bars_are_explained():
    assert words_of(MagnificationScoreDisplay.from_frame(scores())) == "small: one fold; large: mean over folds"
    options = {"patient": "patient", "n_resamples": 99, "confidence_level": 0.9, "random_state": 0}
    display = MagnificationScoreDisplay.from_predictions("brier", patient_predictions(), **options)
    expected = "small: one fold; large: all images, folds pooled; bar: 90 % interval over patients"
    assert words_of(display) == expected


def test_fold_points_stand_left_of_the_interval_by_a_share_of_the_place():
    options = {"patient": "patient", "n_resamples": 99, "random_state": 0}
    display = MagnificationScoreDisplay.from_predictions("brier", patient_predictions(), **options)
    folds, pooled = display.ax_.lines[:2]
    assert set(np.round(folds.get_xdata() - np.repeat(pooled.get_xdata(), 2)[::-1], 9)) == {-0.04}


@pytest.mark.parametrize("patient", [None, "patient"])
@pytest.mark.parametrize(
    ("name", "function", "label"),
    [
        ("brier", brier_score_loss, "Brier score"),
        ("neg_brier_score", lambda y, p: -brier_score_loss(y, p), "negative Brier score"),
        ("roc_auc", roc_auc_score, "AUC"),
    ],
)
def test_a_metric_may_be_given_by_name(name, function, label, patient):
    options = {"patient": patient, "n_resamples": 99, "random_state": 0}
    display = MagnificationScoreDisplay.from_predictions(name, patient_predictions(), **options)
    expected = MagnificationScoreDisplay.from_predictions(function, patient_predictions(), **options)
    pd.testing.assert_frame_equal(display.frame(), expected.frame())
    assert display.ax_.get_ylabel() == label


@pytest.mark.parametrize("patient", [None, "patient"])
def test_a_cell_may_lack_a_class_of_the_table(patient):
    frame = patient_predictions().assign(y_true=lambda table: np.array(["benign", "malignant"])[table["y_true"]])
    frame = frame[(frame["held_out"] == 40) | (frame["y_true"] == "benign")]
    options = {"patient": patient, "n_resamples": 99, "random_state": 0}
    display = MagnificationScoreDisplay.from_predictions("brier", frame, **options)
    part = frame.query("method == 'CNN' and held_out == 400 and fold == 0")
    row = display.frame().query("method == 'CNN' and held_out == 400 and fold == 0")
    assert row["score"].item() == pytest.approx(np.mean(part["y_score"] ** 2))


def test_a_metric_of_patients_gets_them_in_every_fold():
    frame = patient_predictions()
    options = {"patient": "patient", "n_resamples": 99, "random_state": 0}
    display = MagnificationScoreDisplay.from_predictions(patient_brier_score, frame, **options)
    part = frame.query("method == 'CNN' and held_out == 400 and fold == 0")
    row = display.frame().query("method == 'CNN' and held_out == 400 and fold == 0")
    expected = patient_brier_score(part["y_true"], part["y_score"], patient=part["patient"])
    assert row["score"].item() == pytest.approx(expected)


def test_a_metric_without_a_name_is_called_a_score():
    display = MagnificationScoreDisplay.from_predictions(lambda y, p: np.mean(p), patient_predictions())
    assert display.ax_.get_ylabel() == "score"


def test_a_name_for_several_results_is_refused():
    results, magnification = cross_validated(0)
    with pytest.raises(ValueError, match=r"one method, got 'net' with \['CNN', 'GAN'\]"):
        MagnificationScoreDisplay.from_cv_results(
            {"CNN": results, "GAN": results}, magnification=magnification, name="net"
        )


def cross_validated(shift):
    """Scores of 3 folds: 100X, 100X, then 40X."""
    magnification = np.array(["100X", "40X"]).repeat([4, 2])
    tests = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
    return {"test_score": np.array([-0.1, -0.3, -0.5]) - shift, "indices": {"test": tests}}, magnification


def test_folds_of_cross_validate_stand_at_the_magnification_of_their_test_part():
    plain, magnification = cross_validated(0)
    methods = {"CNN": plain, "GAN": cross_validated(0.1)[0]}
    display = MagnificationScoreDisplay.from_cv_results(
        methods, magnification=magnification, negate_score=True, score_name="Brier score"
    )
    frame = display.frame()
    assert list(frame["held_out"]) == ["100X", "100X", "40X"] * 2
    np.testing.assert_allclose(frame["score"], [0.1, 0.3, 0.5, 0.2, 0.4, 0.6])
    np.testing.assert_allclose(display.ax_.lines[1].get_ydata(), [0.5, 0.2])
    assert display.ax_.get_ylabel() == "Brier score"
    one = MagnificationScoreDisplay.from_cv_results(plain, magnification=magnification, name="CNN")
    assert [text.get_text() for text in one.ax_.get_legend().get_texts()] == ["CNN"]
    np.testing.assert_allclose(one.frame()["score"], [-0.1, -0.3, -0.5])


def test_results_that_cannot_be_placed_are_refused():
    results, magnification = cross_validated(0)
    with pytest.raises(ValueError, match="of fold 0 has \\['40X', '100X'\\]; cross-validate with"):
        MagnificationScoreDisplay.from_cv_results(results, magnification=magnification[::-1].repeat(2)[3:9])
    with pytest.raises(ValueError, match="return_indices=True"):
        MagnificationScoreDisplay.from_cv_results({"test_score": [0.1]}, magnification=magnification)
    with pytest.raises(ValueError, match=r"needs 'test_auc', got \['indices', 'test_score'\]"):
        MagnificationScoreDisplay.from_cv_results(results, magnification=magnification, score="test_auc")


@pytest.mark.parametrize(("length", "columns"), [(5, 3), (30, 2), (31, 1), (200, 1)])
def test_long_names_stand_below_each_other(length, columns):
    frame = pd.concat([scores().assign(method=f"{k}" + "x" * (length - 1)) for k in range(3)])
    assert MagnificationScoreDisplay.from_frame(frame).ax_.get_legend()._ncols == columns


def test_given_axes_and_another_column_are_used():
    figure, ax = plt.subplots()
    frame = scores().rename(columns={"score": "auc"})
    display = MagnificationScoreDisplay.from_frame(frame, score="auc", ax=ax)
    assert (display.ax_, display.figure_) == (ax, figure)
    assert ax.get_ylabel() == "auc"
    assert list(frame.columns) == ["method", "held_out", "fold", "auc"]


def test_errors_say_what_came(monkeypatch):
    with pytest.raises(ValueError, match=r"got 12 rows without \['fold'\]"):
        MagnificationScoreDisplay.from_frame(scores().drop(columns="fold"))
    with pytest.raises(ValueError, match="got 0 rows"):
        MagnificationScoreDisplay.from_frame(scores().iloc[:0])
    with pytest.raises(ValueError, match=r"without \['y_true', 'y_score'\]"):
        MagnificationScoreDisplay.from_predictions(accuracy_score, scores())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-magdg\[report\]"):
        MagnificationScoreDisplay.from_frame(scores())
