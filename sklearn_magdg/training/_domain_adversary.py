"""The adversary's schedule, its log, and whether it lives."""

import math
import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
from scipy.stats import entropy
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from skorch.callbacks import Callback

from sklearn_magdg.estimators._rows import mean_one
from sklearn_magdg.images._sources import RowsOf
from sklearn_magdg.metrics import magnification_leakage
from sklearn_magdg.modules import ramp
from sklearn_magdg.training._net import completed_epochs, infer, kept_epoch

# Below, losses are those of the first steps and tell nothing yet.
_FEWEST_STEPS = 50
# A head that has learned something has less than this share of the loss of guessing.
_DOMAIN_STUCK, _CLASS_STUCK = 0.95, 0.99
# An embedding that hides nothing is read with nearly all of the accuracy above chance, a game half won with less
# than half of it (linear probes nearly always read something).
_PROBE_SHARE = 0.5
# Float32 gradients of a living head are thousands of times larger.
_ROUNDING = 1e-8
# Weights that early stopping keeps from below this share of the strength asked for have hardly met the adversary.
_ACTED = 0.5
# What the probe reads: enough for an interval, seconds on one core.
_PROBE_ROWS = 400


class ReversalSchedule(Callback):
    """Sets the strength of the reversal layer before every training batch, and logs it with the progress.

    The progress runs from `start` to 1 over `n_steps` steps, `n_batches` of them an epoch. Up to `warmup` the
    strength is 0; the schedule ("ramp" or "constant") runs over what is left.
    """

    def __init__(self, strength, schedule, *, gamma, warmup, n_batches, n_steps, start=0.0):
        self.strength = strength
        self.schedule = schedule
        self.gamma = gamma
        self.warmup = warmup
        self.n_batches = n_batches
        self.n_steps = n_steps
        self.start = start

    def on_epoch_begin(self, net, **kwargs):
        # counted from the history, which a training that is taken up again has
        self.step_ = (len(net.history) - 1) * self.n_batches

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            net.module_.domain_head.reversal.strength = self.strength * self._share(self._progress())

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.step_ += 1
            # not at the end of the epoch, which early stopping may keep from later callbacks
            net.history.record("reversal_strength", net.module_.domain_head.reversal.strength)
            net.history.record("reversal_progress", self._progress())

    def _progress(self):
        return self.start + (1 - self.start) * self.step_ / self.n_steps

    def _share(self, progress):
        if progress < self.warmup:
            return 0.0
        if self.schedule == "constant":
            return 1.0
        return ramp((progress - self.warmup) / (1 - self.warmup), self.gamma)


