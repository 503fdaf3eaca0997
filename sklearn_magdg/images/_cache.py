"""Decoded images on disk: one file each, which tells whether it is whole and whether its source has changed.

A file of the cache is a head, a checksum and the pixels, row by row:

===== ====== ===========================================================================================
bytes from   content
===== ====== ===========================================================================================
8     0      format: `_FORMAT`
16    8      digest of the kind of entry (size, version of Pillow) and the absolute path of the source
16    24     digest of the state of the source: size, times of modification and change, inode
4     40     CRC-32 of the pixels, little-endian
rest  44     size x size x 3 bytes of RGB
===== ====== ===========================================================================================

The head says of what the pixels are, the checksum whether they are all there. Nothing else is kept, so that processes
need no lock: each writes whole files, and whoever writes one entry twice writes the same bytes.
"""

import hashlib
import os
import struct
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from sklearn_magdg._files import whole_file
from sklearn_magdg.images._decode import file_state

_FORMAT = b"magdg 2\n"  # to be counted up whenever the same file would decode to other pixels
_SOURCE = struct.Struct("<8s16s16s")  # format, digest of the path, digest of the state of the source
_CHECKSUM = struct.Struct("<I")
_A_DAY = 24 * 60 * 60


class Entry(NamedTuple):
    """Where the pixels of a source are kept, and what their file begins with.

    Parameters
    ----------
    file : str
        Path of the entry, named after the digest of the source's path: two source paths never share an entry.
    head : bytes
        The first 40 bytes of an entry that is of the source as it was when the entry was asked for.
    """

    file: str
    head: bytes


class ImageCache:
    """Squares of 8-bit RGB in a folder, one file each, by path, size and Pillow version.

    The pixels carry a checksum: after a power failure a file can have its full length and not its content.

    Parameters
    ----------
    folder : str or os.PathLike
        Made when the first image is kept.
    size : int
        Height and width of the images in pixels.
    """

    def __init__(self, folder, size):
        self.folder = Path(folder)
        self.kind = f"{size}px-pillow{PIL.__version__}"
        self.unfinished = self.folder / "unfinished"

    def entry(self, path):
        """Entry of an image file as it is now; asked for before decoding, a change in between shows later.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, or it is no regular one, though the cache may hold its pixels.
        """
        state = file_state(path)
        # a copy can keep size and time of modification; the system alone sets time of change (on Windows: of birth) and
        # inode
        fields = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        digest = _digest(f"{self.kind}\0".encode() + os.fsencode(os.path.abspath(path)))
        name = digest.hex()
        head = _SOURCE.pack(_FORMAT, digest, _digest(repr(fields).encode()))
        # folders of two digits keep a million entries apart: a folder of all would be slow to look into
        return Entry(os.path.join(self.folder, self.kind, name[:2], name[2:]), head)

    def holds(self, entry):
        """Whether the entry is there and of its source as that is now; whether it is whole, `load` tells."""
        try:
            with open(entry.file, "rb", buffering=0) as file:
                return file.read(_SOURCE.size) == entry.head
        except OSError:
            return False

    def load(self, entry, image):
        """Fill `image` from its entry; False where that is absent, outdated or damaged.

        After False the content of `image` is undefined: what was read of a damaged entry stands in it.
        """
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

        Raises
        ------
        OSError
            If the folder cannot be written, with its name and the way out.
        """
        with writing_to(self.folder):
            try:
                self._write(entry, image)
            except FileNotFoundError:  # the folder has been removed meanwhile
                self._write(entry, image)

    def _write(self, entry, image):
        """One attempt to keep `image`, which makes the folders that it needs."""
        file = Path(entry.file)
        for folder in (self.unfinished, file.parent):
            os.makedirs(folder, exist_ok=True)
        try:
            # not durable: to wait for the disk would cost more than to decode again what fails its checksum
            with whole_file(file, unfinished=self.unfinished, durable=False) as stream:
                stream.write(entry.head + _checksum(image))
                stream.write(image)
        except PermissionError:
            # Windows replaces no file that another process reads; if that one is up to date, nothing is missing
            if not self.load(entry, np.empty_like(image)):
                raise

    def clear(self):
        """Remove what killed processes left unfinished a day ago; what is younger may still be being written."""
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
        # OSError picks the class by the number, so that a PermissionError stays one
        raise OSError(
            error.errno,
            f"Cannot write to the image cache ({error.strerror}); make room, choose another folder, or go without",
            os.fspath(folder),
        ) from error


def _digest(content):
    """16 bytes: by chance two of 2^32 contents share them with a probability below 1 in 2^64."""
    return hashlib.blake2b(content, digest_size=16).digest()


def _checksum(image):
    return _CHECKSUM.pack(zlib.crc32(image))
