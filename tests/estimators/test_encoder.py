"""Backbones by name inside the classifiers: what of them trains, and what with."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torchvision import models

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier
from sklearn_magdg.modules import image_encoder

both_classifiers = pytest.mark.parametrize("cls", [CNNClassifier, GradientReversalClassifier])


@pytest.fixture(scope="module")
def shufflenet(tmp_path_factory):
    """A file of weights and what it holds of the backbone."""
    torch.manual_seed(7)
    state = models.shufflenet_v2_x0_5().state_dict()
    file = tmp_path_factory.mktemp("weights") / "shufflenet.pth"
    torch.save(state, file)
    return file, {name: values for name, values in state.items() if not name.startswith("fc.")}


def _moved(net, state):
    """Names of parameters and buffers that are no longer what they were, bit for bit."""
    return {name for name, values in net.state_dict().items() if not torch.equal(values, state[name])}


@both_classifiers
@pytest.mark.parametrize("augment", [None, "histology"])
def test_frozen_backbone_is_bit_identical_after_a_fit(cls, augment, shufflenet, tissue):
    file, state = shufflenet
    model = cls("shufflenet_v2_x0_5", weights=file, trainable="head", augment=augment, max_epochs=2, random_state=0)
    model.fit(tissue.data, tissue.target, magnification=tissue.magnification)
    assert not _moved(model.module_.encoder[1].module, state)
    assert model.embedding_dim_ == (128 if cls is GradientReversalClassifier else 1024)


@both_classifiers
def test_of_the_backbone_the_last_block_trains_and_all_of_it(cls, shufflenet, tissue):
    file, state = shufflenet
    model = cls("shufflenet_v2_x0_5", weights=file, trainable="last_block", max_epochs=2, random_state=0)
    model.fit(tissue.data, tissue.target, magnification=tissue.magnification)
    # A convolution and its batch norm, with the norm's running statistics.
    assert _moved(model.module_.encoder[1].module, state) == {name for name in state if name.startswith("conv5.")}


def test_everything_trains_by_default(shufflenet, tissue):
    file, state = shufflenet
    model = CNNClassifier("shufflenet_v2_x0_5", weights=file, max_epochs=1, random_state=0)
    model.fit(tissue.data, tissue.target)
    assert _moved(model.module_.encoder[1], state) == state.keys()


def test_behind_a_frozen_backbone_the_projection_learns_from_both_heads(shufflenet, tissue):
    file, _ = shufflenet
    model = GradientReversalClassifier("shufflenet_v2_x0_5", weights=file, trainable="head", random_state=0)
    after = [
        model.set_params(max_epochs=2, reversal_schedule="constant", reversal_strength=strength)
        .fit(tissue.data, tissue.target, magnification=tissue.magnification)
        .module_.encoder[3][0]
        .weight.detach()
        for strength in (0.0, 1.0)
    ]
    assert after[0].shape == (128, 1024)
    assert not torch.allclose(*after)


def test_features_have_no_backbone(tissue):
    with pytest.raises(ValueError, match=r"leave \['backbone_lr'\] at the default"):
        CNNClassifier(backbone_lr=1e-4).fit(tissue.data.reshape(54, -1)[:, :4], tissue.target)


def test_the_size_of_the_images_reaches_a_net_that_must_know_it(tissue):
    with pytest.raises(ValueError, match=r"multiple of 32 pixels, got 16 x 16: set `image_size=32`"):
        CNNClassifier("vit_b_32").fit(tissue.data[:, :16, :16], tissue.target)
    encoder, _ = image_encoder((32, 32, 3), backbone="vit_b_32")
    assert encoder[1].image_size == 32


# Pretrained


@pytest.fixture(scope="module")
def slides():
    return make_histology(
        48, images_per_cell=1, magnifications=(100, 200), image_size=48, class_sep=2.0, random_state=0
    )


def _probed(weights, slides):
    """AUC of a linear probe of frozen MobileNetV2 embeddings at 100X, patient-disjoint."""
    rows = slides.magnification == 100
    torch.manual_seed(0)
    encoder, _ = image_encoder(slides.data.shape[1:], backbone="mobilenet_v2", weights=weights)
    with torch.inference_mode():
        embedding = encoder.eval()(torch.from_numpy(slides.data[rows])).numpy()
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3))
    folds = {"groups": slides.patient[rows], "cv": StratifiedGroupKFold(3)}
    proba = cross_val_predict(probe, embedding, slides.target[rows], method="predict_proba", **folds)
    return roc_auc_score(slides.target[rows], proba[:, 1])


def test_pretrained_embeddings_separate_the_classes_better_than_random_ones(mobilenet_weights, slides):
    assert _probed(mobilenet_weights, slides) > _probed(None, slides) + 0.1  # 0.997 and 0.800


@both_classifiers
def test_classifiers_learn_on_a_frozen_pretrained_backbone(cls, mobilenet_weights, slides):
    model = cls("mobilenet_v2", weights=mobilenet_weights, trainable="head", max_epochs=15, random_state=0)
    train = np.isin(slides.patient, np.unique(slides.patient)[:24])
    metadata = {"patient": slides.patient[train], "magnification": slides.magnification[train]}
    model.fit(slides.data[train], slides.target[train], **metadata)
    assert roc_auc_score(slides.target[~train], model.predict_proba(slides.data[~train])[:, 1]) > 0.95


def test_frozen_random_weights_are_named(tissue):
    model = CNNClassifier("resnet18", trainable="head", image_size=32, max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="trainable='head' freezes random weights.*pass `weights`"):
        model.fit(tissue.data, tissue.target)


def test_a_callable_backbone_that_gives_no_pair_is_named(tissue):
    with pytest.raises(ValueError, match=r"`backbone` must return \(module, n_features\), got Sequential"):
        CNNClassifier(nn.Sequential).fit(tissue.data, tissue.target)
