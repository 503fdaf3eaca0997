import numpy as np
import pytest
import sklearn

from sklearn_magdg.metrics import generative_precision_recall


def slow(real, generated, k):
    """The definitions, ball by ball."""

    def distance(x, y):
        return np.sqrt(np.sum((x - y) ** 2))

    def radii(embedding):
        others = [[distance(x, y) for j, y in enumerate(embedding) if j != i] for i, x in enumerate(embedding)]
        return [sorted(each)[k - 1] for each in others]

    inside = [[distance(x, y) <= radius for x, radius in zip(real, radii(real), strict=True)] for y in generated]
    around = [[distance(x, y) <= radius for y, radius in zip(generated, radii(generated), strict=True)] for x in real]
    precision, recall = np.any(inside, axis=1).mean(), np.any(around, axis=1).mean()
    return precision, recall, np.sum(inside) / (k * len(generated)), np.any(inside, axis=0).mean()


def embed(n_real=23, n_generated=17, n_dimensions=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_real, n_dimensions)), rng.normal(0.7, 1.2, size=(n_generated, n_dimensions))


@pytest.mark.parametrize("n_neighbors", [1, 3, 16])
def test_the_four_numbers_are_those_of_their_definitions(n_neighbors):
    real, generated = embed()
    expected = slow(real, generated, n_neighbors)
    np.testing.assert_allclose(generative_precision_recall(real, generated, n_neighbors=n_neighbors), expected)
    assert min(expected) > 0


def test_duplicates_and_ties_are_counted_as_the_definitions_say():
    rng = np.random.default_rng(0)
    real, generated = rng.integers(3, size=(19, 2)).astype(float), rng.integers(4, size=(13, 2)).astype(float)
    np.testing.assert_allclose(generative_precision_recall(real, generated, n_neighbors=2), slow(real, generated, 2))


def test_a_second_library_agrees():
    metric_prc = pytest.importorskip("torch_fidelity.metric_prc")
    import torch

    real, generated = embed(101, 83, 5)
    result = metric_prc.prc_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), prc_neighborhood=4, verbose=False
    )
    ours = generative_precision_recall(real, generated, n_neighbors=4)
    assert ours[:2] == pytest.approx((result["precision"], result["recall"]))


@pytest.mark.parametrize("offset", [0, 1e6])
def test_copies_are_inside_at_any_offset(offset):
    real = embed(60, 1, 37)[0] + offset
    shuffled = np.random.default_rng(1).permutation(real)
    # of k + 1 images in a ball, with its centre, k count to its density
    assert generative_precision_recall(real, shuffled, n_neighbors=4) == (1, 1, pytest.approx(5 / 4), 1)


def test_copies_of_one_image_are_inside_balls_without_radius():
    real = np.repeat(np.random.default_rng(0).normal(size=(5, 300)), 7, axis=0)
    assert generative_precision_recall(real, real[::-1], n_neighbors=6) == (1, 1, pytest.approx(7 / 6), 1)


def test_images_that_are_apart_score_0():
    real, generated = embed()
    assert generative_precision_recall(real, generated + 100) == (0, 0, 0, 0)


def test_a_kind_that_is_never_generated_lowers_recall_and_coverage_only():
    rng = np.random.default_rng(0)
    kind = np.arange(200) % 4
    real, every = (20 * kind[:, None] + rng.normal(size=(200, 3)) for _ in range(2))
    some = 20 * (kind[:, None] % 2) + rng.normal(size=(200, 3))
    all_kinds, half = generative_precision_recall(real, every), generative_precision_recall(real, some)
    assert all_kinds.recall > 0.9
    assert half.recall == pytest.approx(0.5, abs=0.05)
    assert half.coverage == pytest.approx(0.5, abs=0.03)
    assert half.precision == pytest.approx(all_kinds.precision, abs=0.1)
    assert half.precision > 0.85


def test_images_of_one_distribution_have_the_density_and_coverage_of_theory():
    rng = np.random.default_rng(0)
    results = [generative_precision_recall(*rng.normal(size=(2, 200, 4)), n_neighbors=3) for _ in range(60)]
    mean = np.mean(results, axis=0)
    error = np.std(results, axis=0) / np.sqrt(60)
    left = np.arange(197, 200)  # a ball is missed where its three neighbours are the nearest of all 399 images
    assert abs(mean[2] - 1) < 4 * error[2]
    assert abs(mean[3] - (1 - np.prod(left / (left + 200)))) < 4 * error[3]
    assert 1 - np.prod(left / (left + 200)) == pytest.approx(1 - 2**-3, abs=0.005)


def test_blocks_and_order_play_no_part():
    real, generated = embed(1203, 207, 3)
    expected = generative_precision_recall(real, generated)
    with sklearn.config_context(working_memory=0.1):  # MB: eleven rows
        assert generative_precision_recall(real[::-1], generated[::-1]) == pytest.approx(expected)


def test_the_given_arrays_stay_as_they_are():
    real, generated = embed()
    before = real.copy(), generated.copy()
    generative_precision_recall(real, generated)
    np.testing.assert_array_equal(real, before[0])
    np.testing.assert_array_equal(generated, before[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generated": np.zeros((17, 3))}, "as many columns, got `real` 2, `generated` 3"),
        ({"real": np.full((23, 2), np.nan)}, "Input real contains NaN"),
        ({"n_neighbors": 17}, "`n_neighbors=17` needs at least 18 images, got 17 in `generated`; give more images or"),
        ({"real": np.zeros((5, 2))}, "`n_neighbors=5` needs at least 6 images, got 5 in `real`"),
        ({"n_neighbors": 0}, "`n_neighbors` must be an integer of at least 1, got 0"),
        ({"n_neighbors": 2.0}, "`n_neighbors` must be an integer of at least 1, got 2.0"),
    ],
)
def test_errors_say_what_came(change, message):
    real, generated = embed()
    with pytest.raises(ValueError, match=message):
        generative_precision_recall(**{"real": real, "generated": generated, **change})
