"""Tables: from a file or a data frame to columns of text, with nothing guessed.

Readers of tables guess types: "007" becomes 7, "1e5" a number, "NA" a missing value, and a file in another encoding
some text or other. For ids each of these is another patient. So every cell of a text file is read as it stands, what
can be read in two ways is refused, and errors name rows as a person counts them: from 1, header and blank lines apart.
"""

import csv
import gzip
import itertools
import math
import os
import re
import zlib
from numbers import Number, Real
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_magdg._words import name_some

COLUMNS = ["data", "target", "patient", "slide", "magnification", "subtype"]  # of the `frame` of every loader

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = {".parquet", ".pq"}
_ANNOUNCED = re.compile(r"sep=([,;|\t])[\r\n]*", re.IGNORECASE)  # Excel's first line
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters or more: one is a drive


def read_table(table):
    """Rows of the table, and the folder to which its relative paths refer.

    Parameters
    ----------
    table : str, os.PathLike or DataFrame
        As `load_manifest` takes it.

    Returns
    -------
    rows : pandas.DataFrame
        Every cell of a text file as str; of Parquet and data frames the types that they have.
    folder : pathlib.Path
        That of the file; for a data frame the working directory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If it is Parquet and pyarrow is not installed.
    ValueError
        If it is none of these, or cannot be read.
    """
    if isinstance(table, pd.DataFrame):
        return table, Path()
    if hasattr(table, "to_dict") and hasattr(table, "columns"):  # polars, without asking for pyarrow
        return pd.DataFrame(table.to_dict(as_series=False)), Path()
    if not isinstance(table, str | os.PathLike):
        raise ValueError(f"`table` must be a path or a DataFrame, got {type(table).__name__}.")
    if is_url(table):
        raise ValueError(f"`table` must be a path, got the URL {str(table)!r}; download the file first.")
    file = Path(table).expanduser()
    if file.is_dir():
        raise ValueError(f"`table` must be a file, got the folder {str(file)!r}; pass one table in it.")
    if not file.is_file():
        raise FileNotFoundError(f"There is no table {str(file)!r}; check the path.")

    suffix = Path(file.stem).suffix.lower() if file.suffix.lower() == ".gz" else file.suffix.lower()
    if suffix in _SEPARATORS:
        return _read_text(file, _SEPARATORS[suffix]), file.parent
    if suffix not in _PARQUET:
        known = [*_SEPARATORS, *sorted(_PARQUET)]
        raise ValueError(
            f"`table` must end in one of {known}, got {file.name!r}; save it as CSV (UTF-8), or in Python pass what "
            "`pandas.read_excel(file, dtype=str)` or the like reads."
        )
    try:
        return pd.read_parquet(file), file.parent
    except ImportError as error:
        raise ImportError(
            "Reading Parquet needs pyarrow: pip install 'sklearn-magdg[parquet]', or save the table as CSV."
        ) from error
    except (ValueError, OSError, NotImplementedError) as error:
        raise ValueError(f"Cannot read {file.name!r} as Parquet ({error}); write or copy the file again.") from error


def is_url(path):
    """Whether a path is an address such as "https://..." or "s3://..."."""
    return _URL.match(os.fspath(path)) is not None


def name_rows(mask):
    """Row numbers in words, the header apart and counted from 1: "row 3", "rows 1, 2, 3, 4, 5, ... (7 in all)"."""
    numbers = np.flatnonzero(mask) + 1
    return f"row{'s' if len(numbers) > 1 else ''} {name_some(numbers)}"


