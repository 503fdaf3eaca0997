import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.images import fingerprints, perceptual_hash, pixel_digests
from sklearn_magdg.model_selection._duplicates import near_pairs

TISSUE = make_histology(5, images_per_cell=2, image_size=96, random_state=0).data
HASHES = np.array([perceptual_hash(picture) for picture in TISSUE])


def _distances(change):
    """Between every picture and its changed version."""
    changed = [perceptual_hash(np.asarray(change(Image.fromarray(picture)))) for picture in TISSUE]
    return np.sum(np.array(changed) != HASHES, axis=1)


def _jpeg(picture):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=50)
    return Image.open(file)


@pytest.mark.parametrize(
    "change",
    [
        _jpeg,
        lambda picture: picture.resize((48, 37)),
        lambda picture: picture.resize((191, 150), Image.Resampling.BICUBIC),
        lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
        lambda picture: ImageEnhance.Contrast(picture).enhance(0.8),
        lambda picture: ImageOps.grayscale(picture).convert("RGB"),
        lambda picture: picture.crop((1, 1, 95, 95)),
    ],
    ids=["jpeg", "half", "double", "darker", "paler", "grey", "cropped"],
)
def test_a_version_of_a_picture_keeps_most_bits(change):
    assert _distances(change).max() <= 64


@pytest.mark.parametrize("change", [ImageOps.mirror, lambda picture: picture.rotate(90)], ids=["mirrored", "turned"])
def test_a_mirrored_or_turned_picture_is_another(change):
    assert _distances(change).min() > 64


def test_different_pictures_differ_in_about_half_of_the_bits():
    rows, columns = np.triu_indices(len(HASHES), 1)
    distances = np.sum(HASHES[rows] != HASHES[columns], axis=1)
    assert distances.min() > 80
    assert 124 <= np.median(distances) <= 131


def test_a_picture_of_one_colour_has_no_structure_to_compare():
    for grey in (0, 127, 255):
        assert not perceptual_hash(np.full((31, 17, 3), grey, dtype=np.uint8)).any()


def test_files_give_the_digests_of_pixels_and_the_hashes_of_arrays(tmp_path):
    files = [tmp_path / "a.png", tmp_path / "b.bmp"]
    for file, picture in zip(files, TISSUE, strict=False):
        Image.fromarray(picture).save(file)
    digests, hashes = fingerprints(files, n_jobs=2)
    assert digests.tolist() == pixel_digests(files).tolist()
    assert np.array_equal(hashes, HASHES[:2])


def _pairs(hashes, distance):
    """Rows within `distance`, every pair once, the smaller row first."""
    return np.unique(np.sort(near_pairs(hashes, distance), axis=1), axis=0)


@pytest.mark.slow
def test_real_images_are_far_apart_but_for_fields_photographed_twice(breakhis_tree):
    _, hashes = fingerprints(breakhis_tree["file"], n_jobs=2)
    names = breakhis_tree["file"].map(lambda file: Path(file).stem).to_numpy()
    assert {tuple(pair) for pair in names[_pairs(hashes, 64)]} >= {
        ("SOB_B_TA-14-3411F-100-002", "SOB_B_TA-14-3411F-100-011"),
        ("SOB_M_DC-14-15792-200-003", "SOB_M_DC-14-15792-200-005"),
    }
    places = breakhis_tree.groupby(["slide", "magnification"]).ngroup().to_numpy()
    first, second = places[_pairs(hashes, 88)].T
    assert np.sum(first != second) < 1e-5 * len(names) ** 2 / 2  # chance alone: of a million pairs about one
    first, second = places[_pairs(hashes, 76)].T
    assert np.array_equal(first, second)
