"""How good a generator's samples are while it is trained, and whether the game has been lost."""

import warnings

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback
from torch import nn

from sklearn_magdg.estimators._image_encoder import ImageEncoder
from sklearn_magdg.metrics import kernel_inception_distance
from sklearn_magdg.training._gan import generating
from sklearn_magdg.training._sampling import sample_cells, settle

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


def embedding_function(embedding, input_layer, shape):
    """Function from images (or features) as they are stored to their embeddings.

    Features are their own embedding, standardised, where there is no other.
    """
    if embedding is None and len(shape) == 1:
        return lambda features: (features - input_layer.mean.cpu().numpy()) / input_layer.std.cpu().numpy()
    if embedding is None or isinstance(embedding, ImageEncoder):
        encoder = clone(embedding or ImageEncoder())
        return encoder.fit(np.zeros((1, *shape), np.uint8)).transform
    check_is_fitted(
        embedding,
        msg="`kid_embedding` %(name)s is not fitted: fit it, and give it as FrozenEstimator(embedding), for a clone of "
        "anything else is not fitted either.",
    )
    return embedding.transform


class SampleJudge:
    """The held-back images' embedding, and the KID of a generator's samples of the same cells to it."""

    def __init__(self, embed, source, code, batch_size):
        rows = np.random.default_rng(0).permutation(len(source))[:_N_SAMPLES]
        self.embed = embed
        self.real = embed(source.read(rows).numpy())
        self.code = np.resize(code[rows], _N_SAMPLES)
        self.batch_size = batch_size

    def kid(self, module):
        samples = sample_cells(module, self.code, 0, self.batch_size)
        return kernel_inception_distance(self.real, self.embed(samples)).estimate


class LogKID(Callback):
    """The KID of the kept generator's samples after every epoch, always of the same latent vectors."""

    def __init__(self, judge, code):
        self.judge = judge
        self.code = code

    def on_epoch_end(self, net, **kwargs):
        module = nn.ModuleDict({"input": net.module_["input"], "generator": generating(net.module_)})
        training = module["generator"].training
        settle(module["generator"], self.code)
        net.history.record("kid", self.judge.kid(module))
        module["generator"].train(training)


def spread_of_samples(module, embed, source, code, classes, batch_size):
    """Mean distance between a class's samples over that between its training images, the smallest of all classes.

    In the embedding, and only within cells: magnifications differ even where all samples of one are the same. nan
    where no cell has two images that differ.
    """
    distances = [
        _distances(module, embed, source, np.flatnonzero(code == k), k, batch_size) for k in range(len(classes))
    ]
    shares = [np.nan]
    for label in np.unique(classes):
        real, made = np.sum([pair for pair, each in zip(distances, classes, strict=True) if each == label], axis=0)
        if real > 0:
            shares.append(made / real)
    return float(np.nanmin(shares)) if len(shares) > 1 else np.nan


def _distances(module, embed, source, rows, cell, batch_size):
    """Mean distances between images of a cell, and between as many samples of it; 0 for a cell of one image."""
    if len(rows) < 2:
        return 0.0, 0.0
    rows = np.random.default_rng(0).permutation(rows)[:_N_SPREAD]
    samples = sample_cells(module, np.full(len(rows), cell), 0, batch_size)
    return pdist(embed(source.read(rows).numpy())).mean(), pdist(embed(samples)).mean()


def warn_of_lost_game(history, n_steps, spread, guessing):
    """Warn where samples lie close together, or the discriminator told real from generated nearly always of late."""
    if n_steps < _FEWEST_STEPS:
        _warn_of_few_steps(n_steps, spread)
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


def _warn_of_few_steps(n_steps, spread):
    if spread < _COLLAPSED:
        warnings.warn(
            f"The generator is hardly trained: after {n_steps} steps samples of a class lie {spread:.2g} times as far "
            "apart as its training images; raise `max_epochs` (hundreds of steps are the least).",
            ConvergenceWarning,
        )
