"""Tables: from a file or a data frame to a pandas DataFrame, with nothing guessed."""

import csv
import gzip
import itertools
import os
import re
import zlib
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
    """Rows of the table, and the folder to which its relative paths refer."""
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
    return _read_file(file), file.parent


def is_url(path):
    """Whether a path is an address such as "https://..." or "s3://..."."""
    return _URL.match(os.fspath(path)) is not None


def name_rows(mask):
    """Row numbers in words, the header apart and counted from 1."""
    numbers = np.flatnonzero(mask) + 1
    return f"row{'s' if len(numbers) > 1 else ''} {name_some(numbers)}"


def _read_file(file):
    suffix = Path(file.stem).suffix.lower() if file.suffix.lower() == ".gz" else file.suffix.lower()
    if suffix in _PARQUET:
        return _read_parquet(file)
    if suffix not in _SEPARATORS:
        known = [*_SEPARATORS, *sorted(_PARQUET)]
        raise ValueError(
            f"`table` must end in one of {known}, got {file.name!r}; save it as CSV (UTF-8), or read it by "
            "`pandas.read_excel(file, dtype=str)` or the like and pass the DataFrame."
        )
    return _to_frame(*_read_cells(file, _SEPARATORS[suffix]), file.name)


def _read_parquet(file):
    try:
        return pd.read_parquet(file)
    except ImportError as error:
        raise ImportError(
            "Reading Parquet needs pyarrow: pip install 'sklearn-magdg[parquet]', or save the table as CSV."
        ) from error
    except (ValueError, OSError, NotImplementedError) as error:
        raise ValueError(f"Cannot read {file.name!r} as Parquet ({error}); write or copy the file again.") from error


def _read_cells(file, separator):
    """Cells of every line that is not blank, as text, and what separates them: `separator` unless the file says so.

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
            return [cells for cells in csv.reader(lines, delimiter=separator, strict=True) if cells], separator
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file.name!r} is not UTF-8 text ({error}); save it as CSV UTF-8, or pass "
            "`pandas.read_csv(file, encoding=..., dtype=str)` with its encoding, such as 'cp1252' or 'utf-16'."
        ) from error
    except csv.Error as error:
        raise ValueError(f"Cannot read {file.name!r} as a table ({error}); check the quotes in it.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"Cannot unpack {file.name!r} ({error}); write or copy the file again.") from error


def _to_frame(cells, separator, name):
    if not cells:
        raise ValueError(f"{name!r} is empty; a table needs a header and one row per image.")
    header, *rows = cells
    _refuse_other_separator(header, name, separator)
    lengths = np.array([len(row) for row in rows], dtype=int)
    ragged = lengths != len(header)
    if ragged.any():
        raise ValueError(
            f"The header of {name!r} has {len(header)} cells, but {name_rows(ragged)} "
            f"{'have' if ragged.sum() > 1 else 'has'} {name_some(np.unique(lengths[ragged]))}; "
            f"put values that contain {separator!r} in quotes, and keep a cell for every column."
        )
    return pd.DataFrame(rows, columns=header, dtype=object)


def _refuse_other_separator(header, name, separator):
    others = [each for each in (",", ";", "\t", "|") if each in header[0]]
    if len(header) == 1 and others:
        raise ValueError(
            f"The header of {name!r} is one cell, {header[0]!r}: it seems to separate by {others[0]!r}, not by "
            f"{separator!r}; save it with {separator!r}, or pass `pandas.read_csv(file, sep={others[0]!r}, dtype=str)`."
        )
