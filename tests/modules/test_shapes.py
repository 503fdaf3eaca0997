import pytest
import torch
from torch import nn
from torchvision import models

from sklearn_magdg.modules import build_backbone, misfit, without_numbers

STATE = {"weight": torch.zeros(5, 3), "bias": torch.zeros(5)}


def test_states_of_the_same_names_shapes_and_dtypes_fit_whatever_their_numbers():
    assert misfit(STATE, {name: tensor + 1 for name, tensor in STATE.items()}) == ""
    assert misfit(STATE, {name: tensor.to("meta") for name, tensor in STATE.items()}) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": torch.zeros(1)}, "unexpected: scale"),
        ({"bias": torch.zeros(5, 1)}, "of another shape or dtype: bias"),
        ({"bias": torch.zeros(5, dtype=torch.float64)}, "of another shape or dtype: bias"),
        (
            {"weight": torch.zeros(3, 5), "scale": torch.zeros(1)},
            "unexpected: scale; of another shape or dtype: weight",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_fault(change, words):
    assert misfit(STATE, STATE | change) == words


def test_missing_names_are_told_and_many_are_counted():
    many = {f"layer{i}": torch.zeros(1) for i in range(7)}
    assert misfit(many, {}) == "missing: layer0, layer1, layer2, layer3, layer4, ... (7 in all)"


@pytest.mark.parametrize("name", ["mobilenet_v2", "regnet_x_400mf", "vit_b_32"])
def test_a_net_without_numbers_has_the_tensors_of_one_with_them(name):
    with without_numbers():
        _, sketch, width = build_backbone(name, None, None, (32, 32, 3))
    made = models.get_model(name, **({"image_size": 32} if name.startswith("vit") else {})).state_dict()
    sketched = sketch.state_dict()
    assert all(tensor.is_meta for tensor in sketch.parameters())
    faults = misfit({key: tensor for key, tensor in made.items() if key in sketched}, sketched)
    assert faults == ""
    assert width == {"mobilenet_v2": 1280, "regnet_x_400mf": 400, "vit_b_32": 768}[name]


def test_a_device_that_is_given_is_kept_and_after_the_context_all_is_as_before():
    with without_numbers():
        assert torch.zeros(2).is_meta
        assert not torch.zeros(2, device="cpu").is_meta
        assert torch.arange(3).tolist() == [0, 1, 2]  # what a net computes its widths from
    assert nn.Linear(2, 2).weight.device.type == "cpu"
