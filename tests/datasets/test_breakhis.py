import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sklearn_magdg.datasets._breakhis import SUBTYPES, load_breakhis, parse_filename, read_inventory

FOLDERS = {"A": "adenosis", "F": "fibroadenoma", "DC": "ductal_carcinoma", "PC": "papillary_carcinoma"}
SLIDES = [("A", "14-22549AB"), ("A", "14-22549CD"), ("F", "14-25197"), ("DC", "14-4364"), ("PC", "15-190EF")]


def add_image(root, subtype, slide, magnification, sequence=1, tree="BreaKHis_v1/histology_slides/breast"):
    """Write a five-pixel image to its place in the official tree."""
    label = SUBTYPES[subtype]
    letter = label[0].upper()
    folder = root / tree / label / "SOB" / FOLDERS[subtype] / f"SOB_{letter}_{subtype}_{slide}" / f"{magnification}X"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"SOB_{letter}_{subtype}-{slide}-{magnification}-{sequence:03}.png"
    Image.new("RGB", (5, 1)).save(file)
    return file


@pytest.fixture
def root(tmp_path):
    """Two images of every one of five slides at 100X and 200X, one at 40X and 400X of the first."""
    for subtype, slide in SLIDES:
        for magnification in (100, 200):
            for sequence in (1, 7):
                add_image(tmp_path, subtype, slide, magnification, sequence)
    add_image(tmp_path, *SLIDES[0], 40)
    add_image(tmp_path, *SLIDES[0], 400)
    return tmp_path


# --- names ---


@given(
    st.sampled_from(sorted(SUBTYPES)),
    st.integers(0, 99),
    st.integers(1, 99_999),
    st.text("ABCDEFG", max_size=2),
    st.sampled_from([40, 100, 200, 400]),
    st.integers(0, 999),
)
def test_a_name_is_read_as_it_was_written(subtype, year, number, suffix, magnification, sequence):
    letter = SUBTYPES[subtype][0].upper()
    accession = f"{year:02}-{number}"
    name = f"SOB_{letter}_{subtype}-{accession}{suffix}-{magnification}-{sequence:03}.png"
    parsed = parse_filename(name)
    assert parsed == (SUBTYPES[subtype], subtype, accession, accession + suffix, magnification, sequence)


@pytest.mark.parametrize(
    "name",
    [
        "SOB_B_A-14-22549AB-40-001.jpg",
        "SOB_B_A-14-22549AB-40-001.png\n",
        "SOB_B_A-14-22549AB-50-001.png",
        "SOB_B_A-14-22549AB-40-1.png",
        "SOB_B_A_14-22549AB-40-001.png",
        "SOB_B_A-14-22549AB-40-٠٠١.png",
        "SOB_B_XX-14-22549AB-40-001.png",
        "SOB_M_A-14-22549AB-40-001.png",
        "xSOB_B_A-14-22549AB-40-001.png",
        "",
    ],
)
def test_a_name_outside_the_grammar_is_refused(name):
    with pytest.raises(ValueError, match="is no name of a BreaKHis image"):
        parse_filename(name)


# --- the inventory ---


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


def test_slides_of_the_inventory_fall_into_seventy_accessions_of_one_label_each():
    slides = read_inventory().drop_duplicates(["subtype", "slide"])
    accession = [
        parse_filename(f"SOB_{row.label[0].upper()}_{row.subtype}-{row.slide}-40-001.png").accession
        for row in slides.itertuples()
    ]
    assert len(set(accession)) == 70
    assert (slides.groupby(accession)["label"].nunique() == 1).all()


def test_a_partial_collection_is_named_so_without_a_warning(root):
    bunch = load_breakhis(root)
    assert "partial: 22 images of 7,909, 5 class-slide pairs of 82" in bunch.DESCR
    row = bunch.inventory.query("slide == '14-22549AB' and magnification == 100").iloc[0]
    assert (row["found"], row["expected"]) == (2, 30)
    assert len(bunch.inventory) == 82 * 4


def test_only_the_magnifications_that_are_asked_for_are_counted(root):
    bunch = load_breakhis(root, magnifications=(100, 200))
    assert "partial: 20 images of 4,094" in bunch.DESCR
    assert set(bunch.inventory["magnification"]) == {100, 200}


@pytest.mark.slow
def test_a_complete_collection_is_named_so(tmp_path):
    for row in read_inventory().query("magnification == 40").itertuples():
        for sequence in range(row.expected):
            name = f"SOB_{row.label[0].upper()}_{row.subtype}-{row.slide}-40-{sequence:03}.png"
            (tmp_path / name).touch()
    assert "complete: all 1,995 images" in load_breakhis(tmp_path, magnifications=40).DESCR


