import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback
from torch import nn

from sklearn_magdg.estimators import (
    DCGAN,
    CNNClassifier,
    GANAugmentedClassifier,
    GradientReversalClassifier,
    load_model,
    save_model,
)
from sklearn_magdg.modules import HistologyAugment
from sklearn_magdg.persistence import _model_file as model_file

GAN = DCGAN(32, width=2, max_epochs=1, random_state=0)
MODELS = [
    CNNClassifier(max_epochs=1, random_state=0, early_stopping=True, augment="histology"),
    CNNClassifier("mobilenet_v3_small", trainable="head", penalty="coral", image_size=32, max_epochs=1, random_state=0),
    CNNClassifier("regnet_y_400mf", trainable="last_block", image_size=32, max_epochs=1, random_state=0),
    GradientReversalClassifier(max_epochs=1, conditional=True, random_state=np.random.RandomState(3)),
    GANAugmentedClassifier(CNNClassifier(max_epochs=1, early_stopping=True), generator=GAN, ratio=0.5, random_state=0),
    GANAugmentedClassifier(GradientReversalClassifier(max_epochs=1), ratio=0, random_state=0),
]


def _id(model):
    return f"{type(model).__name__}-{getattr(model, 'backbone', '')}"


every_model = pytest.mark.parametrize("model", MODELS, ids=_id)


def small_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(32 * 32 * 3, 5), nn.BatchNorm1d(5)), 5


def smaller_net():
    net, n_features = small_net()
    return net[:2], n_features


def brighten(images):
    return images.float().clamp(max=250) + 5


class Recorder(Callback):
    pass


def _fit(model, tissue, X=None, y=None, **metadata):
    X, y = tissue.data if X is None else X, tissue.target if y is None else y
    return clone(model).fit(X, y, **{"patient": tissue.patient, "magnification": tissue.magnification} | metadata)


def _again(model, folder, **callables):
    save_model(model, folder / "model")
    return load_model(folder / "model", **callables)


def _assert_same(one, other):
    """Type, parameters and all attributes agree, in value and in type."""
    assert type(one) is type(other)
    if isinstance(one, torch.nn.Module):
        _assert_same(dict(one.state_dict()), dict(other.state_dict()))
        assert repr(one) == repr(other)
        assert [p.requires_grad for p in one.parameters()] == [p.requires_grad for p in other.parameters()]
        assert [m.training for m in one.modules()] == [m.training for m in other.modules()]
    elif hasattr(one, "get_params"):
        _assert_same(one.get_params(deep=False), other.get_params(deep=False))
        _assert_same(vars(one), vars(other))
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for item, same in zip(one, other, strict=True):
            _assert_same(item, same)
    elif isinstance(one, torch.Tensor):
        assert one.stride() == other.stride()
        assert torch.equal(one, other)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, np.random.RandomState):
        _assert_same(one.get_state(), other.get_state())
    elif "MetadataRequest" not in type(one).__name__:
        assert one == other or one != one  # nan


@every_model
def test_loaded_model_is_the_saved_one(model, tissue, tmp_path):
    fitted = _fit(model, tissue)
    loaded = _again(fitted, tmp_path)
    _assert_same(loaded, fitted)
    for method in ("predict_proba", "transform", "predict", "get_feature_names_out"):
        args = () if method == "get_feature_names_out" else (tissue.data,)
        np.testing.assert_array_equal(getattr(loaded, method)(*args), getattr(fitted, method)(*args))
    _assert_same(clone(loaded), clone(fitted))
    _assert_same(pickle.loads(pickle.dumps(loaded)), fitted)


