"""What every classifier promises of a fit, on images, on paths and on features."""

import pickle
import random

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from sklearn_magdg.estimators import DCGAN, GANAugmentedClassifier
from tests.estimators.kinds import CLASSIFIERS, every_classifier, every_kind, fit, with_parameters

every_net = pytest.mark.parametrize("model", CLASSIFIERS[:2], ids=lambda model: type(model).__name__)


def _assert_same_fit(first, second, X):
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


# --- what decides a fit ---


def _global_states():
    return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002


def _disturb():
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the legacy generator is the point
    random.seed(99)


@every_kind
@every_classifier
def test_the_seed_alone_decides_a_fit_and_the_global_generators_stay_as_they_were(model, kind, tissue, inputs):
    first = fit(model, inputs[kind], tissue)
    _disturb()
    before = _global_states()
    second = fit(model, inputs[kind], tissue)
    assert _global_states() == before
    _assert_same_fit(first, second, inputs[kind])


@every_classifier
def test_a_failing_fit_leaves_the_global_generators_as_they_were(model, tissue, inputs):
    before = _global_states()
    with pytest.raises(ValueError, match="lower `lr`"):
        fit(with_parameters(model, lr=1e30, max_epochs=50), inputs["features"], tissue)
    assert _global_states() == before


@pytest.mark.parametrize("seed", [1, np.random.RandomState(1), None])
@every_classifier
def test_another_seed_gives_another_net(model, seed, tissue, inputs):
    first, other = (fit(each, tissue.data, tissue) for each in (model, clone(model).set_params(random_state=seed)))
    assert not np.array_equal(first.predict_proba(tissue.data), other.predict_proba(tissue.data))


