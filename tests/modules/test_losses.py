import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_magdg.modules import GroupDRO, NetOutput, Objective, weighted_mean


def _batch(n=7, seed=0):
    torch.manual_seed(seed)
    output = NetOutput(torch.randn(n, 3), torch.randn(n, 4), torch.randn(n, 2))
    target = {
        "label": torch.randint(0, 3, (n,)),
        "magnification": torch.arange(n) % 2,
        "weight": torch.rand(n) + 0.5,
    }
    return output, target


def test_weighted_mean_divides_by_the_batch_size_and_not_by_its_weights():
    values, weight = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.0])
    assert weighted_mean(values, weight).item() == pytest.approx(1.5)


def test_batches_of_weighted_losses_average_to_the_weighted_loss():
    rng = np.random.default_rng(0)
    losses, weight = torch.tensor(rng.random(12)), torch.tensor(rng.random(12))
    weight = weight / weight.mean()
    batches = [weighted_mean(losses[i : i + 4], weight[i : i + 4]) for i in (0, 4, 8)]
    whole = np.average(losses.numpy(), weights=weight.numpy())
    assert torch.stack(batches).mean().item() == pytest.approx(whole)


def test_objective_adds_class_and_weighted_domain_loss():
    output, target = _batch()
    class_loss = (F.cross_entropy(output.class_logits, target["label"], reduction="none") * target["weight"]).mean()
    domain_loss = (
        F.cross_entropy(output.domain_logits, target["magnification"], reduction="none") * target["weight"]
    ).mean()
    objective = Objective(domain_weight=0.3)
    torch.testing.assert_close(objective(output, target), class_loss + 0.3 * domain_loss)
    assert set(objective.parts) == {"class_loss", "domain_loss", "domain_accuracy"}


def test_objective_in_eval_mode_is_the_class_loss():
    output, target = _batch()
    objective = Objective().eval()
    class_loss = objective(output._replace(domain_logits=None), target)
    torch.testing.assert_close(objective(output, target), class_loss)


@pytest.mark.parametrize("penalty", ["coral", "mmd", "vrex"])
def test_objective_adds_the_penalty_with_its_weight(penalty):
    output, target = _batch()
    output = output._replace(domain_logits=None)
    plain = Objective()(output, target)
    objective = Objective(penalty=penalty, penalty_weight=2.5)
    torch.testing.assert_close(objective(output, target), plain + 2.5 * objective.parts["penalty"])
    assert objective.parts["penalty"] > 0


def test_objective_with_group_dro_weighs_the_risks_and_adds_nothing():
    output, target = _batch()
    output = output._replace(domain_logits=None)
    objective, oracle = Objective(penalty="group_dro", n_magnifications=2), GroupDRO(2)
    losses = F.cross_entropy(output.class_logits, target["label"], reduction="none") * target["weight"]
    risks = torch.stack([losses[::2].mean(), losses[1::2].mean()])  # magnifications take turns in the batch
    for _ in range(3):
        torch.testing.assert_close(objective(output, target), oracle(risks, torch.arange(2)))
    assert "penalty" not in objective.parts


@pytest.mark.parametrize("penalty", ["vrex", "group_dro"])
def test_a_penalty_of_the_risk_copes_with_a_batch_that_lacks_a_magnification(penalty):
    output, target = _batch()
    output = output._replace(domain_logits=None)
    target["magnification"] = torch.full((7,), 2)
    plain = Objective()(output, target)
    torch.testing.assert_close(Objective(penalty=penalty, n_magnifications=4)(output, target), plain)
