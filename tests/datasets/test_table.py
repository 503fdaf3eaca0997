"""What reading a table refuses; what it gives is tested with the manifest."""

import gzip
import io
import re
import sys

import pandas as pd
import polars as pl
import pytest

from sklearn_magdg.datasets._manifest import load_manifest
from sklearn_magdg.datasets._table import read_table

HEADER = "path,target,patient,magnification\n"
ROW = "a.png,x,p,40\n"


@pytest.fixture
def write(tmp_path):
    """Write text or bytes to a table and give its path."""

    def write(content, name="table.csv"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def test_cells_are_text_as_it_stands(write):
    rows, folder = read_table(write('\ufeffa,b\n007,NA\n\n 1.0 ,\r\n"x\r\ny","say ""hi"""\n'))
    assert rows.columns.tolist() == ["a", "b"]
    assert rows.values.tolist() == [["007", "NA"], [" 1.0 ", ""], ["x\r\ny", 'say "hi"']]
    assert folder == write("").parent


def test_a_column_of_one_name_is_not_another(write):
    with pytest.raises(ValueError, match="several columns of the name 'patient'"):
        load_manifest(write("path,target,patient,magnification,patient\na.png,x,p,40,q\n"))
    frame = pd.DataFrame({"path": ["a.png"], "target": "x", "patient": "p", "magnification": 40, "slide": "q"})
    with pytest.raises(ValueError, match="several columns of the name 'slide'"):
        load_manifest(pd.concat([frame, frame[["slide"]]], axis=1))


def test_two_columns_that_are_not_read_may_share_a_name(write):
    write("", "a.png")
    bunch = load_manifest(write("path,target,patient,magnification,note,note\na.png,x,p,40,,\n"))
    assert bunch.patient.tolist() == ["p"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_named(write, separator):
    file = write((HEADER + ROW).replace(",", separator))
    with pytest.raises(ValueError, match=r"one cell, .*seems to separate by") as error:
        load_manifest(file)
    assert f"by {separator!r}, not by ','" in str(error.value)


def test_commas_in_a_file_called_tsv_are_named(write):
    with pytest.raises(ValueError, match=r"'table\.tsv' is one cell.*separate by ',', not by '\\t'"):
        load_manifest(write(HEADER + ROW, "table.tsv"))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROW + "a.png,x,p\n" + ROW, "header of 'table.csv' has 4 cells, but row 2 has 3;"),
        (ROW + ROW + "a.png,tumour, solid,p,40\n", "but row 3 has 5; put values that contain ',' in quotes"),
        ("a.png,x,p,40,\n" * 7, r"rows 1, 2, 3, 4, 5, \.\.\. \(7 in all\) have 5;"),
        ("\n\na.png,x\n" + ROW, "row 1 has 2;"),
        ("a.png,x\n" + ROW + "a.png,x,p\n", "rows 1, 3 have 2, 3;"),
    ],
)
def test_rows_of_another_length_are_named(write, rows, words):
    with pytest.raises(ValueError, match=words):
        load_manifest(write(HEADER + rows))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_named(write, encoding):
    with pytest.raises(ValueError, match=r"'table\.csv' is not UTF-8 text .*CSV UTF-8.*read_csv\(file, encoding="):
        load_manifest(write((HEADER + "é.png,x,p,40\n").encode(encoding)))


@pytest.mark.parametrize(("line", "separator"), [("sep=;\r\n", ";"), ("SEP=,\n", ","), ("\ufeffsep=\t\n", "\t")])
def test_the_separator_that_excel_announces_is_used(write, line, separator):
    write("", "a.png")
    table = (HEADER + "a.png,x,p,40").replace(",", separator)
    bunch = load_manifest(write(line + table))
    assert (bunch.patient.tolist(), bunch.magnification.tolist()) == (["p"], [40])
    with pytest.raises(ValueError, match=re.escape(f"row 2 has 1; put values that contain {separator!r} in")):
        load_manifest(write(line + table + "\na.png\n"))


@pytest.mark.parametrize("rows", ['a.png,"x,p,40\n', 'a.png,"x"y,p,40\n'])
def test_quotes_that_do_not_close_are_refused(write, rows):
    with pytest.raises(ValueError, match=r"Cannot read 'table\.csv' as a table .*check the quotes"):
        load_manifest(write(HEADER + rows + ROW))


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
@pytest.mark.parametrize("name", ["table.csv", "table.tsv"])
def test_an_empty_file_is_refused(write, content, name):
    with pytest.raises(ValueError, match="is empty; a table needs a header"):
        load_manifest(write(content, name))


def test_a_header_alone_is_refused(write):
    with pytest.raises(ValueError, match="no rows"):
        load_manifest(write(HEADER))


@pytest.mark.parametrize("damage", [lambda gz: gz[:30], lambda gz: b"no gzip", lambda gz: gz[:15] + gz])
def test_a_damaged_archive_is_refused(write, damage):
    file = write(damage(gzip.compress((HEADER + ROW * 99).encode())), "table.csv.gz")
    with pytest.raises(ValueError, match=r"Cannot unpack 'table\.csv\.gz'"):
        load_manifest(file)


@pytest.mark.parametrize("content", [HEADER + ROW, "", "PAR1 and no more"])
def test_a_file_that_only_calls_itself_parquet_is_refused(write, content):
    with pytest.raises(ValueError, match=r"Cannot read 'table\.parquet' as Parquet"):
        load_manifest(write(content, "table.parquet"))


def test_parquet_cut_off_is_refused(write):
    buffer = io.BytesIO()
    pd.DataFrame({"path": ["a.png"] * 99}).to_parquet(buffer)
    with pytest.raises(ValueError, match="as Parquet"):
        load_manifest(write(buffer.getvalue()[:-20], "table.pq"))


def test_parquet_without_pyarrow_says_what_to_install(write, monkeypatch):
    file = write("PAR1", "table.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(pd, "read_parquet", lambda _: (_ for _ in ()).throw(ImportError("no engine")))
    with pytest.raises(ImportError, match=r"pip install 'sklearn-magdg\[parquet\]'"):
        load_manifest(file)


@pytest.mark.parametrize("name", ["table.xlsx", "table.xls", "table.json", "table", "table.csv.zip", "table.xlsx.gz"])
def test_another_format_is_refused(write, name):
    with pytest.raises(ValueError, match=r"must end in one of \['\.csv'.*save it as CSV.*pandas\.read_excel") as error:
        load_manifest(write("", name))
    assert repr(name) in str(error.value)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(ValueError, match="must be a file, got the folder"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("url", ["https://example.org/table.csv", "s3://bucket/table.parquet", "file:///table.csv"])
def test_a_url_is_no_table(url):
    with pytest.raises(ValueError, match=f"must be a path, got the URL '{url}'; download"):
        load_manifest(url)


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table .*table\.csv"):
        load_manifest(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("table", "name"), [(3, "int"), (None, "NoneType"), (pl.LazyFrame({"path": ["a.png"]}), "LazyFrame")]
)
def test_other_types_are_refused(table, name):
    with pytest.raises(ValueError, match=f"path or a DataFrame, got {name}"):
        load_manifest(table)
