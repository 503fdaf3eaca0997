import gzip
import io
import json
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from sklearn_magdg.datasets import _download
from sklearn_magdg.datasets._download import download, downloaded, unpack
from tests.datasets.server import Fault, serving

CONTENT = np.random.default_rng(0).bytes(700_001)
OTHER = np.random.default_rng(1).bytes(700_001)
DATE = "Tue, 03 Nov 2015 10:00:00 GMT"
K = 300_007  # where connections are cut


@pytest.fixture
def server():
    with serving(CONTENT) as server:
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "file.tar.gz"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetch(server, target, *paths, delay=0.001, **options):
    urls = [server.url(path) for path in paths or ["/file"]]
    download(urls, target, size=len(CONTENT), delay=delay, timeout=5, **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- downloading ---


def test_a_file_arrives_byte_for_byte_and_alone(server, target):
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["file.tar.gz"]
    assert server.ranges == [None]


def test_a_cut_connection_is_resumed_where_it_was_cut(server, target):
    server.faults["/file"] = [Fault(cut=K), Fault(cut=7)]
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.requests[1:] == [
        ("/file", f"bytes={K}-", '"first"'),
        ("/file", f"bytes={K + 7}-", '"first"'),
    ]


def test_a_later_call_goes_on_where_the_last_one_failed(server, target):
    server.faults["/file"] = [Fault(cut=K), *[Fault(status=503)] * 4]
    with pytest.raises(OSError, match=f"{K:,} bytes are kept in .*file.tar.gz.part"):
        fetch(server, target)
    assert downloaded(target) == K
    assert not target.exists()
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={K}-"
    assert names(target.parent) == ["file.tar.gz"]


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"ETag": '"first"', "Last-Modified": DATE}, '"first"'),
        ({"Last-Modified": DATE}, DATE),
        ({"ETag": 'W/"x"', "Last-Modified": DATE}, DATE),
    ],
)
def test_the_condition_is_the_strongest_mark_of_the_version(headers, condition, target):
    with serving(CONTENT, headers) as server:
        server.faults["/file"] = [Fault(cut=K)]
        fetch(server, target)
        assert server.requests[-1] == ("/file", f"bytes={K}-", condition)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"x"'}])
def test_without_a_strong_mark_of_the_version_the_download_starts_anew(headers, target):
    with serving(CONTENT, headers) as server:
        server.faults["/file"] = [Fault(cut=K)]
        fetch(server, target)
        assert server.ranges == [None, None]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [416, 501])
def test_a_server_that_refuses_ranges_is_asked_for_the_whole_file(status, server, target):
    server.faults["/file"] = [Fault(cut=K), Fault(range_status=status)]
    fetch(server, target, n_retries=1)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={K}-", None]


def test_a_server_that_ignores_ranges_sends_the_whole_file(server, target):
    server.faults["/file"] = [Fault(cut=K), Fault(ignores_range=True)]
    fetch(server, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "fault", [Fault(), Fault(ignores_condition=True), Fault(ignores_condition=True, names_version=False)]
)
def test_a_file_that_changed_between_attempts_is_never_mixed(fault, server, target):
    server.faults["/file"] = [Fault(cut=K), *[Fault(status=503)] * 2]
    with pytest.raises(OSError, match="503"):
        fetch(server, target, n_retries=1)
    server.content, server.headers = OTHER, {"ETag": '"second"'}
    server.faults["/file"] = [fault, Fault(cut=K)]
    fetch(server, target)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("now", [{"ETag": 'W/"weak"'}, {"ETag": 'W/"other"', "Last-Modified": DATE}])
def test_a_weak_mark_does_not_prove_the_version_of_a_range(now, target):
    with serving(CONTENT, {"ETag": 'W/"weak"', "Last-Modified": DATE}) as server:
        server.faults["/file"] = [Fault(cut=K), *[Fault(status=503)] * 2]
        with pytest.raises(OSError, match="503"):
            fetch(server, target, n_retries=1)
        server.content, server.headers = OTHER, now
        server.faults["/file"] = [Fault(ignores_condition=True)]
        fetch(server, target)
    assert target.read_bytes() == OTHER


