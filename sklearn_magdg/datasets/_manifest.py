"""Any collection of images, from a table."""

import math
import os
import re
import warnings
from numbers import Number, Real
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_magdg._metadata import magnification_number
from sklearn_magdg._words import name_some
from sklearn_magdg.cohort import encode
from sklearn_magdg.datasets._damaged import keep_readable
from sklearn_magdg.datasets._table import COLUMNS, is_url, name_rows, read_table

_IDS = ("patient", "slide", "magnification")
_EMPTY_ID = {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"}  # a class may be called so


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
        target_names : ndarray of shape (n_classes,), dtype str
            Classes in the table, in numeric order where all read as numbers, else in alphabetical order;
            `target_names[target]` is the class of every image.
        patient, slide : ndarray of shape (n_images,), dtype object
            Ids as str: leading zeros stay. Without a column "slide" the slide is the patient.
        magnification : ndarray of shape (n_images,)
            Numbers where all read as numbers ("40", "40X", "x40"), str where none does.
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
        If the table cannot be read or has no rows; if a column is missing or stands twice; if a value is empty
        (in the columns of patients, slides and magnifications "NA", "NaN", "null" and "None" are) or bytes; if a
        column mixes text and numbers, or magnifications that read as numbers and others; if one magnification,
        patient, slide or class is spelled in several ways ("40" and "40X", "7", "007" and "7.0", "benign" and
        "Benign"); if a path is a URL, or one image file stands in several rows; with `on_damaged="raise"`, if a
        file cannot be decoded. Rows are counted from 1, header and blank lines apart.

    Warns
    -----
    UserWarning
        If patients or slides differ in letter case only, if a slide stands under several patients, and with
        `on_damaged="skip"`, if files are left out.

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
    _refuse_mixed_magnifications(columns["magnification"], magnification)
    _check_spellings(columns, names)
    _warn_shared_slides(columns)
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
    empty = {key: _EMPTY_ID if key in _IDS else {""} for key in names}
    return {key: _as_text(rows[name], name, empty[key]) for key, name in names.items()}


def _as_text(column, name, empty):
    values = column.to_numpy(dtype=object)
    absent = pd.isna(values) | np.array([str(value).strip().lower() in empty for value in values])
    if absent.any():
        words = sorted({value for value in values[absent] if isinstance(value, str) and value.strip()})
        shown = f" (there is {name_some(map(repr, words))})" if words else ""
        raise ValueError(f"Column {name!r} is empty in {name_rows(absent)}{shown}; fill it in or drop the row.")
    _refuse_bytes(values, name)
    _refuse_mixture(values, name)
    text = np.empty(len(values), dtype=object)
    text[:] = [_to_text(value) for value in values]
    return text


def _to_text(value):
    # whole numbers may have become floats beside a missing neighbour: 7, not 7.0
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value).strip()


def _refuse_bytes(values, name):
    encoded = np.array([isinstance(value, bytes) for value in values])
    if encoded.any():
        raise ValueError(
            f"Column {name!r} holds bytes in {name_rows(encoded)}; decode them, as by "
            f"`table[{name!r}].str.decode('utf-8')`."
        )


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


def _refuse_mixed_magnifications(magnification, name):
    words = np.array([magnification_number(each) is None for each in magnification])
    if words.any() and not words.all():
        raise ValueError(
            f"Column {name!r} mixes magnifications that read as numbers and, in {name_rows(words)}, others "
            f"({name_some(map(repr, pd.unique(magnification[words])))}); write numbers such as 40 or '40X' everywhere, "
            "or names."
        )


def _check_spellings(columns, names):
    """One patient under two spellings would stand on both sides of a split, one magnification too."""
    same = {"target": str.casefold, "patient": _plain_id, "slide": _plain_id, "magnification": magnification_number}
    for key in [key for key in same if key in columns]:
        ways = _spellings(columns[key], same[key])
        if ways:
            raise ValueError(
                f"Column {names.get(key, key)!r} spells one {key} in several ways, {ways}; write all values one way."
            )
    for key in [key for key in ("patient", "slide") if key in columns]:
        ways = _spellings(columns[key], lambda text: _plain_id(text).casefold())
        if ways:
            warnings.warn(
                f"Column {names.get(key, key)!r} has names that differ in letter case only, {ways}: they count as "
                f"different; write them one way if they are one {key}.",
                UserWarning,
            )


def _spellings(column, meaning_of):
    """The first spellings of one meaning in words, with the first row of each; None where each has one spelling."""
    spelled = pd.Series(column).drop_duplicates()
    meaning = spelled.map(meaning_of)
    twice = meaning[meaning.duplicated(keep=False) & meaning.notna()]
    if len(twice):
        ways = spelled[meaning == twice.iloc[0]]
        return name_some(f"{text!r} (row {row + 1})" for row, text in ways.items())
    return None


def _plain_id(text):
    """An id without what a table program adds or drops: zeros before a number and after its point, white space."""
    text = re.sub(r"^([0-9]+)\.0+$", r"\1", "".join(text.split()))
    return re.sub(r"(?<![0-9.])0+(?=[0-9])", "", text)


def _warn_shared_slides(columns):
    if "slide" not in columns:
        return
    n_patients = pd.Series(columns["patient"]).groupby(columns["slide"]).nunique()
    shared = n_patients.index[n_patients > 1]
    if len(shared):
        warnings.warn(
            f"{len(shared)} slides stand under several patients ({name_some(shared)}): splits keep patients apart, so "
            "a slide may stand on both sides; correct the patients, or give the slides names of their own.",
            UserWarning,
        )


def _join(root, paths):
    if is_url(root):
        raise ValueError(f"`root` must be a folder, got the URL {os.fspath(root)!r}; download the images first.")
    urls = np.array([is_url(path) for path in paths])
    if urls.any():
        raise ValueError(
            f"Images must be files, got URLs in {name_rows(urls)} ({name_some(paths[urls])}); download them first."
        )
    joined = np.empty(len(paths), dtype=object)
    joined[:] = [os.path.normpath(Path(root).expanduser() / os.path.expanduser(path)) for path in paths]
    return joined


def _refuse_absent(paths):
    absent = np.array([not os.path.isfile(path) for path in paths])
    if absent.any():
        raise FileNotFoundError(
            f"There is no image file for {name_rows(absent)} ({name_some(paths[absent])}); "
            f"{_way_out(paths[absent][0])}."
        )


def _way_out(path):
    if os.path.isdir(path):
        return f"{path!r} is a folder: give a row to each image in it"
    if "\\" in path and os.sep == "/":
        return "'\\' separates folders on Windows alone: write '/'"
    return "set `root` to the folder to which the paths refer"


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
    frame = pd.DataFrame(columns, columns=COLUMNS)
    return Bunch(**columns, target_names=np.array(target_names), frame=frame, DESCR=descr)


def _as_numbers(magnification):
    """Numbers where all values read as numbers, whole ones as integers, else the text."""
    numbers = [magnification_number(each) for each in magnification]
    if None in numbers:
        return magnification
    numbers = np.array(numbers)
    return numbers.astype(int) if (numbers % 1 == 0).all() else numbers
