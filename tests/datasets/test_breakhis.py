import os
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_validate

from sklearn_magdg.datasets._breakhis import load_breakhis
from sklearn_magdg.datasets._breakhis_names import parse_filename
from sklearn_magdg.images import as_paths
from tests.datasets.conftest import SLIDES, add_image

# --- the bunch ---


def test_every_field_says_what_the_names_say(root):
    bunch = load_breakhis(root)
    assert len(bunch.data) == 22
    for row, path in enumerate(bunch.data):
        parsed = parse_filename(path.rsplit("/", 1)[-1])
        assert bunch.target_names[bunch.target[row]] == parsed.label
        assert bunch.patient[row] == parsed.accession
        assert bunch.slide[row] == parsed.slide
        assert bunch.magnification[row] == parsed.magnification
        assert bunch.subtype[row] == parsed.subtype
    assert bunch.target_names.tolist() == ["benign", "malignant"]
    assert bunch.frame is None


def test_images_are_sorted_by_name_and_can_be_opened(root):
    data = load_breakhis(root).data
    names = [path.rsplit("/", 1)[-1] for path in data]
    assert names == sorted(names)
    with Image.open(data[0]) as image:
        assert image.size == (5, 1)


def test_subtypes_are_the_other_classes(root):
    bunch = load_breakhis(root, target="subtype")
    assert bunch.target_names.tolist() == ["A", "F", "PT", "TA", "DC", "LC", "MC", "PC"]
    assert bunch.target_names[bunch.target].tolist() == bunch.subtype.tolist()


def test_patients_are_accessions_or_slides(root):
    assert len(set(load_breakhis(root).patient)) == 4
    by_slide = load_breakhis(root, patient_by="slide")
    assert set(by_slide.patient) == {slide for _, slide in SLIDES}


@pytest.mark.parametrize("asked", [200, [200], ("200X",), np.array([200])])
def test_one_magnification_may_be_asked_for(root, asked):
    assert set(load_breakhis(root, magnifications=asked).magnification) == {200}


def test_frames_are_those_of_the_loaders_of_scikit_learn(root):
    bunch, arrays = load_breakhis(root, as_frame=True), load_breakhis(root)
    assert bunch.frame.columns.tolist() == ["data", "target", "patient", "slide", "magnification", "subtype"]
    pd.testing.assert_frame_equal(bunch.data, bunch.frame[["data"]])
    pd.testing.assert_series_equal(bunch.target, bunch.frame["target"])
    for name in ("target", "patient", "slide", "magnification", "subtype"):
        assert bunch.frame[name].tolist() == arrays[name].tolist()
    np.testing.assert_array_equal(as_paths(bunch.data), arrays.data)
    X, y = load_breakhis(root, return_X_y=True, as_frame=True)
    pd.testing.assert_frame_equal(X, bunch.data)
    pd.testing.assert_series_equal(y, bunch.target)


def test_frames_go_through_cross_validate(root):
    X, y = load_breakhis(root, return_X_y=True, as_frame=True)
    scores = cross_validate(DummyClassifier(), X, y, cv=3)
    assert len(scores["test_score"]) == 3


def test_data_and_target_may_come_alone(root):
    X, y = load_breakhis(root, return_X_y=True)
    bunch = load_breakhis(root)
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)


# --- where the images are ---


@pytest.mark.parametrize(
    "part", ["", "BreaKHis_v1", "BreaKHis_v1/histology_slides", "BreaKHis_v1/histology_slides/breast"]
)
def test_root_may_be_any_folder_around_the_images(root, part):
    (root / "holiday.jpg").touch()
    assert len(load_breakhis(root / part).data) == 22


def test_root_may_be_a_folder_within(root):
    bunch = load_breakhis(root / "BreaKHis_v1/histology_slides/breast/malignant", magnifications=(100, 200))
    assert set(bunch.subtype) == {"DC", "PC"}


def test_companions_of_the_operating_system_and_notes_are_passed_over(root):
    file = add_image(root, *SLIDES[0], 40)
    file.with_name("._" + file.name).touch()
    file.with_name("Thumbs.db").touch()
    (root / "BreaKHis_v1/histology_slides/breast/README.txt").touch()
    assert len(load_breakhis(root).data) == 22


def test_two_copies_of_the_set_are_refused(root):
    add_image(root, *SLIDES[0], 40, tree="copy/histology_slides/breast")
    with pytest.raises(ValueError, match="2 copies of BreaKHis"):
        load_breakhis(root)


@pytest.mark.parametrize("root_is", ["breakhis", "breakhis/deep"])
def test_what_is_being_unpacked_beside_the_set_is_passed_over(tmp_path, root_is):
    add_image(tmp_path, *SLIDES[0], 40, tree="breakhis/deep/.unfinished/histology_slides/breast")
    with pytest.raises(FileNotFoundError, match="no BreaKHis image"):
        load_breakhis(tmp_path / root_is)
    file = add_image(tmp_path, *SLIDES[0], 40, 2, tree="breakhis/deep/BreaKHis_v1/histology_slides/breast")
    assert load_breakhis(tmp_path / root_is, magnifications=None).data.tolist() == [str(file)]


@pytest.mark.parametrize("verify", [True, False])
def test_one_name_in_two_folders_is_refused(root, verify):
    file = add_image(root, *SLIDES[0], 40)
    (file.parent / "copies").mkdir()
    (file.parent / "copies" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match=r"1 images stand .* one name.*40X/SOB_.* and .*/copies/SOB_.*; keep one file"):
        load_breakhis(root, verify=verify)


