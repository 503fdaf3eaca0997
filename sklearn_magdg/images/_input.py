"""Whatever a user gives as X, checked: images and image paths become a source, features are left to scikit-learn."""

from os import PathLike

import numpy as np

from sklearn_magdg._words import counted, name_some
from sklearn_magdg.images._decode import resize_images
from sklearn_magdg.images._paths import as_paths
from sklearn_magdg.images._sources import ArraySource, PathSource, Source

_PATH_SIZE = 224  # what paths are brought to when `image_size` is None: torchvision's usual input
_BLOCK = 2**18  # numbers of float images that are brought to 8 bits at a time


def as_source(X, *, image_size=None, n_jobs=None, cache=None, square_from=None, check_files=False):
    """`X` as a source of images, checked; None where it holds features.

    Parameters
    ----------
    X : array, list, Series, DataFrame or Source
        Images, image paths or features: see `CNNClassifier.fit`.
    image_size : int or None
        Side in pixels that images are brought to. None keeps arrays and brings paths to 224.
    n_jobs : int or None
        Decoding threads, for paths.
    cache : str, os.PathLike or None
        Folder of decoded images, for paths.
    square_from : int or None
        Where arrays of images must be square: the least side in pixels, of files too.
    check_files : bool
        Whether to look at the header of every file: a `fit` does, before hours of training; later a batch meets a bad
        one soon.

    Returns
    -------
    Source or None

    Raises
    ------
    ValueError
        When X is none of the three, holds no image or non-finite numbers, or (`check_files`) a path leads to no image.
    FileNotFoundError
        When (`check_files`) a path leads nowhere.
    """
    if isinstance(X, Source):
        return X.resized(image_size) if image_size and len(X.shape) == 3 else X
    paths = as_paths(X)
    if paths is not None:
        source = PathSource(paths, image_size or _PATH_SIZE, n_jobs, cache)
        if check_files:
            source.check(square_from or 1)
        return source
    X = stacked(X)
    if isinstance(X, str | PathLike):
        raise ValueError(f"X is one path, {str(X)!r}; give a list of paths: [X].")
    ndim = getattr(X, "ndim", 2)
    if ndim == 3 or ndim > 4:
        raise ValueError(
            f"X has the shape {X.shape}; images need (n, height, width, 3), one image `X[None]`; "
            "features need (n, n_features)."
        )
    if ndim != 4:
        return None
    images = _as_uint8(np.asarray(X))
    if square_from is not None:
        _check_square(images.shape, square_from)
    return ArraySource(images if image_size is None else resize_images(images, image_size))


def stacked(X):
    """A list, object array or Series of arrays as one array, anything else as it is."""
    is_column = isinstance(X, list | tuple) or getattr(X, "ndim", 0) == 1
    if not is_column or not len(X) or np.ndim(next(iter(X))) < 2:
        return X
    shapes = {np.shape(each) for each in X}
    if len(shapes) > 1:
        raise ValueError(
            f"X holds images of several shapes, {name_some(sorted(shapes))}; bring them to one first, or give "
            "their paths, which are brought to one size."
        )
    return np.stack(list(X))


def _as_uint8(images):
    """Images checked and stored in 8 bits, which is what microscopes and PNG files hold.

    Raises
    ------
    ValueError
        For no image, no pixel, another number of channels than 3 in the last place, integers that are not uint8, and
        floats that are not in [0, 1]. Nothing is rescaled by a guess: two collections would be guessed differently.
    """
    shape = images.shape
    if shape[0] == 0:
        raise ValueError("X holds no image: give at least one.")
    if 0 in shape:
        raise ValueError(f"Images must have at least one pixel, got an array of shape {shape}.")
    if shape[3] != 3:
        way_out = "bring greyscale or transparent images to RGB first (`ImageReader` does)"
        if shape[1] == 3:
            way_out = "move the channels last: `np.moveaxis(X, 1, -1)`"
        raise ValueError(f"Images must have the shape (n, height, width, 3), got {shape}; {way_out}.")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind == "f":
        return _rounded(images)
    way_out = "convert them first"
    if images.dtype.kind in "iu":
        low, high = images.min(), images.max()
        way_out = "cast them: `X.astype('uint8')`"
        if low < 0 or high > 255:
            way_out = f"bring all, now {low} to {high}, to [0, 1] by one rule, such as `X / 65535` for 16 bits"
    raise ValueError(f"Images must be uint8, or float in [0, 1], got {images.dtype}; {way_out}.")


def _check_square(shape, least):
    height, width = shape[1:3]
    if height != width:
        raise ValueError(
            f"Arrays of images must be square here, got {height} x {width} pixels: crop them, or squeeze them by "
            "`sklearn_magdg.images.resize_images`, which is what happens to image paths."
        )
    if height < least:
        raise ValueError(
            f"Images must have at least {least} x {least} pixels here, got {height} x {width}: give them as they were "
            "taken, or `sklearn_magdg.images.resize_images` them and know that they stay blurred."
        )


def _rounded(images):
    """Float images in [0, 1] in 8 bits: read once, block by block, without a second array of floats."""
    rounded = np.empty(images.shape, np.uint8)
    n_rows = max(1, _BLOCK // images[0].size)
    for start in range(0, len(images), n_rows):
        block = images[start : start + n_rows]
        if block.min() >= 0 and block.max() <= 1:  # which NaN is not
            rounded[start : start + n_rows] = np.rint(block * 255)
            continue
        finite = np.isfinite(images).all(axis=(1, 2, 3))
        if not finite.all():
            raise ValueError(
                f"NaN or infinite values stand in {counted(np.count_nonzero(~finite), 'image')}, the first at position "
                f"{finite.argmin()}; repair or drop what holds them."
            )
        raise ValueError(
            f"Images must be uint8, or float in [0, 1], got {images.dtype} from {images.min():g} to {images.max():g}; "
            "bring all to [0, 1] by one rule, such as `X / 255` for 8 bits."
        )
    return rounded
