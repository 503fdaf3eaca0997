"""Large archives from the web: a download that resumes, and unpacking that trusts nothing in the archive."""

import gzip
import json
import tarfile
import time
import zlib
from collections import deque
from http.client import HTTPException
from pathlib import PurePosixPath
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from sklearn_magdg._files import write_json

_CHUNK = 1 << 18
_BLOCK = 4096  # bytes on disk that even an empty file or a folder takes
_VALIDATORS = ("ETag", "Last-Modified")
_RANGE_REFUSED = (416, 501)
_PASSING = (408, 429)  # those of the client errors, 4xx, that may be over a moment later


class _AttemptError(Exception):
    """Why an address did not give the whole file; `final` if asking again is of no use."""

    def __init__(self, reason, final=False):
        super().__init__(reason)
        self.final = final


class _Part:
    """The bytes of a download so far, and beside them the version of the file to which they belong.

    The invariant: the bytes in `<name>.part` are the first ones of the version that `<name>.part.json` names, whenever
    the process is killed. Where that is unknown, they are not used.
    """

    def __init__(self, target):
        self.path = target.with_name(target.name + ".part")
        self.sidecar = target.with_name(target.name + ".part.json")

    @property
    def length(self):
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self):
        """What the server called the version, by the name of the header; empty where nobody said."""
        try:
            return json.loads(self.sidecar.read_text())
        except (OSError, ValueError):
            return {}

    @property
    def strongest(self):
        """Name of the header to ask by: a weak tag does not promise the same bytes."""
        tag, date = _VALIDATORS
        return date if self.version.get(tag, "W/").startswith("W/") else tag

    @property
    def condition(self):
        """Headers that ask for the rest, provided that it is of the same version; none to start anew."""
        validator = self.version.get(self.strongest)
        if not self.length or validator is None:
            return {}
        return {"Range": f"bytes={self.length}-", "If-Range": validator}

    def is_continued_by(self, reply):
        """Whether a partial reply is the rest: not every server that knows Range knows If-Range.

        It must start at the next byte, repeat the validator that was asked by, and contradict none of the others.
        """
        same = all(reply.headers.get(name, value) == value for name, value in self.version.items())
        proven = self.strongest in reply.headers
        return proven and same and reply.headers.get("Content-Range", "").startswith(f"bytes {self.length}-")

    def restart(self, version):
        """Forget the bytes, and note the version of those that follow."""
        self.path.write_bytes(b"")  # first: old bytes never stand beside a new version
        write_json(self.sidecar, version)

    def append(self, reply, size):
        """Add what a reply brings, until it ends or brings more than `size` in all.

        An error of the network is the attempt's; one of writing, a full disk say, is the caller's.
        """
        left = size - self.length + 1  # one more than there should be, so that a longer file shows
        bar = tqdm(total=size, initial=self.length, desc=self.path.stem, unit="B", unit_scale=True, disable=None)
        with bar, self.path.open("ab") as file:
            while left:
                try:
                    # `read1`: what has come, at once; `read` would wait for the whole chunk and lose it in an error
                    chunk = reply.read1(min(_CHUNK, left))
                except (OSError, HTTPException) as error:
                    raise _AttemptError(_reason(error)) from error
                if not chunk:
                    return
                file.write(chunk)
                bar.update(len(chunk))
                left -= len(chunk)

    def finish(self, target):
        """Give the whole file its name."""
        self.path.rename(target)
        self.sidecar.unlink(missing_ok=True)


def downloaded(target):
    """Bytes of `target` that unfinished downloads have kept."""
    return _Part(target).length


