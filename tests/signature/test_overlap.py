import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_magdg.signature import expected_jaccard, jaccard_matrix, signature_stability

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
    np.testing.assert_allclose(signature_stability(indices(member), 6), signature_stability(indices(again), 6))


def test_errors_say_what_came():
    with pytest.raises(ValueError, match=r"holds index 5, but `n_features` is 5"):
        signature_stability([[0], [5]], 5)
    with pytest.raises(ValueError, match=r"numpy\.flatnonzero"):
        jaccard_matrix([[True, False, True]])
    with pytest.raises(ValueError, match="does not fit"):
        expected_jaccard(6, 2, 5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        signature_stability([[0], [1]], 5, confidence_level=95)
