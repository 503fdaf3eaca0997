import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator

from sklearn_magdg.cohort import cells_to_learn, read_cohort
from sklearn_magdg.estimators import DCGAN, CNNClassifier, ImageEncoder
from sklearn_magdg.estimators import _dcgan as dcgan
from sklearn_magdg.images import ArraySource
from sklearn_magdg.modules import r1_penalty
from sklearn_magdg.training import SampleJudge
from sklearn_magdg.training._gan import GANNet

TINY = {"image_size": 32, "width": 2, "latent_dim": 4, "batch_size": 40, "max_epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def marked():
    """Dark images of class "d", bright ones of class "b", whose red channel tells the magnification."""
    rng = np.random.default_rng(0)
    y = np.repeat(["d", "b"], 40)
    magnification = np.tile([40, 100], 40)
    images = rng.integers(0, 30, (80, 32, 32, 3))
    images[y == "b"] += 150
    images[magnification == 100, :, :, 0] += 70
    return images.astype(np.uint8), y, magnification


@pytest.fixture(scope="module")
def patient():
    """Ten patients of each class."""
    return np.repeat(np.arange(20), 4)


@pytest.fixture(scope="module")
def gan(marked):
    images, y, magnification = marked
    model = DCGAN(32, width=8, max_epochs=240, batch_size=16, lr=1e-3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # noise is all that tells images of a cell apart
        return model.fit(images, y, magnification=magnification)


def _samples(model, X, y=None, **metadata):
    return clone(model).fit(X, y, **metadata).sample(6, random_state=0)[0]


@pytest.mark.slow
def test_samples_look_like_their_class_and_their_magnification(gan):
    y, magnification = np.repeat(["d", "b"], 20), np.tile([40, 100], 20)
    images, labels = gan.sample(40, y, magnification=magnification, random_state=0)
    assert images.dtype == np.uint8
    assert images.shape == (40, 32, 32, 3)
    for label, grey in (("d", 15), ("b", 165)):
        for mag, red in ((40, 0), (100, 70)):
            colour = images[(labels == label) & (magnification == mag)].mean((0, 1, 2))
            np.testing.assert_allclose(colour, [grey + red, grey, grey], atol=20)


def test_labels_are_those_asked_for_and_else_as_frequent_as_in_training(gan):
    _, labels = gan.sample(5, ["d", "b", "b", "d", "d"], random_state=0)
    assert labels.tolist() == ["d", "b", "b", "d", "d"]
    assert gan.sample(3, "b", random_state=0)[1].tolist() == ["b"] * 3
    assert np.mean(gan.sample(400, random_state=0)[1] == "d") == pytest.approx(0.5, abs=0.1)


def test_classes_that_nobody_asks_for_come_as_often_as_in_training(marked):
    images, y, _ = marked
    rows = [*range(10), *range(40, 70)]  # one in four is "d"
    _, labels = DCGAN(**TINY).fit(images[rows], y[rows]).sample(400, random_state=0)
    assert np.mean(labels == "d") == pytest.approx(0.25, abs=0.07)


def test_the_discriminator_sees_real_and_generated_images_through_one_augmentation(marked, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "sklearn_magdg.training._gan_health.augment_differentiably", lambda images: (seen.append(images), images)[1]
    )
    DCGAN(**TINY, diff_augment=True).fit(marked[0], marked[1])
    assert len(seen) == 3 * 2  # three times a step, two steps
    real, fake, again = seen[:3]
    assert not real.requires_grad
    assert not fake.requires_grad
    assert again.requires_grad  # the generator learns through it
    torch.testing.assert_close(fake, again.detach())


def test_every_fourth_step_has_the_r1_penalty_four_times(marked, monkeypatch):
    losses, penalties = [], []
    monkeypatch.setattr(GANNet, "_update", staticmethod(lambda optimizer, loss: losses.append(loss.item())))

    def discriminator_losses(gradient_penalty):
        losses.clear()
        images, y, _ = marked
        DCGAN(**TINY | {"batch_size": 80, "max_epochs": 6}, gradient_penalty=gradient_penalty).fit(images, y)
        return np.array(losses[::2])

    def noted(logits, images):
        penalties.append(r1_penalty(logits, images))
        return penalties[-1]

    monkeypatch.setattr("sklearn_magdg.training._gan.r1_penalty", noted)
    added = discriminator_losses(3.0) - discriminator_losses(0.0)  # weights stay as they were: nothing is updated
    first, fifth = (12 * penalty.item() for penalty in penalties)
    np.testing.assert_allclose(added, [first, 0, 0, 0, fifth, 0], rtol=1e-4, atol=1e-5)
    assert min(first, fifth) > 1e-3


def _final_slope(X, y, gradient_penalty, monkeypatch):
    """Mean squared slope of the discriminator at every training row for itself, at the end of a fit."""
    nets = []
    run = dcgan.run

    def noted(net, data):
        nets.append(net)
        return run(net, data)

    monkeypatch.setattr(dcgan, "run", noted)
    model = DCGAN(max_epochs=60, lr=1e-3, gradient_penalty=gradient_penalty, random_state=0).fit(X, y)
    inputs = model.module_["input"](torch.from_numpy(X)).requires_grad_()
    logits = nets[0].module_["discriminator"](inputs, torch.from_numpy(y))
    (gradient,) = torch.autograd.grad(logits.sum(), inputs)
    return gradient.square().sum(1).mean().item()


def test_a_penalised_discriminator_is_flat_at_real_rows(monkeypatch):
    y = np.arange(120) % 2
    X = np.random.default_rng(0).normal(y[:, None], 1, (120, 3)).astype(np.float32)
    free, penalised = (_final_slope(X, y, weight, monkeypatch) for weight in (0, 10.0))
    assert penalised < free / 10


def test_samples_repeat_with_their_seed_whatever_the_batch_size(gan):
    first, second, third = (gan.sample(9, random_state=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)
    batch_size = gan.batch_size
    in_parts = gan.set_params(batch_size=4).sample(9, random_state=0)[0]
    gan.set_params(batch_size=batch_size)
    # a sum over another layout may round to the neighbouring grey level
    assert np.abs(in_parts.astype(int) - first).max() <= 1


def test_history_holds_both_losses_and_outputs(gan):
    row = gan.history_[-1]
    assert {"generator_loss", "discriminator_loss", "real_score", "fake_score"} <= set(row)
    assert 0 < row["fake_score"] < 1
    assert "kid" not in row
    assert len(gan.history_) == 240


def test_two_fits_agree_and_leave_the_global_generator_alone(marked):
    images, y, _ = marked
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = _samples(DCGAN(**TINY), images, y)
    assert (torch.get_rng_state() == state).all()
    torch.manual_seed(6)
    np.testing.assert_array_equal(first, _samples(DCGAN(**TINY), images, y))


# in the first steps the average follows faster than its decay would let it
@pytest.mark.parametrize(
    "changed",
    [
        {"spectral_norm": True},
        {"loss": "hinge"},
        {"flips": False},
        {"diff_augment": True},
        {"ema_decay": 0.2},
        {"upsampling": "transposed"},
        {"gradient_penalty": 3.0},
    ],
)
def test_options_change_the_generator(marked, changed):
    images, y, _ = marked
    # structured images: turning noise would change nothing but its grain
    images = np.where(np.arange(32)[:, None, None] < 16, images, images // 3).astype(np.uint8)
    usual = DCGAN(**TINY | {"max_epochs": 3, "lr": 1e-2})
    assert not np.array_equal(_samples(usual, images, y), _samples(usual.set_params(**changed), images, y))


def test_an_average_that_keeps_nothing_is_the_last_generator(marked):
    images, y, _ = marked
    last, average = (_samples(DCGAN(**TINY, ema_decay=decay), images, y) for decay in (None, 0.0))
    np.testing.assert_array_equal(last, average)


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
    gan = DCGAN(**TINY, conditional=False).fit(marked[0])
    images, labels = gan.sample(2)
    assert images.shape == (2, 32, 32, 3)
    assert labels is None
    assert gan.classes_ is None
    for asked in ({"y": "d"}, {"magnification": 40}):
        with pytest.raises(ValueError, match="cannot be asked for: the generator was fitted without"):
            gan.sample(2, **asked)


def test_what_the_discriminator_knows_is_not_kept(gan):
    assert set(gan.module_) == {"input", "generator"}
    assert not gan.module_.training


def test_paths_equal_arrays(marked, tmp_path):
    images, y, _ = marked
    paths = [tmp_path / f"{row}.png" for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    np.testing.assert_array_equal(_samples(DCGAN(**TINY), paths, y), _samples(DCGAN(**TINY, n_jobs=2), images, y))


# Early stopping


def test_patients_set_aside_are_never_trained_on(marked, patient):
    images, y, magnification = marked
    metadata = {"patient": patient, "magnification": magnification}
    model = DCGAN(**TINY, early_stopping=True, validation_fraction=0.2)
    held_back = model.fit(images, y, **metadata).validation_patients_
    assert len(held_back) == 4  # two of each class
    first = model.sample(6, random_state=0)[0]
    planted = np.where(np.isin(patient, held_back)[:, None, None, None], 255, images).astype(np.uint8)
    second = model.fit(planted, y, **metadata)
    assert second.validation_patients_ == held_back
    np.testing.assert_array_equal(first, second.sample(6, random_state=0)[0])
    others = np.where(np.isin(patient, held_back)[:, None, None, None], images, 255).astype(np.uint8)
    assert not np.array_equal(first, model.fit(others, y, **metadata).sample(6, random_state=0)[0])


def test_the_training_stops_when_kid_no_longer_falls_and_keeps_the_generator_of_the_lowest(marked, patient):
    images, y, _ = marked
    model = DCGAN(**TINY | {"max_epochs": 30, "lr": 1e-2}, early_stopping=True, patience=2)
    model.fit(images, y, patient=patient)
    kids = [row["kid"] for row in model.history_]
    assert model.best_epoch_ == 1 + np.argmin(kids)
    assert len(kids) == model.best_epoch_ + 2 < 30
    shorter = clone(model).set_params(max_epochs=model.best_epoch_).fit(images, y, patient=patient)
    np.testing.assert_array_equal(model.sample(6, random_state=0)[0], shorter.sample(6, random_state=0)[0])


def test_early_stopping_without_patients_warns(marked):
    with pytest.warns(UserWarning, match="without `patient`"):
        DCGAN(**TINY, early_stopping=True).fit(marked[0], marked[1])


def test_a_refit_without_early_stopping_forgets_the_part_set_aside(marked, patient):
    images, y, _ = marked
    model = DCGAN(**TINY, early_stopping=True).fit(images, y, patient=patient)
    assert model.best_epoch_ == 1
    model.set_params(early_stopping=False).fit(images, y, patient=patient)
    assert not hasattr(model, "best_epoch_")
    assert not hasattr(model, "validation_patients_")


def test_kid_is_measured_in_the_embedding_that_is_given(marked, patient):
    images, y, _ = marked
    fitted = CNNClassifier(max_epochs=1, random_state=0).fit(images, y)
    kids = {}
    for name, embedding in {"none": None, "same": ImageEncoder(), "cnn": FrozenEstimator(fitted)}.items():
        model = DCGAN(**TINY, early_stopping=True, kid_embedding=embedding)
        kids[name] = clone(model).fit(images, y, patient=patient).history_[0]["kid"]
    assert kids["none"] == kids["same"] != kids["cnn"]
    with pytest.raises(NotFittedError, match=r"give it as FrozenEstimator"):
        DCGAN(**TINY, early_stopping=True, kid_embedding=CNNClassifier()).fit(images, y, patient=patient)


def test_features_have_a_kid_of_their_own_which_their_units_do_not_change():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    model = DCGAN(max_epochs=2, early_stopping=True, random_state=0)
    kids = [model.fit(X * scale, y, patient=np.arange(60) // 3).history_[-1]["kid"] for scale in (1, [1, 1000, 0.1])]
    assert kids[0] == pytest.approx(kids[1], rel=1e-3)


def test_kid_is_that_of_the_generator_that_is_kept(marked, patient):
    images, y, _ = marked
    model = DCGAN(**TINY | {"max_epochs": 4, "lr": 1e-2}, early_stopping=True).fit(images, y, patient=patient)
    held_back = np.isin(patient, model.validation_patients_)
    embed = ImageEncoder().fit(images).transform
    judge = SampleJudge(embed, ArraySource(images[held_back]), (y[held_back] == "d").astype(np.int64), 40)
    assert model.cells_ == [("b", None), ("d", None)]
    assert judge.kid(model.module_) == pytest.approx(model.history_[model.best_epoch_ - 1]["kid"], rel=1e-6)


def test_cells_that_only_patients_set_aside_have_are_not_judged(marked, patient):
    images, y, _ = marked
    model = DCGAN(**TINY, early_stopping=True, validation_fraction=0.1)
    held_back = model.fit(images, y, patient=patient).validation_patients_
    magnification = np.where(np.isin(patient, held_back) & (np.arange(80) % 2 == 0), 400, 100)
    model.fit(images, y, patient=patient, magnification=magnification)
    assert model.validation_patients_ == held_back
    assert model.cells_ == [("b", 100), ("d", 100)]
    assert np.isfinite(model.history_[0]["kid"])


def test_a_part_that_leaves_too_little_on_either_side_is_refused(marked):
    images, y, _ = marked
    rows = [0, 1, 2, 40, 41, 42]
    outcomes = set()
    for seed in range(8):  # of "b" either the patient of two images is set aside, or the other
        model = DCGAN(**TINY | {"random_state": seed}, early_stopping=True)
        try:
            model.fit(images[rows], y[rows], patient=[0, 1, 2, 3, 3, 4])
        except ValueError as error:
            outcomes.add(str(error).split(" to learn from")[0])
    assert outcomes == {"early_stopping=True sets 3 of 6 images aside and has fewer than 2 images of b"}
    cohort = read_cohort(5, list("dddbb"), magnification=[40, 100, 100, 100, 100])
    held_back = np.array([True, False, False, False, False])
    with pytest.raises(ValueError, match="sets 1 of 5 images aside and has fewer than 2 images to judge samples by"):
        cells_to_learn(cohort, held_back)


def test_an_embedding_that_cannot_take_the_images_says_so_before_the_training(marked, monkeypatch):
    images, y, _ = marked
    fitted = CNNClassifier(max_epochs=1, random_state=0).fit(images[:, :16, :16], y)
    monkeypatch.setattr(GANNet, "train_step", None)  # which nobody may call
    with pytest.raises(ValueError, match=r"fitted on inputs of shape \(16, 16, 3\), got \(32, 32, 3\)"):
        DCGAN(**TINY, kid_embedding=FrozenEstimator(fitted)).fit(images, y)


# Interrupts


def _interrupt_at(monkeypatch, step):
    steps = iter(range(1, 100))
    train_step = GANNet.train_step

    def interrupted(net, batch, **params):
        if next(steps) == step:
            raise KeyboardInterrupt
        return train_step(net, batch, **params)

    monkeypatch.setattr(GANNet, "train_step", interrupted)


def test_an_interrupt_keeps_the_completed_epochs(marked, monkeypatch):
    images, y, _ = marked
    model = DCGAN(**TINY | {"max_epochs": 4})
    _interrupt_at(monkeypatch, 5)  # two batches an epoch
    with pytest.raises(KeyboardInterrupt):
        model.fit(images, y)
    assert len(model.history_) == 2
    assert model.sample(3)[0].shape == (3, 32, 32, 3)


def test_an_interrupt_in_the_first_epoch_leaves_the_fit_before(marked, monkeypatch):
    images, y, _ = marked
    model = DCGAN(**TINY).fit(images, y)
    before = dict(vars(model))
    _interrupt_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        model.fit(images, y)
    assert vars(model) == before


# Bad input


def _blank(n, height=32, width=32):
    return np.zeros((n, height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda gan: gan.sample(0), "`n` must be an integer of at least 1"),
        (lambda gan: gan.sample(2, "x"), "`y` holds 'x', which was not in the training set"),
        (lambda gan: gan.sample(2, ["d"]), "`y` must have n=2 entries, got 1"),
        (lambda gan: gan.sample(2, magnification=400), "`magnification` holds 400"),
        (lambda gan: DCGAN(40).fit(_blank(4, 40, 40), [0, 1, 0, 1]), "multiple of 16 from 32 to 128, got 40"),
        (lambda gan: DCGAN(32).fit(_blank(4)), "needs labels"),
        (lambda gan: DCGAN(32).fit(_blank(2), [0, np.nan]), "contains NaN"),
        (lambda gan: DCGAN(32, betas=(0.5,)).fit(_blank(4), [0, 1, 0, 1]), "pair of numbers"),
        (lambda gan: DCGAN(32).fit(_blank(3), ["a", "b", "a"]), "at least 2 images of each class, got 1 .* of b"),
        (lambda gan: DCGAN(32, conditional=False).fit(_blank(1)), "at least 2 images, got n_samples=1"),
        (lambda gan: DCGAN(32).fit(_blank(4, 46, 70), [0, 1, 0, 1]), "must be square here, got 46 x 70"),
        (lambda gan: DCGAN(32).fit(_blank(4, 31, 31), [0, 1, 0, 1]), "at least 32 x 32 pixels here, got 31 x 31"),
        (lambda gan: DCGAN(32, lr=1e30).fit(np.eye(4), [0, 1, 0, 1]), "training loss became"),
    ],
)
def test_what_cannot_be_generated_is_refused(gan, call, message):
    with pytest.raises(ValueError, match=message):
        call(gan)


def test_small_files_are_refused_by_name(tmp_path):
    for name, size in (("a.png", (40, 33)), ("b.png", (33, 31))):
        Image.new("RGB", size).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"at least 32 x 32 pixels here, got 33 x 31 in .*b\.png"):
        DCGAN(32).fit([tmp_path / "a.png", tmp_path / "b.png"], [0, 0])


def test_early_stopping_needs_patients_to_set_aside(marked):
    images, y, _ = marked
    with pytest.raises(ValueError, match="needs a class with at least 2 patients"):
        DCGAN(**TINY, early_stopping=True).fit(images, y, patient=y)


def test_a_fit_that_fails_leaves_the_one_before(marked, gan):
    before = dict(vars(gan))
    with pytest.raises(ValueError, match="needs labels"):
        gan.fit(marked[0])
    assert vars(gan) == before