def download(urls, target, *, size, n_retries=3, delay=1.0, timeout=60.0):
    """Download a file of known size from the first address that gives it whole.

    Bytes are kept in `<name>.part` beside `target`, and in `<name>.part.json` the version that the server named,
    across attempts, addresses and calls. The rest is asked for on condition that the version is the same, so that
    a file is never a mixture of two.

    Parameters
    ----------
    urls : sequence of str
        Addresses of one file, at least 1. One that does not have it (HTTP 404, another size) is asked once, the
        others in turn.
    target : pathlib.Path
        The file to write, in a folder that exists.
    size : int
        Bytes of the whole file, greater than 0.
    n_retries : int, default=3
        Attempts without progress, in a row and over all addresses, after a first one. An attempt that adds to
        the most bytes kept so far starts the count anew.
    delay : float, default=1.0
        Seconds between two attempts.
    timeout : float, default=60.0
        Seconds without a byte that end an attempt.

    Raises
    ------
    OSError
        If no address gave the file, with what each one said, what is kept and the way out; or if the file cannot
        be written.
    """
    part, waiting, said = _Part(target), deque(urls), {}
    if part.length > size:
        part.restart({})
    longest, idle = part.length, 0
    while part.length != size:
        url = waiting[0]
        try:
            _transfer(url, part, size, timeout)
        except _AttemptError as failure:
            said[url] = failure
            grown = part.length > longest
            longest, idle = max(longest, part.length), 0 if grown else idle + (not failure.final)
            if failure.final:
                waiting.popleft()
            elif not grown:
                waiting.rotate(-1)
            if not waiting or idle > n_retries:
                answers = "; ".join(f"{url}: {said.get(url, 'not asked')}" for url in urls)
                kept = "Nothing came: try later"
                if part.length:
                    kept = f"{part.length:,} bytes are kept in {str(part.path)!r}, with which the next call goes on"
                raise OSError(
                    f"{target.name} could not be downloaded ({answers}). {kept}, or download the file by hand to "
                    f"{str(target)!r}."
                ) from failure
            if not failure.final:
                time.sleep(delay)
    part.finish(target)


def _transfer(url, part, size, timeout):
    """Add to the part the rest of the file, as far as the address gives it."""
    reply = _request(url, part.condition, timeout)
    if reply.status in _RANGE_REFUSED or (reply.status == 206 and not part.is_continued_by(reply)):
        reply.close()
        reply = _request(url, {}, timeout)

    with reply:
        whole = "Content-Length" if reply.status == 200 else "Content-Range"
        announced = reply.headers.get(whole, "").rpartition("/")[2]
        if announced.isdigit() and int(announced) != size:
            raise _AttemptError(f"has a file of {int(announced):,} bytes instead of {size:,}", final=True)
        if reply.status == 200:  # from the first byte
            part.restart({name: reply.headers[name] for name in _VALIDATORS if name in reply.headers})
        part.append(reply, size)

    if part.length > size:
        part.restart({})
        raise _AttemptError(f"has a file of more than {size:,} bytes", final=True)
    if part.length < size:
        raise _AttemptError(f"the connection ended after {part.length:,} of {size:,} bytes")


def _request(url, headers, timeout):
    """Reply to `url`: status 200, or with `headers` that ask for a range 206, 416 or 501. All else is an error."""
    try:
        reply = urlopen(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        if headers and error.code in _RANGE_REFUSED:
            return error  # itself a reply
        error.close()
        raise _AttemptError(str(error), 400 <= error.code < 500 and error.code not in _PASSING) from error
    except (OSError, HTTPException) as error:
        raise _AttemptError(_reason(error)) from error
    if reply.status == 200 or (headers and reply.status == 206):
        return reply
    reply.close()
    raise _AttemptError(f"HTTP {reply.status}, which was not asked for")


def _reason(error):
    """An error in words: what urllib wraps, and where an exception has no text, its class."""
    return str(getattr(error, "reason", error)) or type(error).__name__


def unpack(archive, folder, *, max_bytes):
    """Unpack a .tar.gz into a folder, refusing whatever a collection of images has no need of.

    Parameters
    ----------
    archive : pathlib.Path
        The archive. It is read to its end, past the last member, where its checksum stands.
    folder : pathlib.Path
        Where to unpack; created if missing. After an error it holds what was unpacked before.
    max_bytes : int
        Bytes on disk that the members may take, counted before each is written.

    Raises
    ------
    ValueError
        If the archive is damaged, larger than `max_bytes`, or has a member that is neither a plain file nor a
        folder, or whose name leads out of `folder`.
    OSError
        If the archive cannot be read or a file cannot be written.
    """
    room = max_bytes
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as tar:
            for member in tqdm(tar, desc="unpacking", unit=" files", disable=None):
                # stricter than the data filter, which lets links inside the folder pass and makes absolute names
                # relative
                if not (member.isfile() or member.isdir()) or member.issparse():
                    raise ValueError(f"its member {member.name!r} is neither a plain file nor a folder")
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise ValueError(f"the name of its member {member.name!r} leads out of the folder")
                room -= max(member.size, _BLOCK)
                if room < 0:
                    raise ValueError(f"it unpacks to more than {max_bytes:,} bytes")
                tar.extract(member, folder, filter="data")

            # to the end of the stream, where its checksum is compared; what follows the archive is not unpacked
            while stream.read(_CHUNK):
                if stream.tell() > max_bytes:
                    raise ValueError(f"it unpacks to more than {max_bytes:,} bytes")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it is damaged or unsafe: {error}") from error