@pytest.mark.parametrize("model", [MODELS[0], *MODELS[3:]], ids=_id)
def test_refit_of_the_loaded_model_equals_that_of_the_saved_one(model, tissue, tmp_path):
    fitted = _fit(model, tissue)
    loaded = _again(fitted, tmp_path)
    np.testing.assert_array_equal(
        _fit(loaded, tissue).predict_proba(tissue.data), _fit(fitted, tissue).predict_proba(tissue.data)
    )


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_warm_start_goes_on_from_the_loaded_model(trainable, tissue, tmp_path):
    model = GradientReversalClassifier(max_epochs=2, trainable=trainable, warm_start=True, random_state=0)
    fitted = _fit(model, tissue)
    before = fitted.predict_proba(tissue.data)
    loaded = _again(fitted, tmp_path)
    metadata = {"patient": tissue.patient, "magnification": tissue.magnification}
    fitted.fit(tissue.data, tissue.target, **metadata)
    loaded.fit(tissue.data, tissue.target, **metadata)
    np.testing.assert_array_equal(loaded.predict_proba(tissue.data), fitted.predict_proba(tissue.data))
    assert not np.array_equal(before, loaded.predict_proba(tissue.data))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["b", "aa"], "<U7"),
        np.array(["b", "aa"], dtype=object),
        np.array([3, 1], dtype=np.int16),
        np.array([3, 1], dtype=object),
        np.array([2.0, -1.0]),
        np.array([True, False]),
    ],
    ids=lambda labels: f"{labels[0]}, {labels.dtype}",
)
def test_classes_keep_their_type_and_magnifications_their_spelling(labels, tissue, tmp_path):
    y = labels[tissue.target]
    spelled = [f"{m}X" for m in tissue.magnification]
    fitted = CNNClassifier(max_epochs=1).fit(tissue.data, y, magnification=spelled)
    loaded = _again(fitted, tmp_path)
    _assert_same(loaded.classes_, fitted.classes_)
    assert loaded.magnifications_ == ["40X", "100X", "200X"]
    assert loaded.predict(tissue.data).tolist() == fitted.predict(tissue.data).tolist()


@pytest.mark.parametrize("model", [CNNClassifier(max_epochs=1), GANAugmentedClassifier(CNNClassifier(max_epochs=1))])
def test_features_come_back_with_their_names(model, tmp_path):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(21, 3)), columns=["area", "round", "dark"])
    fitted = model.fit(X, np.arange(21) % 2)
    loaded = _again(fitted, tmp_path)
    _assert_same(loaded, fitted)
    assert loaded.feature_names_in_.tolist() == ["area", "round", "dark"]
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_model_of_image_paths_comes_back(tissue, tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(7)]
    for path, image in zip(paths, tissue.data, strict=False):
        Image.fromarray(image).save(path)
    model = CNNClassifier(image_size=16, max_epochs=1, image_cache=tmp_path / "cache", random_state=0)
    fitted = model.fit(paths, np.arange(7) % 2)
    loaded = _again(fitted, tmp_path)
    assert loaded.image_cache is None
    np.testing.assert_array_equal(loaded.predict_proba(paths), fitted.predict_proba(paths))


@pytest.mark.parametrize(("conditional", "upsampling"), [(True, "resize"), (False, "transposed")])
@pytest.mark.parametrize("on_features", [True, False])
def test_generator_comes_back(conditional, upsampling, on_features, tissue, tmp_path):
    X = tissue.data.mean((1, 2)) if on_features else tissue.data
    gan = clone(GAN).set_params(conditional=conditional, upsampling=upsampling)
    fitted = gan.fit(X, np.array(["b", "m"])[tissue.target], magnification=tissue.magnification)
    loaded = _again(fitted, tmp_path)
    _assert_same(loaded, fitted)
    _assert_same(loaded.sample(5, random_state=1), fitted.sample(5, random_state=1))
    if conditional:
        _assert_same(
            loaded.sample(2, "m", magnification=40, random_state=1),
            fitted.sample(2, "m", magnification=40, random_state=1),
        )


def test_frozen_generator_stands_once_in_the_file_and_is_one_object_again(tissue, tmp_path):
    generator = FrozenEstimator(clone(GAN).fit(tissue.data, tissue.target))
    model = GANAugmentedClassifier(CNNClassifier(max_epochs=1), generator=generator, ratio=0.5, random_state=0)
    fitted = model.fit(tissue.data, tissue.target)
    loaded = _again(fitted, tmp_path)
    assert loaded.generator_ is loaded.generator
    _assert_same(loaded.generator.estimator.module_, generator.estimator.module_)
    tensors = safetensors.torch.load_file(tmp_path / "model")
    assert sum(name.endswith("generator.project.weight") for name in tensors) == 1


