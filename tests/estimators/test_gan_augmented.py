from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from skorch.callbacks import Callback

from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier
from sklearn_magdg.estimators._gan_augmented import _allot, _filling_up
from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from tests.estimators.kinds import rows_set_aside


class InterruptIn(Callback):
    """A keyboard interrupt as an epoch begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


class RecordingGAN(DCGAN):
    """A DCGAN that keeps what it was fitted on."""

    def fit(self, X, y=None, *, patient=None, magnification=None):
        self.seen_ = X.read(np.arange(len(X))), np.asarray(y), magnification, patient
        return super().fit(X, y, patient=patient, magnification=magnification)


class RecordingCNN(CNNClassifier):
    """A CNNClassifier that keeps what it was fitted on."""

    def fit(self, X, y, *, patient=None, magnification=None, sample_weight=None):
        self.seen_ = len(X), y, patient, magnification, sample_weight
        return super().fit(X, y, patient=patient, magnification=magnification, sample_weight=sample_weight)


def _model(estimator=None, generator=None, **parameters):
    estimator = estimator or RecordingCNN(max_epochs=1)
    generator = generator or RecordingGAN(32, width=2, max_epochs=1)
    return GANAugmentedClassifier(estimator, generator=generator, **{"random_state": 0} | parameters)


def _fit(model, tissue, y=None):
    y = tissue.target if y is None else y
    return model.fit(tissue.data, y, patient=tissue.patient, magnification=tissue.magnification)


def test_generated_rows_have_a_magnification_no_patient_and_the_mean_weight(tissue):
    model = _model(ratio=0.5)
    weight = np.linspace(0.5, 2, 54)
    model.fit(
        tissue.data, tissue.target, patient=tissue.patient, magnification=tissue.magnification, sample_weight=weight
    )
    n, _, patient, magnification, weights = model.estimator_.seen_
    assert n == 54 + model.n_synthetic_ == 81
    assert set(magnification[54:]) == {40, 100, 200}
    generated = Counter(zip(model.estimator_.seen_[1][54:], magnification[54:], strict=True))
    assert generated == model.synthetic_counts_
    assert all(p is None for p in patient[54:])
    np.testing.assert_allclose(weights[54:], weight.mean())


@pytest.mark.parametrize("names", [[0, 1], ["benign", "malignant"], ["9", "10"]])  # of which 9 is first as a number
def test_generator_never_sees_the_patients_of_early_stopping(tissue, names):
    estimator = RecordingCNN(max_epochs=1, early_stopping=True, validation_fraction=0.3)
    labels = np.array(names)[tissue.target]
    model = _fit(_model(estimator), tissue, labels)
    held_back = rows_set_aside(model.estimator_, labels, tissue.patient)
    assert set(model.estimator_.validation_patients_) == set(tissue.patient[held_back])
    assert not set(model.estimator_.validation_patients_) & set(model.generator_.seen_[3])
    assert 0 < held_back.sum() < 54
    assert len(model.generator_.seen_[1]) == (~held_back).sum()
    np.testing.assert_array_equal(model.generator_.seen_[2], tissue.magnification[~held_back])
    _, y, patient, *_ = model.estimator_.seen_
    inner = rows_set_aside(model.estimator_, y, patient)  # what the classifier set aside itself
    np.testing.assert_array_equal(inner[:54], held_back)
    assert not inner[54:].any()


def test_a_generator_that_stops_early_sets_its_own_patients_aside(tissue):
    generator = DCGAN(32, width=2, max_epochs=1, early_stopping=True, validation_fraction=0.4)
    model = _fit(_model(generator=generator), tissue)
    assert 0 < len(model.generator_.validation_patients_) < 6
    assert set(model.generator_.validation_patients_) <= set(tissue.patient)
    n_held_back = np.isin(tissue.patient, model.generator_.validation_patients_).sum()
    assert model.generator_.cell_counts_.sum() == 54 - n_held_back
    n, *_ = model.estimator_.seen_
    assert n == 54 + 54  # the classifier trains on all


@pytest.mark.parametrize("seed", range(4))
def test_cells_that_the_generator_set_aside_are_not_asked_of_it(tissue, seed):
    magnification = tissue.magnification.copy()
    lone = tissue.patient == tissue.patient[0]
    magnification[~lone] = 40
    magnification[lone] = 100  # of its class nobody else has 100X
    generator = DCGAN(32, width=2, max_epochs=1, early_stopping=True, validation_fraction=0.4)
    model = _model(generator=generator, random_state=seed)
    model.fit(tissue.data, tissue.target, patient=tissue.patient, magnification=magnification)
    assert model.n_synthetic_ == 54
    assert set(model.synthetic_counts_) == set(model.generator_.cells_)


def test_early_stopping_without_patients_still_keeps_generated_images_out_of_the_validation_part(tissue):
    model = _model(RecordingCNN(max_epochs=1, early_stopping=True, validation_fraction=0.3))
    with pytest.warns(UserWarning, match="without `patient`"):
        model.fit(tissue.data, tissue.target)
    _, y, patient, *_ = model.estimator_.seen_
    inner = rows_set_aside(model.estimator_, y, patient)
    assert inner[:54].any()
    assert not inner[54:].any()
    assert len(model.generator_.seen_[1]) == 54 - inner.sum()


def test_a_marker_in_the_test_cell_never_reaches_the_generator(tissue):
    """In every fold the images of the test cell are marked white; no generator of that fold sees white."""
    metadata = {"patient": tissue.patient, "magnification": tissue.magnification}
    cv = LeaveOneMagnificationOut(2, magnifications=[100])
    for train, test in cv.split(tissue.data, tissue.target, **metadata):
        images = np.minimum(tissue.data, 200)
        images[test] = 255
        with config_context(enable_metadata_routing=True):
            scores = cross_validate(
                _model(), images, tissue.target, cv=[(train, test)], params=metadata, return_estimator=True
            )
        seen = scores["estimator"][0].generator_.seen_[0]
        assert len(seen) == len(train)
        assert seen.max() < 235  # resampling overshoots 200 a little


def test_a_generator_without_magnifications_cannot_serve_where_they_are_given(tissue):
    generator = DCGAN(32, width=2, max_epochs=1, random_state=0).fit(tissue.data, tissue.target)
    with pytest.raises(ValueError, match="was fitted without `magnification`"):
        _fit(_model(generator=FrozenEstimator(generator)), tissue)


def test_real_and_generated_images_have_the_generators_size(tissue):
    model = _fit(_model(), tissue)
    assert model.estimator_.input_shape_ == (32, 32, 3)
    assert model.generator_.seen_[0].shape == (54, 32, 32, 3)


def test_ratio_zero_is_the_plain_estimator_at_the_generators_size(tissue):
    model = _fit(_model(ratio=0.0), tissue)
    assert model.generator_ is None
    assert model.n_synthetic_ == 0
    seed = model.estimator_.random_state
    plain = CNNClassifier(max_epochs=1, image_size=32, random_state=seed).fit(tissue.data, tissue.target)
    np.testing.assert_array_equal(model.predict_proba(tissue.data), plain.predict_proba(tissue.data))


def test_a_frozen_generator_is_used_as_it_is(tissue):
    generator = DCGAN(32, width=2, max_epochs=1, random_state=0)
    generator.fit(tissue.data, tissue.target, magnification=tissue.magnification)
    before = generator.module_["generator"].state_dict()["project.weight"].clone()
    model = _fit(_model(generator=FrozenEstimator(generator)), tissue)
    after = model.generator_.module_["generator"].state_dict()["project.weight"]
    assert (before == after).all()
    assert model.n_synthetic_ == 54


def test_a_plain_generator_is_a_clone_and_stays_unfitted(tissue):
    generator = DCGAN(32, width=2, max_epochs=1)
    model = _fit(_model(generator=generator), tissue)
    assert not hasattr(generator, "module_")
    assert model.generator_ is not generator


def test_gradient_reversal_learns_from_generated_magnifications(tissue):
    model = _fit(_model(GradientReversalClassifier(max_epochs=1)), tissue)
    assert model.estimator_.magnifications_ == [40, 100, 200]
    assert model.history_[0]["domain_chance"] == pytest.approx(1 / 3)


def test_paths_are_joined_with_generated_images(tissue, tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(54)]
    for image, path in zip(tissue.data, paths, strict=True):
        Image.fromarray(image).save(path)
    # The inner size is another one: real images must pass the generator's size on their way there.
    model = _model(CNNClassifier(max_epochs=1, image_size=24))
    by_path = clone(model).fit(paths, tissue.target, magnification=tissue.magnification)
    by_array = clone(model).fit(tissue.data, tissue.target, magnification=tissue.magnification)
    np.testing.assert_array_equal(by_path.predict_proba(paths), by_array.predict_proba(tissue.data))


def test_grid_search_tunes_ratio_and_the_inner_estimator(tissue):
    grid = {"ratio": [0.0, 0.5], "estimator__lr": [1e-3, 1e-2]}
    search = GridSearchCV(_model(CNNClassifier(max_epochs=1), DCGAN(32, width=2, max_epochs=1)), grid, cv=2)
    search.fit(tissue.data, tissue.target)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_an_interrupt_keeps_the_completed_epochs_of_the_classifier(tissue):
    model = _model(CNNClassifier(max_epochs=4, callbacks=[InterruptIn(3)]))
    with pytest.raises(KeyboardInterrupt):
        _fit(model, tissue)
    shorter = _fit(_model(CNNClassifier(max_epochs=2)), tissue)
    np.testing.assert_array_equal(model.predict_proba(tissue.data), shorter.predict_proba(tissue.data))
    assert len(model.history_) == 2
    assert model.n_synthetic_ == 54
    assert model.generator_.sample(3)[0].shape == (3, 32, 32, 3)


@pytest.mark.parametrize("where", ["generator", "first epoch"])
def test_an_interrupt_before_the_first_epoch_is_over_leaves_the_fit_before(where, tissue, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    model = _fit(_model(CNNClassifier(max_epochs=1)), tissue)
    before = dict(vars(model))
    if where == "generator":
        monkeypatch.setattr(RecordingGAN, "fit", interrupt)
    else:
        monkeypatch.setattr(CNNClassifier, "_start_module", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _fit(model, tissue)
    assert vars(model) == before


def test_an_inner_checkpoint_goes_on_and_needs_the_seed_of_the_whole(tissue, tmp_path):
    inner = CNNClassifier(max_epochs=4, checkpoint=tmp_path)
    whole = _fit(_model(CNNClassifier(max_epochs=4)), tissue).predict_proba(tissue.data)
    with pytest.raises(KeyboardInterrupt):
        _fit(_model(clone(inner).set_params(callbacks=[InterruptIn(3)])), tissue)
    assert len(list(tmp_path.iterdir())) == 1
    model = _fit(_model(inner), tissue)
    np.testing.assert_array_equal(model.predict_proba(tissue.data), whole)
    assert not list(tmp_path.iterdir())
    for random_state in (None, np.random.RandomState(0)):
        with pytest.raises(ValueError, match="needs an int as `random_state` of GANAugmentedClassifier, got"):
            _fit(_model(inner, random_state=random_state), tissue)


def test_an_inner_warm_start_is_refused(tissue):
    with pytest.raises(ValueError, match="warm_start=True of `estimator` would do nothing"):
        _fit(_model(CNNClassifier(warm_start=True)), tissue)


def _rows(counts):
    """(class, magnification) of every row of a training set with these cells."""
    return [cell for cell, n in counts.items() for _ in range(n)]


def test_allotment_follows_the_cells_or_fills_up_the_rare_ones():
    counts = {(0, 40): 6, (0, 100): 2, (1, 40): 3}
    assert _allot(_rows(counts), 11, balance=False) == counts
    assert _allot(_rows(counts), 22, balance=False) == {cell: 2 * n for cell, n in counts.items()}
    filled = _allot(_rows(counts), 7, balance=True)
    assert {cell: counts[cell] + filled.get(cell, 0) for cell in counts} == {(0, 40): 6, (0, 100): 6, (1, 40): 6}
    assert sum(_allot(_rows(counts), 5, balance=False).values()) == 5


def test_filling_up_reaches_one_level_and_no_more():
    np.testing.assert_allclose(_filling_up(np.array([5.0, 1.0, 2.0]), 3), [0, 2, 1])
    np.testing.assert_allclose(_filling_up(np.array([5.0, 1.0]), 10), [3, 7])


def test_a_negative_ratio_and_an_unconditional_generator_are_refused(tissue):
    with pytest.raises(ValueError, match="'ratio' parameter"):
        _fit(_model(ratio=-0.1), tissue)
    with pytest.raises(ValueError, match=r"use DCGAN\(conditional=True\)"):
        _fit(_model(generator=DCGAN(32, width=2, max_epochs=1, conditional=False)), tissue)


def test_more_samples_than_fit_into_memory_are_refused_before_the_generator_is_fitted(tissue, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("the generator was fitted")

    monkeypatch.setattr(RecordingGAN, "fit", never)
    with pytest.raises(ValueError, match=r"`ratio`=1e\+09 asks for 54,000,000,000 generated samples .* lower it"):
        _fit(_model(ratio=1e9), tissue)


def test_images_that_are_not_square_or_too_small_are_refused(tissue):
    for X, message in (
        (tissue.data[:, :, :30], "must be square here, got 32 x 30"),
        (tissue.data[:, :20, :20], "20 x 20"),
    ):
        with pytest.raises(ValueError, match=message):
            _model().fit(X, tissue.target)
        with pytest.raises(ValueError, match=message):
            _fit(_model(), tissue).predict(X)


def test_a_frozen_generator_that_cannot_serve_is_refused(tissue):
    features = tissue.data.reshape(54, -1)[:, :5].astype(float)
    fitted = DCGAN(32, width=2, latent_dim=4, max_epochs=1, random_state=0).fit(features, tissue.target)
    for frozen, X, error, message in (
        (LogisticRegression(), features, ValueError, "`generator` must be a DCGAN, alone or in FrozenEstimator"),
        (DCGAN(32), features, NotFittedError, "not fitted yet"),
        (fitted, tissue.data, ValueError, r"fitted on inputs of shape \(5,\), got \(32, 32, 3\); fit it on the same"),
        (fitted, features[:, :3], ValueError, r"fitted on inputs of shape \(5,\), got \(3,\)"),
    ):
        with pytest.raises(error, match=message):
            _model(generator=FrozenEstimator(frozen)).fit(X, tissue.target)
    with pytest.raises(ValueError, match="`y` holds 2, which was not in the training set: 0, 1"):
        _model(generator=FrozenEstimator(fitted)).fit(features, tissue.target + 1)
