"""Writing files."""

import os
from contextlib import contextmanager
from uuid import uuid4


@contextmanager
def whole_file(path):
    """A file to write to, of which all comes to stand at `path` or nothing; one that stands there is replaced then."""
    unfinished = path.with_name(f".{uuid4().hex}.unfinished")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