def test_what_a_file_cannot_hold_is_given_again(tissue, tmp_path):
    model = CNNClassifier(small_net, augment=brighten, callbacks=[Recorder()], max_epochs=1, random_state=0)
    fitted = _fit(model, tissue)
    given = {"backbone": small_net, "augment": brighten, "callbacks": fitted.callbacks}
    loaded = _again(fitted, tmp_path, **given)
    _assert_same(loaded, fitted)
    np.testing.assert_array_equal(loaded.predict_proba(tissue.data), fitted.predict_proba(tissue.data))
    bare = load_model(tmp_path / "model", backbone=small_net, augment=None, callbacks=None)
    np.testing.assert_array_equal(bare.transform(tissue.data), fitted.transform(tissue.data))
    with pytest.raises(ValueError, match=r"3 objects .* `load_model\(.*, augment=..., backbone=..., callbacks=...\)`"):
        load_model(tmp_path / "model")
    with pytest.raises(ValueError, match=r"got \['lr'\], which .* asks for \['augment', 'backbone', 'callbacks'\]"):
        load_model(tmp_path / "model", **given, lr=1)
    with pytest.raises(ValueError, match=r"unexpected: encoder\.1\.2\.bias"):
        load_model(tmp_path / "model", **given | {"backbone": smaller_net})


def test_callables_of_a_nested_estimator_are_given_by_their_full_name(tissue, tmp_path):
    def net():
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), 12

    model = GANAugmentedClassifier(CNNClassifier(net, max_epochs=1), ratio=0, random_state=0)
    fitted = _fit(model, tissue)
    loaded = _again(fitted, tmp_path, estimator__backbone=net)
    assert loaded.estimator_.backbone is loaded.estimator.backbone is net
    np.testing.assert_array_equal(loaded.transform(tissue.data), fitted.transform(tissue.data))
    with pytest.raises(ValueError, match=r"estimator__backbone=\.\.\."):
        load_model(tmp_path / "model", backbone=net)


def test_tied_weights_of_a_callable_net_stay_tied(tissue, tmp_path):
    def tied():
        layer = nn.Linear(3072, 3072)
        return nn.Sequential(nn.Flatten(), layer, nn.Tanh(), layer), 3072

    fitted = _fit(CNNClassifier(tied, max_epochs=1, random_state=0), tissue)
    net = _again(fitted, tmp_path, backbone=tied).module_.encoder[1]
    assert net[1].weight is net[3].weight


def test_parameters_of_every_kind_come_back(tissue, tmp_path):
    model = CNNClassifier(
        augment=HistologyAugment(zoom=None, stain=0.125),
        class_weight={0: 1.5, 1: np.float32(0.25)},
        lr=np.float64(0.003),
        max_epochs=np.int64(1),
        random_state=0,
    )
    fitted = _fit(model, tissue)
    fitted.history_[0]["valid_loss"] = float("nan")
    fitted.set_output(transform="pandas")
    with config_context(enable_metadata_routing=True):
        fitted.set_fit_request(patient=False, sample_weight="weights")
        loaded = _again(fitted, tmp_path)
        assert str(loaded.get_metadata_routing()) == str(fitted.get_metadata_routing())
    _assert_same(loaded, fitted)
    pd.testing.assert_frame_equal(loaded.transform(tissue.data), fitted.transform(tissue.data))


def test_file_of_pretrained_weights_is_kept_by_name_and_not_read_again(tissue, tmp_path):
    from torchvision.models import mobilenet_v3_small

    weights = tmp_path / "weights.pt"
    torch.save(mobilenet_v3_small(num_classes=3).state_dict(), weights)
    model = CNNClassifier("mobilenet_v3_small", weights=weights, trainable="head", max_epochs=1, random_state=0)
    fitted = _fit(model, tissue)
    weights.unlink()
    loaded = _again(fitted, tmp_path)
    assert loaded.weights == weights
    np.testing.assert_array_equal(loaded.predict_proba(tissue.data), fitted.predict_proba(tissue.data))


def test_loading_is_silent_and_leaves_the_global_generators_alone(tissue, tmp_path):
    with pytest.warns(UserWarning, match="at least 2 magnifications"):
        fitted = GradientReversalClassifier(small_net, max_epochs=1).fit(tissue.data, tissue.target)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    loaded = _again(fitted, tmp_path, backbone=small_net)
    assert loaded.module_.domain_head is None
    assert torch.equal(state, torch.get_rng_state())
    assert numpy_state == np.random.get_state()[1].tolist()  # noqa: NPY002


