"""Names, shapes and dtypes of a net's tensors, without making its weights."""

import copy
import warnings

import torch
from torch.overrides import TorchFunctionMode

from sklearn_magdg._words import name_some
from sklearn_magdg.training._net import seeded


def blank_module(estimator):
    """The net that the parameters of a fitted estimator give, without numbers; but a callable backbone is called."""
    sketch = copy.copy(estimator)
    if callable(getattr(estimator, "backbone", None)):
        with seeded(0):
            made = estimator.backbone()
        sketch.backbone = lambda: made
    with _WithoutNumbers(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `fit` has told already what is amiss with its data
        return sketch._rebuild_module()


def misfit(expected, found):
    """How the tensors `found` differ from those `expected`, in words; nothing where they agree."""
    expected, found = ({k: (tuple(v.shape), v.dtype) for k, v in state.items()} for state in (expected, found))
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape or dtype": sorted(k for k in expected.keys() & found.keys() if expected[k] != found[k]),
    }
    return "; ".join(f"{fault}: {name_some(names)}" for fault, names in faults.items() if names)


class _WithoutNumbers(TorchFunctionMode):
    """Weights are made on torch's meta device, where the largest costs no memory.

    ``torch.device("meta")`` would take along the small computations by which RegNets find their widths.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.empty, torch.zeros, torch.ones) and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return function(*args, **kwargs)
