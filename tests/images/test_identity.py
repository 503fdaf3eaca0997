import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sklearn_magdg.images import pixel_digests, read_image, readable_images


def test_equal_pictures_have_equal_digests_whatever_the_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    names = ["a.png", "b.tif", "c.bmp", "d.webp"]
    for name in names:
        Image.fromarray(pixels).save(tmp_path / name, **({"lossless": True} if name == "d.webp" else {}))
    digests = pixel_digests([tmp_path / name for name in names])
    assert digests.dtype == object
    assert len(set(digests)) == 1
    assert len(digests[0]) == 32


def test_a_single_level_and_another_shape_of_the_same_bytes_tell_digests_apart(tmp_path):
    pixels = np.full((6, 4, 3), 9, np.uint8)
    other = pixels.copy()
    other[5, 3, 2] = 10
    for name, image in (("a", pixels), ("b", other), ("c", pixels.reshape(4, 6, 3))):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    assert len(set(pixel_digests([tmp_path / f"{name}.png" for name in "abc"]))) == 3


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_digests_come_in_the_order_of_the_paths(paths, n_jobs):
    one_by_one = [pixel_digests([path])[0] for path in paths]
    assert pixel_digests(pd.DataFrame({"path": paths}), n_jobs=n_jobs).tolist() == one_by_one


def test_a_digest_of_a_damaged_file_is_refused_by_name(paths):
    paths[3].write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"image 3\.png"):
        pixel_digests(paths)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_the_mask_is_true_where_an_image_can_be_read(paths, n_jobs):
    paths[1].write_bytes(b"")
    paths[4].write_bytes(paths[4].read_bytes()[:60])
    paths[5].unlink()
    paths[5].mkdir()
    with pytest.warns(UserWarning, match=r"3 of 7 .*1\.png' \(.*4\.png' \(.*5\.png' \(it is no regular"):
        readable = readable_images(paths, n_jobs=n_jobs)
    assert readable.tolist() == [True, False, True, True, False, False, True]
    for path in np.array(paths)[~readable]:
        with pytest.raises(ValueError, match="Cannot read"):
            read_image(path)


def test_whole_files_give_no_warning(paths):
    assert readable_images(paths).all()


def test_the_warning_names_five_files_at_most(paths):
    for path in paths:
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="7 of 7") as caught:
        readable_images(paths)
    message = str(caught[0].message)
    assert "image 4.png" in message
    assert "image 5.png" not in message
    assert message.endswith("(7 in all).")


def test_a_missing_file_is_no_damaged_one(paths):
    paths[2].unlink()
    with pytest.raises(FileNotFoundError, match=r"image 2\.png"):
        readable_images(paths)


@pytest.mark.parametrize("X", [[], np.zeros((3, 2)), "a.png"], ids=str)
def test_anything_but_paths_is_refused(X):
    with pytest.raises(ValueError, match="must be image paths"):
        readable_images(X)
