import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL
import pytest
from PIL import Image

from sklearn_magdg.images import ImageReader, _cache, _decode, read_image

SIZE = 5
PIXEL_BYTES = 3 * SIZE**2


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def read(paths, cache, size=SIZE):
    return np.array(ImageReader(size, cache=cache).transform(paths))


def decoded(paths, size=SIZE):
    return np.stack([read_image(path, size) for path in paths])


def entries(cache):
    """Files of kept images, not those of unfinished ones."""
    return sorted(file for file in cache.glob("*px*/*/*") if file.is_file())


def unfinished(cache):
    return list((cache / "unfinished").iterdir())


def entry_of(path, cache):
    return Path(_cache.ImageCache(cache, SIZE).entry(path).file)


# --- what is found again ---


def test_an_image_is_found_again_in_every_list_and_order(paths, cache, count_decoding):
    read(paths[:4], cache)
    assert len(count_decoding) == 4
    again = read([paths[i] for i in (6, 0, 3, 3, 5)], cache)
    assert [Path(path).name for path in count_decoding[4:]] == ["image 6.png", "image 5.png"]
    np.testing.assert_array_equal(again, decoded([paths[i] for i in (6, 0, 3, 3, 5)]))


def test_an_image_is_found_again_by_its_relative_path(paths, cache, count_decoding, monkeypatch):
    read(paths, cache)
    monkeypatch.chdir(paths[0].parent)
    read(["image 2.png", "./image 3.png"], cache)
    assert len(count_decoding) == 7


def test_an_entry_takes_the_pixels_and_a_head(paths, cache):
    read(paths, cache)
    assert [file.stat().st_size for file in entries(cache)] == [PIXEL_BYTES + 44] * 7


def test_sizes_and_versions_of_pillow_are_kept_apart(paths, cache, monkeypatch):
    np.testing.assert_array_equal(read(paths, cache), decoded(paths))
    np.testing.assert_array_equal(read(paths, cache, size=3), decoded(paths, size=3))
    assert len(entries(cache)) == 14
    monkeypatch.setattr(PIL, "__version__", "99.0")
    read(paths, cache)
    assert len(entries(cache)) == 21


# --- what has changed ---


@pytest.mark.parametrize("what", ["size", "time of modification"])
def test_a_changed_image_is_decoded_anew_and_takes_the_place_of_the_old(paths, cache, what, count_decoding):
    read(paths, cache)
    state = paths[2].stat()
    if what == "size":
        Image.new("RGB", (90, 70), "plum").save(paths[2])
        os.utime(paths[2], ns=(state.st_atime_ns, state.st_mtime_ns))
    else:
        os.utime(paths[2], ns=(state.st_atime_ns, state.st_mtime_ns - 1))
    count_decoding.clear()
    np.testing.assert_array_equal(read(paths, cache), decoded(paths))
    assert count_decoding.count(str(paths[2])) == 1
    assert len(entries(cache)) == 7
    count_decoding.clear()
    read(paths, cache)
    assert count_decoding == []


