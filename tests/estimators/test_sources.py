import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator

from sklearn_magdg.estimators._sources import ArraySource, JoinedSource, PathSource, RowsOf, as_source


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{k}.png" for k in range(7)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(file)
    return files


def _read(source):
    return source.read(np.arange(len(source))).numpy()


def test_paths_and_arrays_reach_the_net_bit_for_bit_alike(paths):
    arrays = np.stack([np.asarray(Image.open(p)) for p in paths])
    by_path = as_source(BaseEstimator(), paths, reset=True, image_size=8, n_jobs=2)
    by_array = as_source(BaseEstimator(), arrays, reset=True, image_size=8)
    np.testing.assert_array_equal(_read(by_path), _read(by_array))


@pytest.mark.parametrize("container", [list, np.array, pd.Series, lambda p: pd.DataFrame({"path": p})])
def test_paths_come_in_every_container(paths, container):
    source = as_source(BaseEstimator(), container([str(p) for p in paths]), reset=True)
    assert isinstance(source, PathSource)
    assert source.shape == (224, 224, 3)
    assert len(source) == 7


def test_float_images_are_rounded_to_8_bits():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    source = as_source(BaseEstimator(), images / 255, reset=True)
    np.testing.assert_array_equal(_read(source), images)


def test_joined_source_reads_across_its_parts_in_the_order_asked():
    values = np.arange(21, dtype=np.float32).reshape(7, 3)
    joined = JoinedSource([ArraySource(values[:2]), ArraySource(values[2:3]), ArraySource(values[3:])])
    order = np.array([6, 0, 2, 1, 5, 0])
    assert len(joined) == 7
    np.testing.assert_array_equal(joined.read(order).numpy(), values[order])


def test_rows_of_a_joined_source_are_the_rows():
    values = np.arange(14, dtype=np.float32).reshape(7, 2)
    rows = RowsOf(JoinedSource([ArraySource(values[:4]), ArraySource(values[4:])]), [5, 3, 0])
    np.testing.assert_array_equal(_read(rows), values[[5, 3, 0]])
    np.testing.assert_array_equal(rows.read(np.array([2, 0])).numpy(), values[[0, 5]])


def test_read_only_and_strided_images_are_taken_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    images.flags.writeable = False
    np.testing.assert_array_equal(_read(as_source(BaseEstimator(), images[::2], reset=True)), images[::2])
    assert _read(as_source(BaseEstimator(), images, reset=True)).dtype == np.uint8


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 8, 8, 1), np.uint8), "must have the shape"),
        (np.zeros((2, 0, 8, 3), np.uint8), "must have the shape"),
        (np.full((2, 8, 8, 3), 2.0), r"float64 from 2 to 2; divide"),
        (np.full((2, 8, 8, 3), np.nan), "float64 from nan to nan"),
        (np.full((2, 8, 8, 3), 7, np.int64), "int64 from 7 to 7"),
        (np.zeros((0, 8, 8, 3), np.uint8), "holds no image"),
        (np.zeros((2, 8, 8), np.uint8), r"images need \(n, height, width, 3\)"),
    ],
)
def test_bad_images_are_refused_by_what_came_and_what_is_needed(X, message):
    with pytest.raises(ValueError, match=message):
        as_source(BaseEstimator(), X, reset=True)


def test_tensors_of_a_batch_keep_8_bits():
    source = ArraySource(np.zeros((3, 4, 4, 3), np.uint8))
    assert source.read(np.array([0, 2])).dtype == torch.uint8
