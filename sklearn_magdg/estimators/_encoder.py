"""The encoder that an estimator's parameters ask for."""

import warnings

from torch import nn

from sklearn_magdg.modules import (
    AUGMENTATIONS,
    FeatureInput,
    Frozen,
    build_backbone,
    check_backbone,
    last_block,
    perceptron,
)

_N_FEATURES = 32  # of the perceptron's embedding


def build_encoder(estimator, shape, *, check=True):
    """What turns inputs of `shape` into embeddings, and their width; `check` tries the backbone on a blank image."""
    if len(shape) == 1:
        return _feature_encoder(estimator, shape[0])
    augment = augmentation(estimator)
    input_layer, net, n_features = build_backbone(estimator.backbone, estimator.weights, augment, shape)
    if check:
        check_backbone(input_layer, net, n_features, shape)
        _check_frozen(estimator)
    if estimator.trainable == "last_block":
        return nn.Sequential(input_layer, Frozen(net, last_block(net))), n_features
    if estimator.trainable == "head":
        projection, width = estimator._build_projection(n_features)
        return nn.Sequential(input_layer, Frozen(net), FeatureInput(n_features), projection), width
    return nn.Sequential(input_layer, net), n_features


def _check_frozen(estimator):
    if estimator.trainable != "all" and estimator.weights is None and not callable(estimator.backbone):
        warn_of_random_weights(f"trainable={estimator.trainable!r}")


def warn_of_random_weights(setting):
    warnings.warn(
        f"{setting} freezes random weights, for there are no others: pass `weights`, 'imagenet' or a file.", UserWarning
    )


def augmentation(estimator):
    return AUGMENTATIONS[estimator.augment] if isinstance(estimator.augment, str) else estimator.augment


def _feature_encoder(estimator, n_inputs):
    untouched = {"backbone": "auto", "weights": None, "trainable": "all", "backbone_lr": None, "augment": None}
    touched = [name for name, default in untouched.items() if getattr(estimator, name) != default]
    if touched:
        raise ValueError(
            f"X holds features (2-D), for which the encoder is a perceptron: leave {touched} at the default, "
            "or give images."
        )
    return nn.Sequential(FeatureInput(n_inputs), perceptron(n_inputs, n_features=_N_FEATURES)), _N_FEATURES