@pytest.mark.parametrize("moved", [False, True], ids=["copied over", "moved into place"])
def test_another_picture_of_equal_size_and_time_of_modification_is_not_taken_for_the_old(paths, cache, moved):
    Image.new("RGB", (7, 5), "pink").save(paths[0], "BMP")
    read(paths, cache)
    old = paths[0].stat()
    new = paths[0].with_name("new") if moved else paths[0]
    while not new.exists() or new.stat().st_ctime_ns == old.st_ctime_ns:  # the system's clock ticks in milliseconds
        Image.new("RGB", (7, 5), "plum").save(new, "BMP")
        os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns))
    new.replace(paths[0])
    assert (paths[0].stat().st_size, paths[0].stat().st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    np.testing.assert_array_equal(read(paths, cache), decoded(paths))


@pytest.mark.parametrize("changed", ["st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"])
def test_whatever_changes_in_the_state_of_a_file_shows(paths, cache, monkeypatch, changed, count_decoding):
    state = {"st_size": 2**40, "st_mtime_ns": -(10**18), "st_ctime_ns": 10**18, "st_ino": 2**127}

    def n_decoded(state):
        monkeypatch.setattr(_cache, "file_state", lambda _: SimpleNamespace(**state))
        read(paths[:1], cache)
        return len(count_decoding)

    other = state | {changed: state[changed] + 1}
    assert [n_decoded(each) for each in (state, state, other, other)] == [1, 1, 2, 2]


def test_an_image_that_changes_while_it_is_decoded_is_decoded_anew_next_time(paths, cache, monkeypatch):
    def decode_and_change(path, real=_decode.decode):
        image = real(path)
        Image.new("RGB", (90, 70), "plum").save(path)
        return image

    with monkeypatch.context() as patch:
        patch.setattr(_decode, "decode", decode_and_change)
        read(paths[:1], cache)
    np.testing.assert_array_equal(read(paths[:1], cache), decoded(paths[:1]))


@pytest.mark.parametrize("exists", [True, False])
def test_an_image_that_is_gone_is_named_though_it_is_in_the_cache(paths, cache, exists):
    read(paths, cache)
    paths[2].unlink()
    if exists:
        paths[2].mkdir()
    with pytest.raises((FileNotFoundError, ValueError), match=r"image 2\.png"):
        read(paths, cache)


# --- damaged entries ---

DAMAGES = {
    "empty": lambda content: b"",
    "head only": lambda content: content[:44],
    "cut off": lambda content: content[:-1],
    "too long": lambda content: content + b"\0",
    "foreign": lambda content: b"\x93NUMPY" + content[6:],
    "one pixel": lambda content: content[:-7] + bytes([content[-7] ^ 1]) + content[-6:],
    "zeros after a power failure": lambda content: content[:44] + bytes(PIXEL_BYTES),
    "checksum": lambda content: content[:40] + bytes(4) + content[44:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_written_anew(paths, cache, damage, count_decoding):
    images = read(paths, cache)
    file = entry_of(paths[3], cache)
    content = file.read_bytes()
    file.write_bytes(DAMAGES[damage](content))
    count_decoding.clear()
    np.testing.assert_array_equal(read(paths, cache), images)
    assert count_decoding == [str(paths[3])]
    assert file.read_bytes() == content


def test_an_entry_moved_to_another_name_is_not_taken(paths, cache, monkeypatch):
    state = paths[0].stat()
    monkeypatch.setattr(_cache, "file_state", lambda _: state)
    read(paths[:2], cache)
    entry_of(paths[1], cache).replace(entry_of(paths[0], cache))
    np.testing.assert_array_equal(read(paths[:2], cache), decoded(paths[:2]))


def test_entries_of_another_version_of_pillow_are_not_taken_in_its_folder(paths, cache, monkeypatch, count_decoding):
    read(paths, cache)
    (folder,) = cache.glob("5px*")
    monkeypatch.setattr(PIL, "__version__", "99.0")
    folder.rename(cache / "5px-pillow99.0")
    read(paths, cache)
    assert len(count_decoding) == 14


# --- writing that fails ---


def test_a_damaged_image_leaves_nothing_half_written(paths, cache):
    paths[3].write_bytes(b"nothing")
    with pytest.raises(ValueError, match="image 3"):
        read(paths, cache)
    assert entry_of(paths[2], cache).exists()
    assert not entry_of(paths[3], cache).exists()
    assert unfinished(cache) == []


@contextmanager
def no_file_over_60_bytes():
    """The system refuses to write on, as on a full disk; not a fixture, for pytest writes its own log in between."""
    resource = pytest.importorskip("resource", reason="there are no such limits on Windows")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_and_nothing_half_written_stays(paths, cache):
    message = r"Cannot write to the image cache \(File too large\); make room.*cache'"
    with pytest.raises(OSError, match=message), no_file_over_60_bytes():
        read(paths, cache)
    assert entries(cache) == []
    assert unfinished(cache) == []


def test_a_full_disk_is_named_for_the_mapped_images_too(paths, cache):
    read(paths[:1], cache)
    with pytest.raises(OSError, match="Cannot write to the image cache"), no_file_over_60_bytes():
        read(paths[:1], cache)


def test_an_entry_that_cannot_be_replaced_is_an_error_and_leaves_nothing(paths, cache):
    entry_of(paths[0], cache).mkdir(parents=True)
    with pytest.raises(OSError, match="Cannot write to the image cache"):
        read(paths, cache)
    assert unfinished(cache) == []


@pytest.mark.parametrize("when", ["before the decoding", "before the move"])
def test_the_folder_may_be_removed_while_images_are_written(paths, cache, monkeypatch, when):
    def remove_once(*arguments):
        patch.undo()
        shutil.rmtree(cache)
        return real(*arguments)

    module, name = {"before the decoding": (_decode, "decode"), "before the move": (os, "replace")}[when]
    real = getattr(module, name)
    read(paths[:3], cache)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, remove_once)
        np.testing.assert_array_equal(read(paths, cache), decoded(paths))
    assert entries(cache) == sorted(entry_of(path, cache) for path in paths[3:])
    assert unfinished(cache) == []


def deny_replacing(monkeypatch, *, by_another):
    """As Windows does while another process, which may have been first, has the entry open."""

    def replace(unfinished, file, real=os.replace):
        if by_another:
            real(unfinished, file)
        raise PermissionError(13, "Access is denied", unfinished, 5, file)

    monkeypatch.setattr(os, "replace", replace)


def test_an_entry_that_another_process_wrote_first_and_holds_open_is_enough(paths, cache, monkeypatch):
    deny_replacing(monkeypatch, by_another=True)
    np.testing.assert_array_equal(read(paths, cache), decoded(paths))
    assert len(entries(cache)) == 7


@pytest.mark.parametrize("outdated", [False, True])
def test_denied_replacing_without_an_entry_that_holds_the_image_is_an_error(paths, cache, monkeypatch, outdated):
    if outdated:
        read(paths, cache)
        os.utime(paths[0], (1, 1))
    deny_replacing(monkeypatch, by_another=False)
    with pytest.raises(PermissionError, match=r"Cannot write to the image cache \(Access is denied\)"):
        read(paths, cache)
    assert unfinished(cache) == []


def test_what_killed_processes_left_is_removed_a_day_later(paths, cache):
    read(paths[:1], cache)
    old, young = cache / "unfinished" / "old", cache / "unfinished" / "young"
    for file, hours in ((old, 25), (young, 23)):
        file.write_bytes(b"half")
        os.utime(file, (time.time() - hours * 3600,) * 2)
    read(paths[:1], cache)
    assert old.exists()  # a call that finds everything has nothing to do there
    read(paths, cache)
    assert unfinished(cache) == [young]


# --- several processes ---

WRITER = """
import os, signal, sys
from sklearn_magdg.images import ImageReader
cache, *paths = sys.argv[1:]
{before}
images = ImageReader(5, cache=cache).transform(paths)
sys.stdout.buffer.write(images.tobytes())
"""
KILLED_WITHIN_A_WRITE = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))
"""
KILLED_BEFORE_THE_MOVE = "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
HELD_BEFORE_THE_MOVE = """
def hold(unfinished, file, replace=os.replace):
    os.replace = replace
    print(unfinished, flush=True)
    sys.stdin.readline()
    replace(unfinished, file)
