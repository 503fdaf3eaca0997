import pytest
import torch
from torch import nn
from torchvision import models

from sklearn_magdg import modules
from sklearn_magdg.modules import build_backbone, check_backbone, last_block
from sklearn_magdg.modules._backbones import normalisation
from sklearn_magdg.modules._weights import fill

# One model of every family: side of an image, width of the embedding, last block, and how torchvision builds it.
FAMILIES = {
    "alexnet": (64, 4096, ["classifier.4"], {}),
    "convnext_tiny": (32, 768, ["classifier", "features.7"], {}),
    "densenet121": (32, 1024, ["features.norm5", "features.denseblock4"], {}),
    "efficientnet_b0": (32, 1280, ["features.8"], {}),
    "googlenet": (32, 1024, ["inception5b"], {"init_weights": True, "transform_input": True}),
    "inception_v3": (75, 2048, ["Mixed_7c"], {"init_weights": True, "transform_input": True}),
    "maxvit_t": (224, 512, ["classifier", "blocks.3"], {}),
    "mnasnet0_5": (32, 1280, ["layers.15", "layers.14"], {}),
    "mobilenet_v2": (32, 1280, ["features.18"], {}),
    "mobilenet_v3_small": (32, 1024, ["classifier"], {}),
    "regnet_x_400mf": (32, 400, ["trunk_output.block4"], {}),
    "resnet18": (16, 512, ["layer4"], {}),
    "shufflenet_v2_x0_5": (32, 1024, ["conv5"], {}),
    "squeezenet1_1": (32, 512, ["features.12"], {}),
    "swin_t": (32, 768, ["norm", "features.7"], {}),
    "vgg11": (32, 4096, ["classifier.3"], {}),
    "vit_b_32": (96, 768, ["encoder.ln", "encoder.layers.encoder_layer_11"], {"image_size": 96}),
}
# Seconds, most of them to draw first weights.
HEAVY = {"alexnet", "convnext_tiny", "inception_v3", "maxvit_t", "swin_t", "vgg11", "vit_b_32"}


@pytest.mark.parametrize("size", [8, 31])
def test_auto_backbone_takes_any_size(size):
    shape = (size, size + 1, 3)
    input_layer, net, n_features = build_backbone("auto", None, None, shape)
    assert nn.Sequential(input_layer, net)(torch.zeros(2, *shape, dtype=torch.uint8)).shape == (2, n_features)


def test_every_family_of_torchvision_has_a_test():
    families = {models.get_model_builder(name).__module__ for name in models.list_models(module=models)}
    assert families == {models.get_model_builder(name).__module__ for name in FAMILIES}


def _read_by_the_classifier(model, name, images):
    """What torchvision's own model hands to its last layer, for images prepared as torchvision says."""
    seen = []
    last = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    told = models.get_model_weights(name).DEFAULT.transforms()
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (told.mean, told.std))
    with torch.inference_mode():
        model.eval()((images.permute(0, 3, 1, 2) / 255 - mean) / std)
    return seen[0].mean((2, 3)) if seen[0].ndim == 4 else seen[0]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in HEAVY else n for n in FAMILIES])
def test_embedding_is_what_torchvisions_own_classifier_reads(name):
    side, width, blocks, options = FAMILIES[name]
    torch.manual_seed(0)
    model = models.get_model(name, weights=None, **options)
    input_layer, net, n_features = build_backbone(name, None, None, (side, side, 3))
    head = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    assert not fill(net, head, model.state_dict())
    images = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    with torch.inference_mode():
        embedding = net.eval()(input_layer(images))
    expected = _read_by_the_classifier(model, name, images)
    torch.testing.assert_close(embedding, expected, rtol=0, atol=1e-3 * expected.abs().max().item())
    assert n_features == width == embedding.shape[1]
    assert last_block(net) == blocks


def test_input_is_standardised_as_the_weights_were_trained():
    imagenet = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    assert normalisation("resnet50") == normalisation("efficientnet_v2_m") == imagenet
    assert normalisation("efficientnet_v2_l") == ([0.5] * 3, [0.5] * 3)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("vit_b_16", (40, 40, 3), r"'vit_b_16' .* multiple of 16 pixels, got 40 x 40: set `image_size=32`"),
        ("vit_h_14", (7, 7, 3), r"multiple of 14 pixels, got 7 x 7: set `image_size=14`"),
        ("vit_b_32", (64, 96, 3), r"square images .* got 64 x 96: set `image_size=64`"),
        ("maxvit_t", (96, 96, 3), r"multiple of 224 pixels, got 96 x 96: set `image_size=224`"),
    ],
)
def test_a_transformer_says_which_sizes_its_grid_can_hold(name, shape, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(name, None, None, shape)


def test_a_net_too_deep_for_the_image_is_refused():
    with pytest.raises(ValueError, match=r"cannot take images of shape \(16, 16, 3\) .*choose another net or size"):
        check_backbone(*build_backbone("squeezenet1_1", None, None, (16, 16, 3)), (16, 16, 3))


def test_backbone_may_be_a_callable():
    input_layer, net, n_features = build_backbone(lambda: (nn.Flatten(), 48), None, None, (4, 4, 3))
    assert net(input_layer(torch.zeros(2, 4, 4, 3, dtype=torch.uint8))).shape == (2, n_features)
    check_backbone(input_layer, net, n_features, (4, 4, 3))
    with pytest.raises(ValueError, match=r"must give \(47,\) numbers an image, got \(48,\)"):
        check_backbone(input_layer, net, 47, (4, 4, 3))


def test_unknown_backbone_names_the_nearest():
    with pytest.raises(ValueError, match=r"'resnet81'; did you mean .*'resnet18'"):
        build_backbone("resnet81", None, None, (32, 32, 3))


@pytest.mark.parametrize("backbone", ["auto", lambda: (nn.Flatten(), 48)])
def test_weights_need_a_net_by_name(backbone):
    with pytest.raises(ValueError, match="`weights` needs a torchvision `backbone`"):
        build_backbone(backbone, "imagenet", None, (4, 4, 3))


@pytest.mark.parametrize("name", ["FeatureInput", "Frozen", "ImageInput"])
def test_dumps_of_older_versions_find_their_layers(name):
    from sklearn_magdg.modules import _backbones

    layer = getattr(_backbones, name)  # what `pickle` does with the module and name that stand in a file
    assert layer is getattr(modules, name)
