import numpy as np
import pytest
import torch
import torchvision

from sklearn_magdg.modules import DomainHead, TwoHeaded
from sklearn_magdg.training import (
    BalancedBatches,
    ShuffledBatches,
    group_parameters,
    resolve_device,
    seeded,
    threads,
)


@pytest.mark.parametrize(("n", "size"), [(7, 3), (6, 3), (5, 8), (9, 4)])
def test_shuffled_batches_hold_every_row_once_and_no_lone_row(n, size):
    batches = ShuffledBatches(n, size)
    drawn = list(batches)
    assert sorted(np.concatenate(drawn)) == list(range(n))
    assert len(drawn) == len(batches)
    assert min(map(len, drawn)) > 1


def test_balanced_batches_hold_every_group_equally_often_and_repeat_the_small_ones():
    groups = np.repeat([0, 1, 2], [2, 30, 13])
    batches = BalancedBatches(groups, 10)
    drawn = list(batches)
    assert len(drawn) == len(batches) == 5
    assert all((np.bincount(groups[batch], minlength=3) == 3).all() for batch in drawn)
    small = np.concatenate(drawn)
    assert set(small[groups[small] == 0]) == {0, 1}
    assert len(BalancedBatches(groups[:44], 32)) == len(ShuffledBatches(44, 32)) == 2


def test_seeding_leaves_the_global_generator_as_it_was():
    state = torch.get_rng_state()
    with seeded(3):
        inside = torch.rand(2)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(3)
    assert torch.equal(inside, torch.rand(2))
    torch.set_rng_state(state)


def test_threads_are_set_inside_and_restored_after():
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ValueError, match=rf"`device` '{device}' cannot be used \(.*\); use 'auto' or 'cpu'"):
        resolve_device(device)


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