def _read_text(file, separator):
    """Rows of a text file, plain or gzipped, as a DataFrame of str.

    `separator` is what the name of the file says; Excel may announce another in the first line, which then decides.

    pandas would rename columns of one name, take the first column for an index where rows are longer than the
    header, and fill up short rows.
    """
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as lines:
            first = next(lines, "")
            announced = _ANNOUNCED.fullmatch(first)
            separator = announced[1] if announced else separator
            lines = lines if announced else itertools.chain([first], lines)
            cells = [row for row in csv.reader(lines, delimiter=separator, strict=True) if row]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file.name!r} is not UTF-8 text ({error}); save it as CSV UTF-8, or in Python pass "
            "`pandas.read_csv(file, encoding=..., dtype=str)` with its encoding, such as 'cp1252' or 'utf-16'."
        ) from error
    except csv.Error as error:
        raise ValueError(f"Cannot read {file.name!r} as a table ({error}); check the quotes in it.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"Cannot unpack {file.name!r} ({error}); write or copy the file again.") from error

    if not cells:
        raise ValueError(f"{file.name!r} is empty; a table needs a header and one row per image.")
    header, *rows = cells
    others = [each for each in (",", ";", "\t", "|") if each in header[0]]
    if len(header) == 1 and others:
        raise ValueError(
            f"The header of {file.name!r} is one cell, {header[0]!r}: it seems to separate by {others[0]!r}, not by "
            f"{separator!r}; save it with {separator!r}, or in Python pass `pandas.read_csv(file, sep={others[0]!r}, "
            "dtype=str)`."
        )
    lengths = np.array([len(row) for row in rows], dtype=int)
    ragged = lengths != len(header)
    if ragged.any():
        raise ValueError(
            f"The header of {file.name!r} has {len(header)} cells, but {name_rows(ragged)} "
            f"{'have' if ragged.sum() > 1 else 'has'} {name_some(np.unique(lengths[ragged]))}; "
            f"put values that contain {separator!r} in quotes, and keep a cell for every column."
        )
    return pd.DataFrame(rows, columns=header, dtype=object)


def as_text(column, name, empty):
    """A column of a table as text `(n,)`, without white space around it.

    Parameters
    ----------
    column : pandas.Series
        Of text, paths, numbers or truth values, but of one of them throughout.
    name : str
        What errors call it.
    empty : set of str
        What counts as no value, in lower case, beside those that pandas takes for missing.

    Raises
    ------
    ValueError
        If a value is missing, text stands beside numbers (which of two spellings would be one id?), or bytes are given.
    """
    values = column.to_numpy(dtype=object)
    absent = pd.isna(values) | np.array([str(value).strip().lower() in empty for value in values])
    if absent.any():
        words = sorted({value for value in values[absent] if isinstance(value, str) and value.strip()})
        shown = f" (there is {name_some(map(repr, words))})" if words else ""
        raise ValueError(f"Column {name!r} is empty in {name_rows(absent)}{shown}; fill it in or drop the row.")

    encoded = np.array([isinstance(value, bytes) for value in values])
    if encoded.any():
        raise ValueError(
            f"Column {name!r} holds bytes in {name_rows(encoded)}; decode them, as by "
            f"`table[{name!r}].str.decode('utf-8')`."
        )
    is_text = [isinstance(value, str | os.PathLike) for value in values]
    # truth values are no numbers: True beside 1 would be another class
    is_number = [isinstance(value, Number) and not isinstance(value, bool) for value in values]
    kinds = pd.Series([type(value).__name__ for value in values], dtype=object)
    kinds = kinds.mask(is_text, "text").mask(is_number, "numbers").drop_duplicates()
    if len(kinds) > 1:
        (a, first), (b, second) = list(kinds.items())[:2]
        raise ValueError(
            f"Column {name!r} mixes {first} ({values[a]!r} in row {a + 1}) and {second} ({values[b]!r} in row "
            f"{b + 1}); write all values one way."
        )
    if kinds[0] == "numbers":
        # whole numbers may have become floats beside a missing neighbour: 7, not 7.0
        whole = [isinstance(value, Real) and math.isfinite(value) and value == int(value) for value in values]
        values = [int(value) if is_whole else value for value, is_whole in zip(values, whole, strict=True)]
    text = np.empty(len(values), dtype=object)
    text[:] = [str(value).strip() for value in values]
    return text
