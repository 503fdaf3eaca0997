"""Rows on their way into a net: what each is trained towards, and which make a batch."""

import copy

import numpy as np
import torch
from torch.utils.data import Dataset


class TrainingData(Dataset):
    """Batches of a source with their targets, fetched whole and not sample by sample.

    Parameters
    ----------
    source : Source
        Images or features (`sklearn_magdg.images`).
    target : dict of str to ndarray of shape (n,)
        What the loss reads, by name.
    cohort : Cohort, default=None
        Who the rows are, for callbacks that look at them (skorch hands the data to ``on_train_end``).
    """

    def __init__(self, source, target, cohort=None):
        self.source = source
        self.target = {name: torch.from_numpy(values) for name, values in target.items()}
        self.cohort = cohort

    def __len__(self):
        return len(self.source)

    def __getitems__(self, indices):
        # torch's DataLoader asks for whole batches where this method is there
        indices = np.asarray(indices)
        batch = torch.from_numpy(self.source.read(indices))
        return batch, {name: values[indices] for name, values in self.target.items()}

    def reading(self, source):
        """The same rows and targets, read from another source."""
        other = copy.copy(self)
        other.source = source
        return other


def labelled_data(source, cohort, groups):
    """`TrainingData` of a classifier: label, magnification and weight of every row.

    Parameters
    ----------
    source : Source
    cohort : Cohort
        One without magnifications is all of magnification 0, which no loss then reads.
    groups : ndarray of int, shape (n,)
        Groups within which the weights are brought to mean 1: one, or the magnifications where batches balance these.
    """
    unknown = np.zeros(len(cohort), dtype=np.int64)
    target = {
        "label": cohort.label.codes,
        "magnification": unknown if cohort.magnification is None else cohort.magnification.codes,
        "weight": mean_one(cohort.weight, groups).astype(np.float32),
    }
    return TrainingData(source, target, cohort)


def mean_one(weight, groups):
    """Weights over their mean within each group; a group without weight keeps its zeros.

    With mean 1 over the training set, the mean of weighted losses over a random batch is an unbiased estimate of the
    weighted loss; divided by the batch's own sum of weights it would not be.

    Parameters
    ----------
    weight : ndarray of float64, shape (n,)
        At least 0.
    groups : ndarray of int, shape (n,)
        Codes from 0; some may be left out.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    totals = np.bincount(groups, weights=weight)
    counts = np.bincount(groups)
    means = np.divide(totals, counts, out=np.ones_like(totals), where=totals > 0)
    return weight / means[groups]


class ShuffledBatches:
    """Random batches, each sample once an epoch; a last batch of one joins the one before.

    Batch norm has no variance to learn from a single sample. Iterating draws a new order from torch's global generator,
    so that `seeded` decides it; ``len`` is the number of batches of every epoch.

    Parameters
    ----------
    n : int
        Rows.
    batch_size : int
        Rows per batch; the last one has fewer, or one more.
    """

    def __init__(self, n, batch_size):
        self.n = n
        self.batch_size = batch_size

    def _starts(self):
        """Where each batch begins in the shuffled order."""
        starts = list(range(0, self.n, self.batch_size))
        return starts[:-1] if len(starts) > 1 and self.n - starts[-1] == 1 else starts

    def __len__(self):
        return len(self._starts())

    def __iter__(self):
        order = torch.randperm(self.n).numpy()
        yield from np.split(order, self._starts()[1:])


class BalancedBatches:
    """Random batches with the same number of samples of every group (magnification).

    An epoch has as many batches as `ShuffledBatches`; small groups come round more often, and of a large one an epoch
    may not see every row. Within a group no row comes a second time before all have come once.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Group of every row.
    batch_size : int
        Rows per batch at most; as many of every group as fit, at least one.
    """

    def __init__(self, groups, batch_size):
        self.members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
        self.per_group = max(1, min(batch_size, len(groups)) // len(self.members))
        self.n_batches = len(ShuffledBatches(len(groups), batch_size))

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        wanted = self.n_batches * self.per_group
        streams = []
        for members in self.members:
            n_rounds = -(-wanted // len(members))
            rounds = [members[torch.randperm(len(members)).numpy()] for _ in range(n_rounds)]
            streams.append(np.concatenate(rounds)[:wanted].reshape(self.n_batches, self.per_group))
        yield from np.concatenate(streams, axis=1)  # n_groups x (n_batches, per_group) -> (n_batches, rows)
