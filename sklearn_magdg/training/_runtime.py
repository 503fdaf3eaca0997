"""Where and how torch computes: the seed, the threads, the device."""

from contextlib import contextmanager

import numpy as np
import torch
from joblib import effective_n_jobs

MAX_SEED = np.iinfo(np.int32).max  # the largest that NumPy's RandomState draws and takes


@contextmanager
def seeded(seed):
    """Torch's global generators run from `seed` inside and are as before outside.

    Two fits with one seed agree even when the generators moved in between, and a fit moves them for nobody else.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def threads(n_jobs):
    """Torch computes with `n_jobs` threads inside, as joblib counts them; None leaves its own choice."""
    before = torch.get_num_threads()
    try:
        if n_jobs is not None:
            torch.set_num_threads(effective_n_jobs(n_jobs))
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(device):
    """A torch device that is there; "auto" is the GPU if there is one.

    Raises
    ------
    ValueError
        For a device that torch does not know, or that this machine lacks.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # a name alone tells nothing: only something put there shows that the device works
        return torch.empty(0, device=device).device
    except (RuntimeError, NotImplementedError, AssertionError) as error:  # the last: torch without CUDA
        raise ValueError(
            f"`device` {device!r} cannot be used ({str(error).splitlines()[0]}); use 'auto' or 'cpu'."
        ) from error
