import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import GroupKFold

from sklearn_magdg.datasets._breakhis import load_breakhis
from sklearn_magdg.datasets._breakhis_inventory import read_inventory, read_slides, verify_images
from tests.datasets.conftest import SLIDES, add_image, breakhis_name


def one_line(text):
    return " ".join(text.split())


@pytest.fixture
def full_set(tmp_path):
    """A row per image of the inventory, as the loader's index has it, all in one empty file."""
    file = tmp_path / "empty.png"
    file.touch()
    inventory = read_inventory()
    return inventory.loc[inventory.index.repeat(inventory["expected"])].assign(data=str(file))


# --- the full set ---


def test_the_inventory_has_the_published_numbers():
    inventory = read_inventory()
    assert inventory["expected"].sum() == 7909
    counts = inventory.groupby(["magnification", "label"])["expected"].sum().unstack()
    assert counts.loc[[40, 100, 200, 400], "benign"].tolist() == [625, 644, 623, 588]
    assert counts.loc[[40, 100, 200, 400], "malignant"].tolist() == [1370, 1437, 1390, 1232]
    slides = inventory.drop_duplicates(["subtype", "slide"])
    assert slides["subtype"].value_counts().to_dict() == {
        "A": 4, "F": 10, "PT": 3, "TA": 7, "DC": 38, "LC": 5, "MC": 9, "PC": 6,
    }  # fmt: skip
    assert slides["slide"].nunique() == 81
    assert inventory["expected"].agg(["min", "max"]).tolist() == [1, 66]
    least = inventory[inventory["expected"] == 1]
    assert least[["subtype", "slide", "magnification"]].values.tolist() == [["DC", "14-4364", 40]]


# --- what is missing or too much ---


def test_a_partial_collection_is_named_so_without_a_warning(root):
    bunch = load_breakhis(root)
    assert "partial: 22 images of 7,909, 5 class-slide pairs of 82" in bunch.DESCR
    row = bunch.inventory.query("slide == '14-22549AB' and magnification == 100").iloc[0]
    assert row[["found", "expected", "missing", "extra"]].tolist() == [2, 30, 28, 0]
    assert len(bunch.inventory) == 82 * 4
    assert bunch.inventory["missing"].sum() == 7909 - 22


def test_the_description_names_every_slide_that_is_missing_or_incomplete(root):
    lines = one_line(load_breakhis(root).DESCR)
    absent, incomplete = lines.split("Wholly missing, with images expected (77): ")[1].split(" Incomplete, ")
    for row in read_slides().itertuples():
        name, total = f"{row.subtype}-{row.slide}", row.n_40x + row.n_100x + row.n_200x + row.n_400x
        found = 6 if row.slide == SLIDES[0][1] else 4
        loaded = (row.subtype, row.slide) in SLIDES
        assert (f"{name} ({total})" in absent) != loaded
        assert (f"{name} ({found} of {total})" in incomplete) == loaded


def test_no_line_of_the_description_is_too_wide_and_none_breaks_within_a_slide(root):
    lines = load_breakhis(root).DESCR.splitlines()
    assert max(map(len, lines)) <= 110
    assert not [line for line in lines if line.count("(") != line.count(")") and "-14-" in line]


def test_only_the_magnifications_that_are_asked_for_are_counted(root):
    bunch = load_breakhis(root, magnifications=(100, 200))
    assert "partial: 20 images of 4,094" in bunch.DESCR
    assert set(bunch.inventory["magnification"]) == {100, 200}


def test_a_complete_set_is_named_so(full_set):
    report = verify_images(full_set, read_inventory()).report
    assert report.startswith("This collection is complete: all 7,909 images of the magnifications loaded.\n")
    assert "missing" not in report


def test_one_image_less_than_the_full_set_is_named(full_set):
    lost = np.flatnonzero(full_set["slide"] == "15-190EF")[0]
    verified = verify_images(full_set.iloc[np.arange(len(full_set)) != lost], read_inventory())
    assert verified.inventory["missing"].sum() == 1
    assert "partial: 7,908 images of 7,909, 82 class-slide pairs of 82" in verified.report
    assert "Wholly missing, with images expected (0): none." in verified.report
    assert "Incomplete, with images found of expected (1): PC-15-190EF (64 of 65)." in verified.report


def test_more_images_than_the_full_set_has_are_a_warning_that_names_the_slide(root):
    add_image(root, "DC", "14-4364", 40, 1)
    add_image(root, "DC", "14-4364", 40, 2)
    words = "DC-14-4364 at 40X: 2 images instead of 1"
    with pytest.warns(UserWarning, match=words):
        bunch = load_breakhis(root)
    assert f"More than the full set has: {words}." in bunch.DESCR
    assert "partial: 23 images of 7,909" in bunch.DESCR
    assert bunch.inventory.query("extra > 0")[["slide", "found", "extra"]].values.tolist() == [["14-4364", 2, 1]]
    load_breakhis(root, verify=False)


def test_an_unknown_slide_is_a_warning_that_names_it(root):
    add_image(root, "PC", "16-99999", 100)
    with pytest.warns(UserWarning, match=r"PC-16-99999 at 100X: 1 images instead of 0"):
        bunch = load_breakhis(root)
    assert len(bunch.data) == 23
    assert "partial: 22 images of 7,909, 5 class-slide pairs of 82" in bunch.DESCR
    assert load_breakhis(root, verify=False).inventory is None


