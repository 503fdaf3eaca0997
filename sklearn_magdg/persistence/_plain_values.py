"""Parameters and fitted attributes as JSON, and back, each with its type; nothing that is read is run."""

import math
from dataclasses import asdict
from pathlib import Path, PurePath
from types import NoneType

import numpy as np

from sklearn_magdg.modules import HistologyAugment

_LONGEST_TEXT = 4096  # characters of an array's item; a file cannot ask for more memory than it is long


def to_plain(value):
    """`value` in what JSON can hold: numbers, texts, lists, and dicts that name the type of all else.

    Parameters
    ----------
    value : object
        None, a truth value, number, text or path; a list, tuple or dict of such; a 1-D array or NumPy scalar;
        `HistologyAugment`; a RandomState with its state. Exactly these types, for a subclass could hold more.

    Returns
    -------
    object
        What `from_plain` turns back into an equal value of the same type.

    Raises
    ------
    TypeError
        For a value of a type that `from_plain` cannot make again.
    """
    if isinstance(value, np.generic):
        return {"scalar": to_plain(value.item()), "dtype": _checked(value.dtype).str}
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return {"array": to_plain(value.tolist()), "dtype": _checked(value.dtype).str}
    if type(value) is float and not math.isfinite(value):
        return {"float": str(value)}
    if type(value) in (NoneType, bool, int, float, str):
        return value
    if type(value) is list:
        return [to_plain(item) for item in value]
    if type(value) is tuple:
        return {"tuple": [to_plain(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[to_plain(key), to_plain(item)] for key, item in value.items()]}
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if isinstance(value, HistologyAugment):
        return {"HistologyAugment": to_plain(asdict(value))}
    if isinstance(value, np.random.RandomState) and isinstance(value.get_state(), tuple):
        return {"RandomState": to_plain(value.get_state())}
    raise TypeError(f"an object of type {type(value).__name__}")


def from_plain(stored):
    """The value that `to_plain` was given.

    Parameters
    ----------
    stored : object
        From a file that anybody may have written: what it can make is in the list below, and nothing else.

    Raises
    ------
    ValueError, TypeError, KeyError
        For a value of an unknown kind or with a part that does not fit.
    """
    match stored:
        case list():
            return [from_plain(item) for item in stored]
        case {"array": values, "dtype": dtype}:
            return np.fromiter(from_plain(values), _checked(np.dtype(dtype)), count=len(values))
        case {"scalar": value, "dtype": dtype}:
            return np.array(from_plain(value), _checked(np.dtype(dtype)))[()]
        case {"float": text}:
            return float(text)
        case {"tuple": values}:
            return tuple(from_plain(values))
        case {"dict": items}:
            return {from_plain(key): from_plain(value) for key, value in items}
        case {"path": text}:
            return Path(text)
        case {"HistologyAugment": settings}:
            return HistologyAugment(**from_plain(settings))
        case {"RandomState": state}:
            generator = np.random.RandomState()
            generator.set_state(from_plain(state))
            return generator
        case dict():
            raise ValueError(f"a value of the unknown kind {sorted(stored)}")
    return stored


def _checked(dtype):
    """`dtype`, if its items are truth values, numbers of up to 8 bytes, texts or objects."""
    longest = {"U": 4 * _LONGEST_TEXT, "b": 1, "i": 8, "u": 8, "f": 8, "O": 8}
    if dtype.itemsize > longest.get(dtype.kind, -1):
        raise TypeError(f"values of dtype {dtype}")
    return dtype
