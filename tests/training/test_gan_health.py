"""What tells a user that the game was lost, with the loss planted."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from sklearn_magdg.estimators import DCGAN
from sklearn_magdg.modules import FeatureGenerator
from sklearn_magdg.training._gan import GANNet


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    return rng.normal(size=(160, 4)) + 3 * y[:, None], y


MODEL = DCGAN(max_epochs=60, lr=1e-3, random_state=0)


def test_a_healthy_game_is_silent_and_its_samples_spread_as_the_data_do(features):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MODEL.fit(*features)
    assert 0.6 < model.spread_ < 1.5


def test_a_generator_that_does_not_hear_its_latent_vector_is_reported(features, monkeypatch):
    forward = FeatureGenerator.forward
    monkeypatch.setattr(FeatureGenerator, "forward", lambda net, z, cell: forward(net, 0 * z, cell))
    with pytest.warns(ConvergenceWarning, match=r"The generator collapsed: samples of a class lie 0(\.0\d*)? times"):
        MODEL.fit(*features)


def test_magnifications_that_differ_do_not_hide_a_collapse(features, monkeypatch):
    X, y = features
    magnification = np.arange(160) // 2 % 2
    forward = FeatureGenerator.forward
    monkeypatch.setattr(FeatureGenerator, "forward", lambda net, z, cell: forward(net, 0 * z, cell))
    with pytest.warns(ConvergenceWarning, match="The generator collapsed"):
        model = MODEL.fit(X + 9 * magnification[:, None], y, magnification=magnification)
    assert model.spread_ == pytest.approx(0, abs=1e-6)


def test_a_discriminator_that_wins_is_reported(features, monkeypatch):
    update = GANNet._update

    def one_sided(optimizer, loss):
        if one_sided.turn:
            update(optimizer, loss)
        one_sided.turn = not one_sided.turn  # discriminator and generator take turns

    one_sided.turn = True
    monkeypatch.setattr(GANNet, "_update", staticmethod(one_sided))
    X, y = features
    with pytest.warns(ConvergenceWarning, match=r"The discriminator dominates: its loss is 0\.0"):
        DCGAN(max_epochs=60, lr=1e-2, gradient_penalty=0, random_state=0).fit(5 + X / 100, y)


def test_a_game_of_a_few_steps_is_not_lost_but_hardly_begun(features, monkeypatch):
    forward = FeatureGenerator.forward
    monkeypatch.setattr(FeatureGenerator, "forward", lambda net, z, cell: forward(net, 0 * z, cell))
    with pytest.warns(ConvergenceWarning, match="The generator is hardly trained: after 20 steps .* `max_epochs`"):
        model = DCGAN(max_epochs=2, random_state=0).fit(*features)
    assert model.spread_ == pytest.approx(0, abs=1e-6)


def test_data_without_spread_have_none_to_compare_with():
    model = DCGAN(max_epochs=2, random_state=0).fit(np.ones((8, 3)), np.arange(8) % 2)
    assert np.isnan(model.spread_)
    assert torch.isfinite(torch.from_numpy(model.sample(4)[0])).all()
