import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_magdg.modules import GroupDRO, NetOutput, Objective, coral, mmd, vrex, weighted_mean


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


def test_coral_is_zero_for_equal_groups_and_the_closed_form_for_a_shift():
    group = torch.randn(6, 3)
    both = torch.cat([group, group])
    magnification = torch.arange(12) // 6
    assert coral(both, magnification).item() == pytest.approx(0, abs=1e-10)
    shifted = torch.cat([group, group + torch.tensor([2.0, 0, 0])])
    assert coral(shifted, magnification).item() == pytest.approx(4 / 3, rel=1e-5)  # covariances agree, means do not


def test_mmd_is_zero_for_equal_groups_and_grows_with_the_shift():
    group = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    magnification = torch.arange(16) // 8

    def at(shift):
        return mmd(torch.cat([group, group + shift]), magnification).item()

    assert at(0.0) == pytest.approx(0, abs=1e-6)
    assert at(0.0) < at(0.5) < at(2.0)


@pytest.mark.parametrize("penalty", [coral, mmd])
def test_penalties_of_the_embedding_are_zero_and_differentiable_with_one_magnification(penalty):
    embedding = torch.randn(5, 3, requires_grad=True)
    value = penalty(embedding, torch.zeros(5, dtype=torch.long))
    assert value.item() == 0
    (value + embedding.sum()).backward()


def test_vrex_is_the_variance():
    assert vrex(torch.tensor([1.0, 2.0, 6.0])).item() == pytest.approx(np.var([1, 2, 6]))


def test_group_dro_shifts_its_weight_to_the_worst_magnification():
    dro, present = GroupDRO(2, step=0.5), torch.tensor([0, 1])
    risks = torch.tensor([0.1, 1.1])
    loss = dro(risks, present)
    expected = np.exp(0.5 * risks.numpy())
    np.testing.assert_allclose(dro.weights.numpy(), expected / expected.sum(), rtol=1e-6)
    assert loss.item() == pytest.approx(float(expected / expected.sum() @ risks.numpy()), rel=1e-6)


def test_group_dro_copes_with_a_batch_without_one_magnification():
    dro = GroupDRO(3)
    assert dro(torch.tensor([2.0]), torch.tensor([1])).item() == pytest.approx(2.0)


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
