import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_magdg.modules import AdversarialLoss, diff_augment, moving_average, r1_penalty, turn


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_the_non_saturating_losses_are_cross_entropies():
    real, fake = torch.randn(7), torch.randn(7)
    loss, bce = AdversarialLoss("non-saturating"), F.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones(7)) + bce(fake, torch.zeros(7))
    torch.testing.assert_close(loss.discriminator_loss(real, fake), expected)
    torch.testing.assert_close(loss.generator_loss(fake), bce(fake, torch.ones(7)))


def test_the_hinge_losses_by_hand():
    loss = AdversarialLoss("hinge")
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert loss.discriminator_loss(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 2) / 2)
    assert loss.generator_loss(fake).item() == pytest.approx(1.0)


def test_guessing_costs_what_logits_of_zero_do():
    assert AdversarialLoss("non-saturating").guessing() == pytest.approx(2 * math.log(2))
    assert AdversarialLoss("hinge").guessing() == pytest.approx(2.0)


def test_the_r1_penalty_of_a_line_is_that_of_its_weights_and_of_a_parabola_that_of_its_place():
    images, weight = torch.randn(4, 3, 2, 2, requires_grad=True), torch.randn(3, 2, 2, requires_grad=True)
    line = r1_penalty((images * weight).sum((1, 2, 3)), images)
    torch.testing.assert_close(line, weight.square().sum() / 2)
    (by_weight,) = torch.autograd.grad(line, weight)
    torch.testing.assert_close(by_weight, weight)
    parabola = r1_penalty(images.square().sum((1, 2, 3)), images)
    torch.testing.assert_close(parabola, 2 * images.square().sum((1, 2, 3)).mean())


def test_behind_a_batch_norm_a_shift_of_all_images_does_not_count():
    images, norm = torch.randn(8, 3, requires_grad=True), nn.BatchNorm1d(3, affine=False)
    assert r1_penalty(norm(images).sum(1), images) < 1e-8  # a line is shifts alone
    assert r1_penalty(norm(images).square().sum(1), images) < 1e-8  # fixed by the batch norm
    assert r1_penalty(norm(images).pow(3).sum(1), images) > 0.1


def test_the_moving_average_follows_faster_at_first():
    module = nn.Linear(1, 1, bias=False)
    average = moving_average(module, decay=0.15)
    expected = None
    for step, weight in enumerate([5.0, -1.0, 2.0, 8.0]):
        nn.init.constant_(module.weight, weight)
        average.update_parameters(module)
        # the first weights are taken whole; then (1 + t) / (10 + t) of what was, or the decay where that is less
        kept = 0.0 if step == 0 else min(0.15, (1 + step) / (10 + step))
        expected = weight if expected is None else kept * expected + (1 - kept) * weight
        assert average.module.weight.item() == pytest.approx(expected, abs=1e-6)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_turning_gives_all_eight_ways_equally_often_and_nothing_else():
    image = torch.rand(3, 5, 5)
    ways = torch.stack([torch.rot90(side, k, (1, 2)) for side in (image, image.flip(2)) for k in range(4)])
    turned = turn(image.expand(1600, 3, 5, 5))
    which = (turned[:, None] == ways[None]).flatten(2).all(2)  # (1600, 8)
    assert (which.sum(1) == 1).all()
    assert which.sum(0).min() > 140  # of 200 each; 4.5 standard deviations below


def test_diff_augment_lets_a_gradient_reach_the_images():
    images = torch.rand(6, 3, 16, 16, requires_grad=True)
    out = diff_augment(images)
    assert out.shape == images.shape
    out.square().sum().backward()
    assert (images.grad.flatten(1) != 0).any(1).all()


def test_diff_augment_cuts_out_a_quarter():
    out = diff_augment(torch.full((9, 3, 16, 16), 5.0))
    # A constant image has no zero of its own but for shifted-in borders of at most 2 of 16 pixels a side.
    empty = (out == 0).all(1).float().mean((1, 2))
    assert ((empty >= 0.25) & (empty < 0.5)).all()
