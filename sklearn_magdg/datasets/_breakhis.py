"""BreaKHis: its file names, its index, and its integrity against the inventory."""

import os
import re
import warnings
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_magdg._metadata import magnification_number

MAGNIFICATIONS = (40, 100, 200, 400)
LABELS = {"B": "benign", "M": "malignant"}
SUBTYPES = {
    "A": "benign",
    "F": "benign",
    "PT": "benign",
    "TA": "benign",
    "DC": "malignant",
    "LC": "malignant",
    "MC": "malignant",
    "PC": "malignant",
}

_NAME = re.compile(
    r"SOB_(?P<letter>[BM])_(?P<subtype>[A-Z]+)-(?P<year>[0-9]{2})-(?P<number>[0-9]+)(?P<suffix>[A-Z]*)"
    r"-(?P<magnification>40|100|200|400)-(?P<sequence>[0-9]{3})\.png"
)
_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"}
_COLUMNS = ["data", "target", "patient", "slide", "magnification", "subtype"]

_DESCR = """\
BreaKHis: breast tumour histology at four magnifications
--------------------------------------------------------
7,909 H&E images (2,480 benign, 5,429 malignant) of 82 class-slide pairs, 8 subtypes, at 40X, 100X, 200X and
400X (0.49, 0.20, 0.10 and 0.05 micrometres per pixel), 700 x 460 pixels. CC BY 4.0, for research, with
attribution.

The 82 pairs are 81 slide ids: 14-13412 stands in both DC and LC, with pixel-identical images. Without their
letters they are 70 accession numbers. Nothing documents whether slides of one accession are of one person, so
the strict reading of "patient" is the accession.

F. A. Spanhol, L. S. Oliveira, C. Petitjean, L. Heutte, "A Dataset for Breast Cancer Histopathological Image
Classification", IEEE TBME 63(7):1455-1462, 2016, doi:10.1109/TBME.2015.2496264.
"""


class BreakhisName(NamedTuple):
    """What the name of a BreaKHis image says."""

    label: str
    subtype: str
    accession: str
    slide: str
    magnification: int
    sequence: int


def load_breakhis(
    root,
    *,
    magnifications=MAGNIFICATIONS,
    target="label",
    patient_by="accession",
    verify=True,
    return_X_y=False,
    as_frame=False,
):
    """Paths, classes and metadata of the BreaKHis images in a folder.

    Parameters
    ----------
    root : str or os.PathLike
        The extracted archive, a folder up to two levels above it, or any folder inside it.
    magnifications : int, sequence of int or None, default=(40, 100, 200, 400)
        Magnifications to load, each of which must be there; None loads those that are.
    target : {"label", "subtype"}, default="label"
        Classes: benign and malignant, or the 8 subtypes.
    patient_by : {"accession", "slide"}, default="accession"
        What counts as a patient: the accession number, without the letter that tells its slides apart, or the
        slide. The accession is the strict reading.
    verify : bool, default=True
        Whether to compare the images with the inventory of the full set, slide by slide. A partial
        collection is fine, and named so in `DESCR`.
    return_X_y : bool, default=False
        Whether to return `(data, target)` alone.
    as_frame : bool, default=False
        Whether `data` and `target` are pandas Series, and `frame` a DataFrame.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        Sorted by file name:

        data : ndarray of shape (n_images,), dtype object
            Paths as str.
        target : ndarray of shape (n_images,), dtype int
            Codes into `target_names`.
        target_names : list of str
            `["benign", "malignant"]`, or the subtypes A, F, PT, TA, DC, LC, MC, PC.
        patient, slide : ndarray of shape (n_images,), dtype object
            Ids as str, with the year: "14-22549" and "14-22549AB".
        magnification : ndarray of shape (n_images,), dtype int
            40, 100, 200 or 400.
        subtype : ndarray of shape (n_images,), dtype object
            Code of the subtype.
        frame : pandas.DataFrame or None
            The columns above, with `as_frame=True`.
        inventory : pandas.DataFrame or None
            With `verify=True` a row per slide and magnification: images found and expected.
        DESCR : str
            Description, with what part of the full set this is.

    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        If the folder is missing, or holds no BreaKHis image.
    ValueError
        If an image's name does not follow the grammar, a requested magnification is absent, or an option is
        unknown.

    Warns
    -----
    UserWarning
        With `verify=True`, if there are slides or images that the full set does not have.

    References
    ----------
    F. A. Spanhol et al., "A Dataset for Breast Cancer Histopathological Image Classification", IEEE TBME
    63(7):1455-1462, 2016, doi:10.1109/TBME.2015.2496264.

    Examples
    --------
    >>> from sklearn_magdg.datasets import load_breakhis
    >>> bunch = load_breakhis("BreaKHis_v1", magnifications=(100, 200))  # doctest: +SKIP
    >>> bunch.target_names  # doctest: +SKIP
    ['benign', 'malignant']
    """
    _check_option("target", target, ("label", "subtype"))
    _check_option("patient_by", patient_by, ("accession", "slide"))
    images = _index(root)
    if magnifications is None:
        magnifications = images["magnification"].unique()
    magnifications = _check_magnifications(magnifications)
    images = images[images["magnification"].isin(_present(images, magnifications, root))]
    inventory = _take_inventory(images, magnifications) if verify else None
    bunch = _to_bunch(images, target, patient_by, inventory, as_frame)
    return (bunch.data, bunch.target) if return_X_y else bunch


