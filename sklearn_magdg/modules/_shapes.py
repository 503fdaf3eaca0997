"""Names, shapes and dtypes of a net's tensors, without making its weights."""

import torch
from torch.overrides import TorchFunctionMode

from sklearn_magdg._words import name_some


def misfit(expected, found):
    """How the tensors `found` differ from those `expected`, in words; nothing where they agree.

    Parameters
    ----------
    expected, found : dict of str to torch.Tensor
        State dicts, of which names, shapes and dtypes are compared, and no number.
    """
    expected, found = ({k: (tuple(v.shape), v.dtype) for k, v in state.items()} for state in (expected, found))
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape or dtype": sorted(k for k in expected.keys() & found.keys() if expected[k] != found[k]),
    }
    return "; ".join(f"{fault}: {name_some(names)}" for fault, names in faults.items() if names)


class without_numbers(TorchFunctionMode):  # noqa: N801 - a context manager, used as a function is
    """Context in which weights are made on torch's meta device, where the largest costs no memory.

    ``torch.device("meta")`` would take along the small computations by which RegNets find their widths.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.empty, torch.zeros, torch.ones) and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return function(*args, **kwargs)
