import numpy as np
import pytest

from sklearn_magdg.estimators import DCGAN


@pytest.fixture(scope="module")
def marked():
    """Dark images of class "d", bright ones of class "b", whose red channel tells the magnification."""
    rng = np.random.default_rng(0)
    y = np.repeat(["d", "b"], 40)
    magnification = np.tile([40, 100], 40)
    images = rng.integers(0, 30, (80, 32, 32, 3))
    images[y == "b"] += 180
    images[magnification == 100, :, :, 0] += 40
    return images.astype(np.uint8), y, magnification


@pytest.fixture(scope="module")
def gan(marked):
    images, y, magnification = marked
    model = DCGAN(32, width=8, max_epochs=40, batch_size=16, lr=1e-3, diff_augment=False, random_state=0)
    return model.fit(images, y, magnification=magnification)


@pytest.mark.slow
def test_samples_look_like_their_class(gan):
    images, labels = gan.sample(40, np.repeat(["d", "b"], 20), random_state=0)
    assert images.dtype == np.uint8
    assert images.shape == (40, 32, 32, 3)
    means = [images[labels == label].mean() for label in ("d", "b")]
    assert means[0] < 80 < 140 < means[1]


def test_labels_are_those_asked_for_and_else_as_frequent_as_in_training(gan):
    _, labels = gan.sample(5, ["d", "b", "b", "d", "d"], random_state=0)
    assert labels.tolist() == ["d", "b", "b", "d", "d"]
    assert gan.sample(3, "b", random_state=0)[1].tolist() == ["b"] * 3
    assert np.mean(gan.sample(400, random_state=0)[1] == "d") == pytest.approx(0.5, abs=0.1)


def test_samples_repeat_with_their_seed(gan):
    first, second, third = (gan.sample(4, random_state=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_history_holds_both_losses_and_outputs(gan):
    row = gan.history_[-1]
    assert {"generator_loss", "discriminator_loss", "real_score", "fake_score"} <= set(row)
    assert 0 < row["fake_score"] < 1
    assert len(gan.history_) == 40


def test_two_fits_agree(marked):
    images, y, _ = marked
    first, second = (
        DCGAN(32, width=2, max_epochs=1, random_state=3).fit(images, y).sample(3, random_state=0)[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_feature_vectors_are_generated_by_class():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    X = rng.normal(size=(200, 3)) * [1, 10, 0.1] + np.where(y[:, None] == 1, [4, 40, 0.4], 0)
    samples, labels = DCGAN(max_epochs=60, lr=1e-3, random_state=0).fit(X, y).sample(200, y, random_state=0)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(labels, y)
    gaps = [(samples[y == label].mean(0) - X[y == label].mean(0)) / X.std(0) for label in (0, 1)]
    assert np.abs(gaps).max() < 0.8  # swapped classes would be off by 1.8: they lie that far apart


def test_unconditional_generator_needs_no_labels_and_gives_none(marked):
    images, labels = DCGAN(32, width=2, conditional=False, max_epochs=1, random_state=0).fit(marked[0]).sample(2)
    assert images.shape == (2, 32, 32, 3)
    assert labels is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda gan: gan.sample(0), "`n` must be an integer of at least 1"),
        (lambda gan: gan.sample(2, "x"), "`y` holds 'x', which was not in the training set"),
        (lambda gan: gan.sample(2, ["d"]), "`y` must have n=2 entries, got 1"),
        (lambda gan: gan.sample(2, magnification=400), "`magnification` holds 400"),
        (lambda gan: DCGAN(40).fit(np.zeros((4, 40, 40, 3), np.uint8), [0, 1, 0, 1]), "multiple of 16"),
        (lambda gan: DCGAN(32).fit(np.zeros((4, 32, 32, 3), np.uint8)), "needs labels"),
        (lambda gan: DCGAN(32).fit(np.zeros((2, 32, 32, 3), np.uint8), [0, np.nan]), "contains NaN"),
        (lambda gan: DCGAN(32, betas=(0.5,)).fit(np.zeros((2, 32, 32, 3), np.uint8), [0, 1]), "pair of numbers"),
    ],
)
def test_what_cannot_be_generated_is_refused(gan, call, message):
    with pytest.raises(ValueError, match=message):
        call(gan)