def test_a_restart_that_is_stopped_half_way_never_mixes(server, target, monkeypatch):
    server.faults["/file"] = [Fault(cut=K), *[Fault(status=503)] * 2]
    with pytest.raises(OSError, match="503"):
        fetch(server, target, n_retries=1)
    server.content, server.headers = OTHER, {"ETag": '"second"'}
    with monkeypatch.context() as patch:
        _stop_at_second(patch, (Path, "write_bytes"), (os, "replace"))
        with pytest.raises(KeyboardInterrupt):
            fetch(server, target)
    fetch(server, target)
    assert target.read_bytes() == OTHER


def _stop_at_second(patch, *functions):
    """Make the second call of any of these functions, each an owner and a name, an interrupt."""
    calls = []

    def stopping(function):
        def call(*arguments):
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return function(*arguments)

        return call

    for owner, name in functions:
        patch.setattr(owner, name, stopping(getattr(owner, name)))


def test_a_range_that_starts_elsewhere_than_asked_is_not_used(server, target):
    server.faults["/file"] = [Fault(cut=K), Fault(shift=3)]
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_part_of_unknown_version_is_not_used(server, target):
    target.with_name("file.tar.gz.part").write_bytes(OTHER[:K])
    target.with_name("file.tar.gz.part.json").write_text('{"ETag": ')
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_part_longer_than_the_file_is_not_used(server, target):
    target.with_name("file.tar.gz.part").write_bytes(OTHER + b"more")
    target.with_name("file.tar.gz.part.json").write_text(json.dumps({"ETag": '"first"'}))
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_whole_part_needs_no_request(server, target):
    target.with_name("file.tar.gz.part").write_bytes(CONTENT)
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.requests == []


def test_attempts_that_bring_bytes_are_not_counted(server, target):
    server.faults["/file"] = [Fault(cut=70_000) for _ in range(10)]
    fetch(server, target, n_retries=1)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 11


def test_the_same_bytes_again_and_again_are_no_progress(server, target):
    server.faults["/file"] = [Fault(cut=cut, ignores_range=True) for cut in 10 * [K, K - 7]]
    with pytest.raises(OSError, match=f"ended after {K - 7:,} of {len(CONTENT):,} bytes"):
        fetch(server, target, n_retries=2)
    assert len(server.requests) == 1 + 3  # the first brought bytes


def test_attempts_without_progress_are_counted_and_spaced(server, target, monkeypatch):
    delays = []
    monkeypatch.setattr(_download.time, "sleep", delays.append)
    server.faults["/file"] = [Fault(status=503)] * 9
    with pytest.raises(OSError, match="HTTP Error 503"):
        fetch(server, target, n_retries=3, delay=0.25)
    assert len(server.requests) == 4
    assert delays == [0.25] * 3


def test_a_server_that_was_busy_is_asked_again(server, target):
    server.faults["/file"] = [Fault(status=503), Fault(status=429)]
    fetch(server, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [204, 206])
def test_a_reply_that_is_neither_the_file_nor_the_rest_is_not_used(status, server, target):
    server.faults["/file"] = [Fault(status=status)] * 2
    with pytest.raises(OSError, match=f"HTTP {status}, which was not asked for"):
        fetch(server, target, n_retries=1)
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_addresses_take_turns_and_one_that_brings_bytes_keeps_its_turn(server, target):
    server.faults["/a"] = [Fault(status=503), Fault(cut=K)]
    server.faults["/b"] = [Fault(status=503)]
    fetch(server, target, "/a", "/b")
    assert [path for path, _, _ in server.requests] == ["/a", "/b", "/a", "/a"]
    assert target.read_bytes() == CONTENT


def test_an_address_without_the_file_is_asked_once(server, target):
    server.faults["/a"] = [Fault(status=404)] * 9
    server.faults["/b"] = [Fault(status=503)]
    fetch(server, target, "/a", "/b", n_retries=1)
    assert [path for path, _, _ in server.requests] == ["/a", "/b", "/b"]
    assert target.read_bytes() == CONTENT


