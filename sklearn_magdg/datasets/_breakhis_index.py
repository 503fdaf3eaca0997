"""Which BreaKHis images lie in a folder: one row each, said by their names."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_magdg._words import name_some
from sklearn_magdg.datasets._breakhis_names import BreakhisName, contradicts, parse_filename

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"}


def index_images(root):
    """One row per BreaKHis image below a folder, sorted by file name.

    Where folder and name disagree either may be wrong: the name decides, for it stays with an image that is moved.

    Parameters
    ----------
    root : str or os.PathLike
        The extracted archive, a folder up to two levels above it, or any folder inside it.

    Returns
    -------
    images : pandas.DataFrame
        The path in `data`, and the fields of `BreakhisName`.

    Raises
    ------
    FileNotFoundError
        If the folder is missing, or holds no BreaKHis image.
    OSError
        If a folder in it cannot be read.
    ValueError
        If it holds several copies of BreaKHis, an image with another name, or one name in two folders.

    Warns
    -----
    UserWarning
        If folders say another class, slide or magnification than the names of images in them.
    """
    way_out = "pass the folder to which BreaKHis_v1.tar.gz was extracted"
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {str(root)!r}; {way_out}.")
    tree, paths = _find_images(root)
    parsed, others = {}, []
    for path in paths:
        try:
            parsed[path] = parse_filename(path.name)
        except ValueError:
            others.append(path)

    if not parsed:
        raise FileNotFoundError(f"There is no BreaKHis image in {str(root)!r}; {way_out}.")
    if others:
        raise ValueError(
            f"{len(others)} images do not follow the names of BreaKHis ({name_some(others)}), such as "
            "'SOB_B_A-14-22549AB-40-001.png': pass the folder of BreaKHis itself, or move or rename them if they lie "
            "in it."
        )

    places = pd.Series(list(parsed)).groupby([path.name for path in parsed]).agg(list)
    copies = places[places.map(len) > 1]
    if len(copies):  # one picture would stand in the collection twice
        raise ValueError(
            f"{len(copies)} images stand in several folders under one name, the first as "
            f"{name_some(copies.iloc[0], ' and ')}; keep one file of each name."
        )
    wrong = [
        path
        for path, name in parsed.items()
        if any(contradicts(name, folder) for folder in (tree.name, *path.relative_to(tree).parts[:-1]))
    ]
    if wrong:
        warnings.warn(
            f"{len(wrong)} images lie in a folder of another class, slide or magnification than their names say "
            f"({name_some(wrong)}). The names decide; move the files, or rename them if the folders are right.",
            UserWarning,
        )
    images = pd.DataFrame(list(parsed.values()), columns=BreakhisName._fields)
    images.insert(0, "data", np.array([str(path) for path in parsed], dtype=object))
    return images


def _find_images(root):
    """The folder where the images start, and every image file below it, sorted by name.

    A folder above the archive may hold other pictures too, so that the search starts in `histology_slides/breast` where
    that is at most two levels below `root`.
    """
    tree = root
    for pattern in ("histology_slides/breast", "*/histology_slides/breast", "*/*/histology_slides/breast"):
        trees = sorted(path for path in root.glob(pattern) if path.is_dir())
        # a hidden folder is, for example, the one in which a download is being unpacked
        trees = [path for path in trees if not any(part.startswith(".") for part in path.relative_to(root).parts)]
        if len(trees) > 1:
            found = [str(tree) for tree in trees]
            raise ValueError(f"{str(root)!r} holds {len(trees)} copies of BreaKHis, {found}; pass one of them.")
        if trees:
            tree = trees[0]
            break

    paths, met, unreadable = [], set(), []
    for folder, inner, names in os.walk(tree, onerror=unreadable.append, followlinks=True):
        real = os.path.realpath(folder)
        if real in met:  # a link led here a second time, perhaps in a circle
            inner.clear()
            continue
        met.add(real)
        inner[:] = sorted(
            name for name in inner if not name.startswith(".")
        )  # in place: `os.walk` goes on by this list
        # macOS leaves hidden "._SOB_..." companions beside the files of an archive
        shown = [name for name in names if not name.startswith(".")]
        paths += [Path(folder, name) for name in shown if os.path.splitext(name)[1].lower() in _IMAGE_SUFFIXES]
    if unreadable:
        error = unreadable[0]
        raise OSError(
            f"The folder {error.filename!r} cannot be read ({error.strerror}); make it readable or move it elsewhere."
        ) from error
    return tree, sorted(paths, key=lambda path: (path.name, path))
