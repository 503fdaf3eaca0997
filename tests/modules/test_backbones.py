import pytest
import torch
from torch import nn

from sklearn_magdg.modules import FeatureInput, Frozen, ImageInput, build_backbone, check_backbone, last_block


def test_image_input_standardises_stored_images():
    images = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    out = ImageInput(mean=mean, std=std)(images)
    expected = (images.float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(out, expected.permute(0, 3, 1, 2))
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_image_input_augments_in_training_alone():
    layer = ImageInput(augment=torch.zeros_like, mean=(0, 0, 0), std=(1, 1, 1))
    images = torch.full((1, 4, 4, 3), 255, dtype=torch.uint8)
    assert layer.train()(images).abs().max() == 0
    assert layer.eval()(images).min() == 1


def test_feature_input_is_undone_by_its_inverse_and_leaves_constants_at_zero():
    features = torch.cat([torch.randn(9, 2) * 3 + 5, torch.full((9, 1), 4.0)], dim=1)
    layer = FeatureInput(3).measure(features)
    out = layer(features)
    torch.testing.assert_close(out[:, :2].std(0, unbiased=False), torch.ones(2))
    assert not out[:, 2].any()
    torch.testing.assert_close(layer.inverse(out), features)


@pytest.mark.parametrize("size", [8, 31])
def test_auto_backbone_takes_any_size(size):
    input_layer, net, n_features = build_backbone("auto", None, None)
    assert nn.Sequential(input_layer, net)(torch.zeros(2, size, size + 1, 3, dtype=torch.uint8)).shape == (
        2,
        n_features,
    )


@pytest.mark.parametrize(
    ("name", "width", "blocks"),
    [
        ("resnet18", 512, ["layer4"]),
        ("mobilenet_v2", 1280, ["features.18"]),
        ("densenet121", 1024, ["features.norm5", "features.denseblock4"]),
        ("vit_b_16", 768, ["encoder.ln", "encoder.layers.encoder_layer_11"]),
    ],
)
def test_torchvision_backbone_gives_the_embedding_before_its_classifier(name, width, blocks):
    input_layer, net, n_features = build_backbone(name, None, None)
    assert n_features == width
    check_backbone(input_layer, net, width, (224, 224, 3))
    assert last_block(net) == blocks


def test_a_net_too_deep_for_the_image_is_refused():
    with pytest.raises(ValueError, match=r"cannot take images of shape \(16, 16, 3\) .*choose another net or size"):
        check_backbone(*build_backbone("alexnet", None, None), (16, 16, 3))


@pytest.mark.parametrize(
    ("name", "message"), [("googlenet", "auxiliary outputs"), ("squeezenet1_0", "no linear classifier")]
)
@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet:FutureWarning")
def test_nets_without_one_plain_classifier_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(name, None, None)


def test_backbone_may_be_a_callable():
    input_layer, net, n_features = build_backbone(lambda: (nn.Flatten(), 48), None, None)
    assert net(input_layer(torch.zeros(2, 4, 4, 3, dtype=torch.uint8))).shape == (2, n_features)
    check_backbone(input_layer, net, n_features, (4, 4, 3))
    with pytest.raises(ValueError, match=r"must give \(47,\) numbers an image, got \(48,\)"):
        check_backbone(input_layer, net, 47, (4, 4, 3))


def test_unknown_backbone_names_the_nearest():
    with pytest.raises(ValueError, match=r"'resnet81'; did you mean .*'resnet18'"):
        build_backbone("resnet81", None, None)


def test_weights_of_another_net_are_refused(tmp_path):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "linear.pt")
    with pytest.raises(ValueError, match="not a state dict of torchvision's 'resnet18'"):
        build_backbone("resnet18", tmp_path / "linear.pt", None)
    with pytest.raises(ValueError, match="there is no file"):
        build_backbone("resnet18", tmp_path / "absent.pt", None)


def test_a_pickled_object_is_not_executed_as_weights(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")  # a whole module needs pickle to load
    with pytest.raises(ValueError, match="not a state dict"):
        build_backbone("resnet18", tmp_path / "module.pt", None)


def test_weights_are_loaded_from_a_state_dict(tmp_path):
    from torchvision.models import mobilenet_v2

    model = mobilenet_v2()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    _, net, _ = build_backbone("mobilenet_v2", tmp_path / "weights.pt", None)
    loaded = net.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items() if name in loaded)


def test_frozen_backbone_keeps_its_batch_norm_and_trains_the_named_block_alone():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    Frozen(module, ["2"]).train()
    assert not module[1].training
    assert module[2].training
    assert [p.requires_grad for p in module.parameters()] == [False] * 4 + [True] * 2
