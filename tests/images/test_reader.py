import os
import pickle
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from sklearn_magdg.images import ImageReader, as_paths, read_image, resize_images
from sklearn_magdg.images import _decode as module

RNG = np.random.default_rng(0)


def random_image(height=7, width=5):
    return RNG.integers(0, 256, size=(height, width, 3), dtype=np.uint8)


@pytest.fixture
def paths(tmp_path):
    """Seven images of odd sizes."""
    files = [tmp_path / f"image {i}.png" for i in range(7)]
    for i, file in enumerate(files):
        Image.fromarray(random_image(7 + i, 23 - i)).save(file)
    return files


def save(tmp_path, image, name="image.png", **options):
    file = tmp_path / name
    image.save(file, **options)
    return file


# --- one image ---


def test_an_image_of_the_asked_size_comes_back_unchanged(tmp_path):
    pixels = random_image(5, 5)
    np.testing.assert_array_equal(read_image(save(tmp_path, Image.fromarray(pixels)), 5), pixels)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30))
@settings(deadline=None, max_examples=30)
def test_arrays_and_paths_agree_bit_for_bit(tmp_path_factory, height, width, size):
    pixels = random_image(height, width)
    file = save(tmp_path_factory.mktemp("images"), Image.fromarray(pixels))
    np.testing.assert_array_equal(read_image(file, size), resize_images(pixels[None], size)[0])


def test_reduction_is_antialiased(tmp_path):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    reduced = read_image(save(tmp_path, Image.fromarray(stripes)), 8)
    assert np.all(np.abs(reduced[:, 1:-1].astype(int) - 127) < 10)  # a plain bicubic would show 0 or 255


def test_resizing_to_the_same_size_gives_the_array_itself():
    pixels = np.stack([random_image(5, 5)] * 3)
    assert resize_images(pixels, 5) is pixels


def test_a_sideways_photograph_is_turned_upright(tmp_path):
    left_red = np.zeros((6, 4, 3), np.uint8)
    left_red[:, :2, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: left becomes top
    file = save(tmp_path, Image.fromarray(left_red), exif=exif)
    upright = read_image(file, 4)
    assert (upright[0, :, 0] > 200).all()
    assert (upright[-1, :, 0] < 50).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "RGBA", "PA", "I;16", "I"])
def test_every_mode_of_grey_100_reads_as_grey_100(tmp_path, mode):
    grey = Image.new("RGB", (7, 5), (100, 100, 100))
    if mode == "1":
        image, expected = Image.new("1", (7, 5), 1), 255
    elif mode.startswith("I"):
        image, expected = Image.fromarray(np.full((5, 7), 100 * 256 + 9, np.uint16)).convert(mode), 100
    else:
        # quantize() keeps the colour, where convert("P") takes the nearest of a fixed palette
        image, expected = (grey.quantize() if mode.startswith("P") else grey).convert(mode), 100
    file = save(tmp_path, image, "image.tif" if mode in {"CMYK", "YCbCr", "PA", "I"} else "image.png")
    with Image.open(file) as saved:
        assert saved.mode == mode
    pixels = read_image(file, 3)
    assert pixels.shape == (3, 3, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), expected, atol=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_stand_on_white(tmp_path, mode):
    image = Image.new("RGBA", (6, 6), (0, 0, 0, 0))
    if mode == "P":
        file = save(tmp_path, Image.new("RGB", (6, 6)).quantize(), transparency=0)
    else:
        file = save(tmp_path, image.convert(mode))
    assert (read_image(file, 6) == 255).all()


def test_a_half_transparent_pixel_is_mixed_with_white(tmp_path):
    file = save(tmp_path, Image.new("RGBA", (2, 2), (0, 0, 0, 128)))
    np.testing.assert_allclose(read_image(file, 2).astype(int), 127, atol=1)


def test_cut_off_files_are_refused_by_name(tmp_path):
    for suffix in ("png", "jpg", "tif", "gif", "bmp"):
        file = save(tmp_path, Image.fromarray(random_image(50, 50)), f"whole.{suffix}")
        content = file.read_bytes()
        file = tmp_path / f"half.{suffix}"
        file.write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=rf"half\.{suffix}' as an image .*download or export"):
            read_image(file, 5)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 9)])
def test_files_that_are_no_images_are_refused_by_name(tmp_path, content):
    file = tmp_path / "notes.png"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.png"):
        read_image(file, 5)


def test_a_folder_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="as an image"):
        read_image(tmp_path, 5)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no image file .*absent\.png"):
        read_image(tmp_path / "absent.png", 5)


@pytest.mark.parametrize("limit", [100, 60])
def test_decompression_bombs_are_refused(tmp_path, monkeypatch, limit):
    file = save(tmp_path, Image.new("RGB", (13, 11)))  # 143 pixels: above the limit, or above twice the limit
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match="image"):
        read_image(file, 5)


