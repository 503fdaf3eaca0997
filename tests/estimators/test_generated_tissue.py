"""Whether rendered tissue is learned, judged on patients whom the generator never saw."""

import numpy as np
import pytest

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, ImageEncoder
from sklearn_magdg.metrics import generative_precision_recall, kernel_inception_distance, memorisation_test

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tissue():
    return make_histology(24, images_per_cell=4, magnifications=(100, 200), image_size=32, random_state=0)


@pytest.fixture(scope="module")
def gan(tissue):
    model = DCGAN(32, max_epochs=120, early_stopping=True, patience=120, validation_fraction=0.3, random_state=0)
    return model.fit(tissue.data, tissue.target, patient=tissue.patient, magnification=tissue.magnification)


@pytest.fixture(scope="module")
def held_out(gan, tissue):
    return np.isin(tissue.patient, gan.validation_patients_)


@pytest.fixture(scope="module")
def samples(gan, tissue, held_out):
    """Class of each and samples of the cells that the held-out images have."""
    rows = np.resize(np.flatnonzero(held_out), 400)
    y, magnification = tissue.target[rows], tissue.magnification[rows]
    return y, gan.sample(400, y, magnification=magnification, random_state=0)[0]


def _kid(first, second):
    encoder = ImageEncoder().fit(first)
    return kernel_inception_distance(encoder.transform(first), encoder.transform(second)).estimate


def test_kid_falls_during_the_training_and_ends_far_below_that_of_noise(gan, tissue, held_out, samples):
    kids = [row["kid"] for row in gan.history_]
    assert min(kids) < kids[0] / 10
    assert np.mean(kids[-10:]) < np.mean(kids[:10]) / 3
    noise = np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), dtype=np.uint8)
    assert _kid(tissue.data[held_out], samples[1]) < _kid(tissue.data[held_out], noise) / 10


def test_kid_within_class_is_far_below_that_of_swapped_classes(tissue, held_out, samples):
    y, images = samples
    real = {label: tissue.data[held_out & (tissue.target == label)] for label in (0, 1)}
    own, swapped = (np.mean([_kid(real[label], images[y == other]) for label, other in pairs]) for pairs in ORDERS)
    assert own < swapped / 2


ORDERS = ((0, 0), (1, 1)), ((0, 1), (1, 0))


def test_samples_spread_as_real_images_do_and_cover_some_of_them(gan, tissue, held_out, samples):
    assert gan.spread_ > 0.4
    encoder = ImageEncoder().fit(samples[1])
    real, generated = (encoder.transform(images) for images in (tissue.data[held_out], samples[1]))
    noise = encoder.transform(np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), dtype=np.uint8))
    quality, of_noise = (generative_precision_recall(real, each) for each in (generated, noise))
    assert of_noise.coverage == of_noise.precision == 0
    assert quality.coverage > 0.1


def test_samples_are_no_copies_and_a_copy_machine_is_caught(tissue, held_out, samples):
    encoder = ImageEncoder(turns=True).fit(samples[1])
    training, held, generated = map(encoder.transform, (tissue.data[~held_out], tissue.data[held_out], samples[1]))
    patient = tissue.patient[held_out]
    made, new = (memorisation_test(each, training=training, held_out=held) for each in (generated, held))
    assert new.authenticity > 0.6
    assert made.authenticity > 0.9 * new.authenticity
    rng = np.random.default_rng(0)
    copied = tissue.data[~held_out][rng.integers(0, (~held_out).sum(), 200)]
    machine = np.clip(np.rot90(copied, 1, (1, 2)) + rng.normal(0, 2, copied.shape), 0, 255).astype(np.uint8)
    caught = memorisation_test(encoder.transform(machine), training=training, held_out=held, patient=patient)
    assert caught.closer > 0.99
    assert caught.p_value < 0.01
    assert caught.authenticity < 0.05