def test_a_file_of_another_size_is_refused_before_it_takes_the_place_of_what_is_kept(server, target):
    server.faults["/file"] = [Fault(cut=K), *[Fault(status=503)] * 2]
    with pytest.raises(OSError, match="503"):
        fetch(server, target, n_retries=1)
    server.content, server.headers = b"<html>maintenance</html>", {"ETag": '"page"'}
    with pytest.raises(OSError, match="has a file of 24 bytes instead of 700,001"):
        fetch(server, target)
    assert downloaded(target) == K


@pytest.mark.parametrize(
    ("content", "said"), [(CONTENT[:-1], "a file of 700,000"), (CONTENT + b"x", "more than 700,001")]
)
def test_a_size_that_is_not_announced_is_noticed_all_the_same(content, said, target):
    with serving(content) as server:
        server.faults["/file"] = [Fault(announces_size=False)]
        with pytest.raises(OSError, match=said):
            fetch(server, target)
    assert not target.exists()


def test_the_error_names_every_address_what_it_said_and_the_way_out(server, target):
    server.faults["/a"] = [Fault(status=404)]
    server.faults["/b"] = [Fault(status=403)]
    with pytest.raises(OSError, match="could not be downloaded") as error:
        fetch(server, target, "/a", "/b")
    message = str(error.value)
    assert f"{server.url('/a')}: HTTP Error 404" in message
    assert f"{server.url('/b')}: HTTP Error 403" in message
    assert f"Nothing came: try later, or download the file by hand to {str(target)!r}" in message


def test_an_address_where_nobody_answers_is_named(target):
    with serving(CONTENT) as server:
        url = server.url()
    with pytest.raises(OSError, match=f"{url}: .*refused"):
        download([url], target, size=7, n_retries=1, delay=0.001)
    assert names(target.parent) == []


@pytest.mark.parametrize("cut", [0, K])
def test_a_server_that_falls_silent_is_left(cut, server, target):
    server.faults["/a"] = [Fault(cut=cut, silence=9)]
    download([server.url("/a"), server.url("/b")], target, size=len(CONTENT), n_retries=1, delay=0.001, timeout=0.2)
    assert target.read_bytes() == CONTENT


def test_an_interrupt_keeps_the_bytes_so_far(server, target, monkeypatch):
    class Interrupting(_download.tqdm):
        def update(self, n=1):
            raise KeyboardInterrupt

    monkeypatch.setattr(_download, "tqdm", Interrupting)
    with pytest.raises(KeyboardInterrupt):
        fetch(server, target)
    kept = downloaded(target)
    assert 0 < kept < len(CONTENT)
    monkeypatch.undo()
    fetch(server, target)
    assert server.ranges == [None, f"bytes={kept}-"]
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_no_fault_of_the_server(server, target, monkeypatch):
    class Full(_download.tqdm):
        def update(self, n=1):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(_download, "tqdm", Full)
    with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device$"):
        fetch(server, target)
    assert len(server.requests) == 1


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_the_bytes_from_where_the_download_resumes(server, target, monkeypatch):
    server.faults["/file"] = [Fault(cut=K), *[Fault(status=503)] * 2]
    with pytest.raises(OSError, match="503"):
        fetch(server, target, n_retries=1)
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    fetch(server, target)
    first, *_, last = [line for line in screen.getvalue().split("\r") if "%" in line]
    assert "file.tar.gz:  43%" in first
    assert "300k/700k" in first
    assert "100%" in last


def test_nothing_is_drawn_where_there_is_no_terminal(server, target, capfd):
    fetch(server, target)
    assert capfd.readouterr() == ("", "")


# --- unpacking ---


