import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from sklearn_magdg.signature import (
    _overlap,
    expected_jaccard,
    jaccard_matrix,
    signature_overlap_test,
    signature_stability,
)

masks = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=2, max_size=5)


def indices(member):
    return [np.flatnonzero(row) for row in np.asarray(member)]


def test_jaccard_of_a_case_by_hand():
    matrix = jaccard_matrix([[3, 1, 0, 1], np.array([1, 3, 4, 6]), []])
    np.testing.assert_allclose(matrix[:2, :2], [[1, 2 / 5], [2 / 5, 1]])
    np.testing.assert_array_equal(matrix[2, :2], [0, 0])
    assert np.isnan(matrix[2, 2])
    assert jaccard_matrix([]).shape == (0, 0)


@given(masks)
def test_jaccard_is_that_of_sets(member):
    sets = [set(each.tolist()) for each in indices(member)]
    expected = [[len(a & b) / len(a | b) if a | b else np.nan for b in sets] for a in sets]
    np.testing.assert_allclose(jaccard_matrix(indices(member)), expected)


@pytest.mark.parametrize(("size_a", "size_b", "n_features"), [(3, 5, 11), (7, 7, 9), (0, 2, 5), (4, 4, 4)])
def test_chance_is_the_mean_of_random_signatures(size_a, size_b, n_features):
    rng = np.random.default_rng(0)
    random_sets = [rng.permutation(n_features)[:size_b] for _ in range(20_000)]
    shared = np.array([(each < size_a).sum() for each in random_sets])
    simulated = shared / (size_a + size_b - shared)
    error = 4 * simulated.std() / np.sqrt(len(simulated))
    assert expected_jaccard(size_a, size_b, n_features) == pytest.approx(simulated.mean(), abs=error + 1e-12)


def test_chance_is_close_to_the_figures_of_the_paper_sizes():
    assert expected_jaccard(306, 306, 2048) == pytest.approx(306 / (2 * 2048 - 306), abs=1e-3)
    assert expected_jaccard(1074, 1074, 2048) == pytest.approx(0.355, abs=1e-3)
    assert np.isnan(expected_jaccard(0, 0, 5))


@pytest.mark.parametrize(
    ("member", "expected"),
    [([[1, 1, 0]] * 3, 1.0), ([[1, 1, 0], [0, 1, 1], [1, 0, 1]], -0.5)],
)
def test_stability_by_hand(member, expected):
    assert signature_stability(indices(member), 3).stability == pytest.approx(expected)


def test_identical_signatures_have_an_interval_of_one_point():
    result = signature_stability([[0, 3]] * 4, 7)
    np.testing.assert_allclose(result, [1, expected_jaccard(2, 2, 7), 1, 1, 1])


@pytest.mark.parametrize("signatures", [[], [[0, 1]], [[], [], []], [[0, 1, 2], [0, 1, 2]]])
def test_stability_is_undefined_without_anything_to_compare(signatures):
    result = signature_stability(signatures, 3)
    assert np.isnan([result.stability, result.low, result.high]).all()


def test_a_pair_of_empty_signatures_does_not_count_and_one_empty_overlaps_nothing():
    signatures = [[0, 1], [0, 1], [], []]
    assert signature_stability(signatures, 5).jaccard_mean == pytest.approx(1 / 5)
    assert signature_overlap_test(signatures, 5, n_permutations=9).jaccard_chance == pytest.approx(
        expected_jaccard(2, 2, 5) / 5
    )


def test_random_signatures_have_stability_zero_on_average():
    rng = np.random.default_rng(0)
    results = [signature_stability([rng.permutation(31)[:7] for _ in range(5)], 31) for _ in range(300)]
    values = np.array(results)
    assert abs(values[:, 2].mean()) < 4 * values[:, 2].std() / np.sqrt(300)
    assert values[:, 0].mean() == pytest.approx(values[0, 1], abs=0.01)


