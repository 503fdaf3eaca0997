"""Training by skorch: nets, batches, callbacks, checkpoints and the two adversaries; values in, never an estimator.

A room for the other rooms: nothing here is public.
"""

from sklearn_magdg.training._net import infer as infer
from sklearn_magdg.training._net import resolve_device as resolve_device
from sklearn_magdg.training._net import seeded as seeded
from sklearn_magdg.training._net import threads as threads

__all__ = []
