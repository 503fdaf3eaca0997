import hashlib
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from sklearn_magdg.cli._app import app
from sklearn_magdg.datasets._breakhis_inventory import read_slides
from sklearn_magdg.model_selection import LeaveOneMagnificationOut

PATIENTS = {"14-100A": "benign", "14-100B": "malignant", "P3": "benign", "P4": "malignant"}


@pytest.fixture
def manifest(tmp_path):
    """Four patients at two magnifications, an image each; one stands twice, in two formats."""
    rng = np.random.default_rng(0)
    rows = []
    for patient, target in PATIENTS.items():
        for magnification in ("40X", "100X"):
            file = f"{patient}-{magnification}.bmp"
            Image.fromarray(rng.integers(0, 256, size=(13, 17, 3), dtype=np.uint8)).save(tmp_path / file)
            rows.append({"path": file, "target": target, "patient": patient, "magnification": magnification})
    Image.open(tmp_path / "P3-40X.bmp").save(tmp_path / "P4-100X.bmp", "PNG")  # a PNG under a name of its own
    table = tmp_path / "images.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


def _audit(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def _cells(output):
    """Rows of all printed tables, by their first cell."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in output.splitlines() if line.startswith("|")]
    return {first: cells for first, *cells in rows}


def test_the_counts_of_a_small_manifest_agree_with_a_count_by_hand(manifest):
    result = _audit(manifest, "--folds", 4)
    assert result.exit_code == 0, result.output
    assert "8 images of images.csv, 4 patients" in result.output
    rows = _cells(result.output)
    header = ["folds", "patients", "magnifications", "accessions", "identical", "empty cells"]
    assert rows["splitter"] == header
    assert rows["GroupKFold on patient"] == ["4", "0", "4 (8)", "2 (4)", "2 (2)", "4"]
    assert rows["LeaveOneGroupOut on magnification"] == ["2", "2 (8)", "0", "2 (4)", "2 (2)", "0"]
    assert rows["LeaveOneMagnificationOut"] == ["8", "0", "0", "4 (4)", "2 (2)", "8"]
    assert "official hold-outs" not in rows
    assert re.search(r"Patients that were trained on are tested by .*LeaveOneGroupOut on magnification", result.output)
    assert not re.search(r"Patients that were trained on are tested by .*GroupKFold", result.output)


def test_a_damaged_image_stops_the_audit_unless_it_is_skipped(manifest):
    manifest.with_name("P3-100X.bmp").write_bytes(b"BM")
    result = _audit(manifest, "--folds", 2)
    assert result.exit_code == 2
    assert re.search(r"P3-100X\.bmp.*--skip-damaged", result.output, flags=re.DOTALL)
    assert "on_damaged" not in result.output
    with pytest.warns(UserWarning, match="1 of 8 image files cannot be read"):
        result = _audit(manifest, "--folds", 2, "--skip-damaged")
    assert result.exit_code == 0, result.output
    assert "7 images of images.csv" in result.output


def test_the_folds_of_the_study_are_shown_in_detail(manifest):
    rows = _cells(_audit(manifest, "--folds", 4, "--held-out", "100").output)
    assert rows["fold"][:3] == ["held out", "train (benign + malignant)", "test (benign + malignant)"]
    folds = [rows[str(fold)] for fold in range(4)]
    assert {fold[0] for fold in folds} == {"100X"}
    assert sorted(fold[2] for fold in folds) == ["1 (0 + 1)"] * 2 + ["1 (1 + 0)"] * 2
    assert [fold[6] for fold in folds].count("1!") == 1
    assert "4" not in rows


@pytest.mark.parametrize(("wanted", "columns"), [("near", ["identical", "near"]), ("none", [])])
def test_what_is_not_looked_for_has_no_column(manifest, wanted, columns):
    header = _cells(_audit(manifest, "--duplicates", wanted).output)["splitter"]
    assert [name for name in header if name in ("identical", "near")] == columns


def test_the_study_with_too_few_patients_is_named_and_the_rest_still_shown(manifest):
    result = _audit(manifest, "--folds", 5)
    assert result.exit_code == 0, result.output
    assert "LeaveOneMagnificationOut cannot be used: Magnification 40 has 4 patients" in result.output
    assert "lower --folds to at most 4, hold out only others (--held-out), or add patients." in result.output
    rows = _cells(result.output)
    assert rows["KFold, shuffled"][0] == "5"
    assert rows["LeaveOneMagnificationOut"][0] == "–"
    assert "Folds of LeaveOneMagnificationOut" not in result.output


def test_one_fold_of_all_patients_is_named_by_the_options_of_the_command(manifest):
    result = _audit(manifest, "--folds", 1)
    assert result.exit_code == 0, result.output
    assert "LeaveOneMagnificationOut cannot be used: Nothing is left to train on" in result.output
    assert "of its patients; raise --folds, or add patients." in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "neither a folder nor a file 'nowhere'"),
        (["images.csv", "--held-out", "50"], "--held-out holds out [50], but the data have [40, 100]"),
        (["images.csv", "--target", "subtype"], "options of BreaKHis"),
        (["broken.csv"], "Cannot read"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(manifest, arguments, message, monkeypatch):
    monkeypatch.chdir(manifest.parent)
    (manifest.parent / "broken.bmp").write_bytes(b"BM")
    (manifest.parent / "broken.csv").write_text("path,target,patient,magnification\nbroken.bmp,a,1,40\n")
    result = _audit(*arguments)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_an_interrupt_ends_it_quietly(manifest, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_magdg.study._audit.audit_folds", interrupted)
    result = _audit(manifest)
    assert result.exit_code == 130
    assert result.output == "Interrupted.\n"


def _crossing(ids, tested):
    """Number of folds with an id on both sides and, in brackets, of the tests of an image concerned."""
    numbers = np.array([ids[test].isin(ids[~test]).sum() for _, test in tested.loc[ids.index].items()])
    return f"{np.sum(numbers > 0)} ({numbers.sum():,})" if numbers.any() else "0"


def _digest(file):
    with Image.open(file) as image:
        return hashlib.sha256(np.asarray(image.convert("RGB")).tobytes()).hexdigest()


def _count_empty(tree, splits):
    """Number of splits with a side that lacks a class at one of its magnifications."""
    least = [[tree.iloc[side].groupby("magnification")["class"].nunique().min() for side in pair] for pair in splits]
    return str(np.sum(np.min(least, axis=1) < 2))


def _leaks_of_the_official_hold_outs(tree):
    """Row of the table for images by slide, without the number of folds."""
    tested = tree.merge(read_slides(), how="left", on=["subtype", "slide"]).filter(like="fold") == "test"
    several = tree.groupby("accession")["slide"].transform("nunique") > 1
    identity = tree["slide"], tree["magnification"], tree["accession"][several], tree["file"].map(_digest)
    splits = [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tested.to_numpy().T]
    return [*(_crossing(ids, tested) for ids in identity), "0", _count_empty(tree, splits)]


def _empty_folds_of_the_study(tree):
    cv = LeaveOneMagnificationOut(5, magnifications=[100, 200], shuffle=True, random_state=0)
    patient, magnification = tree["slide"].to_numpy(dtype=object), tree["magnification"].to_numpy()
    return _count_empty(tree, cv.split(tree["file"], tree["class"], patient=patient, magnification=magnification))


@pytest.mark.slow
def test_the_real_images_by_slide_show_what_the_official_hold_outs_leak(breakhis_root, breakhis_tree):
    result = _audit(breakhis_root, "--patient-by", "slide", "--held-out", "100,200", "--duplicates", "near")
    assert result.exit_code == 0, result.output
    rows = _cells(result.output)
    assert rows["official hold-outs"] == ["5", *_leaks_of_the_official_hold_outs(breakhis_tree)]
    assert rows["LeaveOneMagnificationOut"][:3] == ["10", "0", "0"]
    assert rows["LeaveOneMagnificationOut"][4:] == ["0", "0", _empty_folds_of_the_study(breakhis_tree)]
