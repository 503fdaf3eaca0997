import itertools

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.stats import ortho_group

from sklearn_magdg.signature import ProcrustesAlignment, SparseSignatureSelector, match_dimensions


def embed(n_images=50, n_features=7, seed=0):
    """Dimensions of unequal spread, so that their axes can be told."""
    return np.random.default_rng(seed).normal(size=(n_images, n_features)) * np.arange(1, n_features + 1)


def permuted_copy(reference, seed=1, noise=0.1):
    """The dimensions in another order, some with the sign and all with the unit changed; and that order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(reference.shape[1])
    factor = rng.choice([-3.0, 0.2, 40.0], reference.shape[1])
    noisy = reference + noise * reference.std(axis=0) * rng.normal(size=reference.shape)
    return noisy[:, order] * factor + 9, order, np.sign(factor)


def test_a_rotated_shifted_and_scaled_copy_is_turned_back_on_new_images():
    reference, new = embed(), embed(seed=1)
    rotation = ortho_group.rvs(7, random_state=0)
    alignment = ProcrustesAlignment().fit(0.25 * reference @ rotation - 3, reference)
    np.testing.assert_allclose(alignment.rotation_, rotation.T, atol=1e-12)
    np.testing.assert_allclose(alignment.transform(0.25 * new @ rotation - 3), new, atol=1e-11)
    assert alignment.scale_ == pytest.approx(4)
    assert alignment.score(0.25 * new @ rotation - 3, new) == pytest.approx(1)


def test_noise_costs_its_share_of_the_variance():
    reference, rng = embed(4000), np.random.default_rng(5)
    noisy = reference @ ortho_group.rvs(7, random_state=1) + 2 * rng.normal(size=reference.shape)
    alignment = ProcrustesAlignment().fit(noisy[:2000], reference[:2000])
    # Of variances v and v + e, scaled to v: 1 - (2 v - 2 v sqrt(v / (v + e))) / v
    v, e = np.sum(np.arange(1, 8) ** 2), 7 * 2**2
    assert alignment.score(noisy[2000:], reference[2000:]) == pytest.approx(2 * np.sqrt(v / (v + e)) - 1, abs=0.02)


def test_the_fit_is_that_of_scipy():
    embedding, reference = embed(seed=2), embed(seed=3)
    disparity = procrustes(reference, embedding)[2]  # 1 - c^2, of embeddings brought to norm 1
    in_sample = ProcrustesAlignment().fit(embedding, reference).score(embedding, reference)
    assert in_sample == pytest.approx(2 * np.sqrt(1 - disparity) - 1)


def test_rotating_the_embedding_first_changes_nothing():
    embedding, reference = embed(seed=2), embed(seed=3)
    turned = 5 - 2 * embedding @ ortho_group.rvs(7, random_state=2)
    aligned = [ProcrustesAlignment().fit(each, reference).transform(each) for each in (embedding, turned)]
    np.testing.assert_allclose(*aligned, atol=1e-10)


def test_unrelated_embeddings_score_minus_one_on_new_images_but_not_on_those_of_the_fit():
    embedding, reference = (np.random.default_rng(seed).normal(size=(2000, 7)) for seed in (0, 1))
    alignment = ProcrustesAlignment().fit(embedding[:20], reference[:20])
    assert alignment.score(embedding[20:], reference[20:]) == pytest.approx(-1, abs=0.25)
    assert alignment.score(embedding[:20], reference[:20]) > -0.4


def test_a_signature_chosen_after_the_rotation_is_that_of_the_reference_and_before_it_is_not():
    reference = embed(300, 11)
    y = reference[:, 3] / 4 + reference[:, 8] / 9 > 0
    turned = reference @ ortho_group.rvs(11, random_state=3)
    aligned = ProcrustesAlignment().fit(turned[:150], reference[:150]).transform(turned)
    chosen = [SparseSignatureSelector(C=0.05).fit(each, y).signature_.tolist() for each in (reference, aligned, turned)]
    assert chosen[0] == chosen[1] == [3, 8]
    assert len(chosen[2]) > 2


def test_a_constant_embedding_or_reference_is_no_error():
    alignment = ProcrustesAlignment().fit(np.ones((9, 3)), embed(9, 3))
    np.testing.assert_allclose(alignment.transform(np.ones((2, 3))), [embed(9, 3).mean(axis=0)] * 2)
    assert np.isnan(ProcrustesAlignment().fit(embed(9, 3), np.ones((9, 3))).score(embed(9, 3), np.ones((9, 3))))


def test_too_few_images_to_align_warn():
    with pytest.warns(UserWarning, match="7 images in 7 dimensions can be rotated onto each other whatever"):
        ProcrustesAlignment().fit(embed(7), embed(7, seed=1))


def test_dimensions_in_another_order_sign_and_unit_are_found():
    reference = embed()
    copy, order, sign = permuted_copy(reference)
    matched, correlation = match_dimensions(copy, reference)
    np.testing.assert_array_equal(matched, order)
    np.testing.assert_array_equal(np.sign(correlation), sign)
    assert np.abs(correlation).min() > 0.98
    signature = np.flatnonzero(np.isin(order, [0, 4]))  # where the copy has them
    np.testing.assert_array_equal(np.sort(matched[signature]), [0, 4])


def test_the_matching_is_the_best_of_all():
    embedding, reference = embed(9, 4, seed=2), embed(9, 4, seed=3)
    table = np.abs(np.corrcoef(embedding.T, reference.T)[:4, 4:])
    best = max(table[range(4), order].sum() for order in itertools.permutations(range(4)))
    matched, correlation = match_dimensions(embedding, reference)
    assert sorted(matched) == [0, 1, 2, 3]
    assert np.abs(correlation).sum() == pytest.approx(best)
    np.testing.assert_allclose(np.abs(correlation), table[range(4), matched])


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_the_unit_of_an_embedding_does_not_matter_up_to_the_ends_of_the_floats(unit):
    copy, order, _ = permuted_copy(embed())
    matched, correlation = match_dimensions(copy * unit, embed())
    np.testing.assert_array_equal(matched, order)
    np.testing.assert_allclose(correlation, match_dimensions(copy, embed()).correlation)


def test_dead_dimensions_get_the_partners_left_over_without_correlation():
    reference = embed(n_features=5)
    copy, order, _ = permuted_copy(reference)
    alive = ~np.isin(order, [1, 3])
    reference[:, [1, 3]] = copy[:, ~alive] = 0.1  # whose mean over 50 images is not exactly 0.1
    matched, correlation = match_dimensions(copy, reference)
    np.testing.assert_array_equal(matched[alive], order[alive])
    assert sorted(matched[~alive]) == [1, 3]
    np.testing.assert_array_equal(correlation[~alive], 0)


def test_dimensions_without_a_partner_are_told():
    reference = embed()
    copy, order, _ = permuted_copy(reference)
    matched, correlation = match_dimensions(copy, reference[:, :5])
    np.testing.assert_array_equal(matched, np.where(order < 5, order, -1))
    np.testing.assert_array_equal(correlation[order >= 5], 0)
    assert match_dimensions(reference[:, :5], copy).matched.shape == (5,)


def test_the_best_of_unrelated_dimensions_correlate_as_the_notes_say():
    embedding, reference = (np.random.default_rng(seed).normal(size=(400, 60)) for seed in (0, 1))
    correlation = np.abs(match_dimensions(embedding, reference).correlation)
    assert np.mean(correlation) == pytest.approx(np.sqrt(2 * np.log(60) / 400), rel=0.25)


@pytest.mark.parametrize("align", [match_dimensions, ProcrustesAlignment().fit])
def test_embeddings_of_other_images_are_refused(align):
    with pytest.raises(ValueError, match="same images, row by row; got 50 rows of `embedding` and 49"):
        align(embed(), embed(49))
    with pytest.raises(ValueError, match="minimum of 2"):
        align(embed(1), embed(1))
    with pytest.raises(ValueError, match="reference contains NaN"):
        align(embed(), embed() * np.nan)


def test_a_rotation_between_unequal_dimensions_is_refused_with_a_way_out():
    with pytest.raises(ValueError, match="got 7 for `embedding` and 5 for `reference`: bring the larger"):
        ProcrustesAlignment().fit(embed(), embed(n_features=5))
    with pytest.raises(ValueError, match="has 5 dimensions, the aligned encoder's 7"):
        ProcrustesAlignment().fit(embed(), embed(seed=1)).transform(embed(n_features=5))
