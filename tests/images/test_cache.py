import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

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


@pytest.mark.parametrize("what", ["size", "time of change"])
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


def test_an_entry_moved_to_another_name_is_not_taken(paths, cache):
    state = paths[0].stat()
    contents = [path.read_bytes().ljust(4000, b"\0") for path in paths[:2]]  # PNG readers leave out what follows
    for path, content in zip(paths, contents, strict=False):
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
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
import os, resource, signal, sys
from sklearn_magdg.images import ImageReader
cache, *paths = sys.argv[1:]
{before}
images = ImageReader(5, cache=cache).transform(paths)
sys.stdout.buffer.write(images.tobytes())
"""
KILLED_WITHIN_A_WRITE = """
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))
"""
KILLED_BEFORE_THE_MOVE = "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
WRITING_FOR_EVER = """
while True:
    for path in paths:
        ImageReader(5, cache=cache).transform([path])
        os.utime(path)
"""


def start_writer(paths, cache, before=""):
    code = WRITER.format(before=before)
    return subprocess.Popen([sys.executable, "-c", code, cache, *paths], stdout=subprocess.PIPE)


@pytest.mark.slow
def test_processes_that_write_at_once_all_read_the_images(paths, cache):
    writers = [start_writer(paths, cache) for _ in range(2)]
    for writer in writers:
        output, _ = writer.communicate(timeout=60)
        assert output == decoded(paths).tobytes()
    assert len(entries(cache)) == 7
    assert unfinished(cache) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "end", "n_bytes"),
    [(KILLED_WITHIN_A_WRITE, signal.SIGXFSZ, 60), (KILLED_BEFORE_THE_MOVE, signal.SIGKILL, PIXEL_BYTES + 44)],
    ids=["within a write", "before the move"],
)
def test_a_killed_writer_leaves_no_entry(paths, cache, before, end, n_bytes):
    writer = start_writer(paths, cache, before)
    writer.communicate(timeout=60)
    assert writer.returncode == -end
    assert entries(cache) == []
    assert [file.stat().st_size for file in unfinished(cache)] == [n_bytes]
    np.testing.assert_array_equal(read(paths, cache), decoded(paths))


@pytest.mark.slow
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
