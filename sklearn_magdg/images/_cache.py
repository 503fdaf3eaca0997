"""Decoded images on disk: one file each, which tells whether it is whole and whether its source has changed."""

import hashlib
import os
import struct
import time
import uuid
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from sklearn_magdg.images._decode import file_state

_FORMAT = b"magdg 2\n"  # to be counted up whenever the same file would decode to other pixels
_SOURCE = struct.Struct("<8s16s16s")  # format, digest of the path, digest of the state of the source
_CHECKSUM = struct.Struct("<I")
_A_DAY = 24 * 60 * 60


class Entry(NamedTuple):
    """Where the pixels of a source are kept, and what their file begins with."""

    file: str
    head: bytes


class ImageCache:
    """Squares of 8-bit RGB in a folder, one file each, by path, size and Pillow version.

    The pixels carry a checksum: after a power failure a file can have its full length and not its content.
    """

    def __init__(self, folder, size):
        self.folder = Path(folder)
        self.kind = f"{size}px-pillow{PIL.__version__}"
        self.unfinished = self.folder / "unfinished"

    def entry(self, path):
        """Entry of an image file as it is now; asked for before decoding, a change in between shows later."""
        state = _digest_state(file_state(path))
        digest = _digest(f"{self.kind}\0".encode() + os.fsencode(os.path.abspath(path)))
        name = digest.hex()
        head = _SOURCE.pack(_FORMAT, digest, state)
        return Entry(os.path.join(self.folder, self.kind, name[:2], name[2:]), head)

    def holds(self, entry):
        """Whether the entry is there and of its source as that is now; whether it is whole, `load` tells."""
        try:
            with open(entry.file, "rb", buffering=0) as file:
                return file.read(_SOURCE.size) == entry.head
        except OSError:
            return False

    def load(self, entry, image):
        """Fill `image` from its entry; False where that is absent, outdated or damaged."""
        try:
            with open(entry.file, "rb", buffering=0) as file:
                if file.read(_SOURCE.size) != entry.head:
                    return False
                checksum = file.read(_CHECKSUM.size)
                is_whole = file.readinto(image) == image.nbytes and not file.read(1)
        except OSError:
            return False
        return is_whole and checksum == _checksum(image)

    def store(self, entry, image):
        """Keep `image`: written under a name of its own and moved into place in one step.

        So a reader never meets half a file, whether two processes write it or one is killed.
        """
        with writing_to(self.folder):
            try:
                self._store(entry, image)
            except FileNotFoundError:  # the folder has been removed meanwhile
                self._store(entry, image)

    def _store(self, entry, image):
        unfinished = self.unfinished / uuid.uuid4().hex
        for folder in (self.unfinished, os.path.dirname(entry.file)):
            os.makedirs(folder, exist_ok=True)
        try:
            with open(unfinished, "xb") as file:
                file.write(entry.head + _checksum(image))
                file.write(image)
            self._move(unfinished, entry, image)
        finally:
            unfinished.unlink(missing_ok=True)

    def _move(self, unfinished, entry, image):
        try:
            os.replace(unfinished, entry.file)
        except PermissionError:
            # Windows replaces no file that another process reads; if that one is up to date, nothing is missing
            if not self.load(entry, np.empty_like(image)):
                raise

    def clear(self):
        """Remove what killed processes left unfinished a day ago."""
        with writing_to(self.folder), suppress(FileNotFoundError):  # another process clears it too
            for file in self.unfinished.iterdir():
                if time.time() - file.stat().st_mtime > _A_DAY:
                    file.unlink()


@contextmanager
def writing_to(folder):
    """Errors of writing there are of the same class and name the folder and the way out."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot write to the image cache ({error.strerror}); make room, choose another folder, or go without",
            os.fspath(folder),
        ) from error


def _digest_state(state):
    # a copy can keep size and time of modification; time of change (on Windows: of birth) and inode are the system's
    fields = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
    return _digest(repr(fields).encode())


def _digest(content):
    return hashlib.blake2b(content, digest_size=16).digest()


def _checksum(image):
    return _CHECKSUM.pack(zlib.crc32(image))
