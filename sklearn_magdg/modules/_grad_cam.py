"""Grad-CAM: the evidence for a class, place by place in the maps of one layer."""

import difflib
from contextlib import contextmanager

import torch
from torch.nn import functional as F

from sklearn_magdg.modules._inputs import ImageInput


def grad_cam(module, images, target, layer):
    r"""Class activation maps of a batch.

    .. math:: L^c = \mathrm{ReLU}\Big(\sum_k \alpha^c_k A^k\Big), \quad
        \alpha^c_k = \frac{1}{hw} \sum_{ij} \frac{\partial y^c}{\partial A^k_{ij}}

    with the maps :math:`A^k` that the layer gives and the logit :math:`y^c` of class c. The module is left as it was,
    training flags, gradients and hooks, also where this raises.

    Parameters
    ----------
    module : TwoHeaded
        On the device of `images`; its parameters need not require gradients.
    images : Tensor of shape (n, height, width, 3)
        As the encoder takes them.
    target : int64 Tensor of shape (n,)
        Class of every image whose evidence is wanted, as a column of the logits.
    layer : str
        Name within ``module.encoder``. Of a layer that is called several times the last call counts.

    Returns
    -------
    Tensor of shape (n, h, w)
        At least 0, in logits, at the resolution of the layer.

    Raises
    ------
    ValueError
        If there is no such layer, if its output is no map, or if the logits do not depend on it.

    References
    ----------
    R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV
    2017, eq. 1 and 2.
    """
    size, outputs = images.shape[1:3], []

    def cut(_layer, _inputs, output):
        if _channel_axis(_shape(output), size) is None:
            raise ValueError(
                f"`layer` must give maps (n, channels, height, width) of more than one place, {layer!r} gives "
                f"{_shape(output) or type(output).__name__}; name an earlier one, or leave it out."
            )
        outputs.append(output.detach().requires_grad_())  # a leaf, so that nothing before it need have gradients
        return outputs[-1].clone()  # what follows may work in place

    with _in_eval_mode(module), _find(module.encoder, layer).register_forward_hook(cut), torch.enable_grad():
        logits = module(images).class_logits
        # samples do not mix in eval mode: the gradient of the sum is that of each
        gradient = _gradient(logits.gather(1, target[:, None]).sum(), outputs, layer)
    axis = _channel_axis(gradient.shape, size)
    weights = gradient.movedim(axis, 1).mean(dim=(2, 3), keepdim=True)  # (n, k, h, w) -> (n, k, 1, 1)
    return (weights * outputs[-1].detach().movedim(axis, 1)).sum(1).relu()


def upsample(maps, size):
    """Maps (n, h, w) at the `size` (height, width) of the images, bilinearly between the centres of their cells."""
    return F.interpolate(maps[:, None], size=tuple(size), mode="bilinear", align_corners=False)[:, 0]


def last_map_layer(module, images):
    """Name within ``module.encoder`` of the last layer whose output still tells places of the image apart.

    Where a whole stage ends with that layer, it is the name of the stage. The module is run on the first image alone
    and left as it was.

    Raises
    ------
    ValueError
        If there is none, or if tokens, which do not say where they stand, come after it.
    """
    size = images.shape[1:3]
    for name, shape in reversed(_output_shapes(module, images[:1])):
        if len(shape) == 3:
            raise ValueError(
                "Grad-CAM needs maps (n, channels, height, width), and the class is read from tokens, "
                f"those {shape} of {name!r}, which do not say where they stand; choose a convolutional `backbone` such "
                "as 'resnet18', or name a `layer` with maps."
            )
        if _channel_axis(shape, size) is not None:
            return name
    raise ValueError(
        f"Grad-CAM needs a layer with maps (n, channels, height, width) of more than one place, and this "
        f"net has none for images of {tuple(size)}; choose a convolutional `backbone` or larger images."
    )


def _output_shapes(module, images):
    """Name and output shape of the encoder's layers, in the order in which they finish: a stage after its last layer.

    The input layer is left out, since its maps are the image itself.
    """
    shapes, hooks = [], []

    def note(name):
        return lambda _layer, _inputs, output: shapes.append((name, _shape(output)))

    try:
        for name, layer in module.encoder.named_modules():
            if name and not isinstance(layer, ImageInput):
                hooks.append(layer.register_forward_hook(note(name)))
        with _in_eval_mode(module), torch.no_grad():
            module(images)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


@contextmanager
def _in_eval_mode(module):
    """Eval mode inside; outside every part is in the mode that it was in, which need not be that of the whole."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield module.eval()
    finally:
        for part, mode in modes:
            part.training = mode


def _find(encoder, layer):
    """The part of the encoder with that name, or with that second name, where a part stands in two places."""
    parts = {name: part for name, part in encoder.named_modules(remove_duplicate=False) if name}
    if layer not in parts:
        near = difflib.get_close_matches(layer, parts, n=3) or list(parts)[-3:]
        raise ValueError(f"The encoder has no `layer` {layer!r}; did you mean {', '.join(map(repr, near))}?")
    return parts[layer]


def _gradient(score, outputs, layer):
    """Gradient of `score` at the last of the `outputs` of the layer, of its shape."""
    gradient = None
    if outputs and score.requires_grad:
        (gradient,) = torch.autograd.grad(score, outputs[-1], allow_unused=True)
    if gradient is None:
        raise ValueError(
            f"No gradient of the class flows back to `layer` {layer!r}: it takes no part in the answer, or the net "
            "switches gradients off after it; name another layer."
        )
    return gradient


def _shape(output):
    """Shape of what a layer gives, () where that is no tensor."""
    return tuple(getattr(output, "shape", ()))


def _channel_axis(shape, size):
    """1 for maps (n, c, h, w), 3 for (n, h, w, c), as Swin has them, None for what is no map of an image of `size`.

    Strides keep the shape of the image, to a row or column: that tells height and width from channels.
    """
    if len(shape) != 4:
        return None
    for axis, (h, w) in ((1, shape[2:]), (3, shape[1:3])):
        if (h - 1) * size[1] <= (w + 1) * size[0] and (w - 1) * size[0] <= (h + 1) * size[1]:
            return axis if h * w > 1 else None
    return None