# --- one picture under two subtypes ---


@pytest.fixture
def twins(root):
    """Slide 14-13412 in DC and LC: two pictures in both at 100X and 200X, another in each alone."""
    for magnification, sequence in itertools.product((100, 200), (1, 2, 3)):
        for subtype, level in (("DC", 0), ("LC", 9)):
            grey = 10 * sequence if sequence < 3 else 50 + level
            # sequence numbers do not line up
            file = add_image(root, subtype, "14-13412", magnification, sequence + level, grey=grey)
            with Image.open(file) as image:
                image.load()
            image.save(file, compress_level=level)
    return root


def test_one_picture_under_two_subtypes_is_found_though_its_files_differ(twins):
    duplicates = load_breakhis(twins).duplicates
    assert duplicates.columns.tolist() == [
        "slide", "magnification", "subtype", "path", "other_subtype", "other_path",
    ]  # fmt: skip
    names = [(Path(row.path).name, Path(row.other_path).name) for row in duplicates.itertuples()]
    assert names == [
        (breakhis_name("DC", "14-13412", magnification, n), breakhis_name("LC", "14-13412", magnification, n + 9))
        for magnification in (100, 200)
        for n in (1, 2)
    ]
    for row in duplicates.itertuples():
        assert (row.slide, row.subtype, row.other_subtype) == ("14-13412", "DC", "LC")
        assert f"-{row.magnification}-" in row.path
        assert Path(row.path).read_bytes() != Path(row.other_path).read_bytes()


def test_one_picture_under_two_subtypes_stands_in_the_description(twins):
    words = "Pixel-identical images under two subtypes: 14-13412 in DC and LC, 4 pairs."
    assert words in load_breakhis(twins).DESCR
    assert "14-13412 in DC and LC, 2 pairs" in load_breakhis(twins, magnifications=100).DESCR
    for file in twins.rglob("*LC-14-13412*"):
        file.unlink()
    bunch = load_breakhis(twins)
    assert bunch.duplicates.empty
    assert "No slide has pixel-identical images under two subtypes." in bunch.DESCR


def test_one_picture_under_two_labels_is_a_warning(twins):
    with pytest.warns(UserWarning, match=r"14-13412 in DC and LC, 4 pairs.*one picture, two labels"):
        bunch = load_breakhis(twins, target="subtype")
    path = dict(zip(bunch.data, bunch.target, strict=True))
    pair = bunch.duplicates.iloc[0]
    assert path[pair["path"]] != path[pair["other_path"]]
    assert load_breakhis(twins, target="subtype", verify=False).duplicates is None


@pytest.mark.parametrize("patient_by", ["accession", "slide"])
def test_both_readings_of_a_patient_keep_a_picture_on_one_side(twins, patient_by):
    bunch = load_breakhis(twins, patient_by=patient_by)
    for train, test in GroupKFold(3).split(bunch.data, groups=bunch.patient):
        sides = bunch.duplicates[["path", "other_path"]].isin(bunch.data[test])
        assert (sides["path"] == sides["other_path"]).all()
        assert len(train) + len(test) == len(bunch.data)


def test_no_other_slide_is_decoded(twins):
    for file in twins.rglob("*.png"):
        if "14-13412" not in file.name:
            file.write_bytes(b"no image")
    bunch = load_breakhis(twins)
    assert len(bunch.duplicates) == 4
    assert "cannot be read" not in bunch.DESCR


def overwrite(file):
    file.write_bytes(b"no image")


def dangle(file):
    file.unlink()
    file.symlink_to("nowhere.png")


@pytest.mark.parametrize("damage", [overwrite, dangle])
def test_a_damaged_image_among_them_is_not_compared_and_counted(twins, damage):
    damage(next(twins.rglob("*LC-14-13412-100-010.png")))
    bunch = load_breakhis(twins)
    assert len(bunch.duplicates) == 3
    assert "3 pairs. 1 images under two subtypes cannot be read and were not compared." in bunch.DESCR


# --- the real images ---


def test_the_real_part_is_described_slide_by_slide(breakhis_root, breakhis_tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bunch = load_breakhis(breakhis_root, as_frame=True)
    found = breakhis_tree.groupby(["subtype", "slide"]).size()
    expected = read_inventory().groupby(["subtype", "slide"])["expected"].sum()[found.index]
    assert f"partial: {found.sum():,} images of 7,909, {len(found)} class-slide pairs of 82" in bunch.DESCR
    text = one_line(bunch.DESCR)
    incomplete = found[found < expected]
    assert f"Wholly missing, with images expected ({82 - len(found)}): " in text
    assert f"Incomplete, with images found of expected ({len(incomplete)}): " in text
    for subtype, slide in incomplete.index:
        assert f"{subtype}-{slide} ({found[subtype, slide]} of {expected[subtype, slide]})" in text
    assert bunch.inventory["missing"].sum() == 7909 - found.sum()
    assert not bunch.inventory["extra"].any()
    totals = bunch.inventory.groupby(["subtype", "slide"])["found"].sum()
    pd.testing.assert_series_equal(totals[totals > 0], found, check_names=False)
    pd.testing.assert_series_equal(bunch.frame.groupby(["subtype", "slide"]).size(), found)
