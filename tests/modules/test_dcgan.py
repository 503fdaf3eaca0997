import pytest
import torch

from sklearn_magdg.modules import ImageDiscriminator, ImageGenerator, diff_augment


@pytest.mark.parametrize("size", [32, 48, 128])
def test_generator_and_discriminator_fit_every_multiple_of_16(size):
    generator, discriminator = ImageGenerator(size, 5, 2, 3), ImageDiscriminator(size, 2, 3)
    cell = torch.tensor([0, 1, 2, 2])
    images = generator(torch.randn(4, 5), cell)
    assert images.shape == (4, 3, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images, cell).shape == (4,)


def test_cell_changes_what_is_generated_and_how_it_is_judged():
    torch.manual_seed(0)
    generator, discriminator = ImageGenerator(32, 5, 2, 2), ImageDiscriminator(32, 2, 2)
    z, zeros, ones = torch.randn(3, 5), torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.long)
    images = generator(z, zeros)
    assert not torch.allclose(images, generator(z, ones))
    assert not torch.allclose(discriminator(images, zeros), discriminator(images, ones))


def test_diff_augment_lets_a_gradient_reach_the_images():
    torch.manual_seed(0)
    images = torch.rand(6, 3, 16, 16, requires_grad=True)
    out = diff_augment(images)
    assert out.shape == images.shape
    out.square().sum().backward()
    assert (images.grad.flatten(1) != 0).any(1).all()


def test_diff_augment_cuts_out_a_quarter():
    torch.manual_seed(0)
    out = diff_augment(torch.full((9, 3, 16, 16), 5.0))
    # A constant image has no zero of its own but for shifted-in borders of at most 2 of 16 pixels a side.
    empty = (out == 0).all(1).float().mean((1, 2))
    assert ((empty >= 0.25) & (empty < 0.5)).all()
