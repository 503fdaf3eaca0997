from math import erfc

import numpy as np
import pytest
from scipy.special import betainc
from scipy.stats import binom, mannwhitneyu

from sklearn_magdg.metrics import memorisation_test, nearest_training_images


def sample(rng, n, n_dimensions=3):
    return rng.normal(size=(n, n_dimensions))


def judge(generated, training, held_out, patient=None):
    return memorisation_test(generated, training=training, held_out=held_out, patient=patient)


def test_nearest_images_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    generated, training = sample(rng, 7), sample(rng, 13)
    indices, distances = nearest_training_images(generated, training=training, n_neighbors=4)
    for each, index, distance in zip(generated, indices, distances, strict=True):
        every = np.linalg.norm(training - each, axis=1)
        np.testing.assert_array_equal(index, np.argsort(every)[:4])
        np.testing.assert_allclose(distance, np.sort(every)[:4])


def test_a_copy_is_at_0_and_the_first_of_equals_comes_first():
    training = np.tile(1e6 + sample(np.random.default_rng(0), 11, 501), (3, 1))
    indices, distances = nearest_training_images(training[::-1], training=training, n_neighbors=2)
    assert (distances == 0).all()
    np.testing.assert_array_equal(indices[:, 0], np.tile(np.arange(11)[::-1], 3))
    np.testing.assert_array_equal(indices[:, 1], indices[:, 0] + 11)


def test_samples_that_are_nearly_training_images_are_told():
    rng = np.random.default_rng(0)
    training, held_out = sample(rng, 60), sample(rng, 70)
    copies = training[rng.integers(60, size=50)] + 1e-3 * sample(rng, 50)
    patient = np.arange(70) // 5
    result = memorisation_test(copies, training=training, held_out=held_out, patient=patient)
    assert result.closer > 0.98
    assert result.p_value < 0.001
    assert result.authenticity == 0
    exact = memorisation_test(training[::-1], training=training, held_out=held_out, patient=patient)
    assert (exact.closer, exact.authenticity) == (1, 0)


def test_samples_beyond_all_real_images_are_authentic_and_not_closer():
    rng = np.random.default_rng(0)
    result = memorisation_test(50 + sample(rng, 40), training=sample(rng, 60), held_out=sample(rng, 70))
    assert (result.closer, result.authenticity) == (0, 1)
    assert result.p_value > 0.999


@pytest.mark.parametrize("scale", [0.9, 1, 1.1])
def test_closer_and_p_value_are_near_those_of_mann_whitney(scale):
    rng = np.random.default_rng(3)
    training, held_out, generated = sample(rng, 80), sample(rng, 211), scale * sample(rng, 193)
    expected = mann_whitney(generated, training, held_out)
    result = memorisation_test(generated, training=training, held_out=held_out)
    assert result.closer == pytest.approx(expected.statistic / (211 * 193))
    assert result.p_value == pytest.approx(expected.pvalue, abs=0.01)


def test_ties_count_half():
    rng = np.random.default_rng(3)
    training, held_out, generated = (np.round(sample(rng, n)) for n in (80, 211, 193))
    expected = mann_whitney(generated, training, held_out)
    result = memorisation_test(generated, training=training, held_out=held_out)
    assert result.closer == pytest.approx(expected.statistic / (211 * 193))
    assert abs(result.p_value - 0.5) < abs(expected.pvalue - 0.5)  # the variance is not corrected for ties, theirs is


def mann_whitney(generated, training, held_out):
    theirs, ours = (nearest_training_images(each, training=training).distances[:, 0] for each in (held_out, generated))
    return mannwhitneyu(theirs, ours, alternative="greater", method="asymptotic", use_continuity=False)


def test_closer_is_the_mean_over_patients_and_z_as_defined():
    rng = np.random.default_rng(0)
    training, held_out, generated = sample(rng, 20), sample(rng, 11), sample(rng, 9)
    patient = np.array(list("aaaaaabbccc"))
    theirs, ours = (nearest_training_images(each, training=training).distances[:, 0] for each in (held_out, generated))
    placement = np.mean(ours < theirs[:, None], axis=1)
    by_patient = np.array([placement[patient == each].mean() for each in "abc"])
    result = memorisation_test(generated, training=training, held_out=held_out, patient=patient)
    assert result.closer == pytest.approx(by_patient.mean())
    z = (by_patient.mean() - 0.5) / np.sqrt(np.sum((by_patient - 0.5) ** 2) / 9 + 1 / (12 * 9))
    assert result.p_value == pytest.approx(erfc(z / np.sqrt(2)) / 2)


def study(rng, sizes, *, resemblance, n_generated=80):
    """Generated, training and held-out images and patients: all drawn alike, held-out patients of these sizes."""
    patient = np.repeat(np.arange(len(sizes)), sizes)
    held_out = sample(rng, len(patient)) + resemblance * sample(rng, len(sizes))[patient]
    # every image of another patient
    generated, training = (np.hypot(1, resemblance) * sample(rng, n) for n in (n_generated, 60))
    return generated, training, held_out, patient


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "resemblance"),
    [([1] * 50, 0), ([5] * 4, 2), ([5] * 10, 2), ([1, 2, 3, 4, 6, 9, 14, 20, 25, 30], 2), ([5] * 20, 0.5)],
)
def test_the_level_holds(sizes, resemblance):
    rng = np.random.default_rng(0)
    studies = (study(rng, sizes, resemblance=resemblance) for _ in range(300))
    p_values = np.array([judge(*images, patient=patient).p_value for *images, patient in studies])
    assert np.sum(p_values <= 0.05) <= binom.ppf(0.999, 300, 0.05)
    assert binom.ppf(0.001, 300, 0.25) <= np.sum(p_values <= 0.25) <= binom.ppf(0.999, 300, 0.25)
    assert binom.ppf(0.001, 300, 0.5) <= np.sum(p_values <= 0.5) <= binom.ppf(0.999, 300, 0.5)


