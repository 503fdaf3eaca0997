from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.images._decode import decode
from sklearn_magdg.model_selection import _duplicates, audit_splits
from sklearn_magdg.model_selection._duplicates import near_likeness, near_pairs, twins

TISSUE = make_histology(4, images_per_cell=1, image_size=61, random_state=0)
N = len(TISSUE.data)
METADATA = {"patient": np.arange(N), "magnification": TISSUE.magnification}
SPLIT = [(range(9), range(9, N))]


def audit(X, **options):
    return audit_splits(SPLIT, X, TISSUE.target, **METADATA, **options)


def _save(folder, images, suffix=".png"):
    files = [folder / f"{row}{suffix}" for row in range(len(images))]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    return files


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_equal_pixels_in_another_file_and_format_are_found(tmp_path, suffix):
    files = _save(tmp_path, TISSUE.data)
    files[12] = tmp_path / f"copy{suffix}"
    Image.fromarray(TISSUE.data[3]).save(files[12])
    result = audit(files)
    assert result.duplicates[0].tolist() == [[12, 3]]
    assert result.frame.loc[0, "duplicates"] == 1


def test_equal_bytes_of_another_shape_are_no_duplicate(tmp_path):
    files = _save(tmp_path, TISSUE.data)
    Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8)).save(files[0])
    Image.fromarray(np.zeros((6, 4, 3), dtype=np.uint8)).save(files[12])
    assert audit(files).frame.loc[0, "duplicates"] == 0


def test_a_file_is_decoded_once_whatever_the_folds_and_the_spelling_of_its_path(tmp_path, monkeypatch):
    files = [str(file) for file in _save(tmp_path, TISSUE.data)]
    files[12] = f"{tmp_path}/./3.png"
    decoded = []
    monkeypatch.setattr("sklearn_magdg.images._perceptual.decode", lambda path: decoded.append(path) or decode(path))
    result = audit_splits(4, files, TISSUE.target, duplicates="near", **METADATA)
    assert len(decoded) == len(set(decoded)) == N - 1
    assert result.frame["duplicates"].sum() == 2


def test_without_a_search_no_file_is_opened():
    absent = [f"nowhere/{row}.png" for row in range(N)]
    assert "duplicates" not in audit(absent, duplicates=None).frame
    with pytest.raises(FileNotFoundError, match="nowhere"):
        audit(absent)


def _darkened(image):
    return (image * 0.9).astype(np.uint8)


def _check_near(result):
    assert result.frame.loc[0, ["duplicates", "near_duplicates"]].tolist() == [1, 1]
    assert result.duplicates[0].tolist() == [[11, 2]]
    assert result.near_duplicates[0].tolist() == [[12, 3]]
    with pytest.raises(ValueError, match=r"1 test sample with a near one in training \(12 as 3\)"):
        result.raise_if_leaky()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_near_images_are_found_among_arrays(dtype):
    images = TISSUE.data.copy()
    images[12], images[11] = _darkened(images[3]), images[2]
    _check_near(audit(images if dtype == np.uint8 else images.astype(dtype) / 255, duplicates="near"))


def test_near_images_are_found_among_files(tmp_path):
    files = _save(tmp_path, TISSUE.data)
    files[12], files[11] = tmp_path / "near.jpg", tmp_path / "same.tiff"
    Image.fromarray(_darkened(TISSUE.data[3])).resize((90, 50)).save(files[12], quality=60)
    Image.fromarray(TISSUE.data[2]).save(files[11])
    _check_near(audit(files, duplicates="near"))


def test_distance_zero_still_finds_what_has_the_same_hash():
    images = TISSUE.data.copy()
    images[12] = images[3]
    images[12, 0, 0, 0] ^= 1  # one bit of one pixel
    result = audit(images, duplicates="near", near_distance=0)
    assert result.frame.loc[0, ["duplicates", "near_duplicates"]].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (TISSUE.data.astype(np.int64), "must be uint8, or floats from 0 to 1, got int64"),
        (TISSUE.data.astype(float), r"floats from 0 to 1, got float64 from \d+\.0 to 25\d"),
        (TISSUE.data[..., 0], r"got \(16, 61, 61\)"),
    ],
)
def test_near_ones_are_looked_for_among_pictures_only(images, message):
    with pytest.raises(ValueError, match=message):
        audit(images, duplicates="near")


def _hashes(max_rows):
    return st.integers(0, max_rows).flatmap(lambda n: arrays(bool, (n, 9)))


@given(_hashes(11), st.integers(0, 4))
def test_near_pairs_are_those_of_a_double_loop(hashes, distance):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_duplicates, "_BLOCK", 4)
        pairs = near_pairs(hashes, distance)
    apart = {(a, b): int(np.sum(hashes[a] != hashes[b])) for a, b in combinations(range(len(hashes)), 2)}
    near = {pair for pair, bits in apart.items() if bits <= distance}
    assert len(pairs) == 2 * len(near)
    assert set(map(tuple, pairs.tolist())) == near | {(b, a) for a, b in near}
    bits = [apart[min(a, b), max(a, b)] for a, b in pairs.tolist()]
    assert bits == sorted(bits, reverse=True)


@given(_hashes(11), st.integers(0, 4), st.data())
def test_a_test_sample_stands_beside_its_nearest_in_training(hashes, distance, data):
    side = data.draw(st.lists(st.booleans(), min_size=len(hashes), max_size=len(hashes)))
    train, test = np.flatnonzero(side), np.flatnonzero(~np.array(side, dtype=bool))
    found = dict(twins(*near_likeness(hashes, distance), train, test).tolist())
    structured = hashes.any(axis=1)  # a hash without a bit set has nothing to compare
    for row in test.tolist():
        others = [other for other in train.tolist() if structured[row] and structured[other]]
        bits = {other: np.sum(hashes[row] != hashes[other]) for other in others}
        nearest = min(bits.values(), default=distance + 1)
        assert (row in found) == (nearest <= distance)
        assert row not in found or bits[found[row]] == nearest


def test_pairs_without_end_are_refused_before_memory_is_full(monkeypatch):
    monkeypatch.setattr(_duplicates, "_MAX_PAIRS", 5)
    with pytest.raises(ValueError, match=r"More than 5 pairs of images are within `near_distance` = 9: lower it"):
        near_pairs(np.eye(5, 9, dtype=bool), 9)


def test_pictures_of_one_colour_are_near_to_nothing_and_identical_where_the_colour_is_one():
    images = TISSUE.data.copy()
    images[0], images[1], images[12], images[13] = 240, 241, 242, 241
    images[5] = np.linspace(0, 255, 61).astype(np.uint8)[None, :, None]  # a ramp: few bits are set
    result = audit(images, duplicates="near", near_distance=64)
    assert result.duplicates[0].tolist() == [[13, 1]]
    assert result.frame.loc[0, "near_duplicates"] == 0


def test_nothing_but_pictures_of_one_colour_are_no_near_ones():
    blank = np.repeat(np.arange(N, dtype=np.uint8), 5 * 7 * 3).reshape(N, 5, 7, 3)
    assert audit(blank, duplicates="near").frame.loc[0, ["duplicates", "near_duplicates"]].tolist() == [0, 0]
