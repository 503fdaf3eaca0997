"""Pretrained weights, from a file or from torchvision's hub, for a net whose classifier is gone."""

import pickle
import re
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from sklearn_magdg._words import shorten

# Classifiers halfway up GoogLeNet and Inception, which train them and nothing else.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def load_weights(net, name, head, weights):
    """Load `weights` into torchvision's net `name`, whose classifier `head` is gone.

    Parameters
    ----------
    net : nn.Module
    name : str
        As torchvision has it.
    head : str
        Dotted name of the classifier. What a file holds of it and of classifiers halfway up is passed over.
    weights : "imagenet" or path
        torchvision's default weights, downloaded or from its cache; or a file, see `read_weights`.

    Raises
    ------
    ValueError
        When there is no such file, or when it holds other weights than the net needs, not finite ones, or more
        than tensors.
    OSError
        When the download fails or brings another file than torchvision published.
    """
    if weights == "imagenet":
        from torchvision.models import get_model_weights  # a second to import, which features do without

        published = get_model_weights(name).DEFAULT
        try:
            state = published.get_state_dict(check_hash=True, map_location="cpu", weights_only=True)
        # a wrong hash is a RuntimeError of torch.hub
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            raise OSError(
                f"`weights='imagenet'` could not be had from {published.url}: {_first_line(error).rstrip('.')}; "
                "bring the file here by another way and give its path as `weights`."
            ) from error
    else:
        state = read_weights(Path(weights))
    faults = fill(net, head, state)
    if faults:
        raise ValueError(
            f"`weights` {str(weights)!r} are not those of torchvision's {name!r}: {faults}; give those of this net."
        )


def read_weights(path):
    """Named tensors of a state dict, ``.safetensors`` or a torch file; no code that the file holds is run.

    Those of a training checkpoint are looked for under "state_dict" and "model".

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    state : dict of tensors, on the CPU

    Raises
    ------
    ValueError
        When there is no such file, or it holds anything but tensors under names.
    """
    if not path.is_file():
        raise ValueError(f"`weights` must be None, 'imagenet' or the path of a state dict; there is no file {path}.")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"`weights` {path} is not a state dict, or holds more than tensors, which is not loaded because it may "
            "run code: save `net.state_dict()` alone."
        ) from error
    except Exception as error:  # a broken zip, header or pickle: each library has errors of its own
        raise ValueError(
            f"`weights` {path} cannot be read as a state dict: {_first_line(error)}; save `net.state_dict()`."
        ) from error

    if isinstance(state, dict):
        state = next((state[key] for key in ("state_dict", "model") if isinstance(state.get(key), dict)), state)
    if not isinstance(state, dict) or not all(isinstance(values, torch.Tensor) for values in state.values()):
        raise ValueError(f"`weights` {path} is not a state dict, names with their tensors: save `net.state_dict()`.")
    return state


def fill(net, head, state):
    """Load the named tensors `state`, but for classifiers, into `net`; what does not fit, in words, or "".

    Parameters
    ----------
    net : nn.Module
        Changed in place, also where some of the tensors do not fit.
    head : str
        Dotted name of the classifier that the net has not.
    state : dict of tensors
        Under the names that torchvision has or had, or those of `nn.DataParallel`; its names are changed.

    Returns
    -------
    faults : str
        Names that are missing, unexpected, of another shape, or not finite: the first three of each.
    """
    try:
        missing, unexpected = net.load_state_dict(_modernised(net, state), strict=False)
    except RuntimeError as error:  # tensors of another shape, a line each below the first
        return shorten((line.strip().rstrip(".") for line in str(error).splitlines()[1:]), most=3, separator="; ")
    classifiers = (f"{head.split('.')[0]}.", *_AUXILIARY)
    unexpected = [name for name in unexpected if not name.startswith(classifiers)]
    wild = [name for name, values in net.state_dict().items() if not values.isfinite().all()]
    found = {"missing": missing, "unexpected": unexpected, "not finite": wild}
    return "; ".join(f"{fault} {shorten(names, most=3)}" for fault, names in found.items() if names)


def _modernised(net, state):
    """`state` under the names, with the version, and with as many positions as `net` has."""
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")  # of nn.DataParallel
    # torchvision's own files of DenseNet have names that nn.Module has long refused.
    pattern = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
    renamed = OrderedDict((pattern.sub(r"\1\2", name), values) for name, values in state.items())
    # MNASNet insists on its version, which only torch files keep.
    own = net.state_dict()
    renamed._metadata = getattr(state, "_metadata", {"": own._metadata[""]})
    if "encoder.pos_embedding" in own.keys() & renamed.keys():
        from torchvision.models.vision_transformer import interpolate_embeddings

        return interpolate_embeddings(net.image_size, net.patch_size, renamed)
    return renamed


def _first_line(error):
    return (str(error) or type(error).__name__).splitlines()[0]
