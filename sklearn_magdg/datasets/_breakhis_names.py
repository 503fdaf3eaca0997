"""The grammar of BreaKHis file names, and the codes in it.

A name is SOB_<label>_<subtype>-<year>-<slide>-<magnification>-<sequence>.png. SOB (surgical open biopsy) stands in all.
The label is B or M. The slide is a number of the laboratory, with letters where an accession has several slides. The
sequence numbers the images of a slide at a magnification, with gaps. The subtypes are adenosis (A), fibroadenoma (F),
phyllodes tumour (PT), tubular adenoma (TA), and ductal (DC), lobular (LC), mucinous (MC) and papillary (PC) carcinoma.
"""

import re
import string
from typing import NamedTuple

from sklearn_magdg._metadata import magnification_text

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
    """What the name of a BreaKHis image says.

    Parameters
    ----------
    label : {"benign", "malignant"}
    subtype : str
        One of `SUBTYPES`, and of this label.
    accession : str
        Year and number: "14-22549".
    slide : str
        The accession with the letters of the slide: "14-22549AB".
    magnification : int
        One of `MAGNIFICATIONS`.
    sequence : int
        Tells the images of a slide at a magnification apart, and nothing else.
    """

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
    """Whether a folder of the official tree says another label, magnification or slide than the parsed name.

    Folders whose names follow no grammar ("SOB", "adenosis", "my images") say nothing and contradict nothing.
    """
    if folder in LABELS.values():
        return folder != name.label
    if folder in map(magnification_text, MAGNIFICATIONS):
        return folder != magnification_text(name.magnification)
    slide = _SLIDE_FOLDER.fullmatch(folder)
    return slide is not None and (LABELS[slide[1]], slide[2], slide[3]) != (name.label, name.subtype, name.slide)


def accession_of(slide):
    """Accession number of a slide: its id without the letters that tell the slides of an accession apart.

    Nothing documents whether the slides of an accession are of one person. To take them for one is the reading under
    which no patient can stand on both sides of a split.
    """
    return slide.rstrip(string.ascii_uppercase)
