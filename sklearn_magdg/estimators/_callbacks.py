"""skorch callbacks: one hook each."""

from collections import defaultdict

from skorch.callbacks import Callback

from sklearn_magdg.modules import ramp


class LogParts(Callback):
    """Means over the epoch of the objective's parts, weighted by batch size, into the history."""

    def on_epoch_begin(self, net, **kwargs):
        self.sums_, self.count_ = defaultdict(float), 0

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            n = len(batch[0])
            self.count_ += n
            for name, value in net.criterion_.parts.items():
                self.sums_[name] += n * value

    def on_epoch_end(self, net, **kwargs):
        for name, total in self.sums_.items():
            net.history.record(name, float(total) / self.count_)


class StopIfNotFinite(Callback):
    """Ends a training whose loss is no longer a number, with what to lower."""

    def on_batch_end(self, net, training=False, loss=None, **kwargs):
        if training and not loss.isfinite():
            raise ValueError(
                f"The training loss became {loss.item()} in epoch {len(net.history)}: lower `lr` (now {net.lr:g}), "
                "or look for images or features far out of range."
            )


class ReversalSchedule(Callback):
    """Sets the strength of the reversal layer before every training batch and logs it per epoch."""

    def __init__(self, strength, schedule, gamma, n_steps):
        self.strength = strength
        self.schedule = schedule
        self.gamma = gamma
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        self.step_ = 0

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            share = ramp(self.step_ / self.n_steps, self.gamma) if self.schedule == "ramp" else 1.0
            net.module_.domain_head.reversal.strength = self.strength * share
            self.step_ += 1

    def on_epoch_end(self, net, **kwargs):
        net.history.record("reversal_strength", net.module_.domain_head.reversal.strength)


class LogConstant(Callback):
    """The same number every epoch, for reading beside the others (chance level, say)."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    def on_epoch_end(self, net, **kwargs):
        net.history.record(self.name, self.value)
