"""How good a generator's samples are while it is trained, and whether the game has been lost."""

import warnings

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sklearn_magdg.metrics import kernel_inception_distance
from sklearn_magdg.modules import AdversarialLoss, FeatureInput, turn
from sklearn_magdg.modules import diff_augment as augment_differentiably
from sklearn_magdg.training._batches import ShuffledBatches
from sklearn_magdg.training._callbacks import LogParts, StopIfNotFinite
from sklearn_magdg.training._gan import GANNet, generating, sample_cells, settle

# Samples that a KID is measured with, and held-back images at most: after every epoch, so that it must not take long.
_N_SAMPLES = 256
# Images of a cell whose spread stands for that of all.
_N_SPREAD = 32
# Samples of a class that lie closer together than this share of the spread of its images have collapsed.
_COLLAPSED = 0.3
# Before, samples are those of the first steps and the game is not yet lost.
_FEWEST_STEPS = 100
# A discriminator with less than this share of the loss of guessing has nothing to teach.
_DOMINATING = 0.1


class SampleJudge:
    """The held-back images' embedding, and the KID of a generator's samples of the same cells to it.

    Parameters
    ----------
    embed : callable
        From images (or features) as they are stored to embeddings (n, d).
    source : Source
        Held-back images, of which at most 256 are read.
    code : ndarray of int64, shape (n,)
        Their cells.
    batch_size : int
        Samples at a time.
    """

    def __init__(self, embed, source, code, batch_size):
        rows = np.random.default_rng(0).permutation(len(source))[:_N_SAMPLES]
        self.embed = embed
        self.real = embed(source.read(rows))
        self.code = np.resize(code[rows], _N_SAMPLES)
        self.batch_size = batch_size

    def kid(self, module):
        """Kernel inception distance (lower is better) of samples of `module` to the held-back images."""
        samples = sample_cells(module, self.code, 0, self.batch_size)
        return kernel_inception_distance(self.real, self.embed(samples)).estimate


class LogKID(Callback):
    """The KID of the kept generator's samples after every epoch, always of the same latent vectors.

    Parameters
    ----------
    judge : SampleJudge
    code : ndarray of int64, shape (n,)
        Cells of the training rows, by whose frequencies the generator's batch norms are settled.
    """

    def __init__(self, judge, code):
        self.judge = judge
        self.code = code

    def on_epoch_end(self, net, **kwargs):
        module = nn.ModuleDict({"input": net.module_["input"], "generator": generating(net.module_)})
        training = module["generator"].training
        # with statistics of its own samples, as the kept generator will have them; training sets new ones anyway
        settle(module["generator"], self.code)
        net.history.record("kid", self.judge.kid(module))
        module["generator"].train(training)


def gan_net(module, code, judge, *, loss, flips, diff_augment, patience, batch_size, **net_params):
    """The net of a DCGAN, ready to run.

    Parameters
    ----------
    module : torch.nn.ModuleDict
        As of `players`, on its device.
    code : ndarray of int64, shape (n,)
        Cell of every training row.
    judge : SampleJudge or None
        What early stopping looks through; None goes without it.
    loss, flips, diff_augment, patience, batch_size
        As in `DCGAN`; features are neither turned nor augmented.
    **net_params
        Further parameters of `GANNet`.
    """
    is_image = not isinstance(module["input"], FeatureInput)
    callbacks = [LogParts(), StopIfNotFinite()]
    if judge is not None:  # the KID first: early stopping reads it
        callbacks.append(LogKID(judge, code))
        callbacks.append(EarlyStopping(monitor="kid", patience=patience, threshold=0, load_best=True))
    return GANNet(
        module,
        criterion=AdversarialLoss(loss),
        train_split=None,
        batches=ShuffledBatches(len(code), batch_size),
        view=turn if flips and is_image else None,
        augment=augment_differentiably if diff_augment and is_image else None,
        callbacks=callbacks,
        **net_params,
    ).initialize()


def spread_of_samples(module, embed, source, code, classes, batch_size):
    """Mean distance between a class's samples over that between its training images, the smallest of all classes.

    In the embedding, and only within cells: magnifications differ even where all samples of one are the same. nan
    where no cell has two images that differ.

    Parameters
    ----------
    module : torch.nn.ModuleDict
        Input layer and generator.
    embed : callable
        As in `SampleJudge`.
    source, code : Source, ndarray of shape (n,)
        Training images and their cells.
    classes : ndarray of shape (n_cells,)
        Class of every cell.
    batch_size : int
        Samples at a time.
    """
    between_real, between_made = np.zeros(len(classes)), np.zeros(len(classes))
    for cell in range(len(classes)):
        rows = np.flatnonzero(code == cell)
        if len(rows) > 1:  # a single image is at a distance from nothing
            rows = np.random.default_rng(0).permutation(rows)[:_N_SPREAD]
            samples = sample_cells(module, np.full(len(rows), cell), 0, batch_size)
            between_real[cell] = pdist(embed(source.read(rows))).mean()
            between_made[cell] = pdist(embed(samples)).mean()
    shares = [np.nan]
    for label in np.unique(classes):
        real, made = between_real[classes == label].sum(), between_made[classes == label].sum()
        if real > 0:
            shares.append(made / real)
    return float(np.nanmin(shares)) if len(shares) > 1 else np.nan


def warn_of_lost_game(history, n_steps, spread, guessing):
    """Warn where samples lie close together, or the discriminator told real from generated nearly always of late.

    Parameters
    ----------
    history : list of dict
        Epochs that made the generator that is kept.
    n_steps : int
        Steps that they took; below 100 only a collapse is told, as hardly any training.
    spread : float
        As of `spread_of_samples`.
    guessing : float
        Loss of a discriminator that knows nothing.
    """
    if n_steps < _FEWEST_STEPS:
        if spread < _COLLAPSED:
            warnings.warn(
                f"The generator is hardly trained: after {n_steps} steps samples of a class lie {spread:.2g} times as "
                "far apart as its training images; raise `max_epochs` (hundreds of steps are the least).",
                ConvergenceWarning,
            )
        return
    if spread < _COLLAPSED:
        warnings.warn(
            f"The generator collapsed: samples of a class lie {spread:.2g} times as far apart as its training images, "
            "so that they are near copies of each other: raise `gradient_penalty`, use diff_augment=True or "
            "spectral_norm=True, or change `lr` or `max_epochs`.",
            ConvergenceWarning,
        )
    losses = [row["discriminator_loss"] for row in history[-max(1, len(history) // 4) :]]
    if np.mean(losses) < _DOMINATING * guessing:
        last = history[-1]
        warnings.warn(
            f"The discriminator dominates: its loss is {np.mean(losses):.2g}, where guessing has {guessing:.2g} (mean "
            f"output {last['real_score']:.2f} on real and {last['fake_score']:.2f} on generated images), so that the "
            "generator learns little from it: raise `gradient_penalty`, lower `lr`, or use spectral_norm=True or "
            "diff_augment=True and more steps.",
            ConvergenceWarning,
        )
