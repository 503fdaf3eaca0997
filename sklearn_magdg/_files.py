"""Writing files."""

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
