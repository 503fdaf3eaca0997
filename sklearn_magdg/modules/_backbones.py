"""Encoders: a small CNN, a perceptron for 2-D input, any torchvision classifier without its last layer."""

import difflib
from pathlib import Path

import torch
from torch import nn

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageInput(nn.Module):
    """Images as they are stored ``(n, h, w, 3)`` in [0, 255] -> standardised ``(n, 3, h, w)``.

    Augments in training mode. The permuted view of stored images is already ``channels_last``.
    """

    def __init__(self, augment=None, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)):
        super().__init__()
        self.augment = augment
        self.register_buffer("mean", 255 * torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).reshape(3, 1, 1))

    def forward(self, images):
        if self.training and self.augment is not None:
            images = self.augment(images)
        return (images.permute(0, 3, 1, 2).float() - self.mean) / self.std


class FeatureInput(nn.Module):
    """Features standardised by the mean and standard deviation that `measure` found in the training set."""

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("std", torch.ones(n_features))

    def measure(self, features):
        """Take mean and standard deviation from `features` (n, d); returns itself."""
        std = features.std(0, unbiased=False)
        self.mean.copy_(features.mean(0))
        self.std.copy_(torch.where(std > 0, std, 1.0))  # a constant feature stays 0
        return self

    def forward(self, features):
        return (features - self.mean) / self.std

    def inverse(self, standardised):
        """Features in their own scale again."""
        return standardised * self.std + self.mean


def perceptron(n_inputs, hidden=64, n_features=32):
    """Two hidden layers: enough to bend a frozen encoder's features, small enough for few patients."""
    return nn.Sequential(
        nn.Linear(n_inputs, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, n_features),
        nn.ReLU(inplace=True),
    )


def trainable_projection(n_inputs, n_features=128):
    """What adapts a frozen backbone's features, and its width."""
    return nn.Sequential(nn.Linear(n_inputs, n_features), nn.ReLU(inplace=True)), n_features


def _conv_block(n_in, n_out, stride):
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


def small_cnn(width=24, n_features=128):
    """Five strided convolutions and a global average: for a CPU, any image size, few patients."""
    return nn.Sequential(
        _conv_block(3, width, 2),
        _conv_block(width, 2 * width, 2),
        _conv_block(2 * width, 2 * width, 1),
        _conv_block(2 * width, 4 * width, 2),
        _conv_block(4 * width, n_features, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def _last_linear(model):
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return names[-1] if names else None


def torchvision_backbone(name, weights=None):
    """A torchvision classification model whose last linear layer is gone, and the width it had."""
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or ["mobilenet_v2", "resnet18", "resnet50"]
        raise ValueError(
            f"`backbone` must be 'auto', a torchvision classification model or a callable, got {name!r}; "
            f"did you mean {', '.join(map(repr, near))}?"
        )
    model = models.get_model(name, weights="DEFAULT" if weights == "imagenet" else None)
    if weights not in (None, "imagenet"):
        _load_weights(model, name, Path(weights))
    head = _last_linear(model)
    if head is None:
        raise ValueError(f"`backbone` {name!r} has no linear classifier to replace; choose 'resnet18', for example.")
    n_features = model.get_submodule(head).in_features
    model.set_submodule(head, nn.Identity())
    return model, n_features


def _load_weights(model, name, path):
    if not path.is_file():
        raise ValueError(f"`weights` must be None, 'imagenet' or the path of a state dict; there is no file {path}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state)
    except Exception as error:
        raise ValueError(
            f"`weights` {path} is not a state dict of torchvision's {name!r}: {str(error).splitlines()[0]}"
        ) from error


class Frozen(nn.Module):
    """A backbone of which only ``trainable_block`` (or nothing) trains; the rest stays in eval mode."""

    def __init__(self, module, trainable_block=None):
        super().__init__()
        self.module = module.requires_grad_(False)
        self.block_name = trainable_block
        if trainable_block is not None:
            module.get_submodule(trainable_block).requires_grad_(True)

    def train(self, mode=True):
        super().train(False)
        if self.block_name is not None:
            self.module.get_submodule(self.block_name).train(mode)
        self.training = mode
        return self

    def forward(self, x):
        return self.module(x)


def last_block(backbone):
    """Name of the last stage that holds parameters: ``layer4`` of a ResNet, ``features.18`` of MobileNetV2."""
    name, module = "", backbone
    while True:
        children = [(n, m) for n, m in module.named_children() if next(m.parameters(), None) is not None]
        if not children:
            return name
        child_name, child = children[-1]
        name = f"{name}.{child_name}" if name else child_name
        if len(children) > 1 and not _is_list_of_stages(child):
            return name
        module = child


def _is_list_of_stages(module):
    # A torchvision `features` container is descended into; a residual stage (`layer4`) is a block itself.
    return isinstance(module, nn.Sequential) and len(module) > 4


def build_backbone(backbone, weights, augment):
    """Image encoder by name or callable, its input layer included, and the width of its embedding."""
    if callable(backbone):
        module, n_features = backbone()
        return nn.Sequential(ImageInput(augment), module), n_features
    if backbone == "auto":
        if weights is not None:
            raise ValueError("`weights` needs a torchvision `backbone` such as 'mobilenet_v2', got backbone='auto'.")
        module, n_features = small_cnn(), 128
        return nn.Sequential(ImageInput(augment), module), n_features
    module, n_features = torchvision_backbone(backbone, weights)
    return nn.Sequential(ImageInput(augment, _IMAGENET_MEAN, _IMAGENET_STD), module), n_features