def test_a_bomb_is_refused_where_warnings_pass(tmp_path, monkeypatch):
    file = save(tmp_path, Image.new("RGB", (13, 11)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(ValueError, match="13 x 11 pixels"):
        read_image(file, 5)


def test_pixels_of_unknown_range_are_refused(tmp_path):
    for value, dtype in ((0.5, np.float32), (70_000, np.int32)):
        file = save(tmp_path, Image.fromarray(np.full((5, 7), value, dtype)), "deep.tif")
        with pytest.raises(ValueError, match=r"deep\.tif.*its pixels"):
            read_image(file, 5)


@pytest.mark.parametrize("bad", [np.zeros((2, 5, 5, 3)), np.zeros((5, 5, 3), np.uint8)])
def test_arrays_that_are_no_images_are_refused(bad):
    with pytest.raises(ValueError, match="uint8 of shape"):
        resize_images(bad, 5)


# --- paths ---

NAMES = ["a.png", "b/c.png", "007.png"]


@pytest.mark.parametrize(
    "collection",
    [
        NAMES,
        tuple(NAMES),
        [Path(name) for name in NAMES],
        np.array(NAMES),
        np.array(NAMES, dtype=object),
        np.array(NAMES)[:, None],
        pd.Series(NAMES, index=[5, 6, 7]),
        pd.Series(NAMES, dtype="string"),
        pd.Series(NAMES, dtype="category"),
        pd.Series([Path(name) for name in NAMES]),
        pd.DataFrame({"path": NAMES}),
        pl.Series(NAMES),
        pl.DataFrame({"path": NAMES}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_paths_are_recognised_in_every_container(collection):
    found = as_paths(collection)
    assert found.dtype == object
    assert found.tolist() == NAMES


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((3, 2)),
        np.zeros(3),
        np.zeros((2, 5, 5, 3), np.uint8),
        [[0.5, 1.0], [2.0, 3.0]],
        [random_image()],
        [],
        np.array([], dtype=object),
        np.array([1, None], dtype=object),
        np.array([["a", "b"]], dtype=object),
        pd.DataFrame({"a": ["x"], "b": ["y"]}),
        pd.DataFrame({"a": [1.0]}),
        "a.png",
        None,
    ],
    ids=str,
)
def test_other_things_are_no_paths(other):
    assert as_paths(other) is None


@pytest.mark.parametrize("mixed", [["a.png", None], np.array(["a.png", np.nan], dtype=object), ["a.png", 3]])
def test_paths_beside_other_things_are_refused(mixed):
    with pytest.raises(ValueError, match="position 1"):
        as_paths(mixed)


# --- the transformer ---


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


# --- the cache ---


@pytest.fixture
def count_decoding(monkeypatch):
    decoded = []
    monkeypatch.setattr(module, "decode", lambda path, real=module.decode: (decoded.append(path), real(path))[1])
    return decoded


def test_cached_images_are_the_decoded_ones_and_later_calls_reuse_them(paths, tmp_path, count_decoding):
    reader = ImageReader(5, cache=tmp_path / "deep" / "cache")
    first, second = reader.transform(paths), reader.transform(paths)
    assert len(count_decoding) == 7
    assert isinstance(second, np.memmap)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, ImageReader(5).transform(paths))
    assert [file.suffix for file in (tmp_path / "deep" / "cache").iterdir()] == [".npy"]


def test_a_changed_image_another_order_and_another_size_are_decoded_anew(paths, tmp_path, count_decoding):
    cache = tmp_path / "cache"
    ImageReader(5, cache=cache).transform(paths)
    ImageReader(3, cache=cache).transform(paths)
    reordered = ImageReader(5, cache=cache).transform(paths[::-1])
    np.testing.assert_array_equal(reordered[0], read_image(paths[-1], 5))
    state = paths[0].stat()
    os.utime(paths[0], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    count_decoding.clear()
    ImageReader(5, cache=cache).transform(paths)
    assert len(count_decoding) == 7


def test_a_damaged_cache_file_is_written_anew(paths, tmp_path):
    reader = ImageReader(5, cache=tmp_path / "cache")
    expected = np.array(reader.transform(paths))
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:200])
    np.testing.assert_array_equal(reader.transform(paths), expected)


def test_a_failure_leaves_nothing_behind(paths, tmp_path):
    paths[3].write_bytes(b"nothing")
    with pytest.raises(ValueError, match="image 3"):
        ImageReader(5, cache=tmp_path / "cache").transform(paths)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_image_is_named_with_a_cache_too(paths, tmp_path):
    paths[2].unlink()
    with pytest.raises(FileNotFoundError, match=r"image 2\.png"):
        ImageReader(5, cache=tmp_path / "cache").transform(paths)


def test_two_writers_at_once_leave_one_whole_file(paths, tmp_path):
    expected, results = ImageReader(5).transform(paths), []
    reader = ImageReader(5, cache=tmp_path / "cache")
    writers = [threading.Thread(target=lambda: results.append(reader.transform(paths))) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_killed_writer_does_not_harm_the_next_one(paths, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ImageReader(5, cache=cache).transform(paths)
    monkeypatch.undo()
    (cache / ".images-0.npy.0.tmp").write_bytes(b"half")
    np.testing.assert_array_equal(ImageReader(5, cache=cache).transform(paths), ImageReader(5).transform(paths))


def test_real_images_are_read_and_those_of_224_pixels_are_not_resampled(breakhis_root):
    files = sorted(breakhis_root.rglob("SOB_B_F*-25197-*.png"))[:2] + sorted(breakhis_root.rglob("SOB_M_PC*.png"))[:1]
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
