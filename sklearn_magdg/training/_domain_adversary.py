"""The adversary that reads the magnification: its schedule, its log, and whether it lives."""

import math
import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
from scipy.stats import entropy
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from skorch.callbacks import Callback

from sklearn_magdg.metrics import magnification_leakage
from sklearn_magdg.modules import ramp
from sklearn_magdg.training._batches import mean_one
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

    Parameters
    ----------
    strength : float
        Factor of the reversal layer where the schedule has reached 1.
    schedule : {"ramp", "constant"}
        What multiplies it, over the progress that the warm-up leaves.
    gamma : float
        Steepness of the ramp ``2 / (1 + exp(-gamma p)) - 1`` (Ganin et al. 2016, section 5.2.2).
    warmup : float
        Progress, in [0, 1), up to which the strength is 0.
    n_batches, n_steps : int
        Steps of an epoch, and of the whole training.
    start : float, default=0.0
        Progress at the first step: a warm start takes it up where the last fit left it.
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
        if not training:
            return
        progress, share = self._progress(), 1.0
        if progress < self.warmup:
            share = 0.0
        elif self.schedule == "ramp":
            share = ramp((progress - self.warmup) / (1 - self.warmup), self.gamma)
        net.module_.domain_head.reversal.strength = self.strength * share

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.step_ += 1
            # not at the end of the epoch, which early stopping may keep from later callbacks
            net.history.record("reversal_strength", net.module_.domain_head.reversal.strength)
            net.history.record("reversal_progress", self._progress())

    def _progress(self):
        """Share of the training that is done."""
        return self.start + (1 - self.start) * self.step_ / self.n_steps