def test_model_of_a_device_that_is_not_here_goes_to_the_cpu(tissue, tmp_path):
    fitted = _fit(CNNClassifier(max_epochs=1, random_state=0), tissue).set_params(device="cuda:77")
    save_model(fitted, tmp_path / "model")
    with pytest.warns(UserWarning, match="device='cuda:77', which is not here: it is on the CPU"):
        loaded = load_model(tmp_path / "model")
    assert loaded.device == "cuda:77"
    np.testing.assert_array_equal(loaded.predict_proba(tissue.data), fitted.predict_proba(tissue.data))


# What cannot be saved


@pytest.mark.parametrize("model", [*MODELS[:1], *MODELS[-1:], GAN], ids=_id)
def test_model_that_is_not_fitted_is_refused(model, tmp_path):
    with pytest.raises(NotFittedError):
        save_model(clone(model), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_estimators_of_other_classes_are_refused(tissue, tmp_path):
    class Mine(CNNClassifier):
        pass

    fitted = _fit(Mine(max_epochs=1), tissue)
    with pytest.raises(TypeError, match=r"save_model writes CNNClassifier, .*Mine; `joblib.dump`"):
        save_model(fitted, tmp_path / "model")
    nested = GANAugmentedClassifier(Mine(max_epochs=1), ratio=0).fit(tissue.data, tissue.target)
    with pytest.raises(TypeError, match="Mine"):
        save_model(nested, tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def fitted(tissue):
    return CNNClassifier(max_epochs=1, random_state=0).fit(tissue.data.mean((1, 2)), tissue.target)


def test_net_that_the_parameters_no_longer_give_is_refused(tissue, tmp_path):
    fitted = _fit(CNNClassifier(max_epochs=1), tissue).set_params(backbone="resnet18")
    with pytest.raises(ValueError, match=r"no longer give the net of its last fit.*missing: encoder.1.bn1.bias.*undo"):
        save_model(fitted, tmp_path / "model")


def test_attribute_that_a_file_cannot_hold_is_named(fitted, tmp_path):
    odd = pickle.loads(pickle.dumps(fitted))
    odd.history_[0]["figure"] = object()
    with pytest.raises(ValueError, match="`history_` holds an object of type object, which a model file cannot hold"):
        save_model(odd, tmp_path / "model")


def test_paths_that_cannot_be_written_are_refused_in_words(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder '.*absent' to save the model in"):
        save_model(fitted, tmp_path / "absent" / "model")
    with pytest.raises(IsADirectoryError, match="is a folder: give the path of a file"):
        save_model(fitted, tmp_path)
    with pytest.raises(FileNotFoundError, match="no model file"):
        load_model(tmp_path)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_failed_save_leaves_the_old_file_and_nothing_else(moment, fitted, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    save_model(fitted, tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    monkeypatch.setattr(model_file.os, moment, fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(fitted, tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model").read_bytes() == before


# Files that are not what they should be


@pytest.fixture(scope="module")
def content(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    save_model(fitted, path)
    return path.read_bytes()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_passes(data, content, tmp_path):
    position = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 2000), label="position")
    damaged = bytearray(content)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    (tmp_path / "model").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"damaged|has format"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("share", [0, 0.0003, 0.1, 0.5, 0.9999])
def test_cut_off_file_is_refused(share, content, tmp_path):
    (tmp_path / "model").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="damaged"):
        load_model(tmp_path / "model")


def _with_header(header):
    return len(header).to_bytes(8, "little") + header


FOREIGN = {
    "empty": b"",
    "safetensors": safetensors.torch.save({"weight": torch.zeros(3)}),
    "other metadata": safetensors.torch.save({"weight": torch.zeros(3)}, {"format": "pt"}),
    "pickle": pickle.dumps({"weight": 0}),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "deep": _with_header(b"[" * 100_000),
    "long header": (10**12).to_bytes(8, "little") + b"{" + bytes(100),
    "no text": _with_header(b"\xff\xfe"),
    "list": _with_header(b"[1]"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_file_is_refused(kind, tmp_path):
    (tmp_path / "model").write_bytes(FOREIGN[kind])
    with pytest.raises(ValueError, match=r"is not a model file of sklearn_magdg.*give a file that `save_model` wrote"):
        load_model(tmp_path / "model")


def test_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the file was run",))

    (tmp_path / "model").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is not a model file"):
        load_model(tmp_path / "model")


def test_file_of_a_later_format_says_to_upgrade(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "_FORMAT_VERSION", "2")
    save_model(fitted, tmp_path / "model")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"format '2', written by sklearn_magdg .* which reads format 1: upgrade"):
        load_model(tmp_path / "model")


@pytest.fixture
def reseal(content, tmp_path):
    """Writes the saved model with a changed description, or tensors, under a new digest; returns its path."""
    (tmp_path / "whole").write_bytes(content)
    tensors, description, _ = model_file.unpack(tmp_path / "whole")

    def write(change):
        change(tensors, description)
        (tmp_path / "model").write_bytes(model_file.pack(tensors, description))
        return tmp_path / "model"

    return write


def _set(*keys, to):
    def change(tensors, description):
        place = description[0]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


def _rename(tensors, description):
    tensors["0.encoder.0.std2"] = tensors.pop("0.encoder.0.std")


def _of_no_model(tensors, description):
    tensors["1.weight"] = torch.zeros(2)


def _double(tensors, description):
    tensors["0.encoder.0.std"] = tensors["0.encoder.0.std"].double()


def _without_tensors(tensors, description):
    tensors.clear()


def _without_models(tensors, description):
    description.clear()
    tensors.clear()


HUGE = {"tuple": [10**14]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rename, "missing: encoder.0.std; unexpected: encoder.0.std2"),
        (_double, "another shape or dtype: encoder.0.std"),
        (_of_no_model, "list index out of range"),
        (_without_tensors, "not fitted"),
        (_without_models, "list index out of range"),
        (_set("class", to="os.system"), "os.system"),
        (_set("class", to="FrozenEstimator"), "unexpected keyword"),
        (_set("parameters", "lr", to=-1), "'lr' parameter"),
        (_set("parameters", "weightless", to=1), "unexpected keyword argument 'weightless'"),
        (_set("parameters", "augment", to={"call": "os.system"}), r"unknown kind \['call'\]"),
        (_set("parameters", "generator", to={"model": 0}), "list index out of range"),
        (_set("learned", "predict", to=1), "'predict' is not an attribute that `fit` sets"),
        (_set("learned", "__class__", to=1), "'__class__' is not an attribute"),
        (_set("learned", "input_shape_", to=HUGE), "another shape or dtype"),
        (_set("learned", "input_shape_", to="abc"), "written by sklearn_magdg"),
        (_set("learned", "classes_", to={"array": ["a", "b"], "dtype": "<U90000000"}), "dtype <U90000000"),
        (_set("learned", "classes_", to={"array": [[0]], "dtype": "i4,i4"}), "dtype"),
        (_set("settings", "requests", to={"fit": {"colour": True}}), "colour"),
    ],
)
def test_file_resealed_with_other_content_is_refused_without_ado(change, message, reseal):
    with pytest.raises(ValueError, match=rf"does not describe a model that can be built here.*{message}"):
        load_model(reseal(change))


@pytest.mark.parametrize("parameter", ["latent_dim", "width"])
def test_declared_size_is_compared_before_memory_is_taken(parameter, tissue, tmp_path):
    save_model(clone(GAN).fit(tissue.data, tissue.target), tmp_path / "whole")
    tensors, description, _ = model_file.unpack(tmp_path / "whole")
    description[0]["parameters"][parameter] = 10**6
    (tmp_path / "model").write_bytes(model_file.pack(tensors, description))
    with pytest.raises(ValueError, match="another shape or dtype"):
        load_model(tmp_path / "model")


def test_file_never_decides_where_this_machine_writes(reseal, tmp_path):
    loaded = load_model(reseal(_set("parameters", "image_cache", to=str(tmp_path / "elsewhere"))))
    assert loaded.image_cache is None


def test_file_of_a_version_without_a_parameter_gets_its_default(reseal):
    def without_patience(tensors, description):
        del description[0]["parameters"]["patience"]

    assert load_model(reseal(without_patience)).patience == 5


def test_file_is_a_safetensors_file_that_tells_its_versions(content):
    n_header = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + n_header])["__metadata__"]
    assert f"torch {torch.__version__.split('+')[0]}" in metadata["written_by"]
    assert safetensors.torch.load(content)["0.class_head.weight"].shape == (2, 32)
    with warnings.catch_warnings():
        json.loads(metadata["description"], parse_constant=pytest.fail)