def test_interval_covers_the_stability_of_the_population():
    # Dimension f is selected with probability p_f, on its own: the population index is known.
    rng, p = np.random.default_rng(0), np.array([0.9] * 5 + [0.1] * 20)
    truth = 1 - np.mean(p * (1 - p)) / (p.mean() * (1 - p.mean()))
    intervals = [signature_stability(indices(rng.random((40, 25)) < p), 25)[3:] for _ in range(150)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.88 <= covered <= 0.995


def test_variance_is_that_of_the_paper_written_as_a_loop():
    member = np.random.default_rng(2).random((5, 9)) < 0.4
    M, d, p, k = 5, 9, member.mean(axis=0), member.sum(axis=1)
    k_mean = k.mean()
    result = signature_stability(indices(member), 9, confidence_level=0.6826894921370859)
    spread = k_mean / d * (1 - k_mean / d)
    phi = []
    for i in range(M):
        last = result.stability / 2 * (2 * k[i] * k_mean / d**2 - k[i] / d - k_mean / d + 1)
        phi.append((np.mean(member[i] * p) - k[i] * k_mean / d**2 + last) / spread)
    variance = 4 / M**2 * sum((each - np.mean(phi)) ** 2 for each in phi)
    assert result.stability - result.low == pytest.approx(np.sqrt(variance))


@settings(max_examples=50)
@given(masks, st.randoms(use_true_random=False))
def test_order_of_signatures_and_dimensions_does_not_matter(member, random):
    shuffled = [list(row) for row in member]
    random.shuffle(shuffled)
    columns = random.sample(range(6), 6)
    again = np.array(shuffled)[:, columns]
    one, other = signature_stability(indices(member), 6), signature_stability(indices(again), 6)
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("n_at_once", [1000, 7])
@pytest.mark.parametrize(("n_shared", "size_b"), [(2, 6), (3, 6), (4, 9)])
def test_p_value_of_two_signatures_is_the_hypergeometric_tail(n_shared, size_b, n_at_once, monkeypatch):
    monkeypatch.setattr(_overlap, "_CELLS", n_at_once * 2 * 23)
    signatures = [np.arange(7), np.arange(7 - n_shared, 7 - n_shared + size_b)]
    tail = hypergeom.sf(n_shared - 1, 23, 7, size_b)
    result = signature_overlap_test(signatures, 23, n_permutations=4000, random_state=0)
    assert result.p_value == pytest.approx(tail, abs=4 * np.sqrt(tail * (1 - tail) / 4000) + 1 / 4001)
    assert result.jaccard_mean == pytest.approx(n_shared / (7 + size_b - n_shared))


def test_p_values_are_uniform_where_the_signatures_are_random():
    rng = np.random.default_rng(0)
    sizes, p_values = (5, 9, 9, 14), []
    for seed in range(400):
        signatures = [rng.permutation(37)[:size] for size in sizes]
        p_values.append(signature_overlap_test(signatures, 37, n_permutations=99, random_state=seed).p_value)
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(p_values) <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 400))


def test_permutations_overlap_as_chance_does_and_keep_the_sizes():
    member = np.arange(19) < np.array([[3], [0], [11], [19], [0]])
    permuted = _overlap._permute(member, 3000, np.random.RandomState(0))
    np.testing.assert_array_equal(permuted.sum(axis=2), np.tile([3, 0, 11, 19, 0], (3000, 1)))
    np.testing.assert_allclose(permuted[:, 2].mean(axis=0), 11 / 19, atol=0.04)
    means = _overlap._random_overlaps(member.astype(float), 3000, np.random.RandomState(0))
    chance = signature_overlap_test(indices(member), 19, n_permutations=1).jaccard_chance
    assert means.mean() == pytest.approx(chance, abs=4 * means.std() / np.sqrt(3000))


def test_p_value_does_not_fall_below_what_the_permutations_can_tell():
    same = [np.arange(10)] * 3
    assert signature_overlap_test(same, 100, n_permutations=49).p_value == 1 / 50
    apart = [[0, 1], [2, 3], [4]]
    assert signature_overlap_test(apart, 5, n_permutations=49).p_value == 1
    assert signature_overlap_test([range(5)] * 3, 5, n_permutations=49).p_value == 1  # full: chance does it always


def test_one_seed_gives_one_p_value():
    signatures = [[0, 1, 2], [2, 3, 4], [0, 4, 5]]
    first, again = (signature_overlap_test(signatures, 12, n_permutations=99, random_state=3) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("signatures", [[], [[0, 1]], [[], [], []]])
def test_nothing_to_compare_has_no_p_value(signatures):
    assert np.isnan(signature_overlap_test(signatures, 3)).all()


@pytest.mark.parametrize("nested", [[[0, 1], [2, 3]], [[]], 2, {1, 2}])
def test_a_signature_is_a_flat_list(nested):
    with pytest.raises(ValueError, match="Signature 1 must be a flat list of dimension indices"):
        jaccard_matrix([[0], nested])


@pytest.mark.parametrize("n_features", [2.5, 0, -1, "5", None])
def test_a_number_of_dimensions_is_an_integer_of_at_least_1(n_features):
    with pytest.raises(ValueError, match=r"`n_features` must be an integer of at least 1, got .*; give the dimensions"):
        signature_stability([[], []], n_features)
    with pytest.raises(ValueError, match="`n_features` must be an integer of at least 1"):
        signature_overlap_test([[], []], n_features)
    with pytest.raises(ValueError, match="`n_features` must be an integer of at least 1"):
        expected_jaccard(0, 0, n_features)


def test_errors_say_what_came():
    with pytest.raises(ValueError, match="`n_permutations` must be an integer of at least 1, got 0"):
        signature_overlap_test([[0], [1]], 5, n_permutations=0)
    with pytest.raises(ValueError, match=r"holds index 5, but `n_features` is 5; give the dimensions of the whole"):
        signature_stability([[0], [5]], 5)
    with pytest.raises(ValueError, match=r"numpy\.flatnonzero"):
        jaccard_matrix([[True, False, True]])
    for size in (6, -1, 1.5):
        with pytest.raises(ValueError, match=f"signature of {size} dimensions does not fit .*; a size is an integer"):
            expected_jaccard(size, 2, 5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        signature_stability([[0], [1]], 5, confidence_level=95)
