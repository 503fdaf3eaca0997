import pytest
import torch
from torch import nn

from sklearn_magdg.modules import DomainHead, Objective, TwoHeaded


def _net(conditional=False, strength=1.0):
    torch.manual_seed(0)
    net = TwoHeaded(nn.Linear(5, 4), 4, 3, DomainHead(4, 3, 2, conditional))
    net.domain_head.reversal.strength = strength
    return net


def _target(n):
    generator = torch.Generator().manual_seed(1)
    return {
        "label": torch.randint(0, 3, (n,), generator=generator),
        "magnification": torch.randint(0, 2, (n,), generator=generator),
        "weight": torch.ones(n),
    }


def _domain_gradient(net, x, target):
    net.zero_grad()
    output = net(x)
    Objective()(output._replace(class_logits=output.class_logits.detach()), target).backward()  # the domain's alone
    return net.encoder.weight.grad.clone()


def test_encoder_gets_the_domain_gradient_reversed_and_scaled():
    x, target = torch.randn(7, 5), _target(7)
    plain = _domain_gradient(_net(strength=-1.0), x, target)  # two minus signs: the plain gradient
    torch.testing.assert_close(_domain_gradient(_net(strength=0.5), x, target), -0.5 * plain)


def test_strength_zero_leaves_the_encoder_alone_and_trains_the_domain_head():
    net = _net(strength=0.0)
    gradient = _domain_gradient(net, torch.randn(7, 5), _target(7))
    assert not gradient.any()
    assert net.domain_head.layers[-1].weight.grad.abs().sum() > 0


def test_conditional_adversary_reads_the_outer_product():
    net = _net(conditional=True)
    embedding, logits = torch.randn(7, 4), torch.randn(7, 3)
    seen = []
    net.domain_head.layers.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    net.domain_head(embedding, logits)
    expected = torch.einsum("nk,nd->nkd", logits.softmax(1), embedding).flatten(1)
    torch.testing.assert_close(seen[0], expected)


def test_conditional_adversary_reads_three_numbers_by_hand():
    net = _net(conditional=True)
    seen = []
    net.domain_head.layers.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    logits = torch.tensor([[0.5, 0.25, 0.25], [1.0, 1e-9, 1e-9]]).log()
    embedding = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    net.domain_head(embedding, logits)
    torch.testing.assert_close(seen[0][0], torch.tensor([0.5, 1, 1.5, 2, 0.25, 0.5, 0.75, 1, 0.25, 0.5, 0.75, 1]))
    torch.testing.assert_close(seen[0][1, :4], embedding[1])


@pytest.mark.parametrize("conditional", [False, True])
def test_the_class_head_gets_no_gradient_from_the_domain_loss(conditional):
    net = _net(conditional)
    _domain_gradient(net, torch.randn(7, 5), _target(7))
    assert net.class_head.weight.grad is None
    assert net.encoder.weight.grad.abs().sum() > 0


def test_sharing_heads_shares_the_parameters_themselves():
    net = _net()
    top = TwoHeaded.sharing_heads(nn.Identity(), net)
    assert top.class_head is net.class_head
    assert top.domain_head is net.domain_head
