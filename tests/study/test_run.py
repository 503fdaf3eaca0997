from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sklearn_magdg.datasets import load_breakhis
from sklearn_magdg.study import StudyConfig, load_study_data, run_study, write_report
from sklearn_magdg.study._protocol import list_folds
from sklearn_magdg.study._scores import score
from tests.study.tiny import TINY

BASELINE = replace(TINY, methods=("baseline",))


def test_folds_share_neither_patient_nor_magnification_and_the_encoder_is_blind_to_the_signature():
    data = load_study_data(TINY)
    patient, magnification = data.patient.values(), data.magnification.values()
    folds = list_folds(data, TINY)
    assert [fold.number for fold in folds] == [1, 2]
    for fold in folds:
        assert set(magnification[fold.test]) == {100}
        assert 100 not in magnification[fold.train]
        assert not set(patient[fold.train]) & set(patient[fold.test])
        assert not set(patient[fold.encoder]) & set(patient[fold.signature])
        assert sorted([*fold.encoder, *fold.signature]) == fold.train.tolist()
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == np.flatnonzero(magnification == 100).tolist()


def test_interrupted_run_leaves_no_results_and_goes_on_to_the_same_numbers(tmp_path):
    whole, part = tmp_path / "whole", tmp_path / "part"

    def interrupt(method, fold, result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(BASELINE, part, on_fold=interrupt)
    assert not (part / "results.csv").exists()
    assert not (part / "summary.json").exists()

    ran, starts = [], []
    run_study(
        BASELINE,
        part,
        on_start=lambda data, folds, total, done: starts.append((total, done)),
        on_fold=lambda method, fold, result: ran.append(fold and fold.number),
    )
    assert starts == [(3, 1)]  # two folds and the shared encoder
    assert ran == [2, None]
    run_study(BASELINE, whole)
    once, resumed = (pd.read_csv(out / "results.csv").drop(columns="seconds") for out in (whole, part))
    pd.testing.assert_frame_equal(once, resumed)
    for name in ("predictions.csv", "signatures.json"):
        assert (whole / name).read_text() == (part / name).read_text()


def test_another_runs_results_are_kept_unless_fresh(tmp_path):
    out = tmp_path / "run"
    run_study(BASELINE, out)
    before = (out / "results.csv").read_text()
    (out / "notes.txt").write_text("mine")
    other = replace(BASELINE, seed=1)
    with pytest.raises(ValueError, match="holds another run's results"):
        run_study(other, out)
    assert (out / "results.csv").read_text() == before
    run_study(other, out, fresh=True)
    assert (out / "results.csv").read_text() != before
    assert (out / "notes.txt").read_text() == "mine"


def test_a_folder_of_other_files_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(ValueError, match="is not empty and holds no run of magdg"):
            run_study(BASELINE, tmp_path, fresh=fresh)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def _manifest(folder, *, labels=("a", "b"), magnifications=(40, 100), n_patients=16, broken=False):
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(n_patients):
        for magnification in magnifications:
            name = f"{patient}-{magnification}.png"
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / name)
            rows.append((name, labels[patient % len(labels)], f"p{patient}", magnification))
    if broken:
        whole = (folder / rows[-1][0]).read_bytes()
        (folder / rows[-1][0]).write_bytes(whole[: len(whole) // 2])
    table = folder / "images.csv"
    pd.DataFrame(rows, columns=["path", "target", "patient", "magnification"]).to_csv(table, index=False)
    return str(table)


def test_a_manifest_is_studied_like_breakhis(tmp_path):
    table = _manifest(tmp_path)
    config = replace(BASELINE, data=table, held_out=None, methods=("baseline", "vrex"))
    summary = run_study(config, tmp_path / "run")
    assert summary["held_out"] == [40, 100]
    assert summary["class_names"] == ["a", "b"]
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert set(predictions["id"]) == {f"{p}-{m}.png" for p in range(16) for m in (40, 100)}
    assert any("penalty='vrex' compares magnifications, got 1" in text for text in summary["warnings"])


def test_three_classes_get_a_probability_column_each(tmp_path):
    table = _manifest(tmp_path, labels=("a", "b", "c"), n_patients=24)
    config = replace(BASELINE, data=table, held_out=(40,), methods=("baseline", "vrex"))
    summary = run_study(config, tmp_path / "run")
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    columns = ["y_proba_a", "y_proba_b", "y_proba_c"]
    np.testing.assert_allclose(predictions[columns].sum(axis=1), 1)
    error = pd.Series(np.sum((predictions[columns].to_numpy() - np.eye(3)[predictions["y_true"]]) ** 2, axis=1))
    brier = error.groupby([predictions["method"], predictions["fold"]]).mean()
    for row in summary["differences"]["vrex"][:2]:
        assert row["brier_difference"] == pytest.approx(brier["vrex", row["fold"]] - brier["baseline", row["fold"]])
    assert "vrex against the baseline, fold by fold" in write_report(tmp_path / "run").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ("baselin",)}, "There is no method 'baselin'; did you mean 'baseline'"),
        ({"methods": ()}, "at least one method"),
        ({"backbone": "resnet81"}, "did you mean"),
        ({"methods": ("gan",), "image_size": 40}, "multiple of 16 from 32 to 128, got 40"),
        ({"folds": 17}, "16 patients, fewer than 17 folds"),
        ({"lr": -1.0}, "'lr' parameter"),
        ({"methods": ("gan",), "gan_ratio": -1.0}, "'ratio' parameter"),
        ({"backbone": "alexnet"}, r"cannot take images of shape \(32, 32, 3\)"),
        ({"target": "subtype"}, "options of BreaKHis"),
        ({"held_out": (50,)}, r"holds out \[50\], but the data have \[40, 100, 200, 400\]"),
        ({"data": "no/such/folder"}, "neither a folder nor a file 'no/such/folder'"),
        ({"signature_fraction": 1.0}, "between 0 and 1, got 1.0"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(change, message, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run_study(replace(BASELINE, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"labels": ("a",)}, "images of at least 2 classes, got only 'a'"),
        ({"magnifications": (100,)}, "needs at least 2 magnifications, got 1"),
        ({"broken": True}, "Cannot read .*15-100.png"),
    ],
)
def test_spoilt_collections_are_refused_before_anything_is_written(spoilt, message, tmp_path):
    table = _manifest(tmp_path, **spoilt)
    with pytest.raises(ValueError, match=message):
        run_study(replace(BASELINE, data=table, held_out=None), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_magnifications_to_hold_out_may_be_spelled_as_people_do(tmp_path):
    table = _manifest(tmp_path, magnifications=(2.5, 10))
    summary = run_study(replace(BASELINE, data=table, held_out=("2.5X",)), tmp_path / "run")
    assert summary["held_out"] == [2.5]


def test_too_few_patients_for_an_honest_signature_leave_it_out_with_a_warning(tmp_path):
    honest = pytest.warns(UserWarning, match="signature of unseen patients, which is left out")
    shared = pytest.warns(UserWarning, match="signatures of a shared encoder, which are left out")
    with honest, shared:
        summary = run_study(replace(BASELINE, n_patients=8), tmp_path / "run")
    row = summary["table"][0]
    assert np.isnan(row["signature_size"])
    assert row["in_sample_signature_size"] >= 1
    assert not list((tmp_path / "run" / "folds").glob("*-shared.json"))
    write_report(tmp_path / "run")
    assert [file.name for file in (tmp_path / "run" / "figures").glob("*overlap*")] == [
        "signature_overlap_in_sample.png"
    ]


def test_a_test_cell_without_one_of_three_classes_is_scored_all_the_same():
    scores = score(np.array([0, 0, 1]), np.eye(3)[[0, 1, 1]], patient=np.array(["a", "b", "c"]))
    assert np.isnan(scores["auc"])
    assert scores["brier"] == pytest.approx(2 / 3)  # one of three predictions misses both coordinates


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_subtypes_of_the_real_images_get_a_probability_column_each(breakhis_root, tmp_path):
    config = replace(BASELINE, data=str(breakhis_root), target="subtype", held_out=(200,), folds=2)
    summary = run_study(config, tmp_path / "run")
    columns = [f"y_proba_{name}" for name in summary["class_names"]]
    present = load_breakhis(breakhis_root, magnifications=None, target="subtype").target
    assert len(columns) == len(np.unique(present))  # a part of BreaKHis may lack a subtype
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    np.testing.assert_allclose(predictions[columns].sum(axis=1), 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:There are too few patients by class for signatures of a shared encoder")
def test_real_images_are_studied_with_new_patients_at_a_new_magnification(breakhis_root, tmp_path):
    config = StudyConfig(
        data=str(breakhis_root), held_out=(100, 200), folds=2, image_size=32, epochs=1, gan_epochs=1, gan_width=2
    )
    summary = run_study(config, tmp_path / "run")
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert summary["class_names"] == ["benign", "malignant"]
    for _, part in predictions.groupby(["method", "held_out"]):
        assert part["id"].is_unique
        assert part.groupby("patient")["fold"].nunique().eq(1).all()
    counts = predictions[predictions["method"] == "gan"].groupby("held_out").size()
    magnification = load_breakhis(breakhis_root).magnification
    assert counts.to_dict() == {each: np.sum(magnification == each) for each in (100, 200)}
