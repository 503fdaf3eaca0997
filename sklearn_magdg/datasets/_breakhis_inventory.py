"""What the full BreaKHis holds, and how a collection compares with it."""

import textwrap
import warnings
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_magdg._words import name_some
from sklearn_magdg.datasets._breakhis_names import MAGNIFICATIONS
from sklearn_magdg.images import pixel_digests

_PAIR = ["subtype", "slide"]
_TWO_IMAGES = ["slide", "magnification", "subtype", "path", "other_subtype", "other_path"]


class Verification(NamedTuple):
    """Counts per class-slide pair and magnification, pairs of one picture, and both in words."""

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
    """Compare `images` (label, subtype, slide, magnification and path in `data`) with the `expected` numbers.

    Warns
    -----
    UserWarning
        If there are more images than expected, or a slide that is not expected at all.
    """
    inventory = _count(images, expected)
    _warn_extra(inventory)
    duplicates, n_unread = _find_duplicates(images)
    return Verification(inventory, duplicates, _describe_part(inventory) + _describe_twins(duplicates, n_unread))


def _count(images, expected):
    """Found, expected, missing and extra images per class-slide pair and magnification."""
    keys = ["label", *_PAIR, "magnification"]
    found = images.groupby(keys).size().rename("found")
    inventory = pd.concat([found, expected.set_index(keys)["expected"]], axis=1).fillna(0).astype(int)
    surplus = inventory["found"] - inventory["expected"]
    return inventory.assign(missing=(-surplus).clip(0), extra=surplus.clip(0)).sort_index().reset_index()


def _warn_extra(inventory):
    extra = name_counts(inventory[inventory["extra"] > 0])
    if extra:
        shown = name_some(extra, "; ")
        warnings.warn(
            f"These are not the images of BreaKHis_v1 ({shown}); look for copies or foreign files.", UserWarning
        )


def name_counts(inventory):
    """Images found and expected in words, a text per row."""
    return [
        f"{row.subtype}-{row.slide} at {row.magnification}X: {row.found} images instead of {row.expected}"
        for row in inventory.itertuples()
    ]


def _describe_part(inventory):
    extra = name_counts(inventory[inventory["extra"] > 0])
    surplus = _list("More than the full set has", extra, "; ") if extra else ""
    expected = inventory["expected"].sum()
    if not inventory["missing"].any():
        return f"This collection is complete: all {expected:,} images of the magnifications loaded.\n" + surplus
    slides = inventory[inventory["expected"] > 0].groupby(_PAIR, as_index=False)[["expected", "missing"]].sum()
    absent = slides[slides["missing"] == slides["expected"]]
    partial = slides[(slides["missing"] > 0) & (slides["missing"] < slides["expected"])]
    return (
        f"This collection is partial: {expected - slides['missing'].sum():,} images of {expected:,}, "
        f"{len(slides) - len(absent)} class-slide pairs of {len(slides)}, at the magnifications loaded.\n"
        + _list(f"Wholly missing, with images expected ({len(absent)})", _name_slides(absent))
        + _list(f"Incomplete, with images found of expected ({len(partial)})", _name_slides(partial))
        + surplus
    )


def _name_slides(slides):
    found = slides["expected"] - slides["missing"]
    counts = found.astype(str).add(" of ").where(found > 0, "") + slides["expected"].astype(str)
    return (slides["subtype"] + "-" + slides["slide"] + " (" + counts + ")").tolist()


def _list(title, items, separator=", "):
    """A paragraph that breaks its lines between items only."""
    unbroken = [item.replace(" ", "\xa0") for item in items]
    text = f"{title}: {separator.join(unbroken) or 'none'}."
    return textwrap.fill(text, 110, break_on_hyphens=False, subsequent_indent="  ").replace("\xa0", " ") + "\n"


def _find_duplicates(images):
    """Pairs of images of one slide and magnification, equal in every pixel, under two subtypes.

    Only slides that stand under several subtypes are decoded; how many of their images could not be is the
    second value.
    """
    shared = images[images.groupby("slide")["subtype"].transform("nunique") > 1]
    shared = shared[["slide", "magnification", "subtype"]].assign(
        path=shared["data"], digest=np.array([_digest(path) for path in shared["data"]], dtype=object)
    )
    readable = shared.dropna(subset="digest")
    keys = ["slide", "magnification", "digest"]
    other = readable.rename(columns={"subtype": "other_subtype", "path": "other_path"})
    pairs = readable.merge(other, on=keys)
    pairs = pairs[pairs["subtype"] < pairs["other_subtype"]]
    pairs = pairs.sort_values(["slide", "magnification", "path", "other_path"], ignore_index=True)
    return pairs[_TWO_IMAGES], len(shared) - len(readable)


def _digest(path):
    """Digest of the pixels, None for a damaged file or a link to none: what follows is up to `on_damaged`."""
    try:
        return pixel_digests([path])[0]
    except (ValueError, OSError):
        return None


def name_twins(duplicates):
    """Slides and subtypes of the pairs in words: "14-13412 in DC and LC, 123 pairs"."""
    sizes = duplicates.groupby(["slide", "subtype", "other_subtype"]).size()
    return "; ".join(f"{slide} in {a} and {b}, {n} pairs" for (slide, a, b), n in sizes.items())


def _describe_twins(duplicates, n_unread):
    unread = f" {n_unread} images under two subtypes cannot be read and were not compared." if n_unread else ""
    if duplicates.empty:
        return f"No slide has pixel-identical images under two subtypes.{unread}\n"
    return f"Pixel-identical images under two subtypes: {name_twins(duplicates)}.{unread}\n"
