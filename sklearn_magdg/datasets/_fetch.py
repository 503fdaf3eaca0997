"""BreaKHis from its authors' servers: downloaded, unpacked, compared with the inventory, and then in place."""

import shutil
import warnings
from numbers import Integral, Real
from os import PathLike
from pathlib import Path

from filelock import FileLock, Timeout
from sklearn.datasets import get_data_home
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_magdg._words import name_some
from sklearn_magdg.datasets._breakhis import check_magnifications, load_breakhis
from sklearn_magdg.datasets._breakhis_index import index_images
from sklearn_magdg.datasets._breakhis_inventory import count_images, name_counts, read_inventory
from sklearn_magdg.datasets._breakhis_names import MAGNIFICATIONS
from sklearn_magdg.datasets._download import download, downloaded, unpack

ADDRESSES = (
    "https://web.inf.ufpr.br/vri/databases/BreaKHis_v1.tar.gz",
    "http://www.inf.ufpr.br/vri/databases/BreaKHis_v1.tar.gz",
)
ARCHIVE_BYTES = 4_273_561_758  # no checksum is published: what the archive holds is compared with the inventory
IMAGES_BYTES = 5_000_000_000  # at most: PNG files hardly shrink in an archive

_TERMS = """\
BreaKHis is under CC BY 4.0: use it with attribution. F. A. Spanhol, L. S. Oliveira, C. Petitjean, L. Heutte, "A Dataset
for Breast Cancer Histopathological Image Classification", IEEE TBME 63(7):1455-1462, 2016,
doi:10.1109/TBME.2015.2496264."""


