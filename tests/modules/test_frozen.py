import torch
from torch import nn

from sklearn_magdg.modules import Frozen, last_block


def test_frozen_backbone_keeps_its_batch_norm_and_trains_the_named_block_alone():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    Frozen(module, ["2"]).train()
    assert not module[1].training
    assert module[2].training
    assert [p.requires_grad for p in module.parameters()] == [False] * 4 + [True] * 2


def test_frozen_backbone_has_no_dropout():
    frozen = Frozen(nn.Sequential(nn.Dropout(0.9), nn.Linear(9, 2))).train()
    features = torch.randn(3, 9)
    assert torch.equal(frozen(features), frozen(features))


def test_a_container_of_stages_is_looked_into_and_a_closing_norm_is_no_stage():
    stages = nn.Sequential(nn.Linear(60, 60), nn.Linear(60, 60))
    net = nn.Sequential(nn.Linear(2, 2), stages, nn.BatchNorm1d(60))
    assert last_block(net) == ["2", "1.1"]
    assert last_block(nn.Sequential(nn.ReLU(), nn.Linear(3, 2))) == ["1"]
