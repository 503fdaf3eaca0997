import csv
import gzip
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sklearn_magdg.datasets._manifest import load_manifest

N = 7


@pytest.fixture
def table(tmp_path):
    """Seven images with three magnifications, and ids with leading zeros."""
    (tmp_path / "images").mkdir()
    for i in range(N):
        Image.new("RGB", (5, 3)).save(tmp_path / "images" / f"{i}.png")
    return pd.DataFrame(
        {
            "path": [f"images/{i}.png" for i in range(N)],
            "target": ["tumour", "normal"] * 3 + ["normal"],
            "patient": ["007", "007", "08", "08", "9b", "9b", "1"],
            "magnification": ["40X", "100X", "200X"] * 2 + ["40X"],
            "note": ["", "a"] * 3 + [""],
        }
    )


def write(table, folder, form):
    """Save the table in a format of the name `form`."""
    file = folder / f"table.{form}"
    if form == "parquet":
        table.to_parquet(file)
    elif form == "csv.gz":
        file.write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    else:
        table.to_csv(file, sep="\t" if form == "tsv" else ",", index=False, encoding="utf-8-sig")
    return file


def check(bunch, folder):
    assert bunch.data.tolist() == [str(folder / "images" / f"{i}.png") for i in range(N)]
    assert isinstance(bunch.target_names, np.ndarray)
    assert bunch.target_names.tolist() == ["normal", "tumour"]
    assert bunch.target.tolist() == [1, 0, 1, 0, 1, 0, 0]
    assert bunch.patient.tolist() == ["007", "007", "08", "08", "9b", "9b", "1"]
    assert bunch.magnification.tolist() == [40, 100, 200, 40, 100, 200, 40]
    assert bunch.magnification.dtype.kind == "i"
    np.testing.assert_array_equal(bunch.slide, bunch.patient)
    assert bunch.subtype.tolist() == bunch.target_names[bunch.target].tolist()
    assert bunch.frame.columns.tolist() == ["data", "target", "patient", "slide", "magnification", "subtype"]
    assert "7 images of 4 patients at 3 magnifications" in bunch.DESCR


@pytest.mark.parametrize("form", ["csv", "tsv", "csv.gz", "parquet"])
def test_every_format_gives_the_same_bunch(table, tmp_path, form):
    check(load_manifest(write(table, tmp_path, form)), tmp_path)
    check(load_manifest(str(write(table, tmp_path, form))), tmp_path)


@pytest.mark.parametrize(
    "make", [lambda t: t, lambda t: t.set_index("note"), lambda t: pl.DataFrame(t.to_dict("list"))]
)
def test_data_frames_of_pandas_and_polars_are_read(table, tmp_path, make):
    check(load_manifest(make(table), root=tmp_path), tmp_path)


@pytest.mark.parametrize("dtype", ["string[pyarrow]", "string[python]", "category", object])
def test_text_of_every_dtype_is_read(table, tmp_path, dtype):
    check(load_manifest(table.astype(dtype), root=tmp_path), tmp_path)


def test_arrow_numbers_and_polars_categories_are_read(table, tmp_path):
    table["magnification"] = pd.array([40, 100, 200] * 2 + [40], dtype="int64[pyarrow]")
    check(load_manifest(table, root=tmp_path), tmp_path)
    frame = pl.DataFrame(table.to_dict("list")).with_columns(pl.col("target", "patient").cast(pl.Categorical))
    check(load_manifest(frame, root=tmp_path), tmp_path)


def test_missing_values_of_arrow_columns_are_named(table, tmp_path):
    table["patient"] = pd.array([1, 2, None, 3, None, 4, 5], dtype="int64[pyarrow]")
    with pytest.raises(ValueError, match="Column 'patient' is empty in rows 3, 5"):
        load_manifest(table, root=tmp_path)


def test_paths_may_be_path_objects(table, tmp_path):
    table["path"] = [Path(path) if row % 2 else path for row, path in enumerate(table["path"])]
    check(load_manifest(table, root=tmp_path), tmp_path)


def test_truth_values_are_classes_of_their_name(table, tmp_path):
    table["target"] = [True, False] * 3 + [False]
    assert load_manifest(table, root=tmp_path).target_names.tolist() == ["False", "True"]


