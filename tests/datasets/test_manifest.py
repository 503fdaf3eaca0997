import gzip
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
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
            "patient": ["007", "007", "08", "08", "NA", "NA", "1"],
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
    assert bunch.target_names == ["normal", "tumour"]
    assert bunch.target.tolist() == [1, 0, 1, 0, 1, 0, 0]
    assert bunch.patient.tolist() == ["007", "007", "08", "08", "NA", "NA", "1"]
    assert bunch.magnification.tolist() == [40, 100, 200, 40, 100, 200, 40]
    assert bunch.magnification.dtype.kind == "i"
    np.testing.assert_array_equal(bunch.slide, bunch.patient)
    assert bunch.subtype.tolist() == [bunch.target_names[code] for code in bunch.target]
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
    assert bunch.target_names == ["9", "10"]


def test_magnifications_that_are_words_stay_words(table, tmp_path):
    table["magnification"] = ["low", "high"] * 3 + ["low"]
    assert load_manifest(table, root=tmp_path).magnification.tolist() == ["low", "high"] * 3 + ["low"]


@pytest.mark.parametrize("column", ["path", "target", "patient", "magnification"])
def test_a_missing_column_is_named(table, tmp_path, column):
    with pytest.raises(ValueError, match=rf"no column \['{column}'\], it has .*'note'"):
        load_manifest(write(table.drop(columns=column), tmp_path, "csv"))


@pytest.mark.parametrize("column", ["path", "target", "patient", "magnification"])
@pytest.mark.parametrize("empty", [None, np.nan, "", " "])
@pytest.mark.parametrize("form", [None, "csv", "parquet"])
def test_empty_values_are_named_by_their_rows(table, tmp_path, column, empty, form):
    table.loc[[2, 4], column] = empty
    source = table if form is None else write(table, tmp_path, form)
    with pytest.raises(ValueError, match=f"Column '{column}' is empty in rows 3, 5; fill it in"):
        load_manifest(source, root=tmp_path)


def test_many_rows_are_counted_rather_than_listed(table, tmp_path):
    table["patient"] = ""
    with pytest.raises(ValueError, match=r"rows 1, 2, 3, 4, 5, \.\.\. \(7 in all\)"):
        load_manifest(table, root=tmp_path)


def test_a_path_that_stands_twice_is_named_by_its_rows(table, tmp_path):
    table.loc[5, "path"] = "./images/1.png"
    with pytest.raises(ValueError, match=r"same path stands in rows 2, 6 .*1\.png"):
        load_manifest(table, root=tmp_path)


def test_absent_images_are_named_by_their_rows(table, tmp_path):
    (tmp_path / "images" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no image file for row 4 .*3\.png.*set `root`"):
        load_manifest(table, root=tmp_path)


def test_a_table_without_rows_is_refused(table):
    with pytest.raises(ValueError, match="no rows"):
        load_manifest(table.iloc[:0])


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table .*table\.csv"):
        load_manifest(tmp_path / "table.csv")


def test_other_formats_and_types_are_refused(tmp_path):
    (tmp_path / "table.xlsx").touch()
    with pytest.raises(ValueError, match=r"must end in one of .*'table\.xlsx'"):
        load_manifest(tmp_path / "table.xlsx")
    with pytest.raises(ValueError, match="path or a DataFrame, got int"):
        load_manifest(3)


def test_parquet_without_pyarrow_says_what_to_install(table, tmp_path, monkeypatch):
    file = write(table, tmp_path, "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(pd, "read_parquet", lambda _: (_ for _ in ()).throw(ImportError("no engine")))
    with pytest.raises(ImportError, match=r"pip install 'sklearn-magdg\[parquet\]'"):
        load_manifest(file)
