"""Learning rates, their schedule, clipped gradients, precision, and what is printed meanwhile."""

import math

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier


class Watch(Callback):
    """Learning rates of all groups at the start of every training batch, and gradient norms after it."""

    def __init__(self):
        self.rates, self.norms = [], []

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            self.rates.append([group["lr"] for group in net.optimizer_.param_groups])

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            gradients = [p.grad for p in net.module_.parameters() if p.grad is not None]
            self.norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))


def _watched(tissue, cls=CNNClassifier, **parameters):
    watch = Watch()
    model = cls(**{"max_epochs": 3, "batch_size": 18, "callbacks": [watch], "random_state": 0} | parameters)
    model.fit(tissue.data, tissue.target, magnification=tissue.magnification)
    return watch, model


def test_the_cosine_falls_from_the_full_rate_to_zero_over_all_steps(tissue):
    watch, _ = _watched(tissue, lr=0.01, lr_schedule="cosine")
    expected = [0.01 * (1 + math.cos(math.pi * step / 9)) / 2 for step in range(9)]
    assert [rates[0] for rates in watch.rates] == pytest.approx(expected)


def test_backbone_heads_and_domain_head_have_rates_of_their_own_and_one_schedule(tissue):
    watch, _ = _watched(
        tissue, GradientReversalClassifier, lr=0.01, backbone_lr=0.001, lr_schedule="cosine", max_epochs=1
    )
    assert sorted(set(watch.rates[0])) == pytest.approx([0.001, 0.01, 0.1])
    ratio = (1 + math.cos(math.pi / 3)) / 2
    np.testing.assert_allclose(np.divide(watch.rates[1], watch.rates[0]), ratio)


def test_a_tiny_backbone_rate_leaves_the_backbone_and_trains_the_head(tissue):
    def backbone():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(32 * 32 * 3, 5)), 5

    _, model = _watched(tissue, backbone=backbone, backbone_lr=1e-12, weight_decay=0.0)
    _, usual = _watched(tissue, backbone=backbone)
    first = backbone()[0].state_dict()["1.weight"]
    torch.testing.assert_close(model.module_.encoder[1].state_dict()["1.weight"], first)
    assert not torch.allclose(usual.module_.encoder[1].state_dict()["1.weight"], first)
    assert model.history_[-1]["class_loss"] < model.history_[0]["class_loss"]


def test_gradients_are_shortened_to_the_wanted_norm(tissue):
    free, _ = _watched(tissue)
    bound = np.median(free.norms)
    clipped, _ = _watched(tissue, max_grad_norm=float(bound))
    assert max(free.norms) > bound
    assert max(clipped.norms) == pytest.approx(bound, rel=1e-4)


def test_a_progress_bar_tells_all_batches_and_the_losses(tissue, capsys):
    _watched(tissue, verbose=1)
    captured = capsys.readouterr()
    assert "9/9" in captured.err
    assert "class_loss=" in captured.err
    assert not captured.out


def test_a_table_is_printed_on_request(tissue, capsys):
    _watched(tissue, verbose=2)
    assert "train_loss" in capsys.readouterr().out


def test_a_warm_start_of_a_frozen_net_keeps_the_standardisation_of_its_first_data(tissue):
    model = CNNClassifier("resnet18", trainable="head", image_size=32, max_epochs=1, warm_start=True, random_state=0)
    model.fit(tissue.data, tissue.target)
    mean = model.module_.encoder[2].mean.clone()
    model.fit(tissue.data[:30], tissue.target[:30])
    torch.testing.assert_close(model.module_.encoder[2].mean, mean)


def test_biases_norms_and_the_domain_head_do_not_decay(tissue):
    decayed = {}

    class Look(Callback):
        def on_train_begin(self, net, **kwargs):
            rates = {id(p): group["weight_decay"] for group in net.optimizer_.param_groups for p in group["params"]}
            decayed.update({name: rates[id(p)] for name, p in net.module_.named_parameters()})

    _watched(tissue, GradientReversalClassifier, weight_decay=0.3, callbacks=[Look()], max_epochs=1)
    weights = {"class_head.weight", *(f"encoder.1.{block}.0.weight" for block in range(5))}  # of five convolutions
    assert {name for name, decay in decayed.items() if decay} == weights
    assert {decayed[name] for name in weights} == {0.3}


def test_a_callback_that_ends_the_training_mode_does_not_end_it_for_the_next_batch(tissue):
    modes = []

    class Evaluate(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            modes.append(net.module_.encoder[1].training)
            net.module_.eval()

    _watched(tissue, callbacks=[Evaluate()], max_epochs=1)
    assert modes == [True] * 3


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        ({"backbone": "resnet18", "trainable": "head"}, {"trainable": "all"}, "missing: encoder.1.bn1.bias"),
        ({}, {"trainable": "head"}, "missing: encoder.1.module.0.0.weight"),
        ({}, {"backbone": "resnet18"}, "missing: encoder.1.bn1.bias"),
    ],
)
def test_a_warm_start_with_another_net_is_refused_and_the_old_one_kept(before, after, difference, tissue):
    model = CNNClassifier(image_size=32, max_epochs=1, warm_start=True, random_state=0).set_params(**before)
    expected = model.fit(tissue.data, tissue.target).predict_proba(tissue.data)
    with pytest.raises(ValueError, match=f"now describe another one .*{difference}"):
        model.set_params(**after).fit(tissue.data, tissue.target)
    np.testing.assert_array_equal(model.predict_proba(tissue.data), expected)


def test_a_warm_start_takes_up_another_augmentation(tissue):
    seen = []

    def augment(images):
        seen.append(len(images))
        return images

    model = CNNClassifier(max_epochs=1, warm_start=True, random_state=0).fit(tissue.data, tissue.target)
    model.set_params(augment=augment).fit(tissue.data, tissue.target)
    assert sum(seen) == 54
