"""Any collection of images, from a table."""

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_magdg._metadata import magnification_number
from sklearn_magdg._words import name_some
from sklearn_magdg.cohort import Cohort, encode, encode_magnification
from sklearn_magdg.datasets._damaged import keep_readable
from sklearn_magdg.datasets._table import COLUMNS, as_text, is_url, name_rows, read_table

_IDS = ("patient", "slide", "magnification")
_EMPTY_ID = {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"}  # a class may be called so


@dataclass(frozen=True, eq=False, kw_only=True)
class Listed(Cohort):
    """The images of a table: beside what a `Cohort` knows of every row, where its image lies and what it shows.

    Parameters
    ----------
    file : ndarray of shape (n,), dtype object
        Path of the image, that of the table joined to its folder.
    slide, subtype : ndarray of shape (n,), dtype object
        Text; of a table without such a column the patient and the name of the class.
    """

    file: np.ndarray
    slide: np.ndarray | None = None
    subtype: np.ndarray | None = None


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
    columns = _read_columns(rows, names)
    listed = Listed(
        label=encode(columns["target"], "target"),
        patient=encode(columns["patient"], "patient"),
        magnification=encode_magnification(columns["magnification"]),
        file=_find_files(columns["data"], folder if root is None else root),
        slide=columns.get("slide", columns["patient"]),
        subtype=columns.get("subtype", columns["target"]),
    )
    n_patients = pd.Series(listed.patient.codes).groupby(listed.slide).nunique()
    shared = n_patients.index[n_patients > 1]
    if len(shared):
        warnings.warn(
            f"{len(shared)} slides stand under several patients ({name_some(shared)}): splits keep patients apart, so "
            "a slide may stand on both sides; correct the patients, or give the slides names of their own.",
            UserWarning,
        )
    return _to_bunch(listed.take(keep_readable(listed.file, on_damaged, name_rows)))


def _read_columns(rows, names):
    """`names` and what they name in the table, as text: no value is empty, nothing is spelled in two ways.

    Beside `names`, by field of the bunch, the columns "slide" and "subtype" are read where they are there.

    One patient under two spellings would stand on both sides of a split, one magnification too. Two spellings are
    certainly one thing where they differ by what a table program adds or drops, or by the letter case of a class. The
    letter case of an id may tell people apart, and is a warning.
    """
    absent = [name for name in names.values() if name not in rows.columns]
    if absent:
        raise ValueError(
            f"The table has no column {absent}, it has {list(rows.columns)}; give its columns such names (in a .csv "
            "commas separate them, in a .tsv tabs), or in Python say which to read, as by "
            "load_manifest(table, patient='case')."
        )
    if not len(rows):
        raise ValueError("The table has no rows; it needs one per image.")
    names = names | {name: name for name in ("slide", "subtype") if name in rows.columns}
    twice = [name for name in names.values() if list(rows.columns).count(name) > 1]
    if twice:
        raise ValueError(f"The table has several columns of the name {twice[0]!r}; rename all but one.")
    columns = {key: as_text(rows[name], name, _EMPTY_ID if key in _IDS else {""}) for key, name in names.items()}

    words = np.array([magnification_number(each) is None for each in columns["magnification"]])
    if words.any() and not words.all():
        raise ValueError(
            f"Column {names['magnification']!r} mixes magnifications that read as numbers and, in {name_rows(words)}, "
            f"others ({name_some(map(repr, pd.unique(columns['magnification'][words])))}); write numbers such as 40 or "
            "'40X' everywhere, or names."
        )
    same = {"target": str.casefold, "patient": _plain_id, "slide": _plain_id, "magnification": magnification_number}
    for key in [key for key in same if key in names]:
        ways = _spellings(columns[key], same[key])
        if ways:
            raise ValueError(
                f"Column {names[key]!r} spells one {key} in several ways, {ways}; write all values one way."
            )
    for key in [key for key in ("patient", "slide") if key in names]:
        ways = _spellings(columns[key], lambda text: _plain_id(text).casefold())
        if ways:
            warnings.warn(
                f"Column {names[key]!r} has names that differ in letter case only, {ways}: they count as "
                f"different; write them one way if they are one {key}.",
                UserWarning,
            )
    return columns


def _spellings(column, meaning_of):
    """The first spellings of one meaning in words, with the first row of each; None where each has one spelling.

    `meaning_of` maps a spelling to what it means, or to None where that is nothing to compare.
    """
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


def _find_files(paths, root):
    """Paths joined to their root `(n,)`, of files that exist, each once.

    A link, or another letter case where the system does not tell it apart, is the same file: what counts is the device
    and the inode. Two files of equal content are two images.
    """
    if is_url(root):
        raise ValueError(f"`root` must be a folder, got the URL {os.fspath(root)!r}; download the images first.")
    urls = np.array([is_url(path) for path in paths])
    if urls.any():
        raise ValueError(
            f"Images must be files, got URLs in {name_rows(urls)} ({name_some(paths[urls])}); download them first."
        )
    root = Path(root).expanduser()
    files = np.empty(len(paths), dtype=object)
    files[:] = [os.path.normpath(root / os.path.expanduser(path)) for path in paths]

    absent = np.array([not os.path.isfile(file) for file in files])
    if absent.any():
        first = files[absent][0]
        way_out = (
            f"relative paths are read from {os.path.abspath(root)!r} (in Python set `root` to read them elsewhere)"
        )
        if os.path.isdir(first):
            way_out = f"{first!r} is a folder: give a row to each image in it"
        elif "\\" in first and os.sep == "/":
            way_out = "'\\' separates folders on Windows alone: write '/'"
        raise FileNotFoundError(
            f"There is no image file for {name_rows(absent)} ({name_some(files[absent])}); {way_out}."
        )

    states = [os.stat(file) for file in files]
    identity = pd.factorize(pd.Series([(state.st_dev, state.st_ino) for state in states]))[0]
    twice = np.flatnonzero(np.bincount(identity) > 1)
    if len(twice):
        same = identity == twice[0]
        others = f", and {len(twice) - 1} other files stand in several" if len(twice) > 1 else ""
        raise ValueError(
            f"The same image file stands in {name_rows(same)} ({name_some(np.unique(files[same]))}){others}; "
            "keep one row each."
        )
    return files


def _to_bunch(listed):
    """The fields that `load_manifest` documents; classes and magnifications are those of the rows that were kept."""
    target, target_names = listed.label.present()
    magnification = listed.magnification.present()
    numbers = [magnification_number(name) for name in magnification.names]
    column = magnification.values()
    if None not in numbers:
        numbers = np.array(numbers)
        # whole ones as integers: 40, as the loader of BreaKHis has it, not 40.0
        column = (numbers.astype(int) if (numbers % 1 == 0).all() else numbers)[magnification.codes]
    columns = {
        "data": listed.file,
        "target": target,
        "patient": listed.patient.values(),
        "slide": listed.slide,
        "magnification": column,
        "subtype": listed.subtype,
    }
    n_patients, n_levels = len(listed.patient.present().names), len(magnification.names)
    descr = f"{len(listed)} images of {n_patients} patients at {n_levels} magnifications, from a table."
    return Bunch(
        **columns, target_names=np.array(target_names), frame=pd.DataFrame(columns, columns=COLUMNS), DESCR=descr
    )