def member(name, content=b"seven b", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def make_archive(path, *members):
    """Members as they are described, be the description false."""
    with gzip.open(path, "wb") as file:
        for info, content in members:
            file.write(info.tobuf() + content + bytes(-len(content) % tarfile.BLOCKSIZE))
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "archive.tar.gz"


def test_plain_files_and_folders_are_unpacked(archive, tmp_path):
    members = member("top", b"", type=tarfile.DIRTYPE), member("top/a/x.png", CONTENT), member("top/empty", b"")
    unpack(make_archive(archive, *members), tmp_path / "out", max_bytes=1_000_000)
    assert (tmp_path / "out/top/a/x.png").read_bytes() == CONTENT
    assert (tmp_path / "out/top/empty").read_bytes() == b""
    assert (tmp_path / "out/top").is_dir()


def test_special_bits_and_owners_are_not_taken_over(archive, tmp_path):
    make_archive(archive, member("x", mode=0o4777, uid=7, gid=7))
    unpack(archive, tmp_path / "out", max_bytes=10_000)
    assert (tmp_path / "out/x").stat().st_mode & 0o7022 == 0
    assert (tmp_path / "out/x").stat().st_uid == os.getuid()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (member("../evil"), "leads out of the folder"),
        (member("top/../../evil"), "leads out of the folder"),
        (member("/tmp/evil"), "leads out of the folder"),
        (member("evil", b"", type=tarfile.SYMTYPE, linkname="../../outside"), "neither a plain file nor a folder"),
        (member("evil", b"", type=tarfile.SYMTYPE, linkname="good"), "neither a plain file nor a folder"),
        (member("evil", b"", type=tarfile.LNKTYPE, linkname="good"), "neither a plain file nor a folder"),
        (member("evil", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "neither a plain file nor a folder"),
        (member("evil", b"", type=tarfile.BLKTYPE), "neither a plain file nor a folder"),
        (member("evil", b"", type=tarfile.FIFOTYPE), "neither a plain file nor a folder"),
        (member("evil", size=10**15), "unpacks to more than 50,000 bytes"),
    ],
)
def test_a_hostile_member_ends_the_unpacking_before_it_is_written(bad, words, archive, tmp_path):
    make_archive(archive, member("good"), bad)
    with pytest.raises(ValueError, match=words):
        unpack(archive, tmp_path / "out" / "deep", max_bytes=50_000)
    written = [path.name for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()]
    assert sorted(written) == ["archive.tar.gz", "good"]


def test_a_sparse_file_is_refused(archive, tmp_path):
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "evil", "GNU.sparse.realsize": "40000"}
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        info, content = member("x", b"1\n0\n0\n".ljust(512, b"\0"), pax_headers=pax)
        tar.addfile(info, io.BytesIO(content))
    with pytest.raises(ValueError, match="'evil' is neither a plain file nor a folder"):
        unpack(archive, tmp_path / "out", max_bytes=50_000)


def test_a_great_many_empty_files_count_too(archive, tmp_path):
    make_archive(archive, *[member(f"{i}", b"") for i in range(13)])
    unpack(archive, tmp_path / "enough", max_bytes=13 * 4096)
    with pytest.raises(ValueError, match="unpacks to more than"):
        unpack(archive, tmp_path / "out", max_bytes=13 * 4096 - 1)


def test_what_follows_the_last_member_is_capped(archive, tmp_path):
    make_archive(archive, member("x"))
    with archive.open("ab") as file:
        file.write(gzip.compress(bytes(3_000_000)))
    unpack(archive, tmp_path / "enough", max_bytes=4_000_000)
    with pytest.raises(ValueError, match="unpacks to more than 1,000,000 bytes"):
        unpack(archive, tmp_path / "out", max_bytes=1_000_000)


def _truncated(data):
    return data[: len(data) // 2]


def _without_checksum(data):
    return data[:-8]


def _wrong_checksum(data):
    return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]


def _overwritten(data):
    half = len(data) // 2
    return data[:half] + OTHER[:9999] + data[half + 9999 :]


def _page(data):
    return b"<html>not found</html>"


@pytest.mark.parametrize("damage", [_truncated, _without_checksum, _wrong_checksum, _overwritten, _page])
def test_a_damaged_archive_is_noticed(damage, archive, tmp_path):
    make_archive(archive, member("small", b"x"), member("large", CONTENT.hex().encode()))
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(ValueError, match="it is damaged or unsafe"):
        unpack(archive, tmp_path / "out", max_bytes=2_000_000)


def test_a_member_cut_short_inside_a_sound_gzip_is_noticed(archive, tmp_path):
    make_archive(archive, member("x.png", CONTENT))
    archive.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes())[:K]))
    with pytest.raises(ValueError, match="unexpected end of data"):
        unpack(archive, tmp_path / "out", max_bytes=1_000_000)
