"""Files that are written whole or not at all, and read with a word on what is amiss."""

import json
import os
from contextlib import contextmanager
from uuid import uuid4


@contextmanager
def whole_file(path, *, unfinished=None, durable=True):
    """A file to write to, of which all comes to stand at `path` or nothing; one that stands there is replaced then.

    Parameters
    ----------
    path : pathlib.Path
        Where the file comes to stand, in a folder that exists.
    unfinished : pathlib.Path, default=None
        Folder on the same disk in which the file lies while it is written: a process that is killed leaves it there.
        None is the folder of `path`.
    durable : bool, default=True
        Whether the bytes are on the disk before the file comes to stand at `path`, so that a power failure leaves the
        old file or the new one. False saves the wait, for files whose content tells whether it is whole.
    """
    # a name of its own, so that two processes that write to one path do not write into one file
    own = (path.parent if unfinished is None else unfinished) / f".{uuid4().hex}.unfinished"
    try:
        with open(own, "xb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(own, path)
    finally:
        own.unlink(missing_ok=True)


def check_can_hold_files(out):
    """Refuse a folder that cannot be made or written to, before hours of work that would end there.

    Parameters
    ----------
    out : Path
        It need not exist; then the nearest of its parents that does is asked.

    Raises
    ------
    ValueError
        If that one is no folder, or may not be written to.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sklearn_magdg._files import check_can_hold_files
    >>> check_can_hold_files(Path(__file__) / "run")
    Traceback (most recent call last):
        ...
    ValueError: Cannot write to ..._files.py is no folder that can be written to; choose another.
    """
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ValueError(f"Cannot write to {out}: {nearest} is no folder that can be written to; choose another.")


def write_json(file, content, indent=None):
    """Write `content` to the path `file`, whole or not at all.

    A nan stays one: as ``NaN``, which Python reads back and strict JSON lacks.
    """
    with whole_file(file) as stream:
        stream.write(json.dumps(content, indent=indent).encode())


def read_json(file):
    """Content of the JSON file at the path `file`.

    Raises
    ------
    ValueError
        For a file that is damaged; it names it and the way out.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{file} is damaged ({error}): delete it, or all of its folder with `fresh=True`; what is missing is then "
            "made again."
        ) from error
