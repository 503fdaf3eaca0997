"""Which weights decay."""

import pytest
import torch
import torchvision

from sklearn_magdg.modules import DomainHead, TwoHeaded
from sklearn_magdg.training import group_parameters


@pytest.mark.parametrize(
    ("name", "exempt"),
    [
        ("convnext_tiny", {"layer_scale"}),
        ("swin_t", {"relative_position_bias_table"}),
        ("vit_b_32", {"class_token", "pos_embedding"}),
        ("mobilenet_v2", set()),
    ],
)
def test_scales_tokens_and_position_embeddings_do_not_decay_and_all_weights_of_layers_do(name, exempt):
    with torch.device("meta"):
        module = TwoHeaded(getattr(torchvision.models, name)(), 1000, 2, DomainHead(1000, 2, 3))
    groups = group_parameters(module, lambda name: 0.1, 0.3)
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    matrices = {name for name, p in module.named_parameters() if p.ndim > 1 and not name.startswith("domain_head")}
    spared = {name for name in matrices if name.split(".")[-1] in exempt}
    assert {name.split(".")[-1] for name in spared} == exempt
    assert {name for name, p in module.named_parameters() if id(p) in decayed} == matrices - spared
    assert sum(len(group["params"]) for group in groups) == len(list(module.parameters()))
