from dataclasses import replace

import numpy as np
import pytest

from sklearn_magdg.cohort import Cohort
from sklearn_magdg.datasets import make_histology
from sklearn_magdg.study import load_study_data
from tests.study.tiny import TINY


@pytest.fixture(scope="module")
def data():
    return load_study_data(TINY)


def test_rows_are_those_of_the_collection_as_it_spells_them(data):
    tissue = make_histology(TINY.n_patients, images_per_cell=1, image_size=32, random_state=TINY.seed)
    assert isinstance(data, Cohort)
    assert len(data) == len(tissue.data)
    np.testing.assert_array_equal(data.images, tissue.data)
    np.testing.assert_array_equal(np.array(data.label.names)[data.label.codes], tissue.target_names[tissue.target])
    np.testing.assert_array_equal(data.patient.values(), tissue.patient)
    np.testing.assert_array_equal(data.magnification.values(), tissue.magnification)


def test_some_rows_keep_all_that_is_known_of_them_and_the_names_of_the_whole(data):
    rows = np.array([7, 3, 12])
    part = data.take(rows)
    np.testing.assert_array_equal(part.images, data.images[rows])
    assert part.id.tolist() == data.id[rows].tolist()
    assert part.patient.values().tolist() == data.patient.values()[rows].tolist()
    assert (part.patient.names, part.description) == (data.patient.names, data.description)
    mask = np.isin(np.arange(len(data)), rows)
    np.testing.assert_array_equal(data.take(mask).id, data.id[np.sort(rows)])


def test_tiles_are_those_of_their_image_and_belong_to_its_patient(data):
    tiles = data.cut(2)
    assert tiles.images.shape == (4 * len(data), 16, 16, 3)
    np.testing.assert_array_equal(tiles.images[4 * 5], data.images[5, :16, :16])
    assert tiles.id[4 * 5 : 4 * 6].tolist() == [f"{data.id[5]}#{tile}" for tile in range(4)]
    for of_tiles, of_images in zip(
        (tiles.label, tiles.patient, tiles.magnification), (data.label, data.patient, data.magnification), strict=True
    ):
        np.testing.assert_array_equal(of_tiles.codes, np.repeat(of_images.codes, 4))
    assert data.cut(1) is data


def test_the_fingerprint_tells_pixels_and_metadata_apart(data):
    other_pixels = data.replace(images=data.images ^ 1)
    other_patients = data.replace(patient=data.patient._replace(codes=data.patient.codes[::-1]))
    assert len({each.fingerprint for each in (data, other_pixels, other_patients)}) == 3
    assert load_study_data(TINY).fingerprint == data.fingerprint


def test_a_magnification_that_is_not_there_is_named(data):
    with pytest.raises(ValueError, match=r"`magnification` names \[50\], but the data have \[40, 100, 200, 400\]"):
        load_study_data(TINY, (50, "100X"))
    assert load_study_data(replace(TINY, held_out=None), ("100X",)).magnification.present().names == [100]