def test_a_patient_may_have_images_of_two_classes(table, tmp_path):
    table["target"] = ["tumour", "normal"] * 3 + ["normal"]
    bunch = load_manifest(table, root=tmp_path)
    assert {bunch.target[row] for row in range(N) if bunch.patient[row] == "007"} == {0, 1}


def test_the_table_itself_is_left_alone(table, tmp_path):
    before = table.copy()
    load_manifest(table, root=tmp_path)
    pd.testing.assert_frame_equal(table, before)


def test_columns_may_have_other_names(table, tmp_path):
    renamed = table.rename(columns={"path": "file", "target": "y", "patient": "who", "magnification": "zoom"})
    bunch = load_manifest(renamed, root=tmp_path, path="file", target="y", patient="who", magnification="zoom")
    check(bunch, tmp_path)


def test_slide_and_subtype_are_read_where_they_are_there(table, tmp_path):
    bunch = load_manifest(table.assign(slide=[f"0{i}" for i in range(N)], subtype="DC"), root=tmp_path)
    assert bunch.slide.tolist() == [f"0{i}" for i in range(N)]
    assert set(bunch.subtype) == {"DC"}


def test_absolute_paths_pass_over_the_root(table, tmp_path):
    table["path"] = [str(tmp_path / path) for path in table["path"]]
    check(load_manifest(table, root="elsewhere"), tmp_path)


def test_numbers_as_ids_become_text_and_as_magnifications_stay_numbers(table, tmp_path):
    table["patient"] = [7.0, 7.0, 8.0, 8.0, 9.0, 9.0, 10.0]
    table["magnification"] = [2.5, 40, 2.5, 40, 2.5, 40, 2.5]
    table["target"] = [10, 9] * 3 + [9]
    bunch = load_manifest(table, root=tmp_path)
    assert bunch.patient.tolist() == ["7", "7", "8", "8", "9", "9", "10"]
    assert bunch.magnification.tolist() == [2.5, 40, 2.5, 40, 2.5, 40, 2.5]
    assert bunch.target_names.tolist() == ["9", "10"]


def test_magnifications_that_are_words_stay_words(table, tmp_path):
    table["magnification"] = ["low", "high"] * 3 + ["low"]
    assert load_manifest(table, root=tmp_path).magnification.tolist() == ["low", "high"] * 3 + ["low"]


def test_whole_numbers_are_one_value_as_integers_and_as_floats(table, tmp_path):
    table["patient"] = pd.Series([7, 7.0, np.int64(8), np.float32(8), 9, 9.0, 10], dtype=object)
    table["magnification"] = pd.Series([40, 40.0, 100, 100.0, 2.5, 2.5, 40], dtype=object)
    bunch = load_manifest(table, root=tmp_path)
    assert bunch.patient.tolist() == ["7", "7", "8", "8", "9", "9", "10"]
    assert bunch.magnification.tolist() == [40, 40, 100, 100, 2.5, 2.5, 40]


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("patient", ["7", "7", 7, 8, 8, 8, 8], r"'patient' mixes text \('7' in row 1\) and numbers \(7 in row 3\)"),
        ("magnification", [40, 40, 40, 40, "40X", 40, 40], r"mixes numbers .*row 1\) and text \('40X' in row 5\)"),
        ("target", [1, 0, True, 0, 1, 1, 1], r"'target' mixes numbers .*and bool \(True in row 3\)"),
    ],
)
def test_text_and_numbers_in_one_column_are_refused(table, tmp_path, column, values, words):
    table[column] = pd.Series(values, dtype=object)
    with pytest.raises(ValueError, match=words):
        load_manifest(table, root=tmp_path)