class LogConstant(Callback):
    """The same number every epoch, for reading beside the others (chance level, say)."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    def on_epoch_begin(self, net, **kwargs):
        net.history.record(self.name, self.value)


class LogReversalGradient(Callback):
    """Mean norm over the epoch of the gradient that the domain head sends to the reversal layer."""

    def on_train_begin(self, net, **kwargs):
        self.hook_ = net.module_.domain_head.reversal.register_forward_hook(self._listen)

    def on_train_end(self, net, **kwargs):
        self.hook_.remove()

    def on_epoch_begin(self, net, **kwargs):
        self.sum_, self.count_ = 0.0, 0

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            net.history.record("reversal_gradient", self.sum_ / max(self.count_, 1))

    def _listen(self, layer, inputs, output):
        if output.requires_grad:  # which it does not in the validation pass
            output.register_hook(self._take)

    def _take(self, gradient):
        self.sum_ += gradient.float().norm().item()
        self.count_ += 1


class AdversaryHealth(Callback):
    """Warns after the training where the adversary died or broke the classifier, and says what to change.

    A domain accuracy at chance is what success and death have in common; what tells them apart is the
    gradient, and a probe of `rows`, which is fitted only where the domain loss is that of guessing.
    `groups` are those that the batches balance. Judged is the epoch whose weights are kept: the probe reads them only
    where every early stopping comes before this callback, for it puts them back at the end of the training too.
    """

    def __init__(self, rows, groups, *, strength, n_batches, domain_weight, warmup):
        self.rows = rows
        self.groups = groups
        self.strength = strength
        self.n_batches = n_batches
        self.domain_weight = domain_weight
        self.warmup = warmup

    def on_train_end(self, net, **kwargs):
        history = completed_epochs(net)
        if len(history) == len(net.history) > 0:  # not cut off within an epoch
            for sentence in self._find(net, history[kept_epoch(net) - 1], history[-1]):
                warnings.warn(sentence, ConvergenceWarning)

    def _find(self, net, kept, last):
        """What is wrong, a sentence each."""
        if not last["reversal_strength"]:
            return [_still_warming_up(self.warmup, last)] if self.warmup else []
        if kept["reversal_gradient"] <= _ROUNDING * self.domain_weight:
            return [_dead(kept, self.domain_weight)]
        if kept["epoch"] < last["epoch"] and kept["reversal_strength"] < _ACTED * self.strength:
            return [_thrown_away(kept, last, self.strength)]
        n_steps = kept["epoch"] * self.n_batches
        if n_steps < _FEWEST_STEPS:
            return []
        return [each for each in (self._stuck(net, kept, n_steps), self._collapsed(kept)) if each]

    def _stuck(self, net, kept, n_steps):
        guessing = self._entropy(self.rows.magnification)
        if kept["domain_loss"] <= _DOMAIN_STUCK * guessing:
            return None
        probe = probe_embedding(net, self.rows)
        if probe is None or not probe.low > probe.chance + _PROBE_SHARE * (1 - probe.chance):
            return None
        return (
            f"The domain head reads nothing (loss {kept['domain_loss']:.3f}, that of guessing {guessing:.3f}), yet a "
            f"fresh probe reads the magnification from the embedding with a balanced accuracy of "
            f"{probe.balanced_accuracy:.2f} (chance {probe.chance:.2f}): after {n_steps} steps it is hidden from this "
            "head only; train for more steps (`max_epochs`, or a smaller `batch_size`), or lower `reversal_strength`."
        )

    def _collapsed(self, kept):
        guessing = self._entropy(self.rows.label)
        if kept["class_loss"] <= _CLASS_STUCK * guessing:
            return None
        return (
            f"The class loss collapsed: in epoch {kept['epoch']} {kept['class_loss']:.3f}, where guessing by the "
            f"shares of the classes has {guessing:.3f}, at a reversal strength of {kept['reversal_strength']:.2g} and "
            f"domain_weight={self.domain_weight:g}; lower these or raise `reversal_warmup`, and look whether the net "
            "learns without them (`lr`, `max_epochs`)."
        )

    def _entropy(self, codes):
        """Loss of a head that knows no more than the shares of the `codes` in the weighted batches."""
        share = mean_one(self.rows.weight, self.groups) / np.bincount(self.groups)[self.groups]
        return entropy(np.bincount(codes, weights=share))


def _dead(kept, domain_weight):
    loss = kept["domain_loss"]
    remedy = "a layer of the domain head has a constant output: look for a softmax over one unit, or weights of 0"
    if math.exp(-loss) > 0.99:
        remedy = "it is sure of every magnification: raise `reversal_strength`, or lower `reversal_warmup` or `lr`"
    return (
        f"The adversary is dead: with domain_weight={domain_weight:g} and a reversal strength of "
        f"{kept['reversal_strength']:.2g} the domain head sends a gradient of {kept['reversal_gradient']:.1g} to the "
        f"encoder (its loss is {loss:.3g}); {remedy}."
    )


def _still_warming_up(warmup, last):
    return (
        f"The adversary never acted: the training ended at {last['reversal_progress']:.0%} of its steps, within "
        f"reversal_warmup={warmup:g}; lower it, or raise `patience`."
    )


def _thrown_away(kept, last, strength):
    return (
        f"The adversary hardly acted: of {last['epoch']} epochs early stopping kept epoch {kept['epoch']}, whose "
        f"reversal strength was {kept['reversal_strength']:.2g} of {strength:g}: raise `patience`, use "
        "reversal_schedule='constant', or early_stopping=False."
    )


def probe_embedding(net, rows):
    """`magnification_leakage` of the embedding of some training rows; None where there are too few patients.

    Unseen patients are predicted where patients are known, else unseen images.
    """
    patient = np.arange(len(rows.label)) if rows.patient is None else rows.patient
    chosen = _rows_to_probe(rows.magnification, patient)
    magnification, patient = rows.magnification[chosen], patient[chosen]
    n_splits = min(5, _fewest_patients(magnification, patient))
    if n_splits < 2 or len(np.unique(magnification)) < 2:
        return None
    embedding = infer(
        net.module_,
        RowsOf(rows.source, chosen),
        batch_size=net.batch_size,
        device=net.device,
        read_output=lambda output: output.embedding,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)  # the probe's own
        with suppress(ValueError):  # all patients of a magnification in one fold: no verdict
            return magnification_leakage(
                embedding, magnification, patient=patient, n_splits=n_splits, n_resamples=199, random_state=0
            )
    return None


def _rows_to_probe(magnification, patient):
    """Positions of a random part of the rows that have a patient, as many of every magnification."""
    order = np.random.default_rng(0).permutation(np.flatnonzero(~pd.isna(patient)))
    most = _PROBE_ROWS // len(np.unique(magnification))
    return np.concatenate([order[magnification[order] == m][:most] for m in np.unique(magnification)])


def _fewest_patients(magnification, patient):
    return pd.Series(patient).groupby(magnification).nunique().min()
