"""Encoders: a small CNN, a perceptron for 2-D input, any torchvision classifier without its last layer."""

import difflib

import torch
from torch import nn

from sklearn_magdg.modules._weights import load_weights

_INCEPTIONS = ("googlenet", "inception_v3")


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
        with torch.autocast(images.device.type, enabled=False):  # resampling needs the full precision
            if self.training and self.augment is not None:
                images = self.augment(images)
            return (images.permute(0, 3, 1, 2).float() - self.mean).div_(self.std)


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
    """Five convolutions and a global average, for a CPU, any image size and few patients; and its width."""
    net = nn.Sequential(
        _conv_block(3, width, 2),
        _conv_block(width, 2 * width, 2),
        _conv_block(2 * width, 2 * width, 1),
        _conv_block(2 * width, 4 * width, 2),
        _conv_block(4 * width, n_features, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return net, n_features


def torchvision_backbone(name, weights, image_shape):
    """A torchvision classification model whose classifier is gone, and the width of what it read.

    ``(height, width, 3)`` of the images matters to transformers whose positions are learnt.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or ["mobilenet_v2", "resnet18", "resnet50"]
        raise ValueError(
            f"`backbone` must be 'auto', a torchvision classification model or a callable, got {name!r}; "
            f"did you mean {', '.join(map(repr, near))}?"
        )
    model = models.get_model(name, weights=None, **_constructor_options(name, image_shape))
    head, n_features = _classifier(model)
    model.set_submodule(head, nn.Identity())
    if weights is not None:
        load_weights(model, name, head, weights)
    return model, n_features


def _constructor_options(name, image_shape):
    """What a family must be told: that nothing hangs halfway up, or the size of the images."""
    if name in _INCEPTIONS:
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": _checked_side(name, image_shape, int(name.rsplit("_", 1)[1]))}
    if name.startswith("maxvit_"):  # windows of 7 x 7 at every scale, down to a thirty-second
        return {"input_size": (_checked_side(name, image_shape, 7 * 32),) * 2}
    return {}


def _checked_side(name, image_shape, unit):
    height, width, _ = image_shape
    if height != width or height % unit:
        nearest = unit * max(1, round(min(height, width) / unit))
        raise ValueError(
            f"`backbone` {name!r} takes square images whose side is a multiple of {unit} pixels, got {height} x "
            f"{width}: set `image_size={nearest}`, for example."
        )
    return height


def _classifier(model):
    """Name of the last layer with a choice of inputs, which is the classifier, and their number.

    SqueezeNet's is a convolution, without which the average over the image is its embedding.
    """
    name, layer = [item for item in model.named_modules() if isinstance(item[1], nn.Linear | nn.Conv2d)][-1]
    return name, layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def normalisation(name):
    """Mean and standard deviation of the input that torchvision's weights of `name` were trained on."""
    from torchvision.models import get_model_weights

    if name in _INCEPTIONS:  # torchvision's transforms say ImageNet's, which these nets undo inside
        return (0.5,) * 3, (0.5,) * 3
    transforms = get_model_weights(name).DEFAULT.transforms()
    return transforms.mean, transforms.std


class Frozen(nn.Module):
    """A module of which only the named `blocks` (or nothing) train; the rest stays in eval mode."""

    def __init__(self, module, blocks=()):
        super().__init__()
        self.module = module.requires_grad_(False)
        self.blocks = tuple(blocks)
        for block in self.blocks:
            module.get_submodule(block).requires_grad_(True)

    def train(self, mode=True):
        super().train(False)
        for block in self.blocks:
            self.module.get_submodule(block).train(mode)
        self.training = mode
        return self

    def forward(self, x):
        return self.module(x)


def last_block(module, least=0.02, most=0.9):
    """Names of a net's last stage with weights and of what follows it: ``["layer4"]`` of a ResNet.

    A stage holds at least the share `least` of the parameters, so that a closing norm is not taken for one,
    and at most the share `most`, so that a container of stages is looked into.
    """
    total, names, taken, prefix = _n_parameters(module), [], 0.0, ""
    while True:
        for name, child in reversed(list(module.named_children())):
            share = _n_parameters(child) / total
            if share > most and len(list(child.children())):
                prefix, module = f"{prefix}{name}.", child
                break
            names += [f"{prefix}{name}"] if share else []
            taken += share
            if taken >= least:
                return names
        else:
            return names


def _n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def build_backbone(backbone, weights, augment, image_shape):
    """Input layer, net by name or callable, and the width of its embedding, for images (height, width, 3)."""
    if weights is not None and (callable(backbone) or backbone == "auto"):
        raise ValueError(
            "`weights` needs a torchvision `backbone` such as 'mobilenet_v2'; a callable loads its weights itself."
        )
    if callable(backbone):
        made = backbone()
        if not isinstance(made, tuple) or len(made) != 2:
            raise ValueError(f"`backbone` must return (module, n_features), got {type(made).__name__}.")
        return ImageInput(augment), *made
    if backbone == "auto":
        return ImageInput(augment), *small_cnn()
    net, n_features = torchvision_backbone(backbone, weights, image_shape)
    return ImageInput(augment, *normalisation(backbone)), net, n_features


def check_backbone(input_layer, net, n_features, image_shape):
    """Refuse a net that cannot turn an image of `image_shape` into `n_features` numbers."""
    blank = torch.zeros(1, *image_shape, dtype=torch.uint8)
    try:
        with torch.no_grad():
            shape = tuple(net.eval()(input_layer.eval()(blank)).shape)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"`backbone` cannot take images of shape {tuple(image_shape)} ({reason}); choose another net or size."
        ) from error
    finally:
        net.train()
        input_layer.train()
    if shape != (1, n_features):
        raise ValueError(f"`backbone` must give ({n_features},) numbers an image, got {shape[1:]}.")