@pytest.mark.slow
def test_images_taken_for_patients_reject_too_often():
    rng = np.random.default_rng(0)
    studies = [study(rng, [30] * 6, resemblance=3) for _ in range(150)]
    by_patient = [judge(*images, patient=patient).p_value for *images, patient in studies]
    by_image = [judge(*images).p_value for *images, _ in studies]
    assert np.mean(np.less(by_patient, 0.05)) < 0.1 < 0.15 < np.mean(np.less(by_image, 0.05))


@pytest.mark.parametrize(("n_patients", "least"), [(1, 0.158), (2, 0.078), (3, 0.041), (5, 0.012)])
def test_few_patients_give_no_tiny_p_value(n_patients, least):
    rng = np.random.default_rng(0)
    training, held_out = sample(rng, 60), sample(rng, 300)
    copies = np.tile(training, (9, 1))
    result = memorisation_test(copies, training=training, held_out=held_out, patient=np.arange(300) % n_patients)
    assert result.closer == 1
    assert least < result.p_value < least + 0.005


@pytest.mark.parametrize("n_dimensions", [1, 2, 4])
def test_fresh_images_are_authentic_as_often_as_geometry_says(n_dimensions):
    # not authentic: the sample and its nearest training image are each other's nearest. Two balls of radius 1 whose
    # centres are 1 apart share this part of their volume
    shared = betainc((n_dimensions + 1) / 2, 0.5, 0.75)
    expected = 1 - 1 / (2 - shared)
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(25):
        # samples in the middle, so that a border plays little part
        training, generated = rng.random((600, n_dimensions)), 0.25 + 0.5 * rng.random((150, n_dimensions))
        shares.append(memorisation_test(generated, training=training, held_out=generated).authenticity)
    assert np.mean(shares) == pytest.approx(expected, abs=0.025)


def test_authenticity_tells_new_images_of_training_patients_from_copies():
    rng = np.random.default_rng(0)
    place = 2 * sample(rng, 30, 5)
    training_patient, new_patient = np.repeat(np.arange(15), 8), np.repeat(np.arange(15, 30), 8)

    def images(patient):
        return place[patient] + sample(rng, len(patient), 5)

    training, held_out = images(training_patient), images(new_patient)
    repeated = memorisation_test(images(training_patient), training=training, held_out=held_out, patient=new_patient)
    copied = memorisation_test(training + 0.01, training=training, held_out=held_out, patient=new_patient)
    assert repeated.p_value < 0.01
    assert 0.3 < repeated.authenticity < 0.7
    assert copied.p_value < 0.001
    assert copied.authenticity == 0


def test_fresh_images_are_more_authentic_where_images_are_sparse():
    rng = np.random.default_rng(0)
    generated, training, held_out = rng.normal(size=(3, 200, 300))
    fresh, real = (
        memorisation_test(generated, training=training, held_out=held_out),
        memorisation_test(held_out, training=training, held_out=generated),
    )
    assert fresh.authenticity > 0.7
    assert fresh.authenticity == pytest.approx(real.authenticity, abs=0.1)


def test_training_images_that_are_there_twice_change_nothing():
    rng = np.random.default_rng(0)
    training, held_out, generated = sample(rng, 40), sample(rng, 30), sample(rng, 20)
    near = np.concatenate([generated, training[:20] + 1e-3])
    expected = memorisation_test(near, training=training, held_out=held_out)
    twice = rng.permutation(np.concatenate([training, training[:25], training[:5]]))
    assert memorisation_test(near, training=twice, held_out=held_out) == expected
    assert 0 < expected.authenticity < 0.5


def test_order_plays_no_part():
    rng = np.random.default_rng(0)
    training, held_out, generated = sample(rng, 40), sample(rng, 30), sample(rng, 20)
    patient = np.arange(30) // 4
    turned = memorisation_test(generated[::-1], training=training[::-1], held_out=held_out[::-1], patient=patient[::-1])
    np.testing.assert_allclose(
        turned, memorisation_test(generated, training=training, held_out=held_out, patient=patient)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"held_out": np.zeros((6, 4))}, "columns, got `generated` 3, `training` 3, `held_out` 4; embed all images"),
        ({"training": np.full((9, 3), np.nan)}, "Input training contains NaN"),
        ({"held_out": np.full((6, 3), np.inf)}, "Input held_out contains infinity"),
        ({"training": np.ones((9, 3))}, "at least 2 different rows in `training`, got 1; pass the embeddings of all"),
        ({"patient": [1, 2]}, "`patient` has 2 values for 6 samples"),
        ({"patient": [None, 1, 1, 2, 2, 3]}, "`patient` is missing for 1 samples"),
        ({"generated": np.zeros((0, 3))}, "Found array with 0 sample"),
    ],
)
def test_errors_of_the_test_say_what_came(change, message):
    rng = np.random.default_rng(0)
    arguments = {"generated": sample(rng, 7), "training": sample(rng, 9), "held_out": sample(rng, 6)}
    with pytest.raises(ValueError, match=message):
        memorisation_test(**{**arguments, **change})


@pytest.mark.parametrize(
    ("n_neighbors", "message"),
    [
        (10, "`n_neighbors=10` needs as many training images, got 9; lower `n_neighbors`"),
        (0, "`n_neighbors` must be an integer of at least 1, got 0"),
        ("3", "`n_neighbors` must be an integer of at least 1, got '3'"),
    ],
)
def test_errors_of_neighbours_say_what_came(n_neighbors, message):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=message):
        nearest_training_images(sample(rng, 7), training=sample(rng, 9), n_neighbors=n_neighbors)
