"""Batches and weights of the training rows: the loss that the nets minimise is the weighted one, in closed form."""

from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils import compute_sample_weight
from torch import nn
from torch.nn import functional as F

from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier
from sklearn_magdg.modules import Objective, TwoHeaded
from sklearn_magdg.training import BalancedBatches, ShuffledBatches
from sklearn_magdg.training._batches import mean_one
from tests.estimators.kinds import every_classifier, fit, with_parameters

X = torch.tensor(np.random.default_rng(0).normal(size=(5, 3)))
LABEL = np.array([0, 1, 1, 0, 1])
WEIGHT = np.array([2.0, 0.5, 0.0, 1.0, 4.0])


@pytest.fixture
def head():
    torch.manual_seed(0)
    return nn.Linear(3, 2, dtype=torch.float64)


def _gradient(loss, head):
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, head.parameters())])


def _loss(head, rows, label, weight):
    """What a step on these rows minimises, from the estimator's own targets and objective."""
    net = TwoHeaded(nn.Identity(), 3, 2)
    net.class_head = head
    target = {"label": torch.from_numpy(label[rows]), "weight": torch.from_numpy(weight[rows])}
    return Objective()(net(X[rows]), target)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_mean_over_all_batches_is_the_weighted_loss_and_so_is_its_gradient(head, size):
    weight = mean_one(WEIGHT, np.zeros(5, dtype=int))
    batches = [list(rows) for rows in combinations(range(5), size)]
    loss = sum(_loss(head, rows, LABEL, weight) for rows in batches) / len(batches)
    losses = F.cross_entropy(head(X), torch.from_numpy(LABEL), reduction="none")
    expected = (losses * torch.from_numpy(WEIGHT)).sum() / WEIGHT.sum()
    assert loss.item() == pytest.approx(expected.item())
    np.testing.assert_allclose(_gradient(loss, head), _gradient(expected, head), atol=1e-6)


def test_an_integer_weight_is_a_row_repeated_and_a_weight_of_zero_one_left_out(head):
    weight = np.array([2, 1, 0, 3, 1])
    rows = list(range(5))
    weighted = _loss(head, rows, LABEL, mean_one(weight.astype(float), np.zeros(5, dtype=int)))
    repeated = _loss(head, np.repeat(rows, weight), LABEL, np.ones(5))
    assert weighted.item() == pytest.approx(repeated.item())
    np.testing.assert_allclose(_gradient(weighted, head), _gradient(repeated, head), atol=1e-6)


def test_weights_have_mean_one_within_each_group_and_a_weightless_group_stays_so():
    weight = mean_one(np.array([1.0, 3.0, 5.0, 0.0, 0.0]), np.array([0, 0, 1, 2, 2]))
    np.testing.assert_allclose(weight, [0.5, 1.5, 1, 0, 0])


def test_balanced_batches_give_every_group_the_same_weight_in_all():
    groups = np.repeat([0, 1], [4, 8])
    weight = mean_one(np.random.default_rng(0).uniform(0, 5, 12), groups)
    drawn = np.concatenate(list(BalancedBatches(groups, 8)))  # two rounds of the small group, one of the other
    np.testing.assert_allclose(np.bincount(groups[drawn], weights=weight[drawn]), [8, 8])


def test_a_balanced_batch_is_no_larger_than_the_data():
    groups = np.repeat([0, 1, 2], [5, 6, 7])
    assert [len(rows) for rows in BalancedBatches(groups, 1000)] == [18]


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


# --- through a fit ---


@every_classifier
def test_labels_of_weightless_rows_do_not_matter(model, tissue):
    if hasattr(model, "generator"):  # which is fitted without weights
        model = clone(model).set_params(ratio=0.0)
    weight = np.where(np.arange(54) % 3 == 0, 0.0, 1.0)
    flipped = np.where(weight == 0, 1 - tissue.target, tissue.target)
    first = fit(model, tissue.data, tissue, sample_weight=weight)
    second = fit(model, tissue.data, tissue, sample_weight=weight, y=flipped)
    np.testing.assert_array_equal(first.predict_proba(tissue.data), second.predict_proba(tissue.data))


@every_classifier
def test_weights_matter_by_their_ratio_alone(model, tissue, inputs):
    weight = np.random.default_rng(0).integers(1, 5, 54)
    plain, scaled = (fit(model, inputs["features"], tissue, sample_weight=factor * weight) for factor in (1, 8))
    np.testing.assert_array_equal(scaled.predict_proba(inputs["features"]), plain.predict_proba(inputs["features"]))


@pytest.mark.parametrize("class_weight", [{0: 1.0, 1: 3.0}, "balanced"])
@pytest.mark.parametrize("cls", [CNNClassifier, GradientReversalClassifier])
def test_a_class_weight_is_the_sample_weight_it_stands_for(cls, class_weight, tissue, inputs):
    X, y = inputs["features"][5:], tissue.target[5:]
    metadata = {"magnification": tissue.magnification[5:]}
    model = cls(max_epochs=2, random_state=0)
    by_sample = clone(model).fit(X, y, sample_weight=compute_sample_weight(class_weight, y), **metadata)
    by_class = with_parameters(model, class_weight=class_weight).fit(X, y, **metadata)
    np.testing.assert_array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))
    plain = model.fit(X, y, **metadata)
    assert not np.array_equal(by_class.predict_proba(X), plain.predict_proba(X))
