import io
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from sklearn_magdg.datasets import _fetch, fetch_breakhis, load_breakhis
from tests.datasets.server import Fault, serving
from tests.datasets.tiny_breakhis import ARCHIVE, INVENTORY, N_IMAGES, image_names, make_archive, stand_in

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(ARCHIVE) as server:
        stand_in(server, monkeypatch.setattr)
        yield server


@pytest.fixture
def home(tmp_path):
    return tmp_path / "data home"


def fetch(home, **options):
    return fetch_breakhis(data_home=home, n_retries=1, delay=0.001, **options)


def names(home):
    return sorted(path.name for path in (home / "breakhis").iterdir() if path.name != ".lock")


def put_archive(home, content=ARCHIVE):
    (home / "breakhis").mkdir(parents=True)
    (home / "breakhis/BreaKHis_v1.tar.gz").write_bytes(content)


# --- scikit-learn's conventions ---


def test_the_full_set_is_downloaded_once_and_read_as_load_breakhis_does(server, home):
    bunch = fetch(home)
    assert len(bunch.data) == N_IMAGES
    assert "complete: all 24 images" in bunch.DESCR
    loaded = load_breakhis(home / "breakhis/BreaKHis_v1")
    for column in ("data", "target", "patient", "slide", "magnification", "subtype"):
        np.testing.assert_array_equal(bunch[column], loaded[column])
    assert names(home) == ["BreaKHis_v1"]
    assert (home / "breakhis/BreaKHis_v1/histology_slides/breast/README.txt").read_text() == "About"
    np.testing.assert_array_equal(fetch(home).data, bunch.data)
    assert len(server.requests) == 1


def test_options_of_load_breakhis_are_passed_on(server, home):
    bunch = fetch(home, magnifications=(100, "400X"), target="subtype", patient_by="slide", as_frame=True)
    assert set(bunch.magnification) == {100, 400}
    assert [bunch.target_names[code] for code in sorted(set(bunch.target))] == ["A", "DC", "PC"]
    assert "14-22549AB" in set(bunch.patient)
    assert len(bunch.frame) == 12
    X, y = fetch(home, return_X_y=True, as_frame=True)
    assert isinstance(y, pd.Series)
    assert len(X) == len(y) == N_IMAGES
    X, y = fetch(home, return_X_y=True, magnifications=None)
    assert X.shape == y.shape == (N_IMAGES,)


def test_without_permission_nothing_is_downloaded(server, home):
    with pytest.raises(OSError, match=r"is not in .*BreaKHis_v1' and `download_if_missing` is False"):
        fetch(home, download_if_missing=False)
    assert server.requests == []
    assert list(home.iterdir()) == []
    bunch = fetch(home)
    np.testing.assert_array_equal(fetch(home, download_if_missing=False).data, bunch.data)


def test_the_data_home_is_that_of_scikit_learn_unless_one_is_given(server, home, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(home))
    assert fetch(None).data[0].startswith(str(home / "breakhis"))


