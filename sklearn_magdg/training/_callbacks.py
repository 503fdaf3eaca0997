"""skorch callbacks of every training: the log, the stop at a loss that is no number, the progress bar."""

from collections import defaultdict

from skorch.callbacks import Callback
from tqdm.auto import tqdm


class LogParts(Callback):
    """Means over the epoch of the objective's parts, weighted by batch size, into the history.

    They are summed on the device and read once an epoch: skorch's `PassthroughScoring` would have every number of every
    batch brought to the CPU first.
    """

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


class LogConstant(Callback):
    """The same number every epoch, for reading beside the others (chance level, say)."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    def on_epoch_begin(self, net, **kwargs):
        net.history.record(self.name, self.value)


class StopIfNotFinite(Callback):
    """Ends a training whose loss is no longer a number, with what to lower.

    Raises
    ------
    ValueError
        After the first batch whose loss is nan or infinite. The estimator then stays as it was before the fit.
    """

    def on_batch_end(self, net, training=False, loss=None, **kwargs):
        if training and not loss.isfinite():
            raise ValueError(
                f"The training loss became {loss.item()} in epoch {len(net.history)}: lower `lr` (now {net.lr:g}), "
                "or look for images or features far out of range."
            )


class Progress(Callback):
    """A bar over all batches of the training, with the epoch's losses beside it.

    skorch's own bar counts one epoch at a time, and so does not tell how long a fit will take.

    Parameters
    ----------
    n_batches : int
        Training batches of an epoch.
    """

    def __init__(self, n_batches):
        self.n_batches = n_batches

    def on_train_begin(self, net, **kwargs):
        self.bar = tqdm(total=net.max_epochs * self.n_batches, unit="batch")

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > 1 and not self.bar.n:  # a checkpoint goes on
            self.bar.n = self.bar.initial = (len(net.history) - 1) * self.n_batches

    def on_batch_end(self, net, training=False, **kwargs):
        self.bar.update(training)

    def on_epoch_end(self, net, **kwargs):
        losses = {name: net.history[-1].get(name) for name in ("class_loss", "valid_loss", "domain_accuracy")}
        self.bar.set_postfix({name: value for name, value in losses.items() if value is not None})

    def on_train_end(self, net, **kwargs):
        self.bar.close()