def test_more_images_than_the_full_set_has_are_a_warning_that_names_the_slide(root):
    add_image(root, "DC", "14-4364", 40, 1)
    add_image(root, "DC", "14-4364", 40, 2)
    with pytest.warns(UserWarning, match=r"DC-14-4364 at 40X: 2 images instead of 1"):
        load_breakhis(root)
    load_breakhis(root, verify=False)


def test_an_unknown_slide_is_a_warning_that_names_it(root):
    add_image(root, "PC", "16-99999", 100)
    with pytest.warns(UserWarning, match=r"PC-16-99999 at 100X: 1 images instead of 0"):
        bunch = load_breakhis(root)
    assert len(bunch.data) == 23
    assert load_breakhis(root, verify=False).inventory is None


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
    assert bunch.target_names == ["benign", "malignant"]
    assert bunch.frame is None


def test_images_are_sorted_by_name_and_can_be_opened(root):
    data = load_breakhis(root).data
    names = [path.rsplit("/", 1)[-1] for path in data]
    assert names == sorted(names)
    with Image.open(data[0]) as image:
        assert image.size == (5, 1)


def test_subtypes_are_the_other_classes(root):
    bunch = load_breakhis(root, target="subtype")
    assert bunch.target_names == ["A", "F", "PT", "TA", "DC", "LC", "MC", "PC"]
    assert [bunch.target_names[code] for code in bunch.target] == bunch.subtype.tolist()


def test_patients_are_accessions_or_slides(root):
    assert len(set(load_breakhis(root).patient)) == 4
    by_slide = load_breakhis(root, patient_by="slide")
    assert set(by_slide.patient) == {slide for _, slide in SLIDES}


@pytest.mark.parametrize("asked", [200, [200], ("200X",), np.array([200])])
def test_one_magnification_may_be_asked_for(root, asked):
    assert set(load_breakhis(root, magnifications=asked).magnification) == {200}


def test_a_frame_holds_the_same_columns(root):
    bunch = load_breakhis(root, as_frame=True)
    assert bunch.frame.columns.tolist() == ["data", "target", "patient", "slide", "magnification", "subtype"]
    assert isinstance(bunch.data, pd.Series)
    X, y = load_breakhis(root, return_X_y=True, as_frame=True)
    pd.testing.assert_series_equal(X, bunch.frame["data"])
    pd.testing.assert_series_equal(y, bunch.frame["target"])


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


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.*extracted"):
        load_breakhis(tmp_path / "nowhere")


def test_a_folder_without_a_breakhis_image_is_refused(tmp_path):
    (tmp_path / "holiday.png").touch()
    with pytest.raises(FileNotFoundError, match="no BreaKHis image"):
        load_breakhis(tmp_path)


def test_images_outside_the_grammar_are_named(root):
    add_image(root, *SLIDES[0], 40).with_name("copy of SOB.png").touch()
    with pytest.raises(ValueError, match=r"1 images do not follow the names of BreaKHis .*copy of SOB\.png"):
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


def test_the_real_images_have_the_published_counts(breakhis_root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bunch = load_breakhis(breakhis_root, as_frame=True)
    assert len(bunch.data) == 839
    cells = bunch.frame.groupby(["magnification", "target"])["slide"].agg(["size", "nunique"])
    assert cells.to_dict("index") == {
        (40, 0): {"size": 4, "nunique": 4},
        (40, 1): {"size": 13, "nunique": 4},
        (100, 0): {"size": 122, "nunique": 7},
        (100, 1): {"size": 101, "nunique": 9},
        (200, 0): {"size": 136, "nunique": 10},
        (200, 1): {"size": 452, "nunique": 27},
        (400, 0): {"size": 6, "nunique": 3},
        (400, 1): {"size": 5, "nunique": 4},
    }
    assert bunch.frame.groupby(["subtype", "slide"]).ngroups == 44
    assert "partial: 839 images of 7,909, 44 class-slide pairs of 82" in bunch.DESCR
    assert (bunch.inventory["found"] <= bunch.inventory["expected"]).all()


def test_the_real_images_split_without_a_leak(breakhis_root):
    from sklearn_magdg.model_selection import LeaveOneMagnificationOut, audit_splits

    bunch = load_breakhis(breakhis_root)
    cv = LeaveOneMagnificationOut(4, magnifications=(100, 200))
    audit = audit_splits(cv, bunch.data, bunch.target, patient=bunch.patient, magnification=bunch.magnification)
    audit.raise_if_leaky(magnifications=True)
    assert audit.frame["n_test"].sum() == 223 + 588
