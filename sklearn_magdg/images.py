"""Image files to uint8 arrays: one decoding and one resize for every route."""

import hashlib
import os
import struct
import uuid
from numbers import Integral
from pathlib import Path

import numpy as np
import PIL
from joblib import Parallel, delayed
from PIL import Image, ImageOps
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval

__all__ = ["ImageReader", "as_paths", "read_image", "resize_images"]

# What Pillow's decoders raise on damaged files, beside its own UnidentifiedImageError (an OSError).
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class ImageReader(TransformerMixin, BaseEstimator):
    """Images of the given paths as one uint8 array.

    Every image is turned upright (EXIF), brought to 8-bit RGB (transparent parts on white) and squeezed
    into a square by one antialiased resize, the same that `resize_images` applies to arrays.

    Parameters
    ----------
    size : int, default=224
        Height and width in pixels, at least 1.
    cache : str or os.PathLike, default=None
        Folder for decoded images, made where it is missing. One list of paths gives one memory-mapped
        file there, which later calls read instead of the images, until an image changes its size in bytes
        or its time of change. Transform once before cross-validation: every fold is a list of its own.
        None decodes every time.
    n_jobs : int, default=None
        Number of decoding threads. None means 1 unless in a `joblib.parallel_config` context, -1 all
        processors.

    Raises
    ------
    ValueError
        If a parameter is out of range, `X` holds no paths, or a file is no image that can be read whole.
    FileNotFoundError
        If a file does not exist.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "patch.png")
    ...     Image.new("RGB", (700, 460), "pink").save(path)
    ...     ImageReader(size=5).fit_transform([path]).shape
    (1, 5, 5, 3)
    """

    _parameter_constraints = {
        "size": [Interval(Integral, 1, None, closed="left")],
        "cache": [str, os.PathLike, None],
        "n_jobs": [Integral, None],
    }

    def __init__(self, size=224, *, cache=None, n_jobs=None):
        self.size = size
        self.cache = cache
        self.n_jobs = n_jobs

    def fit(self, X=None, y=None):
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X, y : object, default=None
            Not used.

        Returns
        -------
        self : ImageReader
            The reader itself.
        """
        self._validate_params()
        return self

    def transform(self, X):
        """Images of the paths.

        Parameters
        ----------
        X : array-like of str or os.PathLike, of shape (n_samples,) or (n_samples, 1)
            Paths: a list, array, Series or one-column DataFrame.

        Returns
        -------
        images : ndarray of shape (n_samples, size, size, 3), dtype uint8
            With `cache` a read-only memory map.
        """
        self._validate_params()
        paths = as_paths(X)
        if paths is None:
            raise ValueError(f"ImageReader needs image paths, at least one, got {type(X).__name__}: {str(X)[:60]!r}.")
        if self.cache is None:
            return self._decode_into(np.empty((len(paths), self.size, self.size, 3), np.uint8), paths)
        return self._load_or_decode(paths)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def _decode_into(self, images, paths):
        def fill(row):
            images[row] = read_image(paths[row], self.size)

        Parallel(n_jobs=self.n_jobs, require="sharedmem")(delayed(fill)(row) for row in range(len(paths)))
        return images

    def _load_or_decode(self, paths):
        shape = (len(paths), self.size, self.size, 3)
        file = Path(self.cache, f"images-{_fingerprint(paths, self.size)}.npy")
        cached = _load(file, shape)
        if cached is None:
            _write(file, shape, lambda images: self._decode_into(images, paths))
            cached = np.load(file, mmap_mode="r")
        return cached


def read_image(path, size=224):
    """Image of a file as a square of 8-bit RGB.

    Parameters
    ----------
    path : str or os.PathLike
        Image file of any format that Pillow reads. Of several frames the first is taken. 16-bit grey
        keeps its upper byte.
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
        If the file is no image, is cut off, has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`, or has
        pixels of 32 bits.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
    ...     Image.new("L", (7, 5), 100).save(file.name)
    ...     read_image(file.name, size=1)
    array([[[100, 100, 100]]], dtype=uint8)
    """
    return np.asarray(_resize(_decode(path), size))


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


def as_paths(X):
    """Paths in `X` as text, None if `X` is something else.

    Parameters
    ----------
    X : object
        A list, tuple, 1-D array, Series (pandas, polars), one-column DataFrame or (n, 1) array of str or
        os.PathLike counts as paths.

    Returns
    -------
    paths : ndarray of shape (n,), dtype object, or None
        The paths as str.

    Raises
    ------
    ValueError
        If paths stand beside something else, a missing value say.

    Examples
    --------
    >>> from pathlib import Path
    >>> as_paths([Path("a.png"), "b.png"])
    array(['a.png', 'b.png'], dtype=object)
    >>> as_paths([[0.5, 1.5]]) is None
    True
    """
    column = _one_column(X)
    if column is None:
        return None
    is_path = [isinstance(each, str | os.PathLike) for each in column]
    if not any(is_path):
        return None
    if not all(is_path):
        row = is_path.index(False)
        raise ValueError(
            f"`X` mixes image paths and other things (position {row} is {column[row]!r}); give paths only."
        )
    paths = np.empty(len(column), dtype=object)
    paths[:] = [os.fspath(each) for each in column]
    return paths


def _one_column(X):
    """`X` as a 1-D object array where it is one column that can hold paths, else None."""
    if hasattr(X, "columns"):
        if len(X.columns) != 1:
            return None
        X = X[X.columns[0]]
    if isinstance(X, list | tuple):
        # a long list of numbers or arrays must not be copied just to be told apart
        return _object_column(X) if any(isinstance(each, str | os.PathLike) for each in X) else None
    if not hasattr(X, "dtype") or getattr(X, "ndim", 1) > 2 or not hasattr(X, "__len__"):
        return None
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OU":
        return None
    column = np.asarray(X, dtype=object)
    column = column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column
    return column if column.ndim == 1 else None


def _object_column(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _resize(image, size):
    # Pillow widens the bicubic filter with the reduction, which makes it antialiased
    return image.resize((size, size), Image.Resampling.BICUBIC)


def _decode(path):
    """Upright RGB image of a file."""
    try:
        with Image.open(path) as image:
            _refuse_bomb(image)
            return _to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no image file {os.fspath(path)!r}; check the path and its root folder."
        ) from None
    except (*_DECODING_ERRORS, *_BOMBS) as error:
        raise ValueError(
            f"Cannot read {os.fspath(path)!r} as an image ({error}); "
            "download or export the file again, or leave it out."
        ) from error


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


def _fingerprint(paths, size):
    """Name of the decoded images: another file, another size or another Pillow gives another one."""
    digest = hashlib.blake2b(f"1 {PIL.__version__} {size}".encode(), digest_size=16)
    for path in paths:
        try:
            state = os.stat(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no image file {path!r}; check the path and its root folder.") from None
        digest.update(f"\0{os.path.abspath(path)}\0{state.st_size}\0{state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _load(file, shape):
    """Memory map of a cache file, None where it is missing or damaged."""
    try:
        images = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def _write(file, shape, fill):
    """Fill a new array file under a name of its own and move it into place in one step.

    So a reader never sees half a file, whether two processes write it or one is killed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        images = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
        fill(images)
        images.flush()
        del images
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
