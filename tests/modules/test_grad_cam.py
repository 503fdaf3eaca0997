from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from sklearn_magdg.modules import ImageInput, TwoHeaded, build_backbone, grad_cam, last_map_layer, upsample

HEIGHT, WIDTH = 21, 13
TARGET = torch.tensor([2, 0, 1, 2, 1])


def some_images(n=5, height=HEIGHT, width=WIDTH):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8))


def net_of(*layers, n_features=4, n_classes=3):
    """The input layer, `layers`, a global average and a linear head, in eval mode."""
    torch.manual_seed(0)
    encoder = nn.Sequential(ImageInput(), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return TwoHeaded(encoder, n_features, n_classes).eval()


def strided_conv(n_in=3, n_out=4):
    return nn.Conv2d(n_in, n_out, 3, stride=2, padding=1)


def class_activation(module, maps, target=TARGET):
    """CAM (Zhou et al. 2016), of the mean over places in place of their sum."""
    weighted = torch.einsum("nk,nkhw->nhw", module.class_head.weight[target], maps)
    return (weighted / maps[0, 0].numel()).relu().detach()


def output_of(module, layer, images):
    outputs = []
    with module.encoder.get_submodule(layer).register_forward_hook(lambda _, __, output: outputs.append(output)):
        module(images)
    return outputs[-1]


# The maps


def test_before_a_global_average_and_a_linear_head_it_is_the_class_activation_map():
    module = net_of(strided_conv(), nn.ReLU())
    maps = module.encoder[:3](some_images())
    expected = class_activation(module, maps)
    assert expected.shape == (5, 11, 7)
    assert (expected > 0).any(dim=2).any(dim=1).all()
    torch.testing.assert_close(grad_cam(module, some_images(), TARGET, "2"), expected)


def test_weights_are_the_slope_of_the_logit_along_a_channel():
    module = net_of(strided_conv(), nn.Softplus(), strided_conv(4, 4), nn.Tanh()).double()
    images, step = some_images().double(), 1e-5
    maps, after = module.encoder[:3](images), module.encoder[3:]

    def logits(shifted):
        return module.class_head(after(shifted)).gather(1, TARGET[:, None])[:, 0]

    weights = torch.empty(5, 4, dtype=torch.float64)
    for k, raised in enumerate(step * torch.eye(4, dtype=torch.float64)[:, :, None, None]):
        weights[:, k] = (logits(maps + raised) - logits(maps - raised)) / (2 * step) / maps[0, 0].numel()
    expected = torch.einsum("nk,nkhw->nhw", weights, maps).relu().detach()
    # buffers of the input layer are in float, and so are its images
    torch.testing.assert_close(grad_cam(module, images, TARGET, "2"), expected, rtol=1e-6, atol=1e-9)


def test_a_layer_followed_by_work_in_place_keeps_its_own_output():
    module = net_of(strided_conv(), nn.ReLU(inplace=True))
    maps = module.encoder[:2](some_images())
    weights = module.class_head.weight[TARGET] * (maps > 0).float().mean(dim=(2, 3)) / maps[0, 0].numel()
    expected = torch.einsum("nk,nkhw->nhw", weights, maps).relu().detach()
    torch.testing.assert_close(grad_cam(module, some_images(), TARGET, "1"), expected)


def test_of_a_layer_called_twice_the_last_call_counts():
    rectifier = nn.ReLU()
    module = net_of(strided_conv(), rectifier, strided_conv(4, 4), rectifier)
    expected = class_activation(module, module.encoder[:5](some_images()))
    torch.testing.assert_close(grad_cam(module, some_images(), TARGET, "2"), expected)
    torch.testing.assert_close(grad_cam(module, some_images(), TARGET, "4"), expected)  # its second name


@pytest.mark.parametrize("layer", ["1", "2", "4"])
def test_images_do_not_mix(layer):
    module = net_of(strided_conv(), nn.BatchNorm2d(4), nn.Dropout(0.5), strided_conv(4, 4)).train()
    together = grad_cam(module, some_images(), TARGET, layer)
    alone = [grad_cam(module, some_images()[[k]], TARGET[[k]], layer) for k in range(5)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_upsampling_keeps_a_constant_and_puts_a_cell_where_it_belongs():
    torch.testing.assert_close(upsample(torch.full((2, 3, 5), 0.7), (9, 11)), torch.full((2, 9, 11), 0.7))
    maps = torch.zeros(1, 3, 5)
    maps[0, 1, 4] = 1.0
    large = upsample(maps, (9, 25))[0].numpy()  # 3 x 5 pixels a cell
    assert np.unravel_index(large.argmax(), large.shape)[0] == 4
    assert large[4, 22] == large.max() == 1.0
    assert large[:, :17].max() == 0


# The module afterwards


def state_of(module):
    return [
        (name, part.training, len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
        for name, part in module.named_modules()
    ] + [
        (name, value.requires_grad, value.grad is None, value.detach().numpy().tobytes())
        for name, value in [*module.named_parameters(), *module.named_buffers()]
    ]


class Fails(nn.Module):
    def forward(self, x):
        raise RuntimeError("out of luck")


@pytest.mark.parametrize(
    ("layer", "last", "message"),
    [
        ("1", nn.Identity(), None),
        ("9", nn.Identity(), "did you mean"),
        ("5", nn.Identity(), "must give maps"),
        ("1", Fails(), "out of luck"),
    ],
)
def test_the_module_is_left_as_it_was(layer, last, message):
    module = net_of(strided_conv(), nn.BatchNorm2d(4), last)
    module.encoder[2].train()
    module.class_head.train()
    module.encoder[1].weight.requires_grad_(False)
    before = state_of(module)
    with pytest.raises((ValueError, RuntimeError), match=message) if message else nullcontext():
        grad_cam(module, some_images(), TARGET, layer)
    assert state_of(module) == before


@pytest.mark.parametrize("last", [nn.Identity(), Fails()], ids=["found", "failing"])
def test_the_search_for_a_layer_leaves_the_module_as_it_was(last):
    module = net_of(strided_conv(), nn.BatchNorm2d(4), last)
    module.encoder[2].train()
    before = state_of(module)
    with pytest.raises(RuntimeError, match="out of luck") if isinstance(last, Fails) else nullcontext():
        assert last_map_layer(module, some_images()) == "3"
    assert state_of(module) == before


def test_frozen_parameters_and_callers_without_gradients_change_nothing():
    module = net_of(strided_conv(), nn.ReLU(), strided_conv(4, 4))
    expected = grad_cam(module, some_images(), TARGET, "2")
    module.requires_grad_(False)
    with torch.no_grad():
        maps = grad_cam(module, some_images(), TARGET, "2")
        assert not torch.is_grad_enabled()
    assert maps.any()
    assert not maps.requires_grad
    torch.testing.assert_close(maps, expected)


# The layer


def swin():
    options = {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": [2, 2], "num_classes": 5}
    net = models.SwinTransformer([4, 4], **options)
    net.head = nn.Identity()
    return net, 16


def densenet():
    net = models.DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=6, num_classes=5)
    net.classifier = nn.Identity()
    return net, 15


def convnext():
    stages = [models.convnext.CNBlockConfig(6, 9, 1), models.convnext.CNBlockConfig(9, None, 1)]
    net = models.ConvNeXt(stages, num_classes=5)
    net.classifier[2] = nn.Identity()
    return net, 9


def vision_transformer():
    net = models.VisionTransformer(
        image_size=48, patch_size=16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=5
    )
    net.heads = nn.Identity()
    return net, 8


def with_backbone(backbone):
    torch.manual_seed(0)
    input_layer, net, n_features = build_backbone(backbone, None, None, (70, 49, 3))
    return TwoHeaded(nn.Sequential(input_layer, net), n_features, 3).eval()


AVERAGED = [
    ("auto", "1.4", (5, 4)),
    ("resnet18", "1.layer4", (3, 2)),
    ("mobilenet_v2", "1.features", (3, 2)),
    ("squeezenet1_1", "1.classifier.2", (4, 3)),
    (swin, "1.permute", (9, 6)),
]


@pytest.mark.parametrize(("backbone", "layer", "size"), AVERAGED)
def test_the_last_maps_are_those_that_the_net_averages(backbone, layer, size):
    module, images = with_backbone(backbone), some_images(5, 70, 49)
    assert last_map_layer(module, images) == layer
    maps = output_of(module, layer, images)
    assert maps.shape[2:] == size
    torch.testing.assert_close(maps.mean(dim=(2, 3)), module.encoder(images))
    expected = class_activation(module, maps)
    torch.testing.assert_close(grad_cam(module, images, TARGET, layer), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "layer", "size"),
    [(densenet, "1.features", (9, 6)), (convnext, "1.features", (8, 6))],
)
def test_the_last_maps_are_found_where_more_than_an_average_follows(backbone, layer, size):
    module, images = with_backbone(backbone), some_images(5, 70, 49)
    assert last_map_layer(module, images) == layer
    maps = grad_cam(module, images, TARGET, layer)
    assert maps.shape == (5, *size)
    assert maps.isfinite().all()


def test_maps_with_channels_last_are_read_as_such():
    module, images = with_backbone(swin), some_images(5, 70, 49)
    assert output_of(module, "1.norm", images).shape == (5, 9, 6, 16)
    torch.testing.assert_close(
        grad_cam(module, images, TARGET, "1.norm"), grad_cam(module, images, TARGET, "1.permute")
    )


def test_maps_of_one_place_are_passed_over():
    module = with_backbone("auto")
    assert last_map_layer(module, some_images(1, 32, 32)) == "1.4"
    assert last_map_layer(module, some_images(1, 16, 16)) == "1.3"
    assert last_map_layer(module, some_images(1, 16, 17)) == "1.4"


class WithoutGradients(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = strided_conv()

    @torch.no_grad()
    def forward(self, x):
        return self.conv(x) + 0


def test_nets_without_maps_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"those \(1, 10, 8\) of '1.encoder', which do not say where they stand"):
        last_map_layer(with_backbone(vision_transformer), some_images(2, 48, 48))
    flat = TwoHeaded(nn.Sequential(ImageInput(), nn.Flatten(), nn.Linear(HEIGHT * WIDTH * 3, 4)), 4, 3)
    with pytest.raises(ValueError, match=r"this net has none for images of \(21, 13\)"):
        last_map_layer(flat, some_images())
    with pytest.raises(ValueError, match="switches gradients off after it; name another layer"):
        grad_cam(net_of(WithoutGradients()), some_images(), TARGET, "1.conv")
    with pytest.raises(ValueError, match=r"gives \(5, 10, 8\); name an earlier one"):
        grad_cam(with_backbone(vision_transformer), some_images(5, 48, 48), TARGET, "1.encoder")
    unused = net_of(strided_conv())
    unused.encoder[1].spare = nn.Identity()
    with pytest.raises(ValueError, match="it takes no part in the answer"):
        grad_cam(unused, some_images(), TARGET, "1.spare")
