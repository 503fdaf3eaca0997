import math

import pytest
import torch

from sklearn_magdg.modules import GradientReversal, ramp, reverse_gradient


def test_gradient_is_minus_strength_times_the_plain_one():
    x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    (x**2).sum().backward()
    plain, x.grad = x.grad.clone(), None
    (reverse_gradient(x, 0.7) ** 2).sum().backward()
    torch.testing.assert_close(x.grad, -0.7 * plain)


def test_forward_is_the_identity():
    x = torch.randn(5, 3)
    assert torch.equal(reverse_gradient(x, 2.0), x)


def test_layer_takes_the_strength_set_last():
    layer, x = GradientReversal(1.0), torch.ones(2, requires_grad=True)
    layer.strength = 0.25
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((2,), -0.25))


@pytest.mark.parametrize("gamma", [1.0, 10.0])
def test_ramp_is_ganins_formula(gamma):
    assert ramp(0.0, gamma) == 0.0
    assert ramp(0.5, gamma) == pytest.approx(math.tanh(gamma / 4))  # 2 sigmoid(x) - 1 = tanh(x / 2)
    assert ramp(1.0, gamma) > ramp(0.9, gamma)