def parse_filename(name):
    """Label, subtype, accession, slide, magnification and sequence number in the name of a BreaKHis image.

    Parameters
    ----------
    name : str
        File name without folder, such as "SOB_B_A-14-22549AB-40-001.png".

    Returns
    -------
    parsed : BreakhisName
        A NamedTuple; `accession` is the slide ("14-22549AB") without its letters ("14-22549").

    Raises
    ------
    ValueError
        If the name does not follow the grammar, or its subtype is not one of its label.

    Examples
    --------
    >>> parse_filename("SOB_B_A-14-22549AB-40-001.png")[:4]
    ('benign', 'A', '14-22549', '14-22549AB')
    """
    match = _NAME.fullmatch(name)
    if match is None or SUBTYPES.get(match["subtype"]) != LABELS[match["letter"]]:
        raise ValueError(
            f"{name!r} is no name of a BreaKHis image, which looks like 'SOB_B_A-14-22549AB-40-001.png'; "
            "rename the file or move it elsewhere."
        )
    accession = f"{match['year']}-{match['number']}"
    return BreakhisName(
        label=LABELS[match["letter"]],
        subtype=match["subtype"],
        accession=accession,
        slide=accession + match["suffix"],
        magnification=int(match["magnification"]),
        sequence=int(match["sequence"]),
    )


def read_inventory():
    """Slides of the full set, from the package: a row per slide and magnification, `expected` images."""
    with files("sklearn_magdg.datasets").joinpath("data/breakhis_slides.csv").open() as file:
        slides = pd.read_csv(file, dtype={"year": str, "slide": str})
    slides["slide"] = slides["year"] + "-" + slides["slide"]
    counts = {f"n_{magnification}x": magnification for magnification in MAGNIFICATIONS}
    slides = slides.rename(columns=counts).melt(
        ["label", "subtype", "slide"], MAGNIFICATIONS, "magnification", "expected"
    )
    return slides.astype({"magnification": int})


def _check_option(name, value, options):
    if value not in options:
        raise ValueError(f"`{name}` must be one of {options}, got {value!r}.")


def _check_magnifications(magnifications):
    asked = np.atleast_1d(np.asarray(magnifications, dtype=object)).tolist()
    numbers = [magnification_number(each) for each in asked]
    if not asked or not set(numbers) <= set(MAGNIFICATIONS):
        raise ValueError(f"`magnifications` must be among {MAGNIFICATIONS}, got {magnifications!r}.")
    return sorted({int(number) for number in numbers})


def _index(root):
    """One row per image below `root`, sorted by file name."""
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(root)!r}; pass the folder to which BreaKHis_v1.tar.gz was extracted."
        )
    paths = sorted(_image_files(_find_tree(root)), key=lambda path: (path.name, path))
    matching, others = _parse_all(paths)
    if not matching:
        raise FileNotFoundError(
            f"There is no BreaKHis image in {str(root)!r}; pass the folder to which BreaKHis_v1.tar.gz was extracted."
        )
    if others:
        _refuse_strangers(others)
    images = pd.DataFrame(list(matching.values()), columns=BreakhisName._fields)
    images.insert(0, "data", np.array([str(path) for path in matching], dtype=object))
    return images