@pytest.mark.parametrize(
    "option",
    [
        {"target": "labels"},
        {"patient_by": "patient"},
        {"magnifications": (100, 50)},
        {"magnifications": ()},
        {"n_retries": 0},
        {"delay": 0},
        {"delay": "1"},
        {"as_frame": "yes"},
        {"return_X_y": None},
        {"data_home": 7},
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_downloaded(option, server, home):
    options = {"data_home": home, **option}
    with pytest.raises(ValueError, match=next(iter(option))):
        fetch_breakhis(**options)
    assert server.requests == []


def test_licence_and_citation_are_printed_at_the_download_only(server, home, capsys):
    fetch(home)
    printed = capsys.readouterr().out
    assert printed.count("CC BY 4.0") == 1
    assert "10.1109/TBME.2015.2496264" in printed
    fetch(home)
    assert capsys.readouterr().out == ""


# --- downloading ---


def test_a_download_that_was_cut_goes_on_at_the_next_call(server, home):
    server.faults = {"/a": [Fault(cut=20_011), Fault(status=503)], "/b": [Fault(status=503)]}
    with pytest.raises(OSError, match="20,011 bytes are kept"):
        fetch(home)
    assert names(home) == ["BreaKHis_v1.tar.gz.part", "BreaKHis_v1.tar.gz.part.json"]
    assert len(fetch(home).data) == N_IMAGES
    assert server.requests[-1] == ("/a", "bytes=20011-", '"first"')
    assert names(home) == ["BreaKHis_v1"]


def test_the_second_address_helps_out(server, home):
    server.faults["/a"] = [Fault(status=404)]
    assert len(fetch(home).data) == N_IMAGES
    assert [path for path, _, _ in server.requests] == ["/a", "/b"]


def test_the_error_says_where_to_put_an_archive_and_one_that_is_put_there_is_used(server, home):
    server.faults = {path: [Fault(status=404)] for path in ("/a", "/b")}
    with pytest.raises(OSError, match="HTTP Error 404") as error:
        fetch(home)
    server.requests.clear()
    place = re.search("download the file by hand to '(.*)'", str(error.value))[1]
    with open(place, "wb") as file:
        file.write(ARCHIVE)
    assert len(fetch(home, download_if_missing=False).data) == N_IMAGES
    assert server.requests == []
    assert names(home) == ["BreaKHis_v1"]


def test_published_addresses_and_size():
    assert [url.partition(":")[0] for url in _fetch.ADDRESSES] == ["https", "http"]
    assert all(url.endswith("inf.ufpr.br/vri/databases/BreaKHis_v1.tar.gz") for url in _fetch.ADDRESSES)
    assert _fetch.ARCHIVE_BYTES == 4_273_561_758


# --- room on the disk ---


def _leave(monkeypatch, free):
    monkeypatch.setattr(_fetch.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))


def test_room_is_needed_for_the_archive_and_the_images(server, home, monkeypatch):
    _leave(monkeypatch, len(ARCHIVE) + 300_000 - 1)
    with pytest.raises(OSError, match=r"needs 0.0 GB more in .* choose another `data_home`"):
        fetch(home)
    assert server.requests == []
    _leave(monkeypatch, len(ARCHIVE) + 300_000)
    assert len(fetch(home).data) == N_IMAGES


def test_what_is_downloaded_already_needs_no_room(server, home, monkeypatch):
    server.faults = {"/a": [Fault(cut=20_011), Fault(status=503)], "/b": [Fault(status=503)]}
    with pytest.raises(OSError, match="503"):
        fetch(home)
    _leave(monkeypatch, len(ARCHIVE) + 300_000 - 20_011 - 1)
    with pytest.raises(OSError, match="choose another"):
        fetch(home)
    _leave(monkeypatch, len(ARCHIVE) + 300_000 - 20_011)
    assert len(fetch(home).data) == N_IMAGES


def test_an_archive_put_there_by_hand_needs_room_for_the_images_alone(server, home, monkeypatch):
    put_archive(home)
    _leave(monkeypatch, 299_999)
    with pytest.raises(OSError, match="choose another"):
        fetch(home)
    _leave(monkeypatch, 300_000)
    assert len(fetch(home).data) == N_IMAGES


# --- what the archive holds ---


def _one_missing():
    return make_archive(list(image_names())[:-1])


def _one_slide_missing():
    return make_archive(image_names(INVENTORY[INVENTORY["slide"] != "14-4364"]))


def _one_magnification_missing():
    return make_archive(image_names(INVENTORY[INVENTORY["magnification"] != 400]))


def _one_too_many():
    return make_archive([*image_names(), "benign/SOB_B_A-14-22549AB-40-009.png"])


def _foreign_slide():
    return make_archive([*image_names(), "benign/SOB_B_A-14-1-40-001.png"])


def _foreign_name():
    return make_archive([*image_names(), "benign/holiday.png"])


def _no_image():
    return make_archive([])


def _truncated():
    return ARCHIVE[: len(ARCHIVE) // 2]


def _wrong_checksum():
    return ARCHIVE[:-8] + bytes([ARCHIVE[-8] ^ 1]) + ARCHIVE[-7:]


def _page():
    return b"<html>not found</html>"


def _bomb():
    return make_archive(image_names()) + make_archive([f"{i}" for i in range(300)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_one_missing, "PC-15-190EF at 400X: 2 images instead of 3"),
        (_one_slide_missing, "DC-14-4364 at 40X: 0 images instead of 1"),
        (_one_magnification_missing, "A-14-22549AB at 400X: 0 images instead of 2"),
        (_one_too_many, "A-14-22549AB at 40X: 3 images instead of 2"),
        (_foreign_slide, "A-14-1 at 40X: 1 images instead of 0"),
        (_foreign_name, "holiday.png"),
        (_no_image, "it holds no image"),
        (_truncated, "it is damaged"),
        (_wrong_checksum, "CRC check failed"),
        (_page, "Not a gzipped file"),
        (_bomb, "unpacks to more than 300,000 bytes"),
    ],
)
def test_an_archive_that_is_not_the_full_set_leaves_nothing_in_place(make, words, server, home):
    put_archive(home, make())
    for _ in range(2):
        with pytest.raises(OSError, match=words) as error:
            fetch(home)
        assert "It is kept; delete it to download it again." in str(error.value)
        assert names(home) == ["BreaKHis_v1.tar.gz"]
    (home / "breakhis/BreaKHis_v1.tar.gz").unlink()
    assert len(fetch(home).data) == N_IMAGES
    assert names(home) == ["BreaKHis_v1"]


@pytest.mark.parametrize("top", ["", "./", "a/BreaKHis_v1/"])
def test_where_the_archive_has_its_images_does_not_matter(top, server, home):
    put_archive(home, make_archive(image_names(), top))
    assert len(fetch(home).data) == N_IMAGES
    assert names(home) == ["BreaKHis_v1"]


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_unpacking_that_is_stopped_leaves_the_archive_for_the_next_call(stop, server, home, monkeypatch):
    def unpack_a_little(archive, folder, **options):
        (folder / "BreaKHis_v1").mkdir(parents=True)
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr(_fetch, "unpack", unpack_a_little)
        with pytest.raises(type(stop), match="is kept, and the next call unpacks it" if stop.args else None):
            fetch(home)
    assert names(home) == ["BreaKHis_v1.tar.gz"]
    assert len(fetch(home).data) == N_IMAGES
    assert len(server.requests) == 1


def test_what_a_killed_process_left_is_cleared_away(server, home):
    left = home / "breakhis/.unfinished/BreaKHis_v1/histology_slides/breast"
    left.mkdir(parents=True)
    (left / "SOB_B_A-14-22549AB-40-009.png").touch()
    assert len(fetch(home).data) == N_IMAGES
    assert names(home) == ["BreaKHis_v1"]


@pytest.mark.parametrize("step", ["rename", "unlink"])
def test_a_process_killed_as_it_put_the_images_in_place_costs_neither_a_download_nor_a_second_copy(
    step, server, home, monkeypatch
):
    with monkeypatch.context() as patch:
        _kill_at(patch, step)
        with pytest.raises(KeyboardInterrupt):
            fetch(home)
    assert ".used.tar.gz" in names(home)
    assert ("BreaKHis_v1" in names(home)) == (step == "unlink")
    assert len(fetch(home, download_if_missing=False).data) == N_IMAGES
    assert len(server.requests) == 1
    assert names(home) == ["BreaKHis_v1"]


def _kill_at(patch, step):
    """Stop for good once the archive has its hidden name: before the images are in place or before it is removed."""

    def rename(path, target):
        if path.name == "BreaKHis_v1" and step == "rename":
            raise KeyboardInterrupt
        return moved(path, target)

    def unlink(path, missing_ok=False):
        if path.name == ".used.tar.gz":
            raise KeyboardInterrupt
        return removed(path, missing_ok)

    moved, removed = Path.rename, Path.unlink
    patch.setattr(Path, "rename", rename)
    patch.setattr(Path, "unlink", unlink)
    patch.setattr(Path, "replace", lambda *_: None)


def test_a_full_disk_at_the_last_step_leaves_the_archive_for_the_next_call(server, home, monkeypatch):
    def rename(path, target):
        if path.name == "BreaKHis_v1":
            raise OSError(28, "No space left on device")
        return moved(path, target)

    moved = Path.rename
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(OSError, match="is kept, and the next call unpacks it"):
            fetch(home)
    assert names(home) == ["BreaKHis_v1.tar.gz"]


# --- a folder that is there already ---


def test_a_set_unpacked_by_hand_is_used(server, home):
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE)) as tar:
        tar.extractall(home / "breakhis", filter="data")
    assert len(fetch(home).data) == N_IMAGES
    assert server.requests == []


