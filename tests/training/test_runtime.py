"""Seed, threads and device."""

import pytest
import torch

from sklearn_magdg.training import resolve_device, seeded, threads


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