def _find_tree(root):
    """Where the images start: a folder above the archive may hold other pictures too."""
    for pattern in ("histology_slides/breast", "*/histology_slides/breast", "*/*/histology_slides/breast"):
        trees = sorted(path for path in root.glob(pattern) if path.is_dir())
        if len(trees) > 1:
            found = [str(tree) for tree in trees]
            raise ValueError(f"{str(root)!r} holds {len(trees)} copies of BreaKHis, {found}; pass one of them.")
        if trees:
            return trees[0]
    return root


def _image_files(tree):
    for folder, _, names in os.walk(tree):
        for name in names:
            # macOS leaves hidden "._SOB_..." companions beside the files of an archive
            if os.path.splitext(name)[1].lower() in _IMAGE_SUFFIXES and not name.startswith("."):
                yield Path(folder, name)


def _parse_all(paths):
    matching, others = {}, []
    for path in paths:
        try:
            matching[path] = parse_filename(path.name)
        except ValueError:
            others.append(path)
    return matching, others


def _refuse_strangers(others):
    shown = ", ".join(str(path) for path in others[:5]) + (", ..." if len(others) > 5 else "")
    raise ValueError(
        f"{len(others)} images do not follow the names of BreaKHis ({shown}); a name looks like "
        "'SOB_B_A-14-22549AB-40-001.png': rename them or move them elsewhere."
    )


def _present(images, magnifications, root):
    """`magnifications`, all of which have images."""
    found = sorted(images["magnification"].unique().tolist())
    absent = sorted(set(magnifications) - set(found))
    if absent:
        raise ValueError(
            f"There is no image at magnification {absent} in {os.fspath(root)!r}; "
            f"pass magnifications={tuple(found)} or add the images."
        )
    return magnifications


def _take_inventory(images, magnifications):
    """Found and expected numbers of images per slide and magnification."""
    keys = ["label", "subtype", "slide", "magnification"]
    found = images.groupby(keys).size().rename("found")
    expected = read_inventory().set_index(keys)["expected"]
    inventory = pd.concat([found, expected], axis=1).fillna(0).astype(int).sort_index().reset_index()
    inventory = inventory[inventory["magnification"].isin(magnifications)].reset_index(drop=True)
    _warn_extra(inventory[inventory["found"] > inventory["expected"]])
    return inventory


def _warn_extra(extra):
    if extra.empty:
        return
    lines = [
        f"{row.subtype}-{row.slide} at {row.magnification}X: {row.found} images instead of {row.expected}"
        for row in extra.itertuples()
    ]
    shown = "; ".join(lines[:5]) + ("; ..." if len(lines) > 5 else "")
    warnings.warn(f"These are not the images of BreaKHis_v1 ({shown}); look for copies or foreign files.", UserWarning)


def _to_bunch(images, target, patient_by, inventory, as_frame):
    target_names = list(LABELS.values()) if target == "label" else list(SUBTYPES)
    columns = {name: images[name].to_numpy() for name in ("data", "slide", "magnification", "subtype")}
    columns |= {name: columns[name].astype(object) for name in ("data", "slide", "subtype")}
    columns["patient"] = images[patient_by].to_numpy().astype(object)
    columns["target"] = images[target].map(target_names.index).to_numpy()
    frame = pd.DataFrame(columns, columns=_COLUMNS) if as_frame else None
    if as_frame:
        columns |= {name: frame[name] for name in ("data", "target")}
    descr = _DESCR + ("" if inventory is None else "\n" + _describe_part(inventory))
    return Bunch(**columns, target_names=target_names, frame=frame, inventory=inventory, DESCR=descr)


def _describe_part(inventory):
    found, expected = inventory["found"].sum(), inventory["expected"].sum()
    if (inventory["found"] == inventory["expected"]).all():
        return f"This collection is complete: all {expected:,} images of the magnifications loaded.\n"
    slides = inventory.groupby(["subtype", "slide"])[["found", "expected"]].sum().astype(bool).sum()
    return (
        f"This collection is partial: {found:,} images of {expected:,}, {slides['found']} class-slide pairs "
        f"of {slides['expected']}, at the magnifications loaded.\n"
    )