@every_classifier
def test_a_generator_as_seed_moves_on_from_fit_to_fit(model, tissue, inputs):
    X = inputs["features"]
    runs = []
    for _ in range(2):
        once = clone(model).set_params(random_state=np.random.RandomState(3))
        arguments = {"y": tissue.target, "magnification": tissue.magnification}
        runs.append([once.fit(X, **arguments).predict_proba(X) for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(*runs[0])


@every_classifier
def test_a_refit_equals_a_fresh_fit_whatever_kind_came_before(model, tissue, inputs):
    used = clone(model)
    for kind in ("images", "features", "paths", "images"):
        X = inputs[kind]
        used.fit(X, tissue.target, magnification=tissue.magnification)
        fresh = clone(model).fit(X, tissue.target, magnification=tissue.magnification)
        _assert_same_fit(used, fresh, X)
        assert set(vars(used)) == set(vars(fresh))


@every_classifier
def test_changed_parameters_decide_the_next_fit(model, tissue, inputs):
    used = fit(model, inputs["features"], tissue)
    fresh = with_parameters(model, max_epochs=1, lr=0.01)
    used.set_params(**fresh.get_params(deep=False))
    used.fit(inputs["features"], tissue.target, magnification=tissue.magnification)
    fresh.fit(inputs["features"], tissue.target, magnification=tissue.magnification)
    _assert_same_fit(used, fresh, inputs["features"])


@every_kind
@every_classifier
def test_a_stored_model_predicts_the_same(model, kind, tissue, inputs, tmp_path):
    fitted = fit(model, inputs[kind], tissue)
    joblib.dump(fitted, tmp_path / "model.joblib")
    for again in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib")):
        _assert_same_fit(fitted, again, inputs[kind])


@pytest.mark.slow
def test_a_model_fits_and_predicts_in_another_process_as_in_this_one(tissue, inputs):
    X = inputs["images"]
    models = [with_parameters(model, n_jobs=1) for model in CLASSIFIERS]
    models[2].set_params(generator__n_jobs=1)
    here = [fit(model, X, tissue) for model in models]
    work = [joblib.delayed(fit)(model, X, tissue) for model in models]
    work += [joblib.delayed(model.predict_proba)(X) for model in here]
    there = joblib.Parallel(n_jobs=2)(work)
    for fitted, again, proba in zip(here, there[:3], there[3:], strict=True):
        np.testing.assert_array_equal(fitted.predict_proba(X), proba)
        np.testing.assert_array_equal(again.predict_proba(X), proba)


@every_classifier
def test_threads_change_a_prediction_by_no_more_than_rounding(model, tissue, inputs):
    fitted = fit(model, inputs["paths"], tissue)
    one, two = (
        getattr(fitted, "estimator_", fitted).set_params(n_jobs=n) and fitted.predict_proba(inputs["paths"])
        for n in (1, 2)
    )
    np.testing.assert_allclose(one, two, atol=1e-5)


# --- labels ---


@pytest.mark.parametrize(
    ("names", "make"),
    [
        (["a", "b"], np.array),
        (["b", "c", "a"], np.array),
        (["b", "c", "a"], lambda y: np.array(y, dtype=object)),
        ([True, False], np.array),
        ([True, False], lambda y: np.array(y, dtype=object)),
        ([7, -1, 3], lambda y: np.array(y, dtype=object)),
        ([7, -1, 3], lambda y: pd.Series(y, index=range(90, 90 + len(y)))),
        ([0.0, 2.0], list),
        (["b", "a"], lambda y: pd.Series(y, dtype="category")),
        (["b", "a"], lambda y: pd.Series(y, dtype="string")),
        (["b", "a"], pl.Series),
    ],
)
def test_labels_of_every_type_are_coded_and_decoded(names, make, tissue, inputs):
    X = inputs["features"]
    y = [names[row % len(names)] for row in range(len(X))]
    fitted = fit(CLASSIFIERS[0], X, tissue, y=make(y))
    assert fitted.classes_.tolist() == sorted(names)
    coded = fit(CLASSIFIERS[0], X, tissue, y=[sorted(names).index(name) for name in y])
    np.testing.assert_array_equal(fitted.predict_proba(X), coded.predict_proba(X))
    assert fitted.predict(X).tolist() == [sorted(names)[code] for code in coded.predict(X)]


@every_kind
@every_classifier
def test_labels_are_decoded_whatever_the_kind(model, kind, tissue, inputs):
    y = np.array(["b", "a", "c"])[np.arange(54) % 3]
    fitted = fit(model, inputs[kind], tissue, y=y)
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    coded = fit(model, inputs[kind], tissue, y=np.unique(y, return_inverse=True)[1])
    np.testing.assert_array_equal(fitted.predict_proba(inputs[kind]), coded.predict_proba(inputs[kind]))
    np.testing.assert_array_equal(fitted.predict(inputs[kind]), fitted.classes_[coded.predict(inputs[kind])])


@every_kind
@every_classifier
def test_one_sample_of_each_class_is_enough(model, kind, tissue, inputs):
    rows = [0, 53, 20]
    X = [inputs[kind][row] for row in rows]
    if isinstance(model, GANAugmentedClassifier):  # whose generator could only repeat it
        with pytest.raises(ValueError, match="DCGAN needs at least 2 images of each class"):
            clone(model).fit(X, ["b", "a", "c"])
        return
    fitted = clone(model).fit(X, ["b", "a", "c"], magnification=tissue.magnification[rows])
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)


# --- containers and memory layouts ---


@pytest.mark.parametrize(
    "container",
    [
        tuple,
        lambda paths: [str(path) for path in paths],
        lambda paths: np.array([str(path) for path in paths]),
        lambda paths: np.array(paths, dtype=object),
        lambda paths: np.array(paths, dtype=object)[:, None],
        lambda paths: pd.Series(paths, index=range(7, 7 + len(paths))[::-1]),
        lambda paths: pd.DataFrame({"path": paths}, index=range(7, 7 + len(paths))[::-1]),
        lambda paths: pl.Series([str(path) for path in paths]),
        lambda paths: pl.DataFrame({"path": [str(path) for path in paths]}),
    ],
    ids=["tuple", "str", "str array", "object array", "column", "Series", "DataFrame", "polars", "polars frame"],
)
def test_paths_in_every_container_give_the_same_fit(container, tissue, inputs):
    fitted = fit(CLASSIFIERS[0], inputs["paths"], tissue)
    again = fit(CLASSIFIERS[0], container(inputs["paths"]), tissue)
    np.testing.assert_array_equal(again.predict_proba(container(inputs["paths"])), fitted.predict_proba(tissue.data))


def _mapped(array, folder):
    np.save(folder / "array.npy", array)
    return np.load(folder / "array.npy", mmap_mode="r")


def _locked(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "strided": lambda array, folder: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda array, folder: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "Fortran": lambda array, folder: np.asfortranarray(array),
    "read-only": lambda array, folder: _locked(array),
    "mapped": _mapped,
    "list": lambda array, folder: list(array),
    "object": lambda array, folder: pd.Series(list(array)).to_numpy() if array.ndim == 4 else array.astype(object),
}


@pytest.mark.parametrize("kind", ["images", "features"])
@pytest.mark.parametrize("layout", LAYOUTS)
@every_classifier
def test_the_layout_in_memory_changes_nothing(model, kind, layout, tissue, inputs, tmp_path):
    X = inputs[kind]
    other = LAYOUTS[layout](X, tmp_path)
    fitted, again = fit(model, X, tissue), fit(model, other, tissue)
    np.testing.assert_array_equal(fitted.predict_proba(X), again.predict_proba(other))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", ">f8"])
@every_classifier
def test_floats_of_8_bit_values_are_these_values(model, dtype, tissue):
    images = (tissue.data / 255).astype(dtype)
    fitted, again = fit(model, tissue.data, tissue), fit(model, images, tissue)
    np.testing.assert_array_equal(fitted.predict_proba(tissue.data), again.predict_proba(images))


@every_classifier
def test_features_of_either_byte_order_and_integers_are_taken_by_their_value(model, tissue, inputs):
    X = inputs["features"]
    expected = fit(model, X, tissue).predict_proba(X)
    for dtype in (">f8", ">f4", "f4", "i8", "u1"):
        again = fit(model, X.astype(dtype), tissue)
        np.testing.assert_array_equal(again.predict_proba(X.astype(dtype)), expected)


@every_classifier
def test_names_of_features_are_kept_and_asked_for(model, tissue, inputs):
    frame = pd.DataFrame(inputs["features"], columns=list("abcde"))
    fitted = fit(model, frame, tissue)
    assert fitted.feature_names_in_.tolist() == list("abcde")
    assert fitted.n_features_in_ == 5
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame[list("edcba")])


