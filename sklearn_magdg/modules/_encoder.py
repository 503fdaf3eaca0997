"""Encoders by their settings: what turns images or features into embeddings, and what of it trains."""

from torch import nn

from sklearn_magdg.modules._backbones import build_backbone, check_backbone, perceptron
from sklearn_magdg.modules._frozen import Frozen, last_block
from sklearn_magdg.modules._inputs import FeatureInput

_N_FEATURES = 32  # of the perceptron's embedding


def feature_encoder(n_inputs):
    """Encoder of features (n, `n_inputs`): standardised, then a perceptron; and the width of its embedding."""
    return nn.Sequential(FeatureInput(n_inputs), perceptron(n_inputs, n_features=_N_FEATURES)), _N_FEATURES


def image_encoder(shape, *, backbone, weights=None, augment=None, trainable="all", build_projection=None, check=True):
    """Encoder of images, and the width of its embedding.

    Its parts are in this order: the input layer, the backbone and, behind a frozen one, the standardisation of its
    features and a projection.

    Parameters
    ----------
    shape : tuple of int
        (height, width, 3) of the images.
    backbone, weights : str or callable, str or path or None
        As `build_backbone` takes them.
    augment : callable or None
        Of batches of images, in training alone.
    trainable : {"all", "last_block", "head"}
        What trains of the backbone: all, its last stage, or nothing.
    build_projection : callable, default=None
        From the width of a frozen backbone to (module, width) of what stands behind it; None leaves its features.
    check : bool, default=True
        Whether to try the backbone on a blank image.

    Raises
    ------
    ValueError
        For a backbone that is not known, or cannot take such images.
    """
    input_layer, net, n_features = build_backbone(backbone, weights, augment, shape)
    if check:
        check_backbone(input_layer, net, n_features, shape)
    if trainable == "last_block":
        return nn.Sequential(input_layer, Frozen(net, last_block(net))), n_features
    if trainable == "head":
        projection, width = (nn.Identity(), n_features) if build_projection is None else build_projection(n_features)
        return nn.Sequential(input_layer, Frozen(net), FeatureInput(n_features), projection), width
    return nn.Sequential(input_layer, net), n_features
