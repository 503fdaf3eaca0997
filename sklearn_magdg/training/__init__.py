"""Training by skorch: nets, batches, callbacks, checkpoints and the two adversaries; values in, never an estimator.

A room for the other rooms: nothing here is public.
"""

from sklearn_magdg.training._batches import BalancedBatches as BalancedBatches
from sklearn_magdg.training._batches import ShuffledBatches as ShuffledBatches
from sklearn_magdg.training._batches import TrainingData as TrainingData
from sklearn_magdg.training._batches import labelled_data as labelled_data
from sklearn_magdg.training._callbacks import LogConstant as LogConstant
from sklearn_magdg.training._callbacks import Progress as Progress
from sklearn_magdg.training._callbacks import StopIfNotFinite as StopIfNotFinite
from sklearn_magdg.training._checkpoint import checkpoint_of as checkpoint_of
from sklearn_magdg.training._domain_adversary import AdversaryHealth as AdversaryHealth
from sklearn_magdg.training._domain_adversary import LogReversalGradient as LogReversalGradient
from sklearn_magdg.training._domain_adversary import ReversalSchedule as ReversalSchedule
from sklearn_magdg.training._gan import generator_alone as generator_alone
from sklearn_magdg.training._gan import keep_generator as keep_generator
from sklearn_magdg.training._gan import players as players
from sklearn_magdg.training._gan import sample_cells as sample_cells
from sklearn_magdg.training._gan_health import SampleJudge as SampleJudge
from sklearn_magdg.training._gan_health import gan_net as gan_net
from sklearn_magdg.training._gan_health import spread_of_samples as spread_of_samples
from sklearn_magdg.training._gan_health import warn_of_lost_game as warn_of_lost_game
from sklearn_magdg.training._net import completed_epochs as completed_epochs
from sklearn_magdg.training._net import group_parameters as group_parameters
from sklearn_magdg.training._net import infer as infer
from sklearn_magdg.training._net import kept_epoch as kept_epoch
from sklearn_magdg.training._net import run as run
from sklearn_magdg.training._net import train as train
from sklearn_magdg.training._runtime import MAX_SEED as MAX_SEED
from sklearn_magdg.training._runtime import resolve_device as resolve_device
from sklearn_magdg.training._runtime import seeded as seeded
from sklearn_magdg.training._runtime import threads as threads

__all__ = []
