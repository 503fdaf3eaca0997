import numpy as np
import torch

from sklearn_magdg.metrics import kernel_inception_distance
from sklearn_magdg.modules import RandomFeatures


def test_the_net_is_the_same_whatever_the_global_generator_did():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = RandomFeatures()
    assert (torch.get_rng_state() == state).all()  # nothing was drawn from it
    torch.manual_seed(2)
    images = torch.randn(2, 3, 40, 33)
    torch.testing.assert_close(first(images), RandomFeatures()(images), rtol=0, atol=0)


def test_weights_are_orthogonal_and_do_not_train():
    for layer in RandomFeatures().layers:
        rows = layer.weight.flatten(1)
        gram = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
        torch.testing.assert_close(gram, gram[0, 0] * torch.eye(len(gram)), atol=1e-5, rtol=0)
        assert not layer.weight.requires_grad


def test_textures_of_one_colour_and_one_spread_are_told_apart():
    rng = np.random.default_rng(0)
    noise, other = torch.from_numpy(rng.normal(size=(2, 30, 3, 32, 32))).float()
    coarse = torch.nn.functional.avg_pool2d(noise, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    coarse = coarse / coarse.std() * noise.std()
    features = [RandomFeatures()(images).numpy() for images in (noise, other, coarse)]
    assert features[0].shape == (30, RandomFeatures.n_features)
    same, different = (kernel_inception_distance(features[0], each) for each in features[1:])
    assert abs(same.estimate) < 3 * same.standard_error
    assert different.estimate > 10 * different.standard_error
