"""Names, shapes and dtypes of a net's tensors, without making its weights."""

import torch
from torch.overrides import TorchFunctionMode

from sklearn_magdg._words import name_some


def misfit(expected, found):
    """How the tensors of the state dict `found` differ from those of `expected`, in words; "" where they agree.

    Names, shapes and dtypes are compared, numbers are not: tensors of torch's meta device, which have none, do.
    """
    expected, found = ({k: (tuple(v.shape), v.dtype) for k, v in state.items()} for state in (expected, found))
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape or dtype": sorted(k for k in expected.keys() & found.keys() if expected[k] != found[k]),
    }
    return "; ".join(f"{fault}: {name_some(names)}" for fault, names in faults.items() if names)


class without_numbers(TorchFunctionMode):  # noqa: N801, a context manager, named as torch names `no_grad`
    """Context in which nets are made on torch's meta device, where the weights of the largest cost no memory.

    ``torch.device("meta")`` would take along the small computations by which RegNets find their widths; here only
    the functions that reserve a layer's memory are turned to that device. A tensor whose device is given keeps it.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import without_numbers
    >>> with without_numbers():
    ...     layer = torch.nn.Linear(100_000, 100_000)  # 40 GB of weights
    >>> layer.weight.shape, layer.weight.device.type
    (torch.Size([100000, 100000]), 'meta')
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.empty, torch.zeros, torch.ones) and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return function(*args, **kwargs)
