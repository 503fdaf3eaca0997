import tracemalloc

import numpy as np
import pytest
from PIL import Image

from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier
from sklearn_magdg.images import ArraySource, ImageReader, JoinedSource, _decode, _input, as_source
from sklearn_magdg.images._sources import PathSource


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{k}.png" for k in range(7)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (34, 37, 3), dtype=np.uint8)).save(file)
    return files


@pytest.fixture
def count_decoding(monkeypatch):
    """The paths decoded so far."""
    decoded = []
    monkeypatch.setattr(_decode, "decode", lambda path, real=_decode.decode: (decoded.append(path), real(path))[1])
    return decoded


@pytest.fixture
def count_opening(monkeypatch):
    """The paths opened so far as images."""
    opened = []
    monkeypatch.setattr(_decode, "_open", lambda path, real=_decode._open: (opened.append(str(path)), real(path))[1])
    return opened


@pytest.fixture
def odd_paths(tmp_path):
    """An image of every mode and format that is not plain RGB."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (13, 17, 4), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 2**16, (13, 17)).astype(np.uint16))
    sideways = Image.Exif()
    sideways[0x0112] = 6
    palette = image.convert("RGB").quantize()
    kinds = [
        *((image.convert(mode), "png", {}) for mode in ("1", "L", "LA", "RGBA")),
        (palette, "png", {"transparency": bytes(range(256))}),
        (palette, "gif", {}),
        (palette.convert("PA"), "tif", {}),
        (deep, "png", {}),
        (deep.convert("I"), "tif", {}),
        *((image.convert("RGB").convert(mode), "jpg", {}) for mode in ("CMYK", "YCbCr", "L")),
        (image.convert("RGB"), "jpg", {"exif": sideways}),
        (image, "webp", {}),
        (image.convert("RGB"), "tif", {"save_all": True, "append_images": [image.convert("L")]}),
    ]
    files = [tmp_path / f"{i}.{suffix}" for i, (_, suffix, _) in enumerate(kinds)]
    for file, (image, _, options) in zip(files, kinds, strict=True):
        image.save(file, **options)
    return files


def _read(source):
    return source.read(np.arange(len(source)))


def test_paths_and_arrays_reach_the_net_bit_for_bit_alike(paths):
    arrays = np.stack([np.asarray(Image.open(p)) for p in paths])
    by_path = as_source(paths, image_size=8, n_jobs=2)
    by_array = as_source(arrays, image_size=8)
    np.testing.assert_array_equal(_read(by_path), _read(by_array))


def test_paths_are_brought_to_224_pixels_where_no_size_is_given(paths):
    source = as_source(paths)
    assert isinstance(source, PathSource)
    assert source.shape == (224, 224, 3)
    assert len(source) == 7


def test_float_images_are_rounded_to_8_bits():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    source = as_source(images / 255)
    np.testing.assert_array_equal(_read(source), images)


def test_joined_source_reads_across_its_parts_in_the_order_asked():
    values = np.arange(21, dtype=np.float32).reshape(7, 3)
    joined = JoinedSource([ArraySource(values[:2]), ArraySource(values[2:3]), ArraySource(values[3:])])
    order = np.array([6, 0, 2, 1, 5, 0])
    assert len(joined) == 7
    np.testing.assert_array_equal(joined.read(order), values[order])


def test_rows_of_a_joined_source_are_the_rows():
    values = np.arange(14, dtype=np.float32).reshape(7, 2)
    rows = JoinedSource([ArraySource(values[:4]), ArraySource(values[4:])]).take([5, 3, 0])
    np.testing.assert_array_equal(_read(rows), values[[5, 3, 0]])
    np.testing.assert_array_equal(rows.read(np.array([2, 0])), values[[0, 5]])


@pytest.mark.parametrize(
    "layout",
    [
        lambda images: images,
        lambda images: images[::2],
        lambda images: images[::-1, :, ::-1],
        lambda images: np.moveaxis(np.moveaxis(images, -1, 1).copy(), 1, -1),
        np.asfortranarray,
    ],
    ids=["plain", "strided", "backwards", "channels first", "Fortran"],
)
def test_8_bit_images_are_read_batch_by_batch_from_where_they_are(layout):
    images = layout(np.random.default_rng(0).integers(0, 256, (6, 8, 9, 3), dtype=np.uint8))
    images.flags.writeable = False
    source = as_source(images)
    assert np.shares_memory(source.array, images)
    np.testing.assert_array_equal(_read(source), images)
    assert source.read(np.array([2, 0])).flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_images_are_brought_to_8_bits_without_a_second_array_of_floats(dtype):
    images = np.zeros((1001, 32, 32, 3), dtype)
    tracemalloc.start()
    source = as_source(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < source.array.nbytes + images.nbytes / 2


def test_a_bad_value_in_any_block_is_found(monkeypatch):
    monkeypatch.setattr(_input, "_BLOCK", 100)
    for row in range(7):
        images = np.full((7, 4, 5, 3), 0.5)
        images[row, 3, 4, 2] = 1.5
        with pytest.raises(ValueError, match=r"from 0.5 to 1.5"):
            as_source(images)
        images[row, 3, 4, 2] = 0.25
        assert _read(as_source(images))[row, 3, 4, 2] == 64


def test_batches_keep_8_bits():
    source = ArraySource(np.zeros((3, 4, 4, 3), np.uint8))
    assert source.read(np.array([0, 2])).dtype == np.uint8


# --- paths, from the cache or not ---


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("cached", [False, True])
def test_paths_of_every_kind_reach_the_net_as_the_reader_gives_them(odd_paths, tmp_path, n_jobs, cached):
    reading = {"n_jobs": n_jobs, "cache": tmp_path / "cache" if cached else None}
    source = as_source(odd_paths, image_size=9, **reading)
    for _ in range(2):
        np.testing.assert_array_equal(_read(source), ImageReader(9).transform(odd_paths))


def test_estimators_and_the_reader_share_one_cache(paths, tmp_path, count_decoding):
    expected = ImageReader(9, cache=tmp_path / "cache").transform(paths)
    source = as_source(paths, image_size=9, cache=tmp_path / "cache")
    np.testing.assert_array_equal(source.read(np.array([6, 0, 6])), expected[[6, 0, 6]])
    assert len(count_decoding) == 7


def test_what_is_resampled_once_more_comes_from_the_cache_too(paths, tmp_path, count_decoding):
    source = as_source(paths, image_size=12, cache=tmp_path / "cache").resized(9)
    first = _read(source)
    np.testing.assert_array_equal(_read(source), first)
    assert first.shape == (7, 9, 9, 3)
    assert len(count_decoding) == 7


TRAINING = {"n_jobs": 1, "max_epochs": 3, "image_size": 16, "batch_size": 3, "random_state": 0}
LABELS = np.array([0, 1, 0, 1, 0, 1, 0])
MAGNIFICATION = np.array([40, 40, 100, 100, 40, 40, 100])


@pytest.mark.parametrize("kind", [CNNClassifier, GradientReversalClassifier])
def test_all_epochs_and_predictions_decode_each_image_once(paths, tmp_path, count_decoding, kind):
    plain = kind(**TRAINING).fit(paths, LABELS, magnification=MAGNIFICATION)
    assert len(count_decoding) > 7
    expected = plain.predict_proba(paths)
    count_decoding.clear()
    cached = kind(**TRAINING, image_cache=tmp_path / "cache").fit(paths, LABELS, magnification=MAGNIFICATION)
    np.testing.assert_array_equal(cached.predict_proba(paths), expected)
    assert sorted(count_decoding) == sorted(map(str, paths))


def test_the_generator_decodes_each_image_once(paths, tmp_path, count_decoding):
    gan = DCGAN(32, width=4, max_epochs=3, batch_size=4, image_cache=tmp_path / "cache", random_state=0)
    gan.fit(paths, LABELS)
    assert len(count_decoding) == 7


def test_an_augmented_classifier_and_its_generator_decode_each_image_once(paths, tmp_path, count_decoding):
    model = GANAugmentedClassifier(
        CNNClassifier(**TRAINING, image_cache=tmp_path / "cache"),
        generator=DCGAN(32, width=4, max_epochs=2, batch_size=4),
        random_state=0,
    )
    model.fit(paths, LABELS).predict(paths)
    assert len(count_decoding) == 7


def test_only_fit_looks_at_files_before_they_are_decoded_and_at_none_that_the_cache_holds(
    paths, tmp_path, count_opening
):
    model = CNNClassifier(**TRAINING | {"max_epochs": 1}).fit(paths, LABELS)
    assert len(count_opening) == 14
    count_opening.clear()
    model.predict(paths)
    assert sorted(count_opening) == sorted(map(str, paths))
    model.set_params(image_cache=tmp_path / "cache").predict(paths)
    count_opening.clear()
    model.fit(paths, LABELS).predict(paths)
    assert not count_opening
    paths[3].write_bytes(paths[3].read_bytes()[:20])
    with pytest.raises(ValueError, match=r"3\.png' as an image"):
        model.fit(paths, LABELS)
    assert count_opening == [str(paths[3])]


@pytest.mark.parametrize("cached", [False, True])
def test_prediction_names_a_file_that_is_gone(paths, tmp_path, cached):
    model = CNNClassifier(**TRAINING, image_cache=tmp_path / "cache" if cached else None).fit(paths, LABELS)
    paths[3].unlink()
    with pytest.raises(FileNotFoundError, match=r"no image file '.*3\.png'"):
        model.predict(paths)


@pytest.mark.parametrize("cached", [False, True])
def test_a_damaged_image_is_named_and_so_is_the_way_out(paths, tmp_path, cached):
    paths[3].write_bytes(paths[3].read_bytes()[:60])
    model = CNNClassifier(**TRAINING, image_cache=tmp_path / "cache" if cached else None)
    with pytest.raises(ValueError, match=r"3\.png' as an image .*on_damaged=\"skip\".*readable_images"):
        model.fit(paths, LABELS)


@pytest.mark.parametrize("kind", [CNNClassifier, GradientReversalClassifier, DCGAN])
def test_a_cache_that_is_no_folder_is_refused(paths, kind):
    with pytest.raises(ValueError, match="image_cache"):
        kind(image_cache=3).fit(paths, LABELS)


def test_mapped_images_are_not_copied_into_memory(paths, tmp_path):
    mapped = ImageReader(9, cache=tmp_path / "cache").transform(paths)
    source = as_source(mapped)
    assert np.shares_memory(source.array, mapped)
    np.testing.assert_array_equal(_read(source), mapped)