@validate_params(
    {
        "data_home": [str, PathLike, None],
        "magnifications": [Integral, str, "array-like", None],
        "target": [StrOptions({"label", "subtype"})],
        "patient_by": [StrOptions({"accession", "slide"})],
        "download_if_missing": ["boolean"],
        "n_retries": [Interval(Integral, 1, None, closed="left")],
        "delay": [Interval(Real, 0.0, None, closed="neither")],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_breakhis(
    *,
    data_home=None,
    magnifications=MAGNIFICATIONS,
    target="label",
    patient_by="accession",
    download_if_missing=True,
    n_retries=3,
    delay=1.0,
    return_X_y=False,
    as_frame=False,
):
    """Paths, classes and metadata of all BreaKHis images, downloaded if they are not there yet.

    The archive of 4.3 GB is downloaded to the folder `breakhis` of `data_home`, unpacked there (5 GB more at most),
    compared with the inventory of the full set, and removed once `breakhis/BreaKHis_v1` is complete. A download
    that was cut goes on where it stopped, also at the next call. An archive that was downloaded by hand is used
    if it lies in `breakhis` as `BreaKHis_v1.tar.gz`. Several processes may call at once: one fetches, the others
    wait.

    Parameters
    ----------
    data_home : str or os.PathLike, default=None
        Folder for data sets, by default scikit-learn's, `~/scikit_learn_data`.
    magnifications : int, sequence of int or None, default=(40, 100, 200, 400)
        Magnifications to load; None loads all.
    target : {"label", "subtype"}, default="label"
        Classes: benign and malignant, or the 8 subtypes.
    patient_by : {"accession", "slide"}, default="accession"
        What counts as a patient: the accession number, the strict reading, or the slide.
    download_if_missing : bool, default=True
        If False, an OSError is raised instead of a download.
    n_retries : int, default=3
        Attempts without progress, in a row, after a first one, at least 1. Attempts that bring bytes are not
        counted, so that a connection that is cut time and again still ends with the whole archive.
    delay : float, default=1.0
        Seconds between two attempts, greater than 0.
    return_X_y : bool, default=False
        Whether to return `(data, target)` alone.
    as_frame : bool, default=False
        Whether `data` is a DataFrame of one column, `target` a Series, and `frame` a DataFrame.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        As `load_breakhis` returns it, complete at the magnifications loaded.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError
        If the images are not there and cannot or may not be downloaded, the disk has no room for them, the
        archive is not BreaKHis, or images are missing in a folder that was complete before.
    ValueError
        If an option is unknown, before anything is downloaded.

    Warns
    -----
    UserWarning
        As `load_breakhis` does: with `target="subtype"` for the pictures that stand under two subtypes.

    References
    ----------
    F. A. Spanhol et al., "A Dataset for Breast Cancer Histopathological Image Classification", IEEE TBME
    63(7):1455-1462, 2016, doi:10.1109/TBME.2015.2496264. Licence: CC BY 4.0.

    Examples
    --------
    >>> from sklearn_magdg.datasets import fetch_breakhis
    >>> bunch = fetch_breakhis(magnifications=(100, 200))  # doctest: +SKIP
    >>> bunch.data.shape  # doctest: +SKIP
    (4094,)
    """
    if magnifications is not None:
        check_magnifications(magnifications)  # before 4.3 GB are downloaded
    folder = breakhis_folder(data_home)
    if not folder.exists() or _used(folder).exists():
        _install(folder, download_if_missing, n_retries, delay)
    options = {"target": target, "patient_by": patient_by, "as_frame": as_frame}
    bunch = load_breakhis(folder, magnifications=magnifications, **options)
    missing = bunch.inventory[bunch.inventory["missing"] > 0]
    if len(missing):
        raise OSError(
            f"Images are missing in {str(folder)!r} ({name_some(name_counts(missing), '; ')}): delete the folder to "
            "fetch them again, or read those that are there with load_breakhis."
        )
    return (bunch.data, bunch.target) if return_X_y else bunch


def breakhis_folder(data_home=None):
    """Where the images are, or would be, as a pathlib.Path.

    While they are not, the archive and what a download has brought of it lie beside, in the same folder `breakhis`: on
    one disk, so that to rename is to move.
    """
    return Path(get_data_home(data_home), "breakhis", "BreaKHis_v1")


def _used(folder):
    """Name of the archive while its images are put in place: one of our own, as what has it may be removed."""
    return folder.with_name(".used.tar.gz")


def _install(folder, download_if_missing, n_retries, delay):
    """Put the images in place, or wait until another process has done so.

    Raises
    ------
    OSError
        If they may not or cannot be downloaded, or the disk has no room for them.
    """
    archive = folder.with_name("BreaKHis_v1.tar.gz")
    if not (download_if_missing or archive.exists() or _used(folder).exists()):
        raise OSError(f"BreaKHis is not in {str(folder)!r} and `download_if_missing` is False.")
    folder.parent.mkdir(exist_ok=True)
    lock = FileLock(folder.with_name(".lock"))
    try:
        taken = lock.acquire(timeout=0)
    except Timeout:
        print(f"Waiting for another process, which fetches BreaKHis to {str(folder)!r}.")
        taken = lock.acquire()

    with taken:
        # only under the lock is it certain that nobody else is between two of the steps
        _settle(archive, folder)
        if folder.exists():
            return
        rest = 0 if archive.exists() else ARCHIVE_BYTES - downloaded(archive)
        needed, free = rest + IMAGES_BYTES, shutil.disk_usage(archive.parent).free
        if free < needed:
            raise OSError(
                f"BreaKHis needs {needed / 1e9:.1f} GB more in {str(archive.parent)!r}, where {free / 1e9:.1f} GB are "
                "free: make room or choose another `data_home`."
            )
        if not archive.exists():
            print(_TERMS)
            download(ADDRESSES, archive, size=ARCHIVE_BYTES, n_retries=n_retries, delay=delay)
        _unpack_into_place(archive, folder)


def _settle(archive, folder):
    """Remove the used archive if its images are in place, else make it the archive again; a killed process did not."""
    if folder.exists():
        _used(folder).unlink(missing_ok=True)
    elif _used(folder).exists():
        _used(folder).replace(archive)


def _unpack_into_place(archive, folder):
    """Unpack beside the folder, and only what is complete becomes the folder, in one step.

    The archive is removed last, under a name of its own (`_used`), so that a process killed between two steps costs
    neither a download nor the room of a second copy: `_settle` tells by the folder which step it was.
    """
    unfinished = folder.with_name(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    try:
        unpack(archive, unfinished, max_bytes=IMAGES_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of folders that contradict names: `load_breakhis` repeats it
            try:
                inventory = count_images(index_images(unfinished), read_inventory())
            except FileNotFoundError as error:
                raise ValueError("it holds no image") from error
        wrong = inventory[inventory["found"] != inventory["expected"]]  # no more images and no less
        if len(wrong):
            raise ValueError(f"the images differ from the inventory ({name_some(name_counts(wrong), '; ')})")
        archive.rename(_used(folder))
        inside = list(unfinished.iterdir())
        is_wrapped = len(inside) == 1 and inside[0].is_dir()  # in the archive's own BreaKHis_v1
        (inside[0] if is_wrapped else unfinished).rename(folder)
    except ValueError as error:
        raise OSError(
            f"{str(archive)!r} is not the archive of BreaKHis: {str(error).rstrip('.')}. It is kept; delete it to "
            "download it again."
        ) from error
    except OSError as error:
        raise OSError(f"{error}; {str(archive)!r} is kept, and the next call unpacks it.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        _settle(archive, folder)
