import sys

import numpy as np
import pytest
from scipy.linalg import sqrtm

from sklearn_magdg.metrics import frechet_inception_distance, kernel_inception_distance


def closed_form(real, generated):
    first, second = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    return shift @ shift + np.trace(first + second - 2 * sqrtm(first @ second).real)


@pytest.fixture
def torch_fidelity():
    return pytest.importorskip("torch_fidelity")


@pytest.mark.usefixtures("torch_fidelity")
def test_the_distance_is_that_of_two_gaussians():
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(31, 5)), rng.normal(0.3, 2, size=(23, 5)) @ rng.normal(size=(5, 5))
    distance = frechet_inception_distance(real, generated)
    assert isinstance(distance, float)
    assert distance == pytest.approx(closed_form(real, generated))
    assert distance == pytest.approx(frechet_inception_distance(generated, real))


@pytest.mark.usefixtures("torch_fidelity")
def test_copies_are_at_0_and_a_shift_at_its_square():
    real = np.random.default_rng(0).normal(size=(31, 5)).astype(np.float32)
    assert frechet_inception_distance(real, real[::-1]) == pytest.approx(0, abs=1e-6)
    assert frechet_inception_distance(real, real + 2) == pytest.approx(20, rel=1e-5)


@pytest.mark.usefixtures("torch_fidelity")
def test_few_images_of_one_distribution_are_far_apart_where_the_kernel_distance_is_not():
    rng = np.random.default_rng(0)
    means = []
    for n in (25, 100, 400):
        pairs = rng.normal(size=(20, 2, n, 10))
        distances = [frechet_inception_distance(*each) for each in pairs]
        kernel_distances = [kernel_inception_distance(*each).estimate for each in pairs]
        assert min(distances) > 0.05
        assert 3 <= np.sum(np.less(kernel_distances, 0)) <= 17
        means.append(np.mean(distances))
    assert means[0] > 3 * means[1] > 9 * means[2]


@pytest.mark.usefixtures("torch_fidelity")
@pytest.mark.parametrize(("n_real", "n_generated"), [(7, 30), (30, 7)])
def test_a_singular_covariance_is_warned_of(n_real, n_generated):
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(n_real, 7)), rng.normal(size=(n_generated, 7))
    with pytest.warns(
        UserWarning, match=f"got {n_real} real and {n_generated} generated rows of 7 columns: .* singular"
    ):
        assert frechet_inception_distance(real, generated) > 0


def test_without_torch_fidelity_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setitem(sys.modules, "torch_fidelity.metric_fid", None)
    with pytest.raises(ImportError, match=r"frechet_inception_distance needs torch-fidelity: .*sklearn-magdg\[fid\]"):
        frechet_inception_distance(*np.random.default_rng(0).normal(size=(2, 9, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generated": np.zeros((9, 4))}, "as many columns, got `real` 3, `generated` 4"),
        ({"real": np.full((9, 3), np.nan)}, "Input real contains NaN"),
        ({"real": np.zeros((1, 3))}, r"at least 2 rows and 2 columns .* got `real` of shape \(1, 3\)"),
        ({"real": np.zeros((9, 1)), "generated": np.zeros((9, 1))}, "at least 2 rows and 2 columns"),
    ],
)
def test_errors_say_what_came(change, message):
    real, generated = np.random.default_rng(0).normal(size=(2, 9, 3))
    with pytest.raises(ValueError, match=message):
        frechet_inception_distance(**{"real": real, "generated": generated, **change})
