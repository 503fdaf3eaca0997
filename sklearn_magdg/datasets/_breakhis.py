"""BreaKHis as a bunch: what its index says, as arrays, beside what is missing in it."""

import os
import warnings

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_magdg._metadata import magnification_number
from sklearn_magdg._words import name_some
from sklearn_magdg.datasets._breakhis_index import index_images
from sklearn_magdg.datasets._breakhis_inventory import name_twins, read_inventory, verify_images
from sklearn_magdg.datasets._breakhis_names import LABELS, MAGNIFICATIONS, SUBTYPES
from sklearn_magdg.datasets._damaged import keep_readable
from sklearn_magdg.datasets._table import COLUMNS

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
    images = index_images(root)
    if magnifications is None:
        magnifications = images["magnification"].unique()
    magnifications = check_magnifications(magnifications)
    images = _select(images, magnifications, root)
    readable = keep_readable(images["data"].to_numpy(dtype=object), on_damaged)
    # once more, for a magnification may be left without an image
    left_out, images = images["data"][~readable], _select(images[readable], magnifications, root)

    verification = None
    if verify:
        expected = read_inventory()
        verification = verify_images(images, expected[expected["magnification"].isin(magnifications)])
        if target == "subtype" and not verification.duplicates.empty:
            warnings.warn(
                f"Pixel-identical images stand under two subtypes ({name_twins(verification.duplicates)}): one "
                "picture, two labels. `duplicates` lists them; leave one of each pair out.",
                UserWarning,
            )

    bunch = _to_bunch(images, target, patient_by, as_frame, verification)
    if len(left_out):
        names = name_some(map(os.path.basename, left_out))
        bunch.DESCR += f"Left out because they cannot be read ({len(left_out)}): {names}.\n"
    return (bunch.data, bunch.target) if return_X_y else bunch


def _check_option(name, value, options):
    if value not in options:
        raise ValueError(f"`{name}` must be one of {options}, got {value!r}.")


def check_magnifications(magnifications):
    """`magnifications` as distinct integers in ascending order, each one of BreaKHis.

    A single one and names that read as numbers ("200X") are taken too.

    Raises
    ------
    ValueError
        If there is none, or one that BreaKHis does not have.
    """
    asked = np.atleast_1d(np.asarray(magnifications, dtype=object)).tolist()
    numbers = [magnification_number(each) for each in asked]
    if not asked or not set(numbers) <= set(MAGNIFICATIONS):
        raise ValueError(f"`magnifications` must be among {MAGNIFICATIONS}, got {magnifications!r}.")
    return sorted({int(number) for number in numbers})


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


def _to_bunch(images, target, patient_by, as_frame, verification):
    """The fields that `load_breakhis` documents, from the index of the images that were kept.

    Classes are those of the full set, whichever of them are there, so that a code means one class in any part of it.
    `verification` is None where nothing was verified.
    """
    classes = list(LABELS.values()) if target == "label" else list(SUBTYPES)
    columns = {name: images[name].to_numpy() for name in ("data", "slide", "magnification", "subtype")}
    # text as Python's own, whatever dtype this version of pandas gives it
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
