"""Bad input gets one clear sentence, in fit and in predict, and leaves every estimator as it was."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from skorch.callbacks import Callback

from sklearn_magdg.estimators import DCGAN
from tests.estimators.kinds import CLASSIFIERS, every_classifier, every_kind, fit, with_parameters


class Trained(Callback):
    """Keeps the nets of all trainings, those of its clones too."""

    nets = []

    def on_train_begin(self, net, **kwargs):
        self.nets.append(net)


@pytest.fixture(scope="module")
def fitted(tissue, inputs):
    """A fitted model by class and kind of X; whoever changes one copies it first."""
    models = {(type(model), kind): fit(model, inputs[kind], tissue) for model in CLASSIFIERS for kind in inputs}
    return lambda model, kind: models[type(model), kind]


def _assert_refused(model, X, y, message, error=ValueError, **metadata):
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(X, y, **metadata)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def _with(images, value):
    images = images / 255
    images[3, 2, 1, 0] = value
    return images


BAD_IMAGES = {
    "NaN": (lambda X: _with(X, np.nan), "NaN or infinite values stand in 1 image, the first at position 3; repair"),
    "infinite": (lambda X: _with(X, np.inf), "infinite values stand in 1 image, the first at position 3"),
    "above 1": (lambda X: _with(X, 1.5), r"float in \[0, 1\], got float64 from 0.0\d+ to 1.5; .*`X / 255`"),
    "below 0": (lambda X: _with(X, -0.5), r"float in \[0, 1\], got float64 from -0.5 to 1; bring all to \[0, 1\]"),
    "integers": (lambda X: X.astype(np.int64), r"got int64; cast them: `X.astype\('uint8'\)`"),
    "16 bits": (lambda X: X * np.uint16(257), r"got uint16; bring all, now \d+ to 65535, to \[0, 1\] .*`X / 65535`"),
    "negative": (lambda X: X.astype(np.int16) - 100, r"got int16; bring all, now -\d+ to 155"),
    "complex": (lambda X: X.astype(complex), "uint8, or float .*, got complex128; convert them first"),
    "objects": (lambda X: X.astype(object), "uint8, or float .*, got object; convert them first"),
    "grey": (lambda X: X[..., :1], r"\(n, height, width, 3\), got \(54, 32, 32, 1\); bring greyscale .* to RGB"),
    "transparent": (lambda X: X[..., [0, 1, 2, 0]], r"got \(54, 32, 32, 4\); bring greyscale or transparent"),
    "channels first": (lambda X: np.moveaxis(X, -1, 1), r"got \(54, 3, 32, 32\); move the channels last: .*moveaxis"),
    "no pixel": (lambda X: X[:, :0], r"at least one pixel, got an array of shape \(54, 0, 32, 3\)"),
    "no image": (lambda X: X[:0], "holds no image: give at least one"),
    "empty list": (lambda X: [], "Expected 2D array, got 1D array instead"),
    "0-D": (lambda X: X[0, 0, 0, 0], "Expected 2D array, got scalar array"),
    "1-D": (lambda X: X[:, 0, 0, 0], "Expected 2D array, got 1D array"),
    "3-D": (lambda X: X[..., 0], r"X has the shape \(54, 32, 32\); images need \(n, height, width, 3\)"),
    "one image": (lambda X: X[0], r"X has the shape \(32, 32, 3\); .* one image `X\[None\]`"),
    "5-D": (lambda X: X[None], r"X has the shape \(1, 54, 32, 32, 3\); images need"),
    "list of grey": (lambda X: list(X[..., 0]), r"X has the shape \(54, 32, 32\); images need"),
    "sizes": (lambda X: [*X[:-1], X[0, :9]], r"several shapes, \(9, 32, 3\), \(32, 32, 3\); bring them to one"),
    "sizes in objects": (lambda X: pd.Series([*X[:-1], X[0, :9]]).to_numpy(), r"several shapes, \(9, 32, 3\)"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
@every_classifier
def test_bad_images_are_refused_by_fit_and_predict(model, case, tissue, fitted):
    make, message = BAD_IMAGES[case]
    bad, y = make(tissue.data), tissue.target
    for each in (copy.deepcopy(model), copy.deepcopy(fitted(model, "images"))):
        _assert_refused(each, bad, y, message)
    with pytest.raises(ValueError, match=message):
        fitted(model, "images").predict(bad)


def _cell(X, value, dtype=float):
    X = X.astype(dtype)
    X[3, 2] = value
    return X


BAD_FEATURES = {
    "NaN": (lambda X: _cell(X, np.nan), ValueError, "Input X contains NaN"),
    "infinite": (lambda X: _cell(X, np.inf), ValueError, "Input X contains infinity"),
    "complex": (lambda X: X.astype(complex), ValueError, "Complex data not supported"),
    "text": (lambda X: _cell(X, "a", object), ValueError, "could not convert string to float: 'a'"),
    "sparse": (scipy.sparse.csr_array, TypeError, "Sparse data was passed for X, but dense data is required"),
    "no row": (lambda X: X[:0], ValueError, r"0 sample\(s\)"),
    "no column": (lambda X: X[:, :0], ValueError, r"0 feature\(s\)"),
}


@pytest.mark.parametrize("case", BAD_FEATURES)
@every_classifier
def test_bad_features_are_refused_by_fit_and_predict(model, case, tissue, inputs, fitted):
    make, error, message = BAD_FEATURES[case]
    bad, y = make(inputs["features"]), tissue.target
    for each in (copy.deepcopy(model), copy.deepcopy(fitted(model, "features"))):
        _assert_refused(each, bad, y, message, error)
    with pytest.raises(error, match=message):
        fitted(model, "features").predict(bad)


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory):
    """A folder, a text file and an empty one."""
    folder = tmp_path_factory.mktemp("odd")
    for name, content in (("text.png", "a text"), ("empty.png", "")):
        (folder / name).write_text(content)
    return {"folder": folder, "text": folder / "text.png", "empty": folder / "empty.png"}


BAD_PATHS = {
    "missing": (lambda paths, odd: [*paths[:-1], "nowhere.png"], FileNotFoundError, "no image file 'nowhere.png'"),
    "blank": (lambda paths, odd: [*paths[:-1], ""], FileNotFoundError, "no image file ''"),
    "labels": (lambda paths, odd: ["benign", "malignant"] * 27, FileNotFoundError, "no image file 'benign'"),
    "folder": (lambda paths, odd: [*paths[:-1], odd["folder"]], ValueError, "it is no regular file"),
    "text": (lambda paths, odd: [*paths[:-1], odd["text"]], ValueError, "text.png' as an image .*does not begin as"),
    "empty": (lambda paths, odd: [*paths[:-1], odd["empty"]], ValueError, "empty.png' as an image"),
    "mixed": (lambda paths, odd: [*paths[:-1], 3], ValueError, "mixes image paths and other things .position 53 is 3"),
    "one path": (lambda paths, odd: paths[0], ValueError, r"X is one path, .*0.png'; give a list of paths: \[X\]"),
    "one text": (lambda paths, odd: str(paths[0]), ValueError, r"X is one path, .*0.png'"),
}


@pytest.mark.parametrize("case", BAD_PATHS)
@every_classifier
def test_bad_paths_are_refused_before_the_training_begins(model, case, tissue, inputs, odd_files, fitted):
    make, error, message = BAD_PATHS[case]
    bad = make(inputs["paths"], odd_files)
    model = with_parameters(model, callbacks=[Trained()])
    Trained.nets.clear()
    for each in (model, copy.deepcopy(fitted(model, "paths"))):
        _assert_refused(each, bad, tissue.target, message, error)
    assert not Trained.nets
    with pytest.raises(error, match=message):
        fitted(model, "paths").predict(bad)


BAD_ROWS = {
    "one class": ({"y": np.zeros(54)}, "at least 2 classes, got 1 class: 0.0; add images of another class"),
    "no labels": ({"y": None}, "requires y to be passed, but the target y is None"),
    "short y": ({"y": np.arange(53) % 2}, r"inconsistent numbers of samples: \[54, 53\]"),
    "2-D y": ({"y": np.zeros((54, 2))}, r"should be a 1d array, got an array of shape \(54, 2\)"),
    "continuous y": ({"y": np.linspace(0, 1, 54)}, "Unknown label type: continuous"),
    "missing y": ({"y": [None, *"ab" * 26, "a"]}, r"`y` is missing for 1 samples .the first at position 0"),
    "NaN in y": ({"y": [np.nan, *[0, 1] * 26, 0]}, "Input y contains NaN"),
    "mixed y": ({"y": np.array([0, *"ab" * 26, "a"], dtype=object)}, "`y` mixes text .* and numbers"),
    "spaces in y": ({"y": ["a ", *"ab" * 26, "a"]}, "`y` has names that differ by white space only"),
    "short magnification": ({"magnification": [40] * 5}, "`magnification` has 5 values for 54 samples"),
    "missing magnification": (
        {"magnification": [40.0] * 53 + [np.nan]},
        r"`magnification` is missing for 1 samples .the first at position 53",
    ),
    "2-D magnification": ({"magnification": np.full((54, 2), 40)}, "`magnification` must hold one value per sample"),
    "two spellings": ({"magnification": ["40", "40X"] * 27}, "spells one magnification in several ways"),
    "short patient": ({"patient": ["a"] * 5}, "`patient` has 5 values for 54 samples"),
    "2-D patient": ({"patient": np.zeros((54, 2))}, "`patient` must hold one value per sample"),
    "short weights": ({"sample_weight": [1.0] * 5}, r"sample_weight.shape == \(5,\), expected \(54,\)"),
    "2-D weights": ({"sample_weight": np.ones((54, 2))}, "Sample weights must be 1D array"),
    "NaN in weights": ({"sample_weight": [np.nan] + [1.0] * 53}, "Input sample_weight contains NaN"),
    "negative weights": ({"sample_weight": [-1.0] + [1.0] * 53}, "Negative values in data passed to `sample_weight`"),
    "no weight": ({"sample_weight": np.zeros(54)}, "at least one non-zero number"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
@every_kind
@every_classifier
def test_bad_labels_metadata_and_weights_are_refused(model, kind, case, tissue, inputs, fitted):
    change, message = BAD_ROWS[case]
    arguments = {"y": tissue.target, "patient": tissue.patient, "magnification": tissue.magnification} | change
    other = inputs["features" if kind == "images" else "images"]
    for each in (copy.deepcopy(model), copy.deepcopy(fitted(model, kind))):
        for X in (inputs[kind], other):  # a failing fit on another kind must not change what predict takes
            _assert_refused(each, X, message=message, **arguments)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 1.0, 1: -1.0}, "`class_weight` must hold finite numbers of at least 0"),
        ({0: 1.0, 1: np.nan}, "`class_weight` must hold finite numbers of at least 0"),
        ({0: 0.0, 1: 0.0}, "`sample_weight` times `class_weight` .* is 0 for every sample"),
        ({2: 1.0, 3: 1.0}, r"The classes, \[0, 1\], are not in class_weight"),
    ],
)
@every_classifier
def test_bad_class_weights_are_refused(model, class_weight, message, tissue, inputs):
    model = with_parameters(model, class_weight=class_weight)
    _assert_refused(model, inputs["features"], tissue.target, message)


def test_early_stopping_needs_two_patients_of_a_class(tissue, inputs):
    model = with_parameters(CLASSIFIERS[0], early_stopping=True)
    for patient in ([None] * 54, ["one"] * 54):
        _assert_refused(model, inputs["features"], tissue.target, "at least 2 patients", patient=patient)


@every_classifier
def test_a_loss_that_is_no_number_leaves_the_earlier_fit_as_it_was(model, tissue, inputs, fitted):
    X = inputs["features"]
    used = copy.deepcopy(fitted(model, "features"))
    expected = used.predict_proba(X)
    broken = with_parameters(model, lr=1e30, max_epochs=50)
    used.set_params(**broken.get_params(deep=False))
    metadata = {"magnification": tissue.magnification}
    _assert_refused(used, X[:, :3], tissue.target, r"training loss became .* in epoch .*lower `lr`", **metadata)
    np.testing.assert_array_equal(used.predict_proba(X), expected)


class InterruptBeforeTraining(Callback):
    def on_train_begin(self, net, **kwargs):
        raise KeyboardInterrupt


class InterruptInFirstEpoch(Callback):
    def on_batch_end(self, net, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("interrupt", [InterruptBeforeTraining(), InterruptInFirstEpoch()], ids=["before", "in"])
@every_classifier
def test_an_interrupt_before_an_epoch_is_whole_leaves_the_earlier_fit(model, interrupt, tissue, inputs, fitted):
    used = copy.deepcopy(fitted(model, "features"))
    interrupted = with_parameters(model, callbacks=[interrupt])
    used.set_params(**interrupted.get_params(deep=False))
    metadata = {"magnification": tissue.magnification}
    _assert_refused(used, inputs["images"], tissue.target, None, KeyboardInterrupt, **metadata)
    assert used.predict(inputs["features"]).shape == (54,)


@pytest.mark.parametrize("case", ["NaN", "channels first", "no image", "5-D"])
def test_the_generator_refuses_bad_images_and_stays_as_it_was(case, tissue, inputs):
    make, message = BAD_IMAGES[case]
    gan = DCGAN(32, width=2, latent_dim=4, max_epochs=1, random_state=0)
    _assert_refused(gan, make(tissue.data), tissue.target, message)
    gan.fit(inputs["features"], tissue.target)
    _assert_refused(gan, make(tissue.data), tissue.target, message)
    _assert_refused(gan, tissue.data, tissue.target[:5], "inconsistent numbers of samples")
