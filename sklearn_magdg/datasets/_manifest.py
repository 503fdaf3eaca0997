"""Any collection of images, from a table."""

import math
import os
import re
from numbers import Number, Real
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_magdg._metadata import encode, magnification_number
from sklearn_magdg.datasets._damaged import keep_readable
from sklearn_magdg.datasets._table import is_url, name_rows, read_table
from sklearn_magdg.datasets._words import name_some

_COLUMNS = ["data", "target", "patient", "slide", "magnification", "subtype"]


def load_manifest(
    table,
    *,
    root=None,
    path="path",
    target="target",
    patient="patient",
    magnification="magnification",
    on_damaged=None,
):
    """Paths, classes and metadata of the images that a table lists.

    Parameters
    ----------
    table : str, os.PathLike or DataFrame
        A .csv, .tsv, .tab (also .gz; UTF-8, with a header) or .parquet file, or a pandas or polars DataFrame;
        one row per image. Columns named "slide" and "subtype" are read where they are there.
    root : str or os.PathLike, default=None
        Folder to which relative paths refer. None: the folder of the table, or for a DataFrame the working
        directory.
    path, target, patient, magnification : str
        Names of the columns; defaults "path", "target", "patient", "magnification".
    on_damaged : {None, "raise", "skip"}, default=None
        What to do about files that cannot be decoded. None does not look; "raise" and "skip" decode every image,
        and refuse the table or leave the damaged rows out.

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
        If the table cannot be read or has no rows; if a column is missing or stands twice; if a value is empty,
        a column mixes text and numbers, or one magnification or patient is spelled in several ways ("40" and
        "40X", "7" and "7.0"); if a path is a URL, or one image file stands in several rows; with
        `on_damaged="raise"`, if a file cannot be decoded. Rows are counted from 1, header and blank lines apart.

    Warns
    -----
    UserWarning
        With `on_damaged="skip"`, if files are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"path": [], "target": [], "patient": [], "magnification": []})
    >>> load_manifest(table)
    Traceback (most recent call last):
        ...
    ValueError: The table has no rows; it needs one per image.
    """
    rows, folder = read_table(table)
    names = {"data": path, "target": target, "patient": patient, "magnification": magnification}
    columns = _select(rows, names)
    _refuse_spellings(columns, names)
    columns["data"] = _join(folder if root is None else root, columns["data"])
    _refuse_absent(columns["data"])
    _refuse_duplicates(columns["data"])
    readable = keep_readable(columns["data"], on_damaged, name_rows)
    return _to_bunch({key: column[readable] for key, column in columns.items()})


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
    names = names | {name: name for name in ("slide", "subtype") if name in rows.columns}
    twice = [name for name in names.values() if list(rows.columns).count(name) > 1]
    if twice:
        raise ValueError(f"The table has several columns of the name {twice[0]!r}; rename all but one.")
    return {key: _as_text(rows[name], name) for key, name in names.items()}


def _as_text(column, name):
    values = column.to_numpy(dtype=object)
    empty = pd.isna(values) | np.array([str(value).strip() == "" for value in values])
    if empty.any():
        raise ValueError(f"Column {name!r} is empty in {name_rows(empty)}; fill it in or drop the row.")
    _refuse_mixture(values, name)
    text = np.empty(len(values), dtype=object)
    text[:] = [_to_text(value) for value in values]
    return text


def _to_text(value):
    # whole numbers may have become floats beside a missing neighbour: 7, not 7.0
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value).strip()


def _refuse_mixture(values, name):
    kinds = pd.Series([_kind(value) for value in values]).drop_duplicates()
    if len(kinds) > 1:
        (a, first), (b, second) = list(kinds.items())[:2]
        raise ValueError(
            f"Column {name!r} mixes {first} ({values[a]!r} in row {a + 1}) and {second} ({values[b]!r} in row "
            f"{b + 1}); write all values one way."
        )


def _kind(value):
    if isinstance(value, str | os.PathLike):
        return "text"
    return "numbers" if isinstance(value, Number) and not isinstance(value, bool) else type(value).__name__


def _refuse_spellings(columns, names):
    """One patient under two spellings would stand on both sides of a split, one magnification too."""
    same = {"patient": _without_zero_decimals, "slide": _without_zero_decimals, "magnification": magnification_number}
    for key in [key for key in same if key in columns]:
        spelled = pd.Series(columns[key]).drop_duplicates()
        meaning = spelled.map(same[key])
        twice = meaning[meaning.duplicated(keep=False) & meaning.notna()]
        if len(twice):
            ways = spelled[meaning == twice.iloc[0]]
            shown = name_some(f"{text!r} (row {row + 1})" for row, text in ways.items())
            raise ValueError(
                f"Column {names.get(key, key)!r} spells one {key} in several ways, {shown}; write all values one way."
            )


def _without_zero_decimals(text):
    return re.sub(r"^([0-9]+)\.0+$", r"\1", text)


def _join(root, paths):
    if is_url(root):
        raise ValueError(f"`root` must be a folder, got the URL {os.fspath(root)!r}; download the images first.")
    urls = np.array([is_url(path) for path in paths])
    if urls.any():
        raise ValueError(
            f"Images must be files, got URLs in {name_rows(urls)} ({name_some(paths[urls])}); download them first."
        )
    joined = np.empty(len(paths), dtype=object)
    joined[:] = [os.path.normpath(Path(root).expanduser() / path) for path in paths]
    return joined


def _refuse_absent(paths):
    absent = np.array([not os.path.isfile(path) for path in paths])
    if absent.any():
        raise FileNotFoundError(
            f"There is no image file for {name_rows(absent)} ({name_some(paths[absent])}); "
            "set `root` to the folder to which the paths refer."
        )


def _refuse_duplicates(paths):
    """A link, or another letter case where the system does not tell it apart, is the same file."""
    states = [os.stat(path) for path in paths]
    file = pd.factorize(pd.Series([(state.st_dev, state.st_ino) for state in states]))[0]
    twice = np.flatnonzero(np.bincount(file) > 1)
    if len(twice):
        same = file == twice[0]
        others = f", and {len(twice) - 1} other files stand in several" if len(twice) > 1 else ""
        raise ValueError(
            f"The same image file stands in {name_rows(same)} ({name_some(np.unique(paths[same]))}){others}; "
            "keep one row each."
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
        return magnification
    numbers = np.array(numbers)
    return numbers.astype(int) if (numbers % 1 == 0).all() else numbers