def test_linked_folders_are_followed_and_circles_left(root, tmp_path_factory):
    expected = load_breakhis(root).data
    tree, elsewhere = root / "BreaKHis_v1/histology_slides/breast", tmp_path_factory.mktemp("elsewhere")
    (tree / "malignant").rename(elsewhere / "malignant")
    os.symlink(elsewhere / "malignant", tree / "malignant")
    os.symlink(tree, elsewhere / "malignant" / "circle")
    os.symlink(tree / "benign", tree / "benign again")
    assert load_breakhis(root).data.tolist() == expected.tolist()


def test_a_folder_that_cannot_be_read_is_named(root, monkeypatch):
    def scandir(folder):
        if str(folder).endswith("malignant"):
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    listed = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(OSError, match=r"The folder '.*malignant' cannot be read \(Permission denied\); make it"):
        load_breakhis(root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("breast/benign", "breast/malignant"),
        ("F_14-25197/100X", "F_14-25197/200X"),
        ("SOB_B_F_14-25197", "SOB_B_F_14-9999"),
        ("SOB_B_F_14-25197", "SOB_B_A_14-25197"),
    ],
)
def test_an_image_in_a_folder_that_says_otherwise_is_a_warning(root, old, new):
    file = add_image(root, "F", "14-25197", 100, 3)
    moved = root / str(file.relative_to(root)).replace(old, new)
    moved.parent.mkdir(parents=True, exist_ok=True)
    file.rename(moved)
    with pytest.warns(UserWarning, match=rf"1 images lie in a folder .*{moved.name}\)\. The names decide"):
        bunch = load_breakhis(root)
    row = bunch.data.tolist().index(str(moved))
    assert (bunch.target[row], bunch.slide[row], bunch.magnification[row]) == (0, "14-25197", 100)


def test_the_folder_that_is_passed_counts_and_those_above_it_do_not(root):
    folder = root / "malignant/400X"
    folder.parent.mkdir()
    (root / "BreaKHis_v1").rename(folder)
    assert len(load_breakhis(folder / "histology_slides").data) == 22
    with pytest.warns(UserWarning, match="8 images lie in a folder"):
        load_breakhis((folder / "histology_slides/breast/malignant").rename(root / "benign"), magnifications=(100, 200))


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.*extracted"):
        load_breakhis(tmp_path / "nowhere")


def test_a_folder_without_a_breakhis_image_is_refused(tmp_path):
    (tmp_path / "holiday.png").touch()
    with pytest.raises(FileNotFoundError, match="no BreaKHis image"):
        load_breakhis(tmp_path)


def test_images_outside_the_grammar_are_named(root):
    add_image(root, *SLIDES[0], 40).with_name("copy of SOB.png").touch()
    words = r"1 images do not follow the names of BreaKHis .*copy of SOB\.png\).*: pass the folder of BreaKHis itself"
    with pytest.raises(ValueError, match=words):
        load_breakhis(root)


def test_absent_magnifications_are_named(root):
    for file in root.rglob("*-40-*.png"):
        file.unlink()
    with pytest.raises(ValueError, match=r"no image at magnification \[40\].*magnifications=\(100, 200, 400\)"):
        load_breakhis(root)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"target": "grade"}, "`target` must be one of"),
        ({"patient_by": "name"}, "`patient_by` must be one of"),
        ({"magnifications": (40, 50)}, "`magnifications` must be among"),
        ({"magnifications": ()}, "`magnifications` must be among"),
        ({"magnifications": "strong"}, "`magnifications` must be among"),
    ],
)
def test_unknown_options_are_refused(root, option, words):
    with pytest.raises(ValueError, match=words):
        load_breakhis(root, **option)


# --- the real images ---


def test_the_real_images_have_the_counts_of_their_tree(breakhis_root, breakhis_tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bunch = load_breakhis(breakhis_root, as_frame=True)
    assert bunch.data["data"].tolist() == breakhis_tree["file"].tolist()
    counted = breakhis_tree.assign(target=(breakhis_tree["class"] == "malignant").astype(int))
    cells = bunch.frame.groupby(["magnification", "target"])["slide"].agg(["size", "nunique"])
    expected = counted.groupby(["magnification", "target"])["slide"].agg(["size", "nunique"])
    assert cells.to_dict("index") == expected.to_dict("index")
    n_pairs = counted.groupby(["subtype", "slide"]).ngroups
    assert bunch.frame.groupby(["subtype", "slide"]).ngroups == n_pairs
    assert f"partial: {len(counted):,} images of 7,909, {n_pairs} class-slide pairs of 82" in bunch.DESCR
    assert (bunch.inventory["found"] <= bunch.inventory["expected"]).all()


@pytest.mark.slow
def test_the_real_images_split_without_a_leak(breakhis_root, breakhis_tree):
    from sklearn_magdg.model_selection import LeaveOneMagnificationOut, audit_splits

    bunch = load_breakhis(breakhis_root)
    cv = LeaveOneMagnificationOut(4, magnifications=(100, 200))
    audit = audit_splits(cv, bunch.data, bunch.target, patient=bunch.patient, magnification=bunch.magnification)
    audit.raise_if_leaky(magnifications=True)
    assert audit.frame["n_test"].sum() == breakhis_tree["magnification"].isin([100, 200]).sum()
