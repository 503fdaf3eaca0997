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

import PIL

from sklearn_magdg.images._decode import file_state

_FORMAT = b"magdg 1\n"  # to be counted up whenever the same file would decode to other pixels
_SOURCE = struct.Struct("<8s16sQq")  # format, digest of the path, size in bytes and time of change of the source
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
        state = file_state(path)
        key = f"{self.kind}\0".encode() + os.fsencode(os.path.abspath(path))
        digest = hashlib.blake2b(key, digest_size=16)
        name = digest.hexdigest()
        head = _SOURCE.pack(_FORMAT, digest.digest(), state.st_size, state.st_mtime_ns)
        return Entry(os.path.join(self.folder, self.kind, name[:2], name[2:]), head)

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
        unfinished = self.unfinished / uuid.uuid4().hex
        with writing_to(self.folder):
            os.makedirs(os.path.dirname(entry.file), exist_ok=True)
            try:
                with open(unfinished, "xb") as file:
                    file.write(entry.head + _checksum(image))
                    file.write(image)
                os.replace(unfinished, entry.file)
            finally:
                unfinished.unlink(missing_ok=True)

    def prepare(self):
        """Make the folder for unfinished files, and remove from it what killed processes left a day ago."""
        with writing_to(self.folder):
            self.unfinished.mkdir(parents=True, exist_ok=True)
            for file in self.unfinished.iterdir():
                with suppress(FileNotFoundError):  # another process clears it too
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


def _checksum(image):
    return _CHECKSUM.pack(zlib.crc32(image))
