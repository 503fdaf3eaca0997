import threading

import pytest
from joblib import parallel_config
from PIL import Image

from sklearn_magdg.images import ImageReader, fingerprints, pixel_digests, readable_images
from sklearn_magdg.images._threads import map_threads


def _meet(n_threads):
    """A function that returns where as many threads are within it at once, and else fails."""
    barrier = threading.Barrier(n_threads, timeout=10)
    return lambda *_: barrier.wait()


def test_as_many_threads_as_asked_for_work_at_once():
    for n_jobs in (2, 3):
        assert sorted(map_threads(_meet(n_jobs), range(n_jobs), n_jobs)) == list(range(n_jobs))


def test_none_means_one_thread_unless_joblib_is_told_otherwise():
    assert map_threads(lambda _: threading.current_thread(), range(3), None) == [threading.main_thread()] * 3
    with parallel_config(n_jobs=2):
        assert sorted(map_threads(_meet(2), range(2), None)) == [0, 1]


def test_results_stand_in_the_order_of_the_items_whichever_is_ready_first():
    second_is_ready = threading.Event()

    def work(item):
        assert second_is_ready.wait(10) if item == 0 else second_is_ready.set() is None
        return item

    assert map_threads(work, range(2), 2) == [0, 1]


@pytest.mark.parametrize("name", ["reader", "reader with a cache", "pixel_digests", "readable_images", "fingerprints"])
def test_files_are_read_by_two_threads_at_once(paths, tmp_path, monkeypatch, name):
    read = {
        "reader": ImageReader(5, n_jobs=2).transform,
        "reader with a cache": ImageReader(5, cache=tmp_path / "cache", n_jobs=2).transform,
        "pixel_digests": lambda files: pixel_digests(files, n_jobs=2),
        "readable_images": lambda files: readable_images(files, n_jobs=2),
        "fingerprints": lambda files: fingerprints(files, n_jobs=2),
    }[name]
    meet = _meet(2)
    monkeypatch.setattr(Image, "open", lambda *a, real=Image.open, **k: (meet(), real(*a, **k))[1])
    read(paths[:2])