@pytest.mark.parametrize("form", [None, "csv", "tsv"])
@pytest.mark.parametrize(
    ("column", "changed", "words"),
    [
        ("magnification", ["40", "100X"], r"one magnification in several ways, '40X' \(row 1\), '40' \(row 3\)"),
        ("magnification", ["40.0X", "40.0"], r"'40X' \(row 1\), '40\.0X' \(row 3\), '40\.0' \(row 5\)"),
        ("patient", ["1.0", "08"], r"'patient' spells one patient in several ways, '1\.0' \(row 3\), '1' \(row 7\)"),
        ("magnification", ["×40", "40X"], r"one magnification in several ways, '40X' \(row 1\), '×40' \(row 3\)"),
        ("slide", ["007.00", "9"], r"'slide' spells one slide in several ways, '007' \(row 1\), '007\.00' \(row 3\)"),
        ("patient", ["7", "08"], r"spells one patient in several ways, '007' \(row 1\), '7' \(row 3\); write all"),
        ("patient", ["P-7", "P-07"], r"spells one patient in several ways, 'P-7' \(row 3\), 'P-07' \(row 5\)"),
        ("patient", ["9 b", "08"], r"spells one patient in several ways, '9 b' \(row 3\), '9b' \(row 6\)"),
        ("target", ["Tumour", "normal"], r"'target' spells one target in several ways, 'tumour' \(row 1\), 'Tumour'"),
    ],
)
def test_two_spellings_of_one_thing_are_refused(table, tmp_path, form, column, changed, words):
    table["slide"] = table["patient"]
    table.loc[[2, 4], column] = changed
    source = table if form is None else write(table, tmp_path, form)
    with pytest.raises(ValueError, match=words):
        load_manifest(source, root=tmp_path)


def test_spellings_are_of_the_column_that_was_named(table, tmp_path):
    table = table.rename(columns={"magnification": "zoom"})
    table.loc[3, "zoom"] = "40"
    with pytest.raises(ValueError, match="Column 'zoom' spells one magnification"):
        load_manifest(table, root=tmp_path, magnification="zoom")


def test_letters_and_decimals_tell_patients_apart(table, tmp_path):
    table["patient"] = ["7", "7.01", "7a", "7.1", "7.10", "v7.0", "v7"]
    assert load_manifest(table, root=tmp_path).patient.tolist() == table["patient"].tolist()


@pytest.mark.parametrize("column", ["patient", "slide"])
@pytest.mark.parametrize("changed", ["9B", "9 B", "09B"])
def test_letter_case_tells_patients_apart_with_a_warning(table, tmp_path, column, changed):
    table["slide"] = range(N)
    table[column] = ["a", "b", "c", "d", "9b", changed, "e"]
    with pytest.warns(UserWarning, match=rf"'{column}' has .* letter case only, '9b' \(row 5\), '{changed}' \(row 6\)"):
        bunch = load_manifest(table, root=tmp_path)
    assert bunch[column].tolist() == table[column].tolist()


def test_a_slide_under_several_patients_is_a_warning(table, tmp_path):
    table["slide"] = ["s1", "s1", "s2", "s1", "s3", "s3", "s4"]
    with pytest.warns(UserWarning, match=r"1 slides stand under several patients \(s1\)"):
        load_manifest(table, root=tmp_path)


@pytest.mark.parametrize("wrong", ["high", "-40", "inf", "40 or so"])
def test_magnifications_that_are_numbers_and_words_are_refused(table, tmp_path, wrong):
    table.loc[[2, 5], "magnification"] = wrong
    with pytest.raises(ValueError, match=rf"'magnification' mixes .*in rows 3, 6, others \('{wrong}'\)"):
        load_manifest(table, root=tmp_path)


def test_signs_may_stand_before_the_number(table, tmp_path):
    table["magnification"] = ["×40", "x100", "X 200"] * 2 + ["×40"]
    check(load_manifest(table, root=tmp_path), tmp_path)


@pytest.mark.parametrize("column", ["path", "target", "patient", "magnification"])
def test_a_missing_column_is_named(table, tmp_path, column):
    with pytest.raises(ValueError, match=rf"no column \['{column}'\], it has .*'note'.*such names .* in Python say"):
        load_manifest(write(table.drop(columns=column), tmp_path, "csv"))


@pytest.mark.parametrize("column", ["path", "target", "patient", "magnification"])
@pytest.mark.parametrize("empty", [None, np.nan, "", " "])
@pytest.mark.parametrize("form", [None, "csv", "parquet"])
def test_empty_values_are_named_by_their_rows(table, tmp_path, column, empty, form):
    table.loc[[2, 4], column] = empty
    source = table if form is None else write(table, tmp_path, form)
    with pytest.raises(ValueError, match=f"Column '{column}' is empty in rows 3, 5; fill it in"):
        load_manifest(source, root=tmp_path)


@pytest.mark.parametrize("column", ["patient", "slide", "magnification"])
@pytest.mark.parametrize("word", ["NA", "n/a", "nan", "NULL", " None"])
@pytest.mark.parametrize("form", [None, "csv"])
def test_words_for_nothing_are_empty_ids(table, tmp_path, column, word, form):
    table["slide"] = table["patient"]
    table.loc[[2, 4], column] = word
    source = table if form is None else write(table, tmp_path, form)
    with pytest.raises(ValueError, match=rf"'{column}' is empty in rows 3, 5 \(there is '{word}'\); fill it in"):
        load_manifest(source, root=tmp_path)