# --- prediction ---


@every_kind
@every_classifier
def test_a_row_is_predicted_alike_alone_and_in_any_order(model, kind, tissue, inputs):
    X = inputs[kind]
    fitted = fit(model, X, tissue)
    expected = fitted.predict_proba(X)
    order = np.random.default_rng(0).permutation(54)
    np.testing.assert_allclose(fitted.predict_proba([X[row] for row in order]), expected[order], atol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(X[7:8]), expected[7:8], atol=1e-5)


@every_classifier
def test_images_of_a_magnification_left_out_of_training_are_predicted(model, tissue):
    seen = tissue.magnification != 200
    fitted = clone(model).fit(tissue.data[seen], tissue.target[seen], magnification=tissue.magnification[seen])
    assert fitted.predict(tissue.data[~seen]).shape == (18,)


# --- batches ---


class Batches(Callback):
    """Keeps the number of rows of every training batch."""

    def __init__(self):
        self.sizes = []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            self.sizes.append(len(batch[0]))


@pytest.mark.parametrize("trainable", ["all", "last_block", "head"])
@every_net
def test_a_last_sample_alone_joins_the_batch_before(model, trainable, tissue):
    rows = [0, 53, 1, 52, 2, 51, 3]
    batches = Batches()
    model = clone(model).set_params(trainable=trainable, batch_size=3, callbacks=[batches])
    with np.errstate(all="raise"):
        fitted = model.fit(tissue.data[rows], tissue.target[rows], magnification=[40, 100, 40, 100, 40, 100, 40])
    assert min(batches.sizes) > 1
    assert np.isfinite(fitted.predict_proba(tissue.data[rows])).all()


@every_kind
@every_classifier
def test_a_batch_may_be_larger_than_the_data(model, kind, tissue, inputs):
    large, exact = (fit(with_parameters(model, batch_size=size), inputs[kind], tissue) for size in (1000, 81))
    np.testing.assert_allclose(large.predict_proba(inputs[kind]), exact.predict_proba(inputs[kind]), atol=1e-5)


# --- early stopping and going on ---


@pytest.mark.parametrize(
    "missing",
    [
        lambda patient: [None, *patient[1:]],
        lambda patient: [np.nan, *patient[1:]],
        lambda patient: np.array([pd.NA, *patient[1:]], dtype=object),
        lambda patient: pd.Series([None, *patient[1:]], dtype="string"),
    ],
    ids=["None", "NaN", "NA", "string"],
)
@every_classifier
def test_a_missing_patient_is_trained_on_however_it_is_written(model, missing, tissue, inputs):
    model = with_parameters(model, early_stopping=True, validation_fraction=0.3)
    X = inputs["features"]
    row_of_another = np.array(["nobody", *tissue.patient[1:]])
    fitted = fit(model, X, tissue, patient=missing(tissue.patient))
    aside = getattr(fitted, "estimator_", fitted).validation_patients_
    assert set(aside) < set(tissue.patient)
    again = fit(model, X, tissue, patient=missing(row_of_another))
    np.testing.assert_array_equal(fitted.predict_proba(X), again.predict_proba(X))


class Weights(Callback):
    """Keeps the net's weights at the start and at the end of every training, and counts the epochs."""

    def __init__(self):
        self.starts, self.ends, self.n_epochs = [], [], 0

    def on_train_begin(self, net, **kwargs):
        self.starts.append(_weights(net))

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1

    def on_train_end(self, net, **kwargs):
        self.ends.append(_weights(net))


def _weights(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.module_.parameters()]).numpy().copy()


@every_kind
@every_net
def test_warm_fits_of_one_epoch_go_on_from_each_other(model, kind, tissue, inputs):
    model = clone(model).set_params(max_epochs=1, warm_start=True, callbacks=[Weights()])
    for _ in range(3):
        model.fit(inputs[kind], tissue.target, magnification=tissue.magnification)
    kept = model.callbacks[0]
    assert kept.n_epochs == 3
    np.testing.assert_array_equal(kept.starts[1:], kept.ends[:-1])
    assert not np.array_equal(kept.starts[0], kept.starts[1])
    assert len(model.history_) == 1


def test_the_generator_keeps_the_same_promises(tissue, inputs):
    gan = DCGAN(32, width=2, latent_dim=4, max_epochs=1, random_state=0)
    for kind in ("images", "features", "paths"):
        _disturb()
        before = _global_states()
        gan.fit(inputs[kind], tissue.target)
        assert _global_states() == before
        fresh = clone(gan).fit(inputs[kind], tissue.target)
        np.testing.assert_array_equal(gan.sample(7, random_state=0)[0], fresh.sample(7, random_state=0)[0])
        assert set(vars(gan)) == set(vars(fresh))
