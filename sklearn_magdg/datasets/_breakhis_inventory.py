"""What the full BreaKHis holds, and how a collection compares with it.

The unit is the class-slide pair: subtype and slide together, of which there are 82, for slide 14-13412 stands under two
subtypes. `data/breakhis_slides.csv` has a row for each, with its images per magnification and its roles in the five
published hold-outs.
"""

import textwrap
import warnings
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg._words import name_some
from sklearn_magdg.datasets._breakhis_names import MAGNIFICATIONS
from sklearn_magdg.images import pixel_digests

_PAIR = ["subtype", "slide"]
_TWO_IMAGES = ["slide", "magnification", "subtype", "path", "other_subtype", "other_path"]


class Verification(NamedTuple):
    """Counts per class-slide pair and magnification, pairs of one picture, and both in words.

    Parameters
    ----------
    inventory : pandas.DataFrame
        As `count_images` returns it.
    duplicates : pandas.DataFrame
        A row per pair of images of one slide and magnification that are equal in every pixel and stand under two
        subtypes: `slide`, `magnification`, `subtype`, `path`, `other_subtype`, `other_path`; `subtype` is the one that
        comes first in the alphabet, so that no pair stands there twice.
    report : str
        Lines of at most 110 characters.
    """

    inventory: pd.DataFrame
    duplicates: pd.DataFrame
    report: str


def read_slides():
    """Class-slide pairs of the full set: images per magnification (`n_40x`, ...) and role in `fold1` to `fold5`."""
    with files("sklearn_magdg.datasets").joinpath("data/breakhis_slides.csv").open() as file:
        slides = pd.read_csv(file, dtype={"year": str, "slide": str})
    slides["slide"] = slides["year"] + "-" + slides["slide"]
    return slides.drop(columns="year")


def read_inventory():
    """Images `expected` in the full set, a row per class-slide pair and magnification."""
    counts = {f"n_{magnification}x": magnification for magnification in MAGNIFICATIONS}
    slides = read_slides().rename(columns=counts)
    slides = slides.melt(["label", *_PAIR], MAGNIFICATIONS, "magnification", "expected")
    return slides.astype({"magnification": int})


def verify_images(images, expected):
    """`Verification` of the images that were found against the numbers that were expected.

    Parameters
    ----------
    images : pandas.DataFrame
        A row per image: `label`, `subtype`, `slide`, `magnification`, and its path in `data`.
    expected : pandas.DataFrame
        Rows of `read_inventory`, for the magnifications that were loaded.

    Warns
    -----
    UserWarning
        If there are more images than expected, or a slide that is not expected at all.
    """
    inventory = count_images(images, expected)
    extra = name_counts(inventory[inventory["extra"] > 0])
    if extra:
        warnings.warn(
            f"These are not the images of BreaKHis_v1 ({name_some(extra, '; ')}); look for copies or foreign files.",
            UserWarning,
        )

    n_expected = inventory["expected"].sum()
    report = f"This collection is complete: all {n_expected:,} images of the magnifications loaded.\n"
    if inventory["missing"].any():
        # slides that the full set does not have are no part of it, and said to be too many below
        slides = inventory[inventory["expected"] > 0].groupby(_PAIR, as_index=False)[["expected", "missing"]].sum()
        absent = slides[slides["missing"] == slides["expected"]]
        partial = slides[(slides["missing"] > 0) & (slides["missing"] < slides["expected"])]
        report = (
            f"This collection is partial: {n_expected - slides['missing'].sum():,} images of {n_expected:,}, "
            f"{len(slides) - len(absent)} class-slide pairs of {len(slides)}, at the magnifications loaded.\n"
            + _list(f"Wholly missing, with images expected ({len(absent)})", _name_slides(absent))
            + _list(f"Incomplete, with images found of expected ({len(partial)})", _name_slides(partial))
        )
    if extra:
        report += _list("More than the full set has", extra, "; ")

    duplicates, n_unread = _find_duplicates(images)
    twins = f"Pixel-identical images under two subtypes: {name_twins(duplicates)}."
    if duplicates.empty:
        twins = "No slide has pixel-identical images under two subtypes."
    if n_unread:
        twins += f" {n_unread} images under two subtypes cannot be read and were not compared."
    return Verification(inventory, duplicates, f"{report}{twins}\n")


def count_images(images, expected):
    """Images `found`, `expected`, `missing` and `extra`, a row per class-slide pair and magnification.

    A row stands there for what was found or expected, so that slides of either side alone are seen. Of `missing` and
    `extra` at least one is 0.
    """
    keys = ["label", *_PAIR, "magnification"]
    found = images.groupby(keys).size().rename("found")
    inventory = pd.concat([found, expected.set_index(keys)["expected"]], axis=1).fillna(0).astype(int)
    surplus = inventory["found"] - inventory["expected"]
    return inventory.assign(missing=(-surplus).clip(0), extra=surplus.clip(0)).sort_index().reset_index()


def name_counts(inventory):
    """Images found and expected in words, a text per row: "DC-14-4364 at 40X: 2 images instead of 1"."""
    return [
        f"{row.subtype}-{row.slide} at {magnification_text(row.magnification)}: {row.found} images instead of "
        f"{row.expected}"
        for row in inventory.itertuples()
    ]


def _name_slides(slides):
    """Class-slide pairs in words, with images found of expected: "TA-14-3411F (7 of 16)", or "(16)" of one missing."""
    found = slides["expected"] - slides["missing"]
    counts = found.astype(str).add(" of ").where(found > 0, "") + slides["expected"].astype(str)
    return (slides["subtype"] + "-" + slides["slide"] + " (" + counts + ")").tolist()


def _list(title, items, separator=", "):
    """A paragraph that breaks its lines between items only."""
    # `textwrap` breaks at spaces but not at those that bind
    unbroken = [item.replace(" ", "\xa0") for item in items]
    text = f"{title}: {separator.join(unbroken) or 'none'}."
    return textwrap.fill(text, 110, break_on_hyphens=False, subsequent_indent="  ").replace("\xa0", " ") + "\n"


def _find_duplicates(images):
    """Pairs of images of one slide and magnification, equal in every pixel, under two subtypes.

    Only slides that stand under several subtypes are decoded; how many of their images could not be is the
    second value.
    """
    shared = images[images.groupby("slide")["subtype"].transform("nunique") > 1]
    digests = []
    for path in shared["data"]:
        try:
            digests.append(pixel_digests([path])[0])
        except (ValueError, OSError):  # damaged, or a link to nothing: what follows is up to `on_damaged`
            digests.append(None)
    shared = shared[["slide", "magnification", "subtype"]].assign(
        path=shared["data"], digest=np.array(digests, dtype=object)
    )
    readable = shared.dropna(subset="digest")
    keys = ["slide", "magnification", "digest"]
    other = readable.rename(columns={"subtype": "other_subtype", "path": "other_path"})
    pairs = readable.merge(other, on=keys)
    pairs = pairs[pairs["subtype"] < pairs["other_subtype"]]  # each pair came out both ways, each image with itself
    pairs = pairs.sort_values(["slide", "magnification", "path", "other_path"], ignore_index=True)
    return pairs[_TWO_IMAGES], len(shared) - len(readable)


def name_twins(duplicates):
    """Slides and subtypes of the pairs in words: "14-13412 in DC and LC, 123 pairs"."""
    sizes = duplicates.groupby(["slide", "subtype", "other_subtype"]).size()
    return "; ".join(f"{slide} in {a} and {b}, {n} pairs" for (slide, a, b), n in sizes.items())
