"""The grammar of BreaKHis file names, and the codes in it."""

import re
import string
from typing import NamedTuple

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
    r"SOB_(?P<letter>[BM])_(?P<subtype>[A-Z]+)-(?P<slide>[0-9]{2}-[0-9]+[A-Z]*)"
    r"-(?P<magnification>40|100|200|400)-(?P<sequence>[0-9]{3})\.png"
)
_SLIDE_FOLDER = re.compile(r"SOB_([BM])_([A-Z]+)[_-]([0-9]{2}-[0-9]+[A-Z]*)")


class BreakhisName(NamedTuple):
    """What the name of a BreaKHis image says."""

    label: str
    subtype: str
    accession: str
    slide: str
    magnification: int
    sequence: int


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
    return BreakhisName(
        label=LABELS[match["letter"]],
        subtype=match["subtype"],
        accession=accession_of(match["slide"]),
        slide=match["slide"],
        magnification=int(match["magnification"]),
        sequence=int(match["sequence"]),
    )


def contradicts(name, folder):
    """Whether a folder of the official tree says another label, magnification or slide than the parsed name."""
    if folder in LABELS.values():
        return folder != name.label
    if folder in {f"{magnification}X" for magnification in MAGNIFICATIONS}:
        return folder != f"{name.magnification}X"
    slide = _SLIDE_FOLDER.fullmatch(folder)
    return slide is not None and (LABELS[slide[1]], slide[2], slide[3]) != (name.label, name.subtype, name.slide)


def accession_of(slide):
    """Accession number of a slide: its id without the letters that tell the slides of an accession apart."""
    return slide.rstrip(string.ascii_uppercase)
