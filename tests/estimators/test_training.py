import numpy as np
import pytest
import torch

from sklearn_magdg.estimators._rows import mean_one
from sklearn_magdg.estimators._training import BalancedBatches, ShuffledBatches, seeded, threads


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


def test_weights_have_mean_one_within_each_group_and_a_weightless_group_stays_so():
    weight = mean_one(np.array([1.0, 3.0, 5.0, 0.0, 0.0]), np.array([0, 0, 1, 2, 2]))
    np.testing.assert_allclose(weight, [0.5, 1.5, 1, 0, 0])


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
