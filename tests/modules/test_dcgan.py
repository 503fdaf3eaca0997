import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_magdg.modules import (
    FeatureDiscriminator,
    FeatureGenerator,
    ImageDiscriminator,
    ImageGenerator,
    standing_statistics,
)
from sklearn_magdg.modules._dcgan import UPSAMPLINGS, CellEmbedding, CellNorm, ResizeConv2d

# Two classes at three magnifications, one of the six cells absent.
CELLS = [(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("size", [32, 48, 128])
def test_generator_and_discriminator_fit_every_multiple_of_16(size):
    generator, discriminator = ImageGenerator(size, 5, 2, CELLS), ImageDiscriminator(size, 2, CELLS)
    cell = torch.tensor([0, 1, 4, 4])
    images = generator(torch.randn(4, 5), cell)
    assert images.shape == (4, 3, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images, cell).shape == (4,)


@pytest.mark.parametrize("bias", [True, False])
def test_a_resize_convolution_is_nearest_neighbours_and_a_convolution(bias):
    layer, x = ResizeConv2d(3, 2, bias=bias).double(), torch.randn(2, 3, 4, 5, dtype=torch.double, requires_grad=True)
    kernel = layer.weight.transpose(0, 1).flip(2, 3)  # of a transposed convolution to that of a convolution
    by_hand = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), kernel, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), by_hand)
    into = (x, layer.weight)
    ours, theirs = (torch.autograd.grad(out.square().sum(), into) for out in (layer(x), by_hand))
    torch.testing.assert_close(ours, theirs)


def test_a_flat_image_stays_flat_by_resizing_and_becomes_a_checkerboard_by_a_free_kernel():
    flat = torch.ones(1, 3, 8, 8)
    resized, free = (UPSAMPLINGS[name](3, 1, bias=False)(flat)[..., 2:-2, 2:-2] for name in ("resize", "transposed"))
    assert resized.std() < 1e-5
    assert free.std() > 1e-2
    assert torch.allclose(free, free.roll((2, 2), (2, 3)), atol=1e-6)  # of period 2


@pytest.mark.parametrize(("upsampling", "kind"), [("resize", ResizeConv2d), ("transposed", nn.ConvTranspose2d)])
def test_the_generator_doubles_by_the_layer_asked_for(upsampling, kind):
    generator = ImageGenerator(32, 5, 2, CELLS, upsampling)
    assert [type(layer) for layer in generator.layers] == [kind] * 4
    assert generator(torch.randn(2, 5), torch.tensor([0, 1])).shape == (2, 3, 32, 32)


def test_cell_changes_what_is_generated_and_how_it_is_judged():
    generator, discriminator = ImageGenerator(32, 5, 2, CELLS), ImageDiscriminator(32, 2, CELLS)
    z, zeros, ones = torch.randn(3, 5), torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.long)
    images = generator(z, zeros)
    assert not torch.allclose(images, generator(z, ones))
    assert not torch.allclose(discriminator(images, zeros), discriminator(images, ones))


def test_a_cells_vector_is_the_sum_of_its_class_and_its_magnification():
    embedding = CellEmbedding(CELLS, 7, scale=1.0)
    vectors = dict(zip(CELLS, embedding(torch.arange(5)), strict=True))
    between_classes = [vectors[1, m] - vectors[0, m] for m in (0, 2)]
    torch.testing.assert_close(*between_classes)
    assert between_classes[0].abs().max() > 0.1


def test_first_vectors_of_cells_have_the_scale_asked_for():
    vectors = CellEmbedding([(0, 0)], 20_000, scale=3.0)(torch.tensor([0]))
    assert vectors.std().item() == pytest.approx(3.0, rel=0.03)


def test_first_weights_are_those_of_the_paper():
    generators = [ImageGenerator(64, 30, 16, CELLS, upsampling) for upsampling in ("resize", "transposed")]
    for net in (*generators, ImageDiscriminator(64, 16, CELLS)):
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
                assert abs(layer.weight.mean().item()) < 0.002
            elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
                assert layer.weight.mean().item() == pytest.approx(1.0, abs=0.03)
                assert layer.weight.std() > 0


def test_the_discriminator_has_no_batch_norm_on_its_first_layer_and_none_with_spectral_norm():
    kinds = [type(layer) for layer in ImageDiscriminator(32, 2, CELLS).layers]
    assert kinds[:3] == [nn.Conv2d, nn.LeakyReLU, nn.Conv2d]
    assert kinds.count(nn.BatchNorm2d) == 3
    limited = ImageDiscriminator(32, 2, CELLS, spectral_norm=True)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in limited.modules())


@pytest.mark.parametrize("images", [True, False])
def test_spectral_norm_keeps_the_largest_singular_value_of_every_weight_at_1(images):
    if images:
        net, x = ImageDiscriminator(32, 3, CELLS, spectral_norm=True), torch.randn(4, 3, 32, 32)
    else:
        net, x = FeatureDiscriminator(5, CELLS, spectral_norm=True), torch.randn(4, 5)
    for _ in range(50):  # each forward pass is a step of the power iteration
        net.train()(x, torch.arange(4))
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) >= 5
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0].item()
        assert largest == pytest.approx(1.0, abs=0.02)


def test_the_cell_scales_and_shifts_channels_and_the_latent_vector_says_where():
    norm = CellNorm(nn.BatchNorm2d(3, affine=False), CELLS)
    x, cell = torch.randn(6, 3, 4, 5), torch.tensor([0, 1, 2, 3, 4, 4])
    standardised = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), unbiased=False, keepdim=True)
    scale, shift = norm.scale(cell)[:, :, None, None], norm.shift(cell)[:, :, None, None]
    torch.testing.assert_close(norm(x, cell), standardised * (1 + scale) + shift, atol=1e-4, rtol=0)
    assert scale.std().item() == pytest.approx(0.1, abs=0.06)


@pytest.mark.parametrize("images", [True, False])
def test_standing_statistics_are_those_of_the_batch(images):
    generator = ImageGenerator(32, 5, 2, CELLS) if images else FeatureGenerator(3, 5, CELLS)
    norms = [layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    inputs = {}
    hooks = [norm.register_forward_pre_hook(lambda layer, args: inputs.update({layer: args[0]})) for norm in norms]
    z, cell = torch.randn(9, 5), torch.arange(9) % 5
    standing_statistics(generator, z, cell)
    assert not generator.training
    for norm in norms:
        values = inputs[norm].transpose(0, 1).flatten(1)  # (n, c, h, w) -> (c, n h w)
        torch.testing.assert_close(norm.running_mean, values.mean(1))
        torch.testing.assert_close(norm.running_var, values.var(1))
        assert norm.momentum == 0.1
    for hook in hooks:
        hook.remove()


def test_a_feature_generator_has_no_bounds_and_hears_its_cell():
    generator = FeatureGenerator(3, 5, CELLS)
    z = torch.randn(40, 5)
    low, high = (generator(z, torch.full((40,), cell)) for cell in (0, 4))
    assert low.shape == (40, 3)
    assert not torch.allclose(low, high)
