import numpy as np
import pytest
import torch

from sklearn_magdg.modules import EMBEDDING_PENALTIES, GroupDRO, coral, mmd, vrex

MAGNIFICATION = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])


def _embedding(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(11, 3, generator=generator, dtype=dtype) * torch.tensor([1.0, 3.0, 0.5], dtype=dtype)


def _pairs(embedding):
    groups = [embedding[m == MAGNIFICATION].numpy() for m in range(3)]
    return [(groups[0], groups[1]), (groups[0], groups[2]), (groups[1], groups[2])]


def test_coral_is_the_closed_form_over_all_pairs():
    embedding = _embedding()

    def distance(a, b):
        between_covariances = np.linalg.norm(np.cov(a, rowvar=False) - np.cov(b, rowvar=False), "fro") ** 2 / 3**2
        return between_covariances + np.linalg.norm(a.mean(0) - b.mean(0)) ** 2 / 3

    expected = np.mean([distance(a, b) for a, b in _pairs(embedding)])
    assert coral(embedding, MAGNIFICATION).item() == pytest.approx(expected)


def test_coral_sees_a_shift_of_the_mean_alone():
    group = _embedding()[:6]
    both = torch.cat([group, group + torch.tensor([2.0, 0, 0])])
    assert coral(both, torch.arange(12) // 6).item() == pytest.approx(4 / 3)


def test_mmd_is_the_double_loop_over_all_pairs():
    embedding = _embedding()
    squares = [float(((a - b) ** 2).sum()) for a in embedding for b in embedding]
    width = np.sort(squares)[(len(squares) - 1) // 2]

    def kernel(a, b):
        return np.mean([np.exp(-((x - y) ** 2).sum() / width) for x in a for y in b])

    expected = np.mean([kernel(a, a) + kernel(b, b) - 2 * kernel(a, b) for a, b in _pairs(embedding)])
    assert mmd(embedding, MAGNIFICATION).item() == pytest.approx(expected)


@pytest.mark.parametrize("penalty", EMBEDDING_PENALTIES.values(), ids=EMBEDDING_PENALTIES)
def test_an_embedding_penalty_is_zero_for_identical_groups_and_grows_with_their_distance(penalty):
    group = _embedding()[:7]
    magnification = torch.arange(14) // 7
    at = [penalty(torch.cat([group, group + shift]), magnification).item() for shift in (0.0, 0.5, 2.0)]
    assert at[0] == pytest.approx(0, abs=1e-12)
    assert at[0] < at[1] < at[2]


@pytest.mark.parametrize("penalty", EMBEDDING_PENALTIES.values(), ids=EMBEDDING_PENALTIES)
def test_an_embedding_penalty_leaves_a_magnification_of_one_sample_out(penalty):
    embedding = _embedding()
    with_single = torch.cat([MAGNIFICATION[:-1], torch.tensor([3])])
    value = penalty(embedding, with_single).item()
    if penalty is coral:  # the kernel's width takes in the whole batch
        assert value == pytest.approx(penalty(embedding[:-1], MAGNIFICATION[:-1]).item())
    assert np.isfinite(value)
    assert value > 0


@pytest.mark.parametrize("penalty", EMBEDDING_PENALTIES.values(), ids=EMBEDDING_PENALTIES)
@pytest.mark.parametrize("magnification", [torch.zeros(11, dtype=torch.long), torch.arange(11)])
def test_an_embedding_penalty_of_nothing_to_compare_is_zero_and_differentiable(penalty, magnification):
    embedding = _embedding().requires_grad_()
    value = penalty(embedding, magnification)
    assert value.item() == 0
    (value + embedding.sum()).backward()


def test_gradients_of_coral_and_vrex_are_those_of_finite_differences():
    embedding, risks = _embedding().requires_grad_(), torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: coral(z, MAGNIFICATION), embedding)
    assert torch.autograd.gradcheck(vrex, risks.requires_grad_())


def test_the_gradient_of_mmd_is_that_of_finite_differences_at_a_fixed_width():
    embedding = _embedding().requires_grad_()
    width = torch.cdist(embedding, embedding).square().median().detach()

    def at_fixed_width(z):
        kernel = torch.exp(-(z[:, None] - z[None]).square().sum(-1) / width)
        share = torch.nn.functional.one_hot(MAGNIFICATION).double() / MAGNIFICATION.bincount()  # (n, 3)
        means = share.T @ kernel @ share
        return (means.diagonal()[:, None] + means.diagonal() - 2 * means).sum() / 6

    assert torch.autograd.gradcheck(at_fixed_width, embedding)
    ours = torch.autograd.grad(mmd(embedding, MAGNIFICATION), embedding)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(at_fixed_width(embedding), embedding)[0])


def test_vrex_is_the_variance_and_zero_for_a_single_magnification():
    assert vrex(torch.tensor([1.0, 2.0, 6.0])).item() == pytest.approx(np.var([1, 2, 6]))
    assert vrex(torch.tensor([4.0])).item() == 0


def test_group_dro_follows_algorithm_1_over_three_batches():
    dro = GroupDRO(3, step=0.5)
    batches = [([0.2, 1.0, 0.6], [0, 1, 2]), ([2.0, 0.1], [0, 2]), ([0.3, 0.3, 0.9], [0, 1, 2])]
    weights = np.full(3, 1 / 3)
    for risks, present in batches:
        weights[present] *= np.exp(0.5 * np.array(risks))
        weights /= weights.sum()
        loss = dro(torch.tensor(risks), torch.tensor(present))
        np.testing.assert_allclose(dro.log_weights.exp(), weights, rtol=1e-6)
        assert loss.item() == pytest.approx(np.average(risks, weights=weights[present]), rel=1e-6)


def test_the_gradient_of_group_dro_is_its_weights():
    dro, risks = GroupDRO(3, step=0.5), torch.tensor([0.2, 1.0, 0.6], requires_grad=True)
    dro(risks, torch.arange(3)).backward()
    torch.testing.assert_close(risks.grad, dro.log_weights.exp())


def test_a_weight_of_group_dro_below_the_smallest_float32_is_kept_and_comes_back():
    dro, both, low, high = GroupDRO(2), torch.arange(2), torch.tensor([0.0, 1.0]), torch.tensor([50.0, 0.0])
    for _ in range(20_000):
        dro(low, both)
    assert dro.log_weights.exp()[0] == 0
    assert dro.log_weights.tolist() == pytest.approx([-200, 0], rel=0.01)  # 0.01 x 1 x 20,000
    alone = dro(torch.tensor([0.7]), torch.tensor([0]))  # a batch without the other
    assert alone.item() == pytest.approx(0.7)
    losses = [dro(high, both).item() for _ in range(420)]  # it catches up by 0.01 x 50 a step
    assert losses[380] == pytest.approx(0, abs=0.1)
    assert losses[-1] == pytest.approx(50, abs=0.1)


def test_weights_of_group_dro_are_saved_with_its_state():
    dro, restored = GroupDRO(2), GroupDRO(2)
    dro(torch.tensor([0.1, 2.0]), torch.arange(2))
    restored.load_state_dict(dro.state_dict())
    assert restored.log_weights[1] > restored.log_weights[0]