@pytest.mark.parametrize("form", [None, "csv", "parquet"])
def test_words_for_nothing_may_be_classes(table, tmp_path, form):
    table["target"] = ["none", "NA"] * 3 + ["NA"]
    source = table if form is None else write(table, tmp_path, form)
    assert load_manifest(source, root=tmp_path).target_names.tolist() == ["NA", "none"]


@pytest.mark.parametrize("column", ["path", "target", "patient", "magnification"])
def test_bytes_are_refused(table, tmp_path, column):
    table[column] = table[column].str.encode("utf-8")
    words = rf"Column '{column}' holds bytes in rows 1, .*decode them, as by `table\['{column}'\]\.str\.decode"
    with pytest.raises(ValueError, match=words):
        load_manifest(table, root=tmp_path)


def test_many_rows_are_counted_rather_than_listed(table, tmp_path):
    table["patient"] = ""
    with pytest.raises(ValueError, match=r"rows 1, 2, 3, 4, 5, \.\.\. \(7 in all\)"):
        load_manifest(table, root=tmp_path)


def test_a_path_that_stands_twice_is_named_by_its_rows(table, tmp_path):
    table.loc[5, "path"] = "./images/1.png"
    with pytest.raises(ValueError, match=r"same image file stands in rows 2, 6 \([^,]*1\.png\)"):
        load_manifest(table, root=tmp_path)


def test_two_files_that_stand_twice_are_counted(table, tmp_path):
    table.loc[[4, 5, 6], "path"] = ["images/1.png", "images/0.png", "images/1.png"]
    with pytest.raises(ValueError, match=r"rows 1, 6 \(.*0\.png\), and 1 other files stand in several"):
        load_manifest(table, root=tmp_path)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_is_the_file_it_leads_to(table, tmp_path, link):
    file = tmp_path / "images" / "5.png"
    file.unlink()
    link(tmp_path / "images" / "1.png", file)
    with pytest.raises(ValueError, match=r"rows 2, 6 \(.*1\.png, .*5\.png\)"):
        load_manifest(table, root=tmp_path)


def test_letter_case_tells_files_apart_where_the_system_does(table, tmp_path):
    (tmp_path / "images" / "A.png").write_bytes(b"one")
    (tmp_path / "images" / "a.png").write_bytes(b"two")
    table.loc[[1, 5], "path"] = ["images/A.png", "images/a.png"]
    if os.path.samefile(tmp_path / "images" / "A.png", tmp_path / "images" / "a.png"):
        with pytest.raises(ValueError, match="rows 2, 6"):
            load_manifest(table, root=tmp_path)
    else:
        assert len(load_manifest(table, root=tmp_path).data) == N


def test_equal_pictures_in_two_files_are_two_images(table, tmp_path):
    assert len({(tmp_path / path).read_bytes() for path in table["path"]}) == 1
    assert len(load_manifest(table, root=tmp_path).data) == N


def test_paths_may_leave_the_root(table, tmp_path):
    (tmp_path / "tables").mkdir()
    table["path"] = [f"../{path}" for path in table["path"]]
    check(load_manifest(write(table, tmp_path / "tables", "csv")), tmp_path)


def test_absent_images_are_named_by_their_rows(table, tmp_path):
    (tmp_path / "images" / "3.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no image file for row 4 \([^,]*3\.png\); relative paths are .*set `root`"
    ):
        load_manifest(table, root=tmp_path)


def test_the_folder_to_which_relative_paths_refer_is_named(table, tmp_path):
    file = write(table, tmp_path / "images", "csv")
    with pytest.raises(FileNotFoundError, match=re.escape(f"relative paths are read from '{tmp_path / 'images'}'")):
        load_manifest(file)


def test_many_absent_images_are_counted(table):
    some = r"rows 1, 2, 3, 4, 5, \.\.\. \(7 in all\) \(.*4\.png, \.\.\. \(7 in all\)\)"
    with pytest.raises(FileNotFoundError, match=some):
        load_manifest(table, root="elsewhere")