def test_an_archive_that_lies_beside_the_images_is_left_alone(server, home):
    fetch(home)
    (home / "breakhis/BreaKHis_v1.tar.gz").touch()
    fetch(home)
    assert names(home) == ["BreaKHis_v1", "BreaKHis_v1.tar.gz"]


def test_images_that_went_missing_are_named(server, home):
    fetch(home)
    (lost,) = home.rglob("SOB_M_DC-14-4364-200-001.png")
    lost.unlink()
    with pytest.raises(OSError, match=r"DC-14-4364 at 200X: 0 images instead of 1\): delete the folder"):
        fetch(home)
    assert len(fetch(home, magnifications=(40, 100)).data) == 12
    shutil.rmtree(home / "breakhis/BreaKHis_v1")
    assert len(fetch(home).data) == N_IMAGES


# --- several at once ---


def test_a_second_caller_waits_says_so_and_then_finds_the_images(server, home, capsys):
    found, where = [], str(home / "breakhis/BreaKHis_v1")
    (home / "breakhis").mkdir(parents=True)
    with FileLock(home / "breakhis/.lock"):
        second = threading.Thread(target=lambda: found.append(fetch(home)))
        second.start()
        second.join(0.2)
        assert second.is_alive()
        assert server.requests == []
        with tarfile.open(fileobj=io.BytesIO(ARCHIVE)) as tar:
            tar.extractall(home / "breakhis", filter="data")
    second.join(5)
    assert len(found[0].data) == N_IMAGES
    assert capsys.readouterr().out == f"Waiting for another process, which fetches BreaKHis to {where!r}.\n"
    assert server.requests == []


def _fetch_in_a_process(port, home):
    stand_in(SimpleNamespace(url=lambda path: f"http://127.0.0.1:{port}{path}"))
    print(len(fetch(home).data))


@pytest.mark.slow
def test_two_processes_download_once(server, home):
    server.faults["/a"] = [Fault(cut=10_007, silence=2)]
    call = f"test_fetch._fetch_in_a_process({server.server_port}, {str(home)!r})"
    command = [sys.executable, "-c", f"from tests.datasets import test_fetch; {call}"]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=60)[0] for process in processes]
    assert [text.split()[-1] for text in printed] == [str(N_IMAGES)] * 2
    assert sum("CC BY 4.0" in text for text in printed) == 1
    assert server.ranges == [None, "bytes=10007-"]
    assert names(home) == ["BreaKHis_v1"]
