import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torchvision.models import mobilenet_v2

from sklearn_magdg.estimators import ImageEncoder
from tests.estimators.kinds import make_inputs


@pytest.fixture(scope="module")
def images(tissue):
    return tissue.data[:7]


def test_the_random_net_is_the_same_for_every_fit_and_whatever_it_is_fitted_on(images):
    torch.manual_seed(1)
    first = ImageEncoder().fit(images)
    torch.manual_seed(2)
    second = ImageEncoder(batch_size=3).fit(images[:1])
    assert first.embedding_dim_ == 640
    assert first.transform(images).dtype == np.float32
    np.testing.assert_allclose(first.transform(images), second.transform(images), rtol=0, atol=1e-5)


def test_a_fit_draws_nothing_from_the_global_generator(images):
    state = torch.get_rng_state()
    ImageEncoder().fit(images)
    assert (torch.get_rng_state() == state).all()


def test_turned_and_mirrored_images_have_one_embedding_where_that_is_asked_for(images):
    turned = np.concatenate([np.rot90(images, 1, (1, 2)), images[:, :, ::-1]])
    seen = ImageEncoder().fit(images)
    assert np.abs(seen.transform(turned) - np.tile(seen.transform(images), (2, 1))).max() > 0.01
    blind = ImageEncoder(turns=True).fit(images)
    np.testing.assert_allclose(blind.transform(turned), np.tile(blind.transform(images), (2, 1)), atol=1e-5)
    views = [np.rot90(side, k, (1, 2)) for side in (images, images[:, :, ::-1]) for k in range(4)]
    np.testing.assert_allclose(blind.transform(images), np.mean([seen.transform(v) for v in views], 0), atol=1e-5)


def test_a_torchvision_net_with_weights_gives_what_its_classifier_reads(images, mobilenet_weights):
    net = mobilenet_v2()
    net.load_state_dict(torch.load(mobilenet_weights, weights_only=True))
    net.classifier = torch.nn.Identity()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    standardised = (torch.from_numpy(images).float() / 255 - mean) / std
    with torch.inference_mode():
        expected = net.eval()(standardised.permute(0, 3, 1, 2)).numpy()
    encoder = ImageEncoder("mobilenet_v2", weights=mobilenet_weights).fit(images)
    assert encoder.embedding_dim_ == 1280
    np.testing.assert_allclose(encoder.transform(images), expected, atol=1e-4)


def test_paths_equal_arrays(tissue, tmp_path):
    inputs = make_inputs(tissue, tmp_path)
    encoder = ImageEncoder(image_size=40)
    by_path = encoder.fit_transform(inputs["paths"])
    np.testing.assert_allclose(by_path, encoder.fit_transform(tissue.data), atol=1e-5)


def test_it_stands_in_a_pipeline_with_named_columns(tissue):
    pipeline = make_pipeline(ImageEncoder(), LogisticRegression(max_iter=200))
    pipeline.set_output(transform="pandas")
    assert pipeline.fit(tissue.data, tissue.target).score(tissue.data, tissue.target) > 0.8
    names = pipeline[0].get_feature_names_out()
    assert len(names) == 640
    assert names[0] == "imageencoder0"
    assert clone(pipeline[0]).get_params() == pipeline[0].get_params()


def test_a_net_without_weights_warns_and_repeats(images):
    with pytest.warns(UserWarning, match="backbone='resnet18' freezes random weights"):
        first = ImageEncoder("resnet18", image_size=32).fit_transform(images)
    with pytest.warns(UserWarning, match="freezes random weights"):
        second = ImageEncoder("resnet18", image_size=32).fit_transform(images)
    np.testing.assert_array_equal(first, second)


def test_what_cannot_be_embedded_is_refused(images):
    for encoder, X, message in (
        (ImageEncoder(), np.zeros((3, 4)), "which are embeddings already"),
        (ImageEncoder(weights="imagenet"), images, "'random' has none"),
        (ImageEncoder("resnet", weights="imagenet"), images, "did you mean"),
        (ImageEncoder(), images[..., :2], "must have the shape"),
    ):
        with pytest.raises(ValueError, match=message):
            encoder.fit(X)
    # paths come at 224 pixels where `image_size` is None, and would be told from arrays by their sharpness
    with pytest.raises(
        ValueError, match=r"fitted on inputs of shape \(32, 32, 3\), got \(16, 16, 3\); set `image_size`"
    ):
        ImageEncoder().fit(images).transform(images[:, :16, :16])
    with pytest.raises(NotFittedError):
        ImageEncoder().transform(images)
    frozen = FrozenEstimator(ImageEncoder().fit(images))
    np.testing.assert_array_equal(frozen.transform(images), frozen.estimator.transform(images))