def test_a_folder_is_no_image(table, tmp_path):
    table.loc[3, "path"] = "images"
    with pytest.raises(
        FileNotFoundError, match=r"no image file for row 4 .*images' is a folder: give a row to each image"
    ):
        load_manifest(table, root=tmp_path)


@pytest.mark.skipif(os.sep == "\\", reason="there they are paths")
def test_paths_of_windows_are_named(table, tmp_path):
    table["path"] = table["path"].str.replace("/", "\\")
    with pytest.raises(FileNotFoundError, match=r"'\\' separates folders on Windows alone: write '/'"):
        load_manifest(table, root=tmp_path)


def test_the_home_folder_may_be_short(table, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    table["path"] = [f"~/{path}" for path in table["path"]]
    check(load_manifest(table, root="elsewhere"), tmp_path)


def test_urls_are_no_images(table, tmp_path):
    table.loc[[2, 4], "path"] = ["https://example.org/3.png", "s3://bucket/5.png"]
    with pytest.raises(ValueError, match=r"URLs in rows 3, 5 \(https://example\.org/3\.png, s3:.*download"):
        load_manifest(table, root=tmp_path)
    with pytest.raises(ValueError, match="`root` must be a folder, got the URL 's3://bucket'"):
        load_manifest(table, root="s3://bucket")


def test_a_table_without_rows_is_refused(table):
    with pytest.raises(ValueError, match="no rows"):
        load_manifest(table.iloc[:0])


# --- any table ---

FILES = ["plain.png", "a, b.png", 'q"uote.png', "tab\there.png", "ümlaut ✓.png", "semi;colon.png", "7"]
TEXT = st.text(st.sampled_from("aZ079 ,;|\"'\t\n\r.é✓"), min_size=1, max_size=5).filter(
    lambda text: text.strip() and not re.fullmatch(r"\d+\.0+", text.strip())
)
NO_ZEROS = {ord(letter): None for letter in "0. \t\n\r"}
MAGNIFICATIONS = st.sampled_from([["40", "100", "2.5"], ["40X", "100X", "20x"], ["low", "high", "40 or so"]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of every name, and room for the tables."""
    folder = tmp_path_factory.mktemp("any table")
    for name in FILES:
        (folder / name).touch()
    return folder


@st.composite
def tables(draw):
    n_rows = draw(st.integers(1, len(FILES)))
    magnifications = st.sampled_from(draw(MAGNIFICATIONS))
    columns = {"target": TEXT, "patient": TEXT, "magnification": magnifications, "slide": TEXT, "note": TEXT}
    rows = {name: draw(st.lists(values, min_size=n_rows, max_size=n_rows)) for name, values in columns.items()}
    for name in ("patient", "slide"):  # without two spellings of one
        plain = {text.translate(NO_ZEROS): text for text in rows[name]}
        rows[name] = [plain[text.translate(NO_ZEROS)] for text in rows[name]]
    if len(set(map(tuple, zip(rows["patient"], rows["slide"], strict=True)))) > len(set(rows["slide"])):
        rows["slide"] = rows["patient"]
    table = pd.DataFrame(rows | {"path": draw(st.permutations(FILES))[:n_rows]}, dtype=object)
    return table[draw(st.permutations(list(table.columns)))]


@settings(max_examples=25, deadline=None)
@given(tables())
def test_any_table_gives_the_same_bunch_in_every_format(folder, table):
    for suffix, separator in (("csv", ","), ("tsv", "\t")):
        with (folder / f"table.{suffix}").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=separator).writerows([table.columns, *table.values.tolist()])
    table.to_parquet(folder / "table.parquet")
    bunch = load_manifest(table, root=folder)
    assert bunch.data.tolist() == [str(folder / path) for path in table["path"]]
    for name in ("patient", "slide"):
        assert bunch[name].tolist() == [text.strip() for text in table[name]]
    assert bunch.target_names[bunch.target].tolist() == [text.strip() for text in table["target"]]
    numbers = {"40": 40, "40X": 40, "100": 100, "100X": 100, "2.5": 2.5, "20x": 20}
    assert bunch.magnification.tolist() == [numbers.get(text, text) for text in table["magnification"]]
    for suffix in ("csv", "tsv", "parquet"):
        read = load_manifest(folder / f"table.{suffix}")
        pd.testing.assert_frame_equal(read.frame, bunch.frame)
        assert (read.target_names.tolist(), read.DESCR) == (bunch.target_names.tolist(), bunch.DESCR)
