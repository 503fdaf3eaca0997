import numpy as np
import pytest
import sklearn

from sklearn_magdg.metrics import _kid, kernel_inception_distance


def kernel(x, y):
    return (x @ y / len(x) + 1) ** 3


def slow_estimate(real, generated, group):
    """The definition, pair by pair."""
    n, m = len(real), len(generated)
    within = [kernel(real[i], real[j]) for i in range(n) for j in range(n) if group[i] != group[j]]
    between = [kernel(x, y) for x in real for y in generated]
    among = [kernel(generated[i], generated[j]) for i in range(m) for j in range(m) if i != j]
    return np.mean(within) + np.mean(among) - 2 * np.mean(between)


def slow_variance(real, generated, group):
    """Both jackknives, every estimate computed anew."""
    without = [slow_estimate(real[group != each], generated, group[group != each]) for each in np.unique(group)]
    fewer = [slow_estimate(real, np.delete(generated, j, axis=0), group) for j in range(len(generated))]
    return sum((len(each) - 1) * np.var(each) for each in (without, fewer))


def embed(n_real=13, n_generated=7, n_dimensions=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_real, n_dimensions)), rng.normal(0.4, 1.3, size=(n_generated, n_dimensions))


PATIENT = np.array([4, 4, 4, 9, 9, 1, 1, 1, 1, 7, 4, 2, 2])


@pytest.mark.parametrize("patient", [None, PATIENT, PATIENT.astype(str)])
def test_estimate_and_standard_error_are_those_of_their_definitions(patient):
    real, generated = embed()
    group = np.arange(13) if patient is None else patient
    result = kernel_inception_distance(real, generated, patient=patient)
    assert result.estimate == pytest.approx(slow_estimate(real, generated, group))
    assert result.standard_error**2 == pytest.approx(slow_variance(real, generated, group))


def test_a_second_library_agrees():
    metric_kid = pytest.importorskip("torch_fidelity.metric_kid")
    real, generated = embed(11, 11)
    assert kernel_inception_distance(real, generated).estimate == pytest.approx(
        metric_kid.kernel_mmd(real, generated, kid_kernel="poly")
    )


def draw(rng, n_patients, n_images, n_generated=20, n_dimensions=3):
    """Real images, their patients, and new patients' images as generated ones: one distribution."""
    patient = np.repeat(np.arange(n_patients), n_images)
    place = rng.normal(size=(n_patients + n_generated, n_dimensions))
    generated = place[n_patients:] + 0.3 * rng.normal(size=(n_generated, n_dimensions))
    return place[patient] + 0.3 * rng.normal(size=(len(patient), n_dimensions)), generated, patient


def mean_and_error(values):
    return np.mean(values), np.std(values) / np.sqrt(len(values))


def test_images_of_one_distribution_have_a_mean_of_0():
    rng = np.random.default_rng(0)
    studies = [draw(rng, 20, 1)[:2] for _ in range(300)]
    estimates = [kernel_inception_distance(*each).estimate for each in studies]
    mean, error = mean_and_error(estimates)
    assert abs(mean) < 4 * error
    assert 0.3 < np.mean(np.less(estimates, 0)) < 0.8


def test_knowing_the_patients_takes_away_what_their_resemblance_adds():
    rng = np.random.default_rng(1)
    with_patient, without = [], []
    for _ in range(300):
        real, generated, patient = draw(rng, 8, 5)
        with_patient.append(kernel_inception_distance(real, generated, patient=patient).estimate)
        without.append(kernel_inception_distance(real, generated).estimate)
    mean, error = mean_and_error(with_patient)
    assert abs(mean) < 4 * error
    mean, error = mean_and_error(without)
    assert mean > 8 * error


@pytest.mark.parametrize(("shift", "low", "high"), [(0, 1.4, 2.8), (1, 0.8, 1.4)])
def test_squared_standard_error_is_near_the_variance_and_twice_it_under_the_null(shift, low, high):
    rng = np.random.default_rng(2)
    results = []
    for _ in range(300):
        real, generated, patient = draw(rng, 20, 2)
        results.append(kernel_inception_distance(real, generated + shift, patient=patient))
    estimate, standard_error = np.transpose(results)
    assert low < np.mean(standard_error**2) / np.var(estimate) < high


def test_blocks_and_order_play_no_part(monkeypatch):
    real, generated = embed()
    expected = kernel_inception_distance(real, generated, patient=PATIENT)
    order, other = np.random.default_rng(0).permutation(13), np.random.default_rng(0).permutation(7)
    shuffled = kernel_inception_distance(real[order], generated[other], patient=PATIENT[order])
    monkeypatch.setattr(_kid, "_CELLS", 40)  # three rows
    np.testing.assert_allclose(shuffled, expected)
    np.testing.assert_allclose(kernel_inception_distance(real, generated, patient=PATIENT), expected)


def test_patients_of_both_sides_make_them_alike():
    real, generated = embed()
    patient, other = np.arange(13) // 3, np.arange(7) // 2
    one = kernel_inception_distance(real, generated, patient=patient, generated_patient=other)
    swapped = kernel_inception_distance(generated, real, patient=other, generated_patient=patient)
    np.testing.assert_allclose(one, swapped)
    assert one.estimate != kernel_inception_distance(real, generated, patient=patient).estimate


def test_both_sides_are_alike_without_patients():
    real, generated = embed()
    np.testing.assert_allclose(kernel_inception_distance(real, generated), kernel_inception_distance(generated, real))


def test_singles_of_precision_and_routing_play_no_part():
    real, generated = (each.astype(np.float32) for each in embed())
    expected = kernel_inception_distance(real.astype(float), generated.astype(float), patient=PATIENT)
    with sklearn.config_context(enable_metadata_routing=True):
        assert kernel_inception_distance(real, generated, patient=PATIENT) == expected


@pytest.mark.parametrize(("n_real", "n_generated"), [(2, 5), (5, 2)])
def test_the_standard_error_of_a_pair_is_undefined(n_real, n_generated):
    real, generated = embed(n_real, n_generated)
    result = kernel_inception_distance(real, generated)
    assert result.estimate == pytest.approx(slow_estimate(real, generated, np.arange(n_real)))
    assert np.isnan(result.standard_error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generated": np.zeros((7, 4))}, "as many columns, got `real` 3, `generated` 4; embed all images with one"),
        ({"real": np.full((13, 3), np.nan)}, "Input real contains NaN"),
        ({"generated": np.full((7, 3), np.inf)}, "Input generated contains infinity"),
        ({"real": np.zeros(13)}, "Expected 2D array"),
        ({"real": np.zeros((1, 3)), "patient": None}, "at least 2 `real` images, got 1 image; give more"),
        ({"patient": np.zeros(13)}, "at least 2 `real` patients, got 1 patient; give more"),
        ({"generated": np.zeros((1, 3))}, "at least 2 `generated` images, got 1"),
        ({"patient": PATIENT[:5]}, "`patient` has 5 values for 13 samples"),
        ({"patient": [None, *PATIENT[1:]]}, "`patient` is missing for 1 samples"),
    ],
)
def test_errors_say_what_came(change, message):
    real, generated = embed()
    with pytest.raises(ValueError, match=message):
        kernel_inception_distance(**{"real": real, "generated": generated, "patient": PATIENT, **change})
