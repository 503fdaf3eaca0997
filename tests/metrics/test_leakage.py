import numpy as np
import pytest
import sklearn
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import balanced_accuracy_score

from sklearn_magdg.metrics import _leakage as leakage
from sklearn_magdg.metrics import magnification_leakage


def design(n_patients=13, images_per_cell=2, magnifications=(40, 100, 200)):
    """Magnification and patient of every image, all magnifications for every patient."""
    patient = np.repeat(np.arange(n_patients), images_per_cell * len(magnifications))
    return np.tile(np.repeat(magnifications, images_per_cell), n_patients), patient


def embed(patient, n_dimensions=7, seed=0):
    """An embedding of patients and noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(patient.max() + 1, n_dimensions))[patient] + rng.normal(size=(len(patient), n_dimensions))


@pytest.mark.parametrize("n_dimensions", [7, 300])
def test_an_embedding_that_tells_all_is_read_without_error(n_dimensions):
    magnification, patient = design()
    place = 8 * np.random.default_rng(1).normal(size=(3, n_dimensions))
    embedding = embed(patient, n_dimensions) + place[np.searchsorted([40, 100, 200], magnification)]
    assert magnification_leakage(embedding, magnification, patient=patient) == (1, pytest.approx(1 / 3), 1, 1)


@pytest.mark.parametrize(("n_dimensions", "least"), [(8, 0.85), (128, 0.35)])
def test_one_dimension_that_tells_all_is_found_among_noise(n_dimensions, least):
    magnification, patient = design(17, 3, (40, 100, 200, 400))
    embedding = embed(patient, n_dimensions)
    embedding[:, 3] += 6 * np.log2(magnification)
    assert magnification_leakage(embedding, magnification, patient=patient, random_state=0).low > least


@pytest.mark.slow
def test_an_interval_covers_chance_where_nothing_is_told():
    magnification, patient = design(20, 3, (100, 200))
    results = [
        magnification_leakage(embed(patient, 5, seed), magnification, patient=patient, n_resamples=199, random_state=0)
        for seed in range(50)
    ]
    estimate, chance, low, high = np.transpose(results)
    assert np.mean((low <= chance) & (chance <= high)) >= 0.76  # four standard errors below 0.9
    assert np.mean(estimate) == pytest.approx(0.5, abs=0.03)  # three standard errors
    assert np.mean(high - low) < 0.25


def test_a_patient_tells_nothing_where_the_probe_has_not_seen_it():
    # every patient at every magnification has a place of its own: all is known within a patient, nothing across
    magnification, patient = design(12, 6, (100, 200))
    places = 30 * np.random.default_rng(0).normal(size=(12, 2, 60))
    embedding = places[patient, (magnification == 200).astype(int)] + embed(patient, 60)
    hidden = magnification_leakage(embedding, magnification, patient=patient, random_state=0)
    shown = magnification_leakage(embedding, magnification, patient=np.arange(len(patient)), random_state=0)
    assert hidden.balanced_accuracy < 0.75 < shown.low


def test_every_image_is_predicted_by_a_probe_without_its_patient(monkeypatch):
    magnification, patient = design()
    calls = []

    def watch(probe, embedding, target, cv):
        calls.extend(cv)
        return cross_val_predict(probe, embedding, target, cv=cv)

    cross_val_predict = leakage.cross_val_predict
    monkeypatch.setattr(leakage, "cross_val_predict", watch)
    magnification_leakage(embed(patient), magnification, patient=patient, n_splits=4, random_state=0)
    assert len(calls) == 4
    assert sorted(np.concatenate([test for _, test in calls])) == list(range(len(patient)))
    for train, test in calls:
        assert not set(patient[train]) & set(patient[test])


def test_rare_magnifications_count_as_much_as_frequent_ones(monkeypatch):
    magnification, patient = design(12, 5)
    rows = (magnification != 40) | (np.arange(len(patient)) % 5 == 0)
    magnification, patient, embedding = magnification[rows], patient[rows], embed(patient)[rows]
    guesses = []

    def watch(*args, **kwargs):
        guesses.append(cross_val_predict(*args, **kwargs))
        return guesses[-1]

    cross_val_predict = leakage.cross_val_predict
    monkeypatch.setattr(leakage, "cross_val_predict", watch)
    result = magnification_leakage(embedding, magnification, patient=patient, random_state=0)
    codes = np.searchsorted([40, 100, 200], magnification)
    assert result.balanced_accuracy == pytest.approx(balanced_accuracy_score(codes, guesses[0]))
    assert np.mean(guesses[0] == 0) == pytest.approx(1 / 3, abs=0.15)  # unweighted probes hardly guess it


def test_interval_is_that_of_resampled_patients():
    magnification, patient = design()
    embedding = embed(patient)
    embedding[:, 0] += np.log2(magnification)
    result = magnification_leakage(embedding, magnification, patient=patient, n_resamples=4999, random_state=0)
    recognised = leakage.probe_magnification(embedding, magnification, patient=patient, random_state=0).recognised
    per_patient = recognised.reshape(13, 3, 2).mean(axis=(1, 2))  # as many images in every cell: a mean of patients
    assert result.balanced_accuracy == pytest.approx(per_patient.mean())
    drawn = per_patient[np.random.default_rng(0).integers(13, size=(50_000, 13))].mean(axis=1)
    np.testing.assert_allclose(result[2:], np.quantile(drawn, [0.025, 0.975]), atol=0.015)


def test_probed_images_are_those_that_the_leakage_averages():
    magnification, patient = design()
    embedding = embed(patient)
    embedding[:, 0] += np.log2(magnification)
    shuffled = np.random.default_rng(0).permutation(len(patient))
    given = embedding[shuffled], magnification[shuffled]
    probed = leakage.probe_magnification(*given, patient=patient[shuffled], n_splits=4, random_state=0)
    assert probed.magnification.values().tolist() == magnification[shuffled].tolist()
    recalls = [probed.recognised[probed.magnification.codes == each].mean() for each in range(3)]
    result = magnification_leakage(*given, patient=patient[shuffled], n_splits=4, random_state=0)
    assert np.mean(recalls) == pytest.approx(result.balanced_accuracy)
    assert 0.4 < np.mean(recalls) < 1


def test_a_seed_decides_and_names_and_routing_play_no_part():
    magnification, patient = design()
    embedding = embed(patient)
    expected = magnification_leakage(embedding, magnification, patient=patient, random_state=3)
    named = [f"{each}X" for each in magnification]
    with sklearn.config_context(enable_metadata_routing=True):
        assert magnification_leakage(embedding, named, patient=patient, random_state=3) == expected
    assert magnification_leakage(embedding, magnification, patient=patient, random_state=4) != expected


def test_scale_and_constant_dimensions_play_no_part():
    magnification, patient = design()
    embedding = embed(patient)
    changed = np.column_stack([embedding * 10.0 ** np.arange(-3, 4) + 5, np.full(len(patient), 7.0)])
    results = [
        magnification_leakage(each, magnification, patient=patient, random_state=0) for each in (embedding, changed)
    ]
    assert results[0] == results[1]


def test_resamples_without_a_magnification_are_said():
    magnification, patient = design(9)
    rows = (magnification != 40) | (patient < 2)
    with pytest.warns(UndefinedMetricWarning, match="are left out"):
        result = magnification_leakage(
            embed(patient)[rows], magnification[rows], patient=patient[rows], n_splits=2, random_state=0
        )
    assert 0 <= result.low <= result.balanced_accuracy <= result.high <= 1


def test_a_magnification_whose_patients_are_all_in_one_fold_is_refused():
    counts = [[2, 2], [6, 0], [0, 6]]  # images of three patients at 40X and 100X
    magnification = np.concatenate([np.repeat([40, 100], each) for each in counts])
    patient = np.repeat(np.arange(3), np.sum(counts, axis=1))
    with pytest.raises(ValueError, match="with magnification 100 fell into one of 2 folds, so that no probe could"):
        magnification_leakage(embed(patient), magnification, patient=patient, n_splits=2, random_state=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"magnification": [40] * 8}, r"at least 2 magnifications, got 1: \[40\]; pass the embeddings of all"),
        ({"magnification": [40] * 7 + [100]}, "Magnification 100 has 1 patients for `n_splits=2`; lower `n_splits`"),
        ({"n_splits": 5}, "Magnification 40 has 4 patients for `n_splits=5`"),
        ({"n_splits": 1}, "`n_splits` must be an integer of at least 2, got 1"),
        ({"n_splits": 2.0}, "`n_splits` must be an integer of at least 2, got 2.0"),
        ({"embedding": np.full((8, 2), np.nan)}, "Input embedding contains NaN"),
        ({"embedding": np.zeros(8)}, "Expected 2D array"),
        ({"embedding": np.zeros((7, 2))}, "`patient` has 8 values for 7 samples"),
        ({"patient": [1, 2]}, "`patient` has 2 values for 8 samples"),
        ({"patient": [None, *range(7)]}, "`patient` is missing for 1 samples"),
        ({"magnification": ["40", "40X"] * 4}, "spells one magnification in several ways"),
        ({"n_resamples": 7}, "`n_resamples` must be an integer of at least 39"),
        ({"confidence_level": 1}, "`confidence_level` must lie between 0 and 1"),
    ],
)
def test_errors_say_what_came(change, message):
    arguments = {
        "embedding": np.random.default_rng(0).normal(size=(8, 2)),
        "magnification": [40, 100] * 4,
        "patient": [1, 1, 2, 2, 3, 3, 4, 4],
        "n_splits": 2,
    }
    with pytest.raises(ValueError, match=message):
        magnification_leakage(**{**arguments, **change})
