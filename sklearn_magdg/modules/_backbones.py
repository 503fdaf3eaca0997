"""Encoders: a small CNN, a perceptron for 2-D input, any torchvision classifier without its last layer."""

import difflib

import torch
from torch import nn

from sklearn_magdg.modules._frozen import Frozen  # noqa: F401 - here, files of `joblib.dump` look for these
from sklearn_magdg.modules._inputs import FeatureInput, ImageInput  # noqa: F401
from sklearn_magdg.modules._weights import load_weights

_INCEPTIONS = ("googlenet", "inception_v3")


def perceptron(n_inputs, hidden=64, n_features=32):
    """Features ``(n, n_inputs)`` -> embedding ``(n, n_features)``: two layers with ReLU.

    Enough to bend a frozen encoder's features, small enough for few patients.

    Parameters
    ----------
    n_inputs : int
    hidden : int, default=64
        Width of the first layer.
    n_features : int, default=32
        Width of the embedding, whose values are at least 0.
    """
    return nn.Sequential(
        nn.Linear(n_inputs, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, n_features),
        nn.ReLU(inplace=True),
    )


def trainable_projection(n_inputs, n_features=128):
    """What adapts a frozen backbone's features, ``(n, n_inputs)`` -> ``(n, n_features)``, and its width.

    Where nothing else trains before the heads, a penalty or a reversed gradient has this layer to act on.

    Returns
    -------
    net : nn.Module
    n_features : int
    """
    return nn.Sequential(nn.Linear(n_inputs, n_features), nn.ReLU(inplace=True)), n_features


def _conv_block(n_in, n_out, stride):
    """``(n, n_in, h, w)`` -> ``(n, n_out, h / stride, w / stride)``; the norm takes out a bias, so there is none."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


def small_cnn(width=24, n_features=128):
    """Five convolutions and a global average, for a CPU, any image size and few patients; and its width.

    Parameters
    ----------
    width : int, default=24
        Channels of the first convolution.
    n_features : int, default=128
        Channels of the last, which is the width of the embedding.

    Returns
    -------
    net : nn.Module
        ``(n, 3, h, w)`` -> ``(n, n_features)``.
    n_features : int
    """
    net = nn.Sequential(
        _conv_block(3, width, 2),
        _conv_block(width, 2 * width, 2),
        _conv_block(2 * width, 2 * width, 1),
        _conv_block(2 * width, 4 * width, 2),
        _conv_block(4 * width, n_features, 2),  # (n, n_features, h/16, w/16)
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return net, n_features


def torchvision_backbone(name, weights, image_shape):
    """A torchvision classification model whose classifier is gone, and the width of what it read.

    The classifier is the last layer with a choice of inputs. SqueezeNet's is a convolution, without which the
    average over the image is its embedding.

    Parameters
    ----------
    name : str
        As torchvision has it: "mobilenet_v2", "vit_b_16".
    weights : None, "imagenet" or path
        None starts from torchvision's random ones; see `load_weights`.
    image_shape : tuple (height, width, 3)
        Matters to transformers whose positions are learnt.

    Returns
    -------
    net : nn.Module
        ``(n, 3, height, width)`` -> ``(n, n_features)``.
    n_features : int

    Raises
    ------
    ValueError
        For a name that torchvision has not, with those near it, and for images that the net cannot take.
    """
    from torchvision import models  # a second to import, which features and the small net do without

    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or ["mobilenet_v2", "resnet18", "resnet50"]
        raise ValueError(
            f"`backbone` must be 'auto', a torchvision classification model or a callable, got {name!r}; "
            f"did you mean {', '.join(map(repr, near))}?"
        )
    model = models.get_model(name, weights=None, **_constructor_options(name, image_shape))
    head, layer = [item for item in model.named_modules() if isinstance(item[1], nn.Linear | nn.Conv2d)][-1]
    model.set_submodule(head, nn.Identity())
    if weights is not None:
        load_weights(model, name, head, weights)
    return model, layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


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
    """Side of the images in pixels, which must be square and a multiple of `unit`: patches or windows tile them."""
    height, width, _ = image_shape
    if height != width or height % unit:
        nearest = unit * max(1, round(min(height, width) / unit))
        raise ValueError(
            f"`backbone` {name!r} takes square images whose side is a multiple of {unit} pixels, got {height} x "
            f"{width}: set `image_size={nearest}`, for example."
        )
    return height


def normalisation(name):
    """Mean and standard deviation of the input that torchvision's weights of `name` were trained on.

    Two sequences of 3 floats, for red, green and blue in [0, 1].
    """
    from torchvision.models import get_model_weights

    if name in _INCEPTIONS:  # torchvision's transforms say ImageNet's, which these nets undo inside
        return (0.5,) * 3, (0.5,) * 3
    transforms = get_model_weights(name).DEFAULT.transforms()
    return transforms.mean, transforms.std


def build_backbone(backbone, weights, augment, image_shape):
    """Input layer, net by name or callable, and the width of its embedding.

    Parameters
    ----------
    backbone : "auto", str or callable
        A small net of five convolutions; a torchvision classification model by name; or what returns
        (module, n_features), a module ``(n, 3, h, w)`` -> ``(n, n_features)``.
    weights : None, "imagenet" or path
        Of a torchvision model: none, torchvision's default ones, or a file with a state dict.
    augment : callable or None
        As of `ImageInput`.
    image_shape : tuple (height, width, 3)

    Returns
    -------
    input_layer : ImageInput
        Standardises as the weights of the net were trained.
    net : nn.Module
    n_features : int

    Raises
    ------
    ValueError
        For a name that torchvision has not, for `weights` without a net of torchvision's or that do not fit it, and
        for a callable that returns something else.
    OSError
        When weights cannot be downloaded.
    """
    if weights is not None and (callable(backbone) or backbone == "auto"):
        raise ValueError(
            "`weights` needs a torchvision `backbone` such as 'mobilenet_v2'; a callable loads its weights itself."
        )
    if callable(backbone):
        made = backbone()
        if not isinstance(made, tuple) or len(made) != 2:
            raise ValueError(
                f"`backbone` must return (module, n_features), got {type(made).__name__}; return both as a tuple."
            )
        return ImageInput(augment), *made
    if backbone == "auto":
        return ImageInput(augment), *small_cnn()
    net, n_features = torchvision_backbone(backbone, weights, image_shape)
    return ImageInput(augment, *normalisation(backbone)), net, n_features


def check_backbone(input_layer, net, n_features, image_shape):
    """Refuse a net that cannot turn an image into as many numbers as it says, by showing it a black one.

    Parameters
    ----------
    input_layer : ImageInput
    net : nn.Module
        Left in training mode, as is the input layer.
    n_features : int
        What the net should give of an image.
    image_shape : tuple (height, width, 3)

    Raises
    ------
    ValueError
        With the net's own error where it cannot take the image, or the shape that it gave.
    """
    blank = torch.zeros(1, *image_shape, dtype=torch.uint8)
    try:
        with torch.no_grad():
            shape = tuple(net.eval()(input_layer.eval()(blank)).shape)
    except Exception as error:  # a user's net may fail in any way
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"`backbone` cannot take images of shape {tuple(image_shape)} ({reason}); choose another net or size."
        ) from error
    finally:
        net.train()
        input_layer.train()
    if shape != (1, n_features):
        raise ValueError(f"`backbone` must give ({n_features},) numbers an image, got {shape[1:]}.")
