import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.exceptions import NotFittedError

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import (
    DCGAN,
    CNNClassifier,
    GANAugmentedClassifier,
    GradientReversalClassifier,
    export_onnx,
)
from sklearn_magdg.images import resize_images


@pytest.fixture(scope="module")
def tissue():
    return make_histology(4, images_per_cell=2, magnifications=(40, 100), image_size=32, random_state=0)


def _graph(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _fit(model, tissue, X=None):
    y = np.array(["malignant", "benign"])[tissue.target]
    return model.fit(tissue.data if X is None else X, y, magnification=tissue.magnification)


def _assert_graph_agrees(path, model, X, given):
    graph = _graph(path)
    for n in (1, 3, 7):
        (proba,) = graph.run(["probabilities"], {"X": given[:n]})
        np.testing.assert_allclose(proba, model.predict_proba(X[:n]), rtol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        GradientReversalClassifier(max_epochs=1, trainable="head", conditional=True, random_state=0),
        pytest.param(CNNClassifier(max_epochs=1, augment="histology", random_state=0), marks=pytest.mark.slow),
        pytest.param(CNNClassifier("resnet18", max_epochs=1, random_state=0), marks=pytest.mark.slow),
        pytest.param(CNNClassifier("mobilenet_v2", max_epochs=1, random_state=0), marks=pytest.mark.slow),
    ],
    ids=lambda model: f"{type(model).__name__}-{model.backbone}",
)
def test_graph_gives_the_probabilities_of_images_for_any_batch_size(model, tissue, tmp_path):
    fitted = _fit(model, tissue)
    export_onnx(fitted, tmp_path / "model.onnx")
    _assert_graph_agrees(tmp_path / "model.onnx", fitted, tissue.data, tissue.data)


def test_graph_gives_the_probabilities_of_features(tissue, tmp_path):
    X = tissue.data.mean((1, 2)).astype(np.float32)
    fitted = _fit(CNNClassifier(max_epochs=1, random_state=0), tissue, X)
    export_onnx(fitted, tmp_path / "model.onnx")
    _assert_graph_agrees(tmp_path / "model.onnx", fitted, X, X)


@pytest.mark.slow
def test_graph_of_an_augmented_classifier_takes_images_through_the_stated_sizes(tissue, tmp_path):
    inner = CNNClassifier(max_epochs=1, image_size=24)
    model = GANAugmentedClassifier(inner, generator=DCGAN(48, width=2, max_epochs=1), ratio=0.5, random_state=0)
    fitted = _fit(model, tissue)
    export_onnx(fitted, tmp_path / "model.onnx")
    sizes = json.loads(_graph(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map["input_sizes"])
    assert sizes == [48, 24]
    given = tissue.data
    for size in sizes:
        given = resize_images(given, size)
    _assert_graph_agrees(tmp_path / "model.onnx", fitted, tissue.data, given)


def test_graph_names_classes_magnifications_and_versions(tissue, tmp_path):
    fitted = _fit(CNNClassifier(max_epochs=1, random_state=0), tissue)
    export_onnx(fitted, tmp_path / "model.onnx", opset=18)
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    graph = _graph(tmp_path / "model.onnx")
    stated = graph.get_modelmeta().custom_metadata_map
    assert json.loads(stated["classes"]) == ["benign", "malignant"]
    assert json.loads(stated["magnifications"]) == [40, 100]
    assert json.loads(stated["input_sizes"]) == []
    assert "sklearn_magdg" in stated["written_by"]
    assert (graph.get_inputs()[0].type, graph.get_inputs()[0].shape[1:]) == ("tensor(uint8)", [32, 32, 3])
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == 18


def test_export_leaves_the_model_as_it_is(tissue, tmp_path):
    X = tissue.data.mean((1, 2))
    fitted = _fit(CNNClassifier(max_epochs=1, random_state=0), tissue, X)
    module, before = fitted.module_, fitted.predict_proba(X)
    export_onnx(fitted, tmp_path / "model.onnx")
    assert fitted.module_ is module
    assert not any(part.training for part in module.modules())
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


def test_opset_that_cannot_be_had_is_refused(tissue, tmp_path):
    fitted = _fit(CNNClassifier(max_epochs=1, random_state=0), tissue, tissue.data.mean((1, 2)))
    with pytest.raises(ValueError, match=r"cannot bring this net to opset=5, its own is \d+"):
        export_onnx(fitted, tmp_path / "model.onnx", opset=5)
    assert not list(tmp_path.iterdir())


def test_without_the_exporter_one_sentence_says_what_to_install(tissue, tmp_path, monkeypatch):
    fitted = _fit(CNNClassifier(max_epochs=1), tissue, tissue.data.mean((1, 2)))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r'pip install "sklearn-magdg\[onnx\]"'):
        export_onnx(fitted, tmp_path / "model.onnx")


def test_what_is_no_fitted_classifier_is_refused(tmp_path):
    with pytest.raises(TypeError, match="takes a classifier of this package, got DCGAN"):
        export_onnx(DCGAN(), tmp_path / "model.onnx")
    with pytest.raises(NotFittedError):
        export_onnx(CNNClassifier(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
