import pickle
import shutil
import subprocess
import sys
import tempfile
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from sklearn_magdg.images import ImageReader, _reader, read_image


def test_it_reads_all_images_in_order_whatever_the_number_of_threads(paths):
    expected = np.stack([read_image(path, 5) for path in paths])
    for n_jobs in (None, 1, 2, -1):
        np.testing.assert_array_equal(ImageReader(5, n_jobs=n_jobs).transform(paths), expected)


def test_it_clones_pickles_sits_in_a_pipeline_and_needs_no_fit(paths):
    reader = pickle.loads(pickle.dumps(clone(ImageReader(5, n_jobs=2))))
    assert reader.get_params() == {"size": 5, "cache": None, "n_jobs": 2}
    pipeline = make_pipeline(reader, FunctionTransformer(lambda X: X.reshape(len(X), -1)))
    assert pipeline.fit_transform(paths).shape == (7, 75)
    assert reader.fit(paths) is reader


def test_its_tags_say_what_it_takes():
    tags = get_tags(ImageReader())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.requires_fit


@pytest.mark.parametrize(
    ("parameters", "word"), [({"size": 0}, "size"), ({"size": "big"}, "size"), ({"cache": 3}, "cache")]
)
def test_bad_parameters_are_refused(paths, parameters, word):
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=word):
            getattr(ImageReader(**parameters), method)(paths)


@pytest.mark.parametrize("X", [[], np.zeros((3, 2)), "a.png"], ids=str)
def test_anything_but_paths_is_refused(X):
    with pytest.raises(ValueError, match="ImageReader needs image paths"):
        ImageReader(5).transform(X)


def test_a_damaged_image_is_named_from_every_thread(paths):
    paths[3].write_bytes(b"nothing")
    for n_jobs in (1, 2):
        with pytest.raises(ValueError, match=r"image 3\.png"):
            ImageReader(5, n_jobs=n_jobs).transform(paths)


# --- with a cache ---


def test_with_a_cache_it_gives_the_same_images_as_a_read_only_memory_map(paths, tmp_path):
    cache = tmp_path / "deep" / "cache"
    images = ImageReader(5, cache=cache).transform(paths)
    np.testing.assert_array_equal(images, ImageReader(5).transform(paths))
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_mapped_images_live_on_without_the_cache_and_leave_no_file(paths, tmp_path):
    cache = tmp_path / "cache"
    ImageReader(5, cache=cache).transform(paths)
    files = sorted(cache.rglob("*"))
    images = ImageReader(5, cache=cache).transform(paths)
    assert sorted(cache.rglob("*")) == files
    shutil.rmtree(cache)
    np.testing.assert_array_equal(images, ImageReader(5).transform(paths))


def test_mapped_images_are_put_together_from_several_batches(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(_reader, "_BATCH_BYTES", 2 * 75)
    for n_jobs in (1, 2):
        images = ImageReader(5, cache=tmp_path / str(n_jobs), n_jobs=n_jobs).transform(paths)
        np.testing.assert_array_equal(images, ImageReader(5).transform(paths))
    monkeypatch.setattr(_reader, "_BATCH_BYTES", 1)  # less than an image
    np.testing.assert_array_equal(ImageReader(5, cache=tmp_path / "1").transform(paths), images)


def test_memory_does_not_grow_with_the_number_of_mapped_images(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(_reader, "_BATCH_BYTES", 300_000)
    reader = ImageReader(100, cache=tmp_path / "cache")  # 30,000 bytes per image
    reader.transform(paths)
    tracemalloc.start()
    reader.transform(paths * 50)  # 10 million bytes
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_folds_of_a_cross_validation_decode_each_image_once(paths, tmp_path, count_decoding):
    flatten = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    model = make_pipeline(ImageReader(5, cache=tmp_path / "cache"), flatten, DummyClassifier())
    cross_validate(model, paths, [0, 1, 0, 1, 0, 1, 0], cv=3, error_score="raise")
    assert sorted(count_decoding) == sorted(map(str, paths))


def flat(X):
    return X.reshape(len(X), -1)


@pytest.mark.slow
def test_mapped_images_reach_other_processes(tmp_path):
    file = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)).save(file)
    images = ImageReader(100, cache=tmp_path / "cache").transform([file] * 40)  # above joblib's limit for pickling
    model = make_pipeline(FunctionTransformer(flat), DummyClassifier())
    y = [0, 1, 1, 1] * 10
    scores = cross_validate(model, images, y, cv=2, n_jobs=2, error_score="raise")["test_score"]
    assert scores.tolist() == [0.75, 0.75]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(images)), images)


def refuse_unnamed_files(monkeypatch, folder, error):
    """As a file system that is read-only, whose refusal would not stop a superuser that runs the tests."""

    def refuse(*, dir=None, real=tempfile.TemporaryFile, **options):
        if dir == folder:
            raise error
        return real(dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), OSError(30, "read-only")], ids=str)
def test_a_cache_that_holds_every_image_may_be_read_only(paths, tmp_path, monkeypatch, count_decoding, error):
    cache = tmp_path / "cache"
    expected = np.array(ImageReader(5, cache=cache).transform(paths))
    refuse_unnamed_files(monkeypatch, cache, error)
    images = ImageReader(5, cache=cache).transform(paths)
    np.testing.assert_array_equal(images, expected)
    assert isinstance(images, np.memmap)
    assert len(count_decoding) == 7


def test_the_temporary_folder_is_named_when_it_is_full(paths, tmp_path, monkeypatch):
    def write(*_):
        raise OSError(28, "No space left on device")

    refuse_unnamed_files(monkeypatch, tmp_path, PermissionError(13, "denied"))
    monkeypatch.setattr(_reader, "_write", write)
    with pytest.raises(OSError, match="No space left on device") as caught:
        ImageReader(5, cache=tmp_path).transform(paths)
    assert caught.value.filename == tempfile.gettempdir()


def test_a_cache_that_cannot_be_made_is_named(paths):
    with pytest.raises(OSError, match=r"Cannot write to the image cache .*image 0\.png"):
        ImageReader(5, cache=paths[0]).transform(paths)


# --- real images and the import ---


def _is_224_pixels_wide_and_high(file):
    with Image.open(file) as image:
        return image.size == (224, 224)


def test_real_images_are_read_and_those_of_224_pixels_are_not_resampled(breakhis_tree):
    of_acquisition_size = breakhis_tree.loc[breakhis_tree["slide"] == "14-25197", "file"]
    papillary = breakhis_tree.loc[breakhis_tree["subtype"] == "PC", "file"]
    files = [*of_acquisition_size[:2], next(filter(_is_224_pixels_wide_and_high, papillary))]
    read = ImageReader(224, n_jobs=2).transform(files)
    assert read.shape == (3, 224, 224, 3)
    with Image.open(files[0]) as large, Image.open(files[2]) as small:
        assert large.size != (224, 224)
        np.testing.assert_array_equal(read[2], np.asarray(small.convert("RGB")))


def test_importing_images_and_splitters_does_not_import_torch():
    code = (
        "import sys, sklearn_magdg.images, sklearn_magdg.model_selection, sklearn_magdg.datasets._breakhis,"
        " sklearn_magdg.datasets._manifest; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