os.replace = hold
"""
WRITING_FOR_EVER = """
while True:
    for path in paths:
        ImageReader(5, cache=cache).transform([path])
        os.utime(path)
"""


def start_writer(paths, cache, before=""):
    code = WRITER.format(before=before)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code, cache, *paths], **pipes)


posix = pytest.mark.skipif(os.name == "nt", reason="there are no such signals on Windows")


def test_threads_that_write_one_entry_at_once_do_not_meet(paths, cache, monkeypatch):
    both_written = threading.Barrier(2, timeout=10)

    def replace(*files, real=os.replace):
        both_written.wait()
        real(*files)

    monkeypatch.setattr(os, "replace", replace)
    images = ImageReader(SIZE, cache=cache, n_jobs=2).transform([paths[0]] * 2)
    np.testing.assert_array_equal(images, decoded([paths[0]] * 2))


@pytest.mark.slow
def test_processes_that_write_at_once_all_read_the_images(paths, cache):
    writers = [start_writer(paths, cache, HELD_BEFORE_THE_MOVE) for _ in range(2)]
    held = [writer.stdout.readline() for writer in writers]
    both = unfinished(cache)
    outputs = [writer.communicate(b"go\n", timeout=60)[0] for writer in writers]
    assert sorted(line.strip().decode() for line in held) == sorted(map(str, both))
    assert outputs == [decoded(paths).tobytes()] * 2
    assert len(entries(cache)) == 7
    assert unfinished(cache) == []


@pytest.mark.slow
@posix
@pytest.mark.parametrize(
    ("before", "end", "n_bytes"),
    [(KILLED_WITHIN_A_WRITE, "SIGXFSZ", 60), (KILLED_BEFORE_THE_MOVE, "SIGKILL", PIXEL_BYTES + 44)],
    ids=["within a write", "before the move"],
)
def test_a_killed_writer_leaves_no_entry(paths, cache, before, end, n_bytes):
    writer = start_writer(paths, cache, before)
    writer.communicate(timeout=60)
    assert writer.returncode == -getattr(signal, end)
    assert entries(cache) == []
    assert [file.stat().st_size for file in unfinished(cache)] == [n_bytes]
    np.testing.assert_array_equal(read(paths, cache), decoded(paths))


@pytest.mark.slow
@posix
def test_a_writer_killed_at_any_time_leaves_whole_entries_only(paths, cache, count_decoding):
    writer = start_writer(paths, cache, WRITING_FOR_EVER)
    while len(entries(cache)) < 7 and writer.poll() is None:
        time.sleep(0.01)
    writer.kill()
    writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    for path in paths:
        entry, image = _cache.ImageCache(cache, SIZE).entry(path), np.zeros((SIZE, SIZE, 3), np.uint8)
        content = Path(entry.file).read_bytes()
        assert content[:24] == entry.head[:24]
        assert content[44:] == decoded([path]).tobytes()
        assert _cache.ImageCache(cache, SIZE).load(entry, image) == (content[:40] == entry.head)
