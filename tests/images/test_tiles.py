import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sklearn_magdg.images import ImageReader, cut_tiles


@given(n=st.integers(1, 4), height=st.integers(1, 3), width=st.integers(1, 3), n_images=st.integers(1, 3))
def test_every_tile_is_its_part_of_the_image(n, height, width, n_images):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_images, n * height, n * width, 3), dtype=np.uint8)
    tiles = iter(cut_tiles(images, n))
    for image in images:
        for top in range(0, n * height, height):
            for left in range(0, n * width, width):
                assert np.array_equal(next(tiles), image[top : top + height, left : left + width])
    assert next(tiles, None) is None


def test_memory_maps_are_cut(tmp_path):
    Image.new("RGB", (70, 46), "pink").save(tmp_path / "image.png")
    images = ImageReader(8, cache=tmp_path / "cache").transform([tmp_path / "image.png"])
    assert isinstance(images, np.memmap)
    assert cut_tiles(images, 2).shape == (4, 4, 4, 3)


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_a_number_of_tiles_that_is_none_is_refused(n, error):
    with pytest.raises(error, match=r"^n "):
        cut_tiles(np.zeros((1, 4, 4, 3)), n)


@pytest.mark.parametrize("images", [["a.png", "b.png"], np.zeros((6, 6, 3))])
def test_what_is_no_stack_of_images_is_refused_with_the_way_out(images):
    with pytest.raises(ValueError, match=r"read paths with ImageReader, and give a single image as images\[None\]"):
        cut_tiles(images, 3)


@pytest.mark.parametrize("shape", [(1, 4, 6, 3), (1, 6, 4, 3)])
def test_images_that_cannot_be_cut_are_refused(shape):
    with pytest.raises(ValueError, match="pixels cannot be cut into 3 x 3 tiles: resize them to a multiple of 3"):
        cut_tiles(np.zeros(shape), 3)