class LogReversalGradient(Callback):
    """Mean norm over the epoch of the gradient that the domain head sends to the reversal layer.

    It tells an adversary that has lost from one that is dead: at chance both have the same loss.
    """

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
    gradient, and a probe of the training rows, which is fitted only where the domain loss is that of guessing.
    Judged is the epoch whose weights are kept: the probe reads them only where every early stopping comes before this
    callback, for it puts them back at the end of the training too.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        Groups of the training rows that the batches balance.
    strength, domain_weight, warmup : float
        Of the estimator.
    n_batches : int
        Steps of an epoch.
    """

    def __init__(self, groups, *, strength, n_batches, domain_weight, warmup):
        self.groups = groups
        self.strength = strength
        self.n_batches = n_batches
        self.domain_weight = domain_weight
        self.warmup = warmup

    def on_train_end(self, net, X=None, **kwargs):
        history = completed_epochs(net)
        if len(history) == len(net.history) > 0:  # not cut off within an epoch
            for sentence in self._find(net, X, history[kept_epoch(net) - 1], history[-1]):
                warnings.warn(sentence, ConvergenceWarning)

    def _find(self, net, data, kept, last):
        """What is wrong, a sentence each, the gravest alone where it explains the others.

        Parameters
        ----------
        net : skorch.NeuralNet
        data : TrainingData
        kept, last : dict
            Rows of the history: of the epoch whose weights are kept, and of the last one.
        """
        if not last["reversal_strength"]:
            if not self.warmup:
                return []
            return [
                f"The adversary never acted: the training ended at {last['reversal_progress']:.0%} of its steps, "
                f"within reversal_warmup={self.warmup:g}; lower it, or raise `patience`."
            ]
        if kept["reversal_gradient"] <= _ROUNDING * self.domain_weight:
            return [self._dead(kept)]
        if kept["epoch"] < last["epoch"] and kept["reversal_strength"] < _ACTED * self.strength:
            return [
                f"The adversary hardly acted: of {last['epoch']} epochs early stopping kept epoch {kept['epoch']}, "
                f"whose reversal strength was {kept['reversal_strength']:.2g} of {self.strength:g}: raise `patience`, "
                "use reversal_schedule='constant', or early_stopping=False."
            ]
        n_steps = kept["epoch"] * self.n_batches
        if n_steps < _FEWEST_STEPS:
            return []
        return [each for each in (self._stuck(net, data, kept, n_steps), self._collapsed(kept, data.cohort)) if each]

    def _dead(self, kept):
        """A head that sends no gradient back, and why that may be."""
        remedy = "a layer of the domain head has a constant output: look for a softmax over one unit, or weights of 0"
        if math.exp(-kept["domain_loss"]) > 0.99:
            remedy = "it is sure of every magnification: raise `reversal_strength`, or lower `reversal_warmup` or `lr`"
        return (
            f"The adversary is dead: with domain_weight={self.domain_weight:g} and a reversal strength of "
            f"{kept['reversal_strength']:.2g} the domain head sends a gradient of {kept['reversal_gradient']:.1g} to "
            f"the encoder (its loss is {kept['domain_loss']:.3g}); {remedy}."
        )

    def _stuck(self, net, data, kept, n_steps):
        """A head that guesses while a fresh probe reads; None where it does not guess, or nobody can read."""
        guessing = self.guessing_loss(data.cohort.magnification.codes, data.cohort.weight)
        if kept["domain_loss"] <= _DOMAIN_STUCK * guessing:
            return None
        probe = probe_embedding(net, data)
        if probe is None or not probe.low > probe.chance + _PROBE_SHARE * (1 - probe.chance):
            return None
        return (
            f"The domain head reads nothing (loss {kept['domain_loss']:.3f}, that of guessing {guessing:.3f}), yet a "
            f"fresh probe reads the magnification from the embedding with a balanced accuracy of "
            f"{probe.balanced_accuracy:.2f} (chance {probe.chance:.2f}): after {n_steps} steps it is hidden from this "
            "head only; train for more steps (`max_epochs`, or a smaller `batch_size`), or lower `reversal_strength`."
        )

    def _collapsed(self, kept, cohort):
        """A class loss no better than that of guessing; None where it is better."""
        guessing = self.guessing_loss(cohort.label.codes, cohort.weight)
        if kept["class_loss"] <= _CLASS_STUCK * guessing:
            return None
        return (
            f"The class loss collapsed: in epoch {kept['epoch']} {kept['class_loss']:.3f}, where guessing by the "
            f"shares of the classes has {guessing:.3f}, at a reversal strength of {kept['reversal_strength']:.2g} and "
            f"domain_weight={self.domain_weight:g}; lower these or raise `reversal_warmup`, and look whether the net "
            "learns without them (`lr`, `max_epochs`)."
        )

    def guessing_loss(self, codes, weight):
        """Cross-entropy of a head that knows no more than the shares of the `codes` in the weighted batches.

        It is the entropy of these shares, in nats: a balanced batch holds each of `groups` equally often, and within
        a group a row counts by its weight.
        """
        share = mean_one(weight, self.groups) / np.bincount(self.groups)[self.groups]
        return entropy(np.bincount(codes, weights=share))


def probe_embedding(net, data):
    """`magnification_leakage` of the embedding of some training rows; None where there are too few patients.

    Unseen patients are predicted where patients are known, else unseen images.

    Parameters
    ----------
    net : skorch.NeuralNet
        With the weights that are kept.
    data : TrainingData
        What it was trained on, with its `Cohort`.
    """
    cohort, n_rows = data.cohort, len(data)
    patient = np.arange(n_rows) if cohort.patient is None else cohort.patient.codes
    chosen = rows_to_probe(cohort.magnification.codes, patient)
    magnification, patient = cohort.magnification.codes[chosen], patient[chosen]
    n_splits = min(5, pd.Series(patient).groupby(magnification).nunique().min())
    if n_splits < 2 or len(np.unique(magnification)) < 2:
        return None
    embedding = infer(
        net.module_,
        data.source.take(chosen),
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


def rows_to_probe(magnification, patient):
    """Positions of a random part of the rows that have a patient, as many of every magnification.

    The seed is fixed: what is said after a fit depends on the fit alone.

    Parameters
    ----------
    magnification, patient : ndarray of int, shape (n,)
        Codes; a row without a patient has -1.
    """
    order = np.random.default_rng(0).permutation(np.flatnonzero(patient >= 0))
    most = _PROBE_ROWS // len(np.unique(magnification))
    return np.concatenate([order[magnification[order] == m][:most] for m in np.unique(magnification)])
