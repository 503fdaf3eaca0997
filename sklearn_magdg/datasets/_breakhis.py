"""BreaKHis: its index, and the bunch."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_magdg._metadata import magnification_number
from sklearn_magdg._words import name_some
from sklearn_magdg.datasets._breakhis_inventory import name_twins, read_inventory, verify_images
from sklearn_magdg.datasets._breakhis_names import (
    LABELS,
    MAGNIFICATIONS,
    SUBTYPES,
    BreakhisName,
    contradicts,
    parse_filename,
)
from sklearn_magdg.datasets._damaged import keep_readable
from sklearn_magdg.datasets._table import COLUMNS

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"}

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


def load_breakhis(
    root,
    *,
    magnifications=MAGNIFICATIONS,
    target="label",
    patient_by="accession",
    verify=True,
    on_damaged=None,
    return_X_y=False,
    as_frame=False,
):
    """Paths, classes and metadata of the BreaKHis images in a folder.

    The name of an image says its class, slide and magnification, whatever its folder says. Links to folders are
    followed; folders whose name begins with a dot are passed over.

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
        Whether to compare the number of images of each slide at each magnification with the inventory of the full
        set, and the images of a slide that stands under two subtypes with each other, pixel by pixel. A partial
        collection is fine, and `DESCR` names what is missing.
    on_damaged : {None, "raise", "skip"}, default=None
        What to do about files that cannot be decoded. None does not look; "raise" and "skip" decode every image,
        and refuse the collection or leave the damaged ones out.
    return_X_y : bool, default=False
        Whether to return `(data, target)` alone.
    as_frame : bool, default=False
        Whether `data` is a DataFrame of one column, `target` a Series, and `frame` a DataFrame.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        Sorted by file name:

        data : ndarray of shape (n_images,), dtype object, or DataFrame of shape (n_images, 1)
            Paths as str.
        target : ndarray or Series of shape (n_images,), dtype int
            Codes into `target_names`.
        target_names : ndarray of shape (n_classes,), dtype str
            benign and malignant, or the subtypes A, F, PT, TA, DC, LC, MC, PC; `target_names[target]` is the class
            of every image.
        patient, slide : ndarray of shape (n_images,), dtype object
            Ids as str, with the year: "14-22549" and "14-22549AB".
        magnification : ndarray of shape (n_images,), dtype int
            40, 100, 200 or 400.
        subtype : ndarray of shape (n_images,), dtype object
            Code of the subtype.
        frame : pandas.DataFrame or None
            The columns data, target, patient, slide, magnification and subtype, with `as_frame=True`.
        inventory : pandas.DataFrame or None
            With `verify=True` a row per class-slide pair and magnification: images `found`, `expected`,
            `missing` and `extra`.
        duplicates : pandas.DataFrame or None
            With `verify=True` a row per pair of pixel-identical images of one slide under two subtypes: `slide`,
            `magnification`, `subtype`, `path`, `other_subtype`, `other_path`.
        DESCR : str
            Description, with what part of the full set this is: slides missing and incomplete, and the images
            that `on_damaged="skip"` left out.

    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        If the folder is missing, or holds no BreaKHis image.
    OSError
        If a folder in it cannot be read.
    ValueError
        If an image's name does not follow the grammar or stands in two folders, a requested magnification is
        absent, an option is unknown, or, with `on_damaged="raise"`, a file cannot be decoded.

    Warns
    -----
    UserWarning
        If a folder says another class, slide or magnification than the names of images in it; with `verify=True`,
        if there are slides or images that the full set does not have, and with `target="subtype"` if one picture
        stands under two subtypes; with `on_damaged="skip"`, if files are left out.

    References
    ----------
    F. A. Spanhol et al., "A Dataset for Breast Cancer Histopathological Image Classification", IEEE TBME
    63(7):1455-1462, 2016, doi:10.1109/TBME.2015.2496264.

    Examples
    --------
    >>> from sklearn_magdg.datasets import load_breakhis
    >>> bunch = load_breakhis("BreaKHis_v1", magnifications=(100, 200))  # doctest: +SKIP
    >>> bunch.target_names  # doctest: +SKIP
    array(['benign', 'malignant'], dtype='<U9')
    """
    _check_option("target", target, ("label", "subtype"))
    _check_option("patient_by", patient_by, ("accession", "slide"))
    images = _index(root)
    if magnifications is None:
        magnifications = images["magnification"].unique()
    magnifications = check_magnifications(magnifications)
    images = _select(images, magnifications, root)
    readable = keep_readable(images["data"].to_numpy(dtype=object), on_damaged)
    left_out, images = images[~readable], _select(images[readable], magnifications, root)
    verification = _verify(images, magnifications, target) if verify else None
    bunch = _to_bunch(images, target, patient_by, as_frame, verification)
    bunch.DESCR += _describe_damage(left_out)
    return (bunch.data, bunch.target) if return_X_y else bunch


def _check_option(name, value, options):
    if value not in options:
        raise ValueError(f"`{name}` must be one of {options}, got {value!r}.")


def check_magnifications(magnifications):
    """`magnifications` as distinct integers in ascending order, each one of BreaKHis."""
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
    tree = _find_tree(root)
    paths = sorted(_image_files(tree), key=lambda path: (path.name, path))
    matching, others = _parse_all(paths)
    if not matching:
        raise FileNotFoundError(
            f"There is no BreaKHis image in {str(root)!r}; pass the folder to which BreaKHis_v1.tar.gz was extracted."
        )
    if others:
        _refuse_strangers(others)
    _refuse_copies(matching)
    _warn_contradictions(matching, tree)
    images = pd.DataFrame(list(matching.values()), columns=BreakhisName._fields)
    images.insert(0, "data", np.array([str(path) for path in matching], dtype=object))
    return images


def _find_tree(root):
    """Where the images start: a folder above the archive may hold other pictures too."""
    for pattern in ("histology_slides/breast", "*/histology_slides/breast", "*/*/histology_slides/breast"):
        trees = sorted(path for path in root.glob(pattern) if path.is_dir() and not _is_hidden(path.relative_to(root)))
        if len(trees) > 1:
            found = [str(tree) for tree in trees]
            raise ValueError(f"{str(root)!r} holds {len(trees)} copies of BreaKHis, {found}; pass one of them.")
        if trees:
            return trees[0]
    return root


def _is_hidden(path):
    # such as the folder in which a download is being unpacked
    return any(part.startswith(".") for part in path.parts)


def _image_files(tree):
    met = set()
    for folder, inner, names in os.walk(tree, onerror=_refuse_unreadable, followlinks=True):
        real = os.path.realpath(folder)
        if real in met:
            inner.clear()
            continue
        met.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in names:
            # macOS leaves hidden "._SOB_..." companions beside the files of an archive
            if os.path.splitext(name)[1].lower() in _IMAGE_SUFFIXES and not name.startswith("."):
                yield Path(folder, name)


def _refuse_unreadable(error):
    raise OSError(
        f"The folder {error.filename!r} cannot be read ({error.strerror}); make it readable or move it elsewhere."
    ) from error


def _parse_all(paths):
    matching, others = {}, []
    for path in paths:
        try:
            matching[path] = parse_filename(path.name)
        except ValueError:
            others.append(path)
    return matching, others


def _refuse_strangers(others):
    raise ValueError(
        f"{len(others)} images do not follow the names of BreaKHis ({name_some(others)}), such as "
        "'SOB_B_A-14-22549AB-40-001.png': pass the folder of BreaKHis itself, or move or rename them if they lie in it."
    )


def _refuse_copies(matching):
    """A copy would put one picture into a collection twice."""
    places = pd.Series(list(matching)).groupby([path.name for path in matching]).agg(list)
    copies = places[places.map(len) > 1]
    if len(copies):
        raise ValueError(
            f"{len(copies)} images stand in several folders under one name, the first as "
            f"{name_some(copies.iloc[0], ' and ')}; keep one file of each name."
        )


def _warn_contradictions(matching, tree):
    wrong = [
        path
        for path, name in matching.items()
        if any(contradicts(name, folder) for folder in (tree.name, *path.relative_to(tree).parts[:-1]))
    ]
    if wrong:
        warnings.warn(
            f"{len(wrong)} images lie in a folder of another class, slide or magnification than their names say "
            f"({name_some(wrong)}). The names decide; move the files, or rename them if the folders are right.",
            UserWarning,
        )


def _select(images, magnifications, root):
    """Images at `magnifications`, all of which must be there."""
    found = sorted(images["magnification"].unique().tolist())
    absent = sorted(set(magnifications) - set(found))
    if absent:
        raise ValueError(
            f"There is no image at magnification {absent} in {os.fspath(root)!r}; "
            f"pass magnifications={tuple(found)} or add the images."
        )
    return images[images["magnification"].isin(magnifications)]


def _verify(images, magnifications, target):
    expected = read_inventory()
    verification = verify_images(images, expected[expected["magnification"].isin(magnifications)])
    if target == "subtype":
        _warn_two_labels(verification.duplicates)
    return verification


def _warn_two_labels(duplicates):
    if not duplicates.empty:
        warnings.warn(
            f"Pixel-identical images stand under two subtypes ({name_twins(duplicates)}): one picture, two labels. "
            "`duplicates` lists them; leave one of each pair out.",
            UserWarning,
        )


def _describe_damage(left_out):
    """What `on_damaged="skip"` left out, which the inventory counts as missing."""
    names = [os.path.basename(path) for path in left_out["data"]]
    return f"Left out because they cannot be read ({len(names)}): {name_some(names)}.\n" if names else ""


def _to_bunch(images, target, patient_by, as_frame, verification):
    classes = list(LABELS.values()) if target == "label" else list(SUBTYPES)
    columns = {name: images[name].to_numpy() for name in ("data", "slide", "magnification", "subtype")}
    columns |= {name: columns[name].astype(object) for name in ("data", "slide", "subtype")}
    columns["patient"] = images[patient_by].to_numpy().astype(object)
    columns["target"] = images[target].map(classes.index).to_numpy()
    frame = pd.DataFrame(columns, columns=COLUMNS) if as_frame else None
    if as_frame:
        columns |= {"data": frame[["data"]], "target": frame["target"]}
    return Bunch(
        **columns,
        target_names=np.array(classes),
        frame=frame,
        inventory=verification and verification.inventory,
        duplicates=verification and verification.duplicates,
        DESCR=_DESCR + ("\n" + verification.report if verification else ""),
    )
