"""One image file to upright 8-bit RGB, and the one resize of every route."""

import os
import stat
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# By content, whatever a file is called: of all that Pillow knows, EPS would start Ghostscript on a stranger's file.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")


def read_image(path, size=224):
    """Image of a file as a square of 8-bit RGB.

    Parameters
    ----------
    path : str or os.PathLike
        PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000 or PPM file, told by its content. Of several frames the first
        is taken. 16-bit grey keeps its upper byte.
    size : int, default=224
        Height and width in pixels.

    Returns
    -------
    image : ndarray of shape (size, size, 3), dtype uint8
        Bit for bit what `resize_images` gives for the decoded image.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no image of these formats, is no regular file, is cut off, has more pixels than
        `PIL.Image.MAX_IMAGE_PIXELS`, or has pixels of 32 bits.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
    ...     Image.new("L", (7, 5), 100).save(file.name)
    ...     read_image(file.name, size=1)
    array([[[100, 100, 100]]], dtype=uint8)
    """
    return np.asarray(_resize(decode(path), size))


def resize_images(images, size):
    """Images squeezed into squares, exactly as `read_image` does.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), dtype uint8
        RGB images.
    size : int
        Height and width in pixels.

    Returns
    -------
    resized : ndarray of shape (n, size, size, 3), dtype uint8
        `images` itself where they have that size already.

    Raises
    ------
    ValueError
        If the shape or dtype differs.

    Examples
    --------
    >>> resize_images(np.full((2, 7, 5, 3), 9, dtype=np.uint8), 3).shape
    (2, 3, 3, 3)
    """
    images = np.asanyarray(images)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"`images` must be uint8 of shape (n, height, width, 3), got {images.dtype} of {images.shape}."
        )
    if images.shape[1:3] == (size, size):
        return images
    resized = np.empty((len(images), size, size, 3), np.uint8)
    for row, image in enumerate(images):
        resized[row] = _resize(Image.fromarray(image), size)
    return resized


def _resize(image, size):
    # Pillow widens the bicubic filter with the reduction, which makes it antialiased
    return image.resize((size, size), Image.Resampling.BICUBIC)


def decode(path):
    """Upright RGB image of a file."""
    with _opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image)


def check_header(path, least=1):
    """Refuse a path that leads to no image, or to one with a side below `least` pixels.

    What follows the header is not read, so that damage there stays unseen.
    """
    with _opened(path) as image:
        size = image.size
    if min(size) < least:
        raise ValueError(
            f"Images must have at least {least} x {least} pixels here, got {size[0]} x {size[1]} in {str(path)!r}: "
            "leave it out, or give a larger one."
        )


@contextmanager
def _opened(path):
    """Image of a file, not yet decoded; errors in reading it name the file and the way out."""
    file_state(path)
    try:
        with _open(path) as image:
            _refuse_bomb(image)
            yield image
    except MemoryError:
        raise
    except Exception as error:  # on a damaged file a decoder may raise anything
        raise _unreadable(path, error) from error


def file_state(path):
    """`os.stat` of a regular file; to open a pipe instead would wait for ever."""
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):
            raise OSError("it is no regular file")
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no image file {str(path)!r}; check the path and its root folder.") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return state


def _unreadable(path, error):
    return ValueError(
        f"Cannot read {str(path)!r} as an image ({error}); download or export the file again, or leave it out: "
        "`sklearn_magdg.images.readable_images(paths)` is the mask of the files that can be read, and the loaders "
        'of `sklearn_magdg.datasets` drop the others with on_damaged="skip".'
    )


def _open(path):
    try:
        return Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"it does not begin as {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]} does") from None


def _refuse_bomb(image):
    # Pillow refuses only at twice its limit and warns below
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise ValueError(
            f"{image.width} x {image.height} pixels are more than PIL.Image.MAX_IMAGE_PIXELS = {limit}; "
            "raise that limit if you trust the file"
        )


def _to_rgb(image):
    if image.mode == "F":
        raise ValueError("its pixels are 32-bit floats of unknown range")
    if image.mode.startswith("I"):
        return _from_deep_grey(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _from_deep_grey(image):
    grey = np.asarray(image)
    if grey.size and not (grey.min() >= 0 and grey.max() < 2**16):
        raise ValueError("its pixels have more than 16 bits")
    # the upper byte, as Pillow does for 16-bit colour
    return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
