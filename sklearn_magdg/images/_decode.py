"""One image file to upright 8-bit RGB, and the one resize of every route.

Whatever is wrong with a file ends in one kind of error: FileNotFoundError where there is none, else ValueError with the
file's name, the reason and the way out. So `readable_images` need not know what a decoder may raise.
"""

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

    See Also
    --------
    ImageReader : Many images as one array, with threads and a cache.
    resize_images : The same for images in memory.

    Notes
    -----
    The picture is squeezed, not cropped: at a magnification the width of a cell in pixels depends on the shape of the
    image, so that a collection should have one shape. The resize is bicubic and antialiased: where it reduces, the
    kernel is widened by the factor of the reduction, which is what keeps fine chromatin from turning into noise.

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

    See Also
    --------
    read_image : The same for an image file.
    cut_tiles : Keeps the resolution, and makes several images of one.

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
    """A PIL image squeezed into a square: the one place that says how, for files and arrays alike."""
    # Pillow widens the bicubic filter with the reduction, which makes it antialiased
    return image.resize((size, size), Image.Resampling.BICUBIC)


def decode(path):
    """Upright RGB image of a file, a `PIL.Image.Image` of its own size.

    Transparent parts lie on white, as on the light table of a microscope. Grey of up to 16 bits keeps its upper byte,
    as Pillow itself does for colour of 16 bits: to stretch it to what it holds would make images incomparable.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_image` does.
    """
    with _opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == "F":
            raise ValueError("its pixels are 32-bit floats of unknown range")
        if image.mode.startswith("I"):
            grey = np.asarray(image)
            if grey.size and not (grey.min() >= 0 and grey.max() < 2**16):
                raise ValueError("its pixels have more than 16 bits")
            return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
        if image.has_transparency_data:
            # to convert at once would show whatever colour stands under the transparent pixels
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")


def check_header(path, least=1):
    """Refuse a path that leads to no image, or to one with a side below `least` pixels.

    What follows the header is not read, so that damage there stays unseen. It is cheap enough for a `fit` to look at
    all files before it begins.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_image` does, and ValueError for an image that is too small.
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
    """Image of a file, not yet decoded; errors in reading it name the file and the way out.

    The errors of the caller's block count as well, for Pillow decodes when the pixels are first asked for.
    """
    file_state(path)
    try:
        with _open(path) as image:
            # Pillow refuses only at twice its limit and warns below
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise ValueError(
                    f"{image.width} x {image.height} pixels are more than PIL.Image.MAX_IMAGE_PIXELS = {limit}; "
                    "raise that limit if you trust the file"
                )
            yield image
    except MemoryError:  # says something about the machine, nothing about the file
        raise
    except Exception as error:  # on a damaged file a decoder may raise anything
        raise _unreadable(path, error) from error


def file_state(path):
    """`os.stat` of a regular file; to open a pipe instead would wait for ever.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or a link leads to none.
    ValueError
        If it is a folder, a pipe or a device, cannot be reached, or has an impossible name (a null character).
    """
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
    """The error to raise for a file, with the reason and the ways out, of which the last has its name in a loader."""
    return ValueError(
        f"Cannot read {str(path)!r} as an image ({error}); download or export the file again, or leave it out: when a "
        'collection is loaded, `on_damaged="skip"` leaves out all such files (in Python, '
        "`sklearn_magdg.images.readable_images(paths)` tells which)."
    )


def _open(path):
    """Header of a file as a `PIL.Image.Image` that reads its pixels when they are asked for."""
    try:
        return Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        # Pillow's own words name the file, which `_unreadable` does too
        raise ValueError(f"it does not begin as {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]} does") from None
