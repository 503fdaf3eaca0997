"""Any collection of images, from a table."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_magdg._metadata import encode, encode_magnification, magnification_number

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = {".parquet", ".pq"}
_COLUMNS = ["data", "target", "patient", "slide", "magnification", "subtype"]


def load_manifest(table, *, root=None, path="path", target="target", patient="patient", magnification="magnification"):
    """Paths, classes and metadata of the images that a table lists.

    Parameters
    ----------
    table : str, os.PathLike or DataFrame
        A .csv, .tsv, .tab (also .gz) or .parquet file, or a pandas or polars DataFrame; one row per image.
        Columns named "slide" and "subtype" are read where they are there.
    root : str or os.PathLike, default=None
        Folder to which relative paths refer. None: the folder of the table, or for a DataFrame the working
        directory.
    path, target, patient, magnification : str
        Names of the columns; defaults "path", "target", "patient", "magnification".

    Returns
    -------
    bunch : sklearn.utils.Bunch
        In the order of the table:

        data : ndarray of shape (n_images,), dtype object
            Paths as str, joined to `root`.
        target : ndarray of shape (n_images,), dtype int
            Codes into `target_names`.
        target_names : list of str
            Classes in the table, in numeric order where all read as numbers, else in alphabetical order.
        patient, slide : ndarray of shape (n_images,), dtype object
            Ids as str: leading zeros stay. Without a column "slide" the slide is the patient.
        magnification : ndarray of shape (n_images,)
            Numbers where all read as numbers ("40", "40X"), else str.
        subtype : ndarray of shape (n_images,), dtype object
            Without a column "subtype" the name of the class.
        frame : pandas.DataFrame
            The columns above.
        DESCR : str
            One sentence of numbers.

    Raises
    ------
    FileNotFoundError
        If the table, or an image in it, does not exist.
    ImportError
        If a Parquet file is given and pyarrow is not installed.
    ValueError
        If a column is missing, a value is empty, a path stands twice, the table has no rows, or its format is
        unknown. Rows are counted from 1, the header apart.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"path": [], "target": [], "patient": [], "magnification": []})
    >>> load_manifest(table)
    Traceback (most recent call last):
        ...
    ValueError: The table has no rows; it needs one per image.
    """
    rows, folder = _read_table(table)
    names = {"data": path, "target": target, "patient": patient, "magnification": magnification}
    columns = _select(rows, names)
    columns["data"] = _join(folder if root is None else Path(root), columns["data"])
    _refuse_duplicates(columns["data"])
    _refuse_absent(columns["data"])
    return _to_bunch(columns)


def _read_table(table):
    """Rows of the table, and the folder to which its relative paths refer."""
    if isinstance(table, pd.DataFrame):
        return table, Path()
    if hasattr(table, "to_dict") and hasattr(table, "columns"):  # polars, without asking for pyarrow
        return pd.DataFrame(table.to_dict(as_series=False)), Path()
    if not isinstance(table, str | os.PathLike):
        raise ValueError(f"`table` must be a path or a DataFrame, got {type(table).__name__}.")
    file = Path(table).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"There is no table {str(file)!r}; check the path.")
    return _read_file(file), file.parent


def _read_file(file):
    suffix = Path(file.stem).suffix.lower() if file.suffix == ".gz" else file.suffix.lower()
    if suffix in _PARQUET:
        return _read_parquet(file)
    if suffix not in _SEPARATORS:
        known = [*_SEPARATORS, *sorted(_PARQUET)]
        raise ValueError(f"`table` must end in one of {known}, got {file.name!r}; convert it to one of these.")
    # as text: ids keep their leading zeros, and a patient may be called NA
    return pd.read_csv(file, sep=_SEPARATORS[suffix], dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _read_parquet(file):
    try:
        return pd.read_parquet(file)
    except ImportError as error:
        raise ImportError(
            "Reading Parquet needs pyarrow: pip install 'sklearn-magdg[parquet]', or save the table as CSV."
        ) from error


def _select(rows, names):
    """`names` and what they name in the table, as text, each without an empty value."""
    absent = [name for name in names.values() if name not in rows.columns]
    if absent:
        raise ValueError(
            f"The table has no column {absent}, it has {list(rows.columns)}; name the columns to read by "
            "`path`, `target`, `patient` and `magnification`."
        )
    if not len(rows):
        raise ValueError("The table has no rows; it needs one per image.")
    optional = {name: name for name in ("slide", "subtype") if name in rows.columns}
    return {key: _as_text(rows[name], name) for key, name in (names | optional).items()}


def _as_text(column, name):
    if pd.api.types.is_float_dtype(column.dtype) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")  # whole numbers that a missing neighbour turned into floats: 7, not 7.0
    values = column.to_numpy(dtype=object)
    empty = pd.isna(values) | np.array([str(value).strip() == "" for value in values])
    if empty.any():
        raise ValueError(f"Column {name!r} is empty in {_rows(empty)}; fill it in or drop the row.")
    text = np.empty(len(values), dtype=object)
    text[:] = [str(value).strip() for value in values]
    return text


def _rows(mask):
    """Row numbers in words, the header apart and counted from 1."""
    numbers = (np.flatnonzero(mask) + 1).tolist()
    shown = ", ".join(map(str, numbers[:5])) + (f", ... ({len(numbers)} in all)" if len(numbers) > 5 else "")
    return f"row{'s' if len(numbers) > 1 else ''} {shown}"


def _join(folder, paths):
    joined = np.empty(len(paths), dtype=object)
    joined[:] = [os.path.normpath(folder.expanduser() / path) for path in paths]
    return joined


def _refuse_duplicates(paths):
    twice = pd.Series(paths).duplicated(keep=False).to_numpy()
    if twice.any():
        raise ValueError(f"The same path stands in {_rows(twice)} ({paths[np.argmax(twice)]}); keep one row each.")


def _refuse_absent(paths):
    absent = np.array([not os.path.isfile(path) for path in paths])
    if absent.any():
        raise FileNotFoundError(
            f"There is no image file for {_rows(absent)} ({paths[np.argmax(absent)]}); "
            "set `root` to the folder to which the paths refer."
        )


def _to_bunch(columns):
    target, target_names = encode(columns["target"], "target")
    columns["slide"] = columns.get("slide", columns["patient"])
    columns["subtype"] = columns.get("subtype", columns["target"])
    columns |= {"target": target, "magnification": _as_numbers(columns["magnification"])}
    n_patients, n_levels = len(set(columns["patient"])), len(set(columns["magnification"].tolist()))
    descr = f"{len(target)} images of {n_patients} patients at {n_levels} magnifications, from a table."
    frame = pd.DataFrame(columns, columns=_COLUMNS)
    return Bunch(**columns, target_names=target_names, frame=frame, DESCR=descr)


def _as_numbers(magnification):
    """Numbers where all values read as numbers, whole ones as integers, else the text."""
    numbers = [magnification_number(each) for each in magnification]
    if None in numbers:
        encode_magnification(magnification)
        return magnification
    numbers = np.array(numbers)
    return numbers.astype(int) if (numbers % 1 == 0).all() else numbers
