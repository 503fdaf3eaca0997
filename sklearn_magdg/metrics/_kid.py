"""How far generated images are from real ones, by a kernel on their embeddings."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.utils import gen_batches

from sklearn_magdg._words import counted
from sklearn_magdg.metrics._embeddings import check_embeddings, patients_of

# kernel values that are held at once: some arrays of 32 MB
_CELLS = 2**22


class KernelInceptionDistance(NamedTuple):
    """What `kernel_inception_distance` returns."""

    estimate: float
    standard_error: float


def kernel_inception_distance(real, generated, *, patient=None, generated_patient=None):
    r"""Squared distance between the distributions of real and of generated embeddings, with its standard error.

    The distance is the squared maximum mean discrepancy of the polynomial kernel
    :math:`k(x, y) = (x^\top y / d + 1)^3`, estimated by all pairs [1]_. With n real images x in groups of
    :math:`n_g`, and m generated ones y,

    .. math:: \frac{\sum_{g(i) \ne g(j)} k(x_i, x_j)}{n^2 - \sum_g n_g^2}
              + \frac{\sum_{i \ne j} k(y_i, y_j)}{m (m - 1)} - \frac{2}{n m} \sum_{i, j} k(x_i, y_j).

    A group is a patient: its images resemble each other more than those of two patients do, and pairs of them would
    make the real images look narrower than the population is. Without `patient` every image is a group.

    The estimate is unbiased at any number of images, so that it is as often below 0 as above where both distributions
    are one: a negative value means "no difference seen" and is no error. The Fréchet distance, by contrast, is always
    above 0 and far too large below thousands of images, by an amount that depends on the generator ([1]_,
    [2]_), so that it may rank two generators wrongly: look at this distance first. Its unit is that of the kernel;
    compare values of one encoder only, a generator's beside that of real images of other patients, say.

    Parameters
    ----------
    real : array-like of shape (n_real, n_dimensions)
        Embeddings of real images; finite numbers.
    generated : array-like of shape (n_generated, n_dimensions)
        Embeddings of generated images by the same encoder, at least 2, drawn independently of each other (but see
        `generated_patient`).
    patient : array-like of shape (n_real,), default=None
        Ints or strings, at least 2 different ones; how many images a patient has should not depend on how they look.
        `None` takes every real image as a patient of its own.
    generated_patient : array-like of shape (n_generated,), default=None
        The same of `generated`, where real images stand in its place: the yardstick of two sets of patients.

    Returns
    -------
    estimate, standard_error : float
        The variance is a jackknife over patients plus a jackknife over generated images. It is `nan` with fewer than 3
        of either. Where both distributions are one it expects twice the true variance, so that the standard error is
        about 1.4 times too large; elsewhere it approaches the true one from above as images are added.

    Raises
    ------
    ValueError
        If there are fewer than 2 patients or 2 generated images, if the numbers of columns differ, if a number is not
        finite, if a patient is missing, or if lengths differ.

    Notes
    -----
    Kernel values are computed in blocks of some 32 MB and in double precision, whatever the number of images.

    References
    ----------
    .. [1] M. Binkowski, D. J. Sutherland, M. Arbel, A. Gretton, "Demystifying MMD GANs", International Conference on
       Learning Representations, 2018, section 4.
    .. [2] M. J. Chong, D. Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", Conference on
       Computer Vision and Pattern Recognition, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.metrics import kernel_inception_distance
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.normal(size=(60, 5)), rng.normal(0.5, 1, size=(40, 5))
    >>> [round(each, 2) for each in kernel_inception_distance(real, generated, patient=np.arange(60) // 3)]
    [1.01, 0.41]
    """
    real, generated = check_embeddings(real=real, generated=generated)
    group = _groups(real, patient, "real", "patient")
    other = _groups(generated, generated_patient, "generated", "generated_patient")
    sides = _side(real, generated, group), _side(generated, real, other)
    # the pairs of a real and a generated image are the same from either side
    estimate = sum(side.mean_within for side in sides) - 2 * sides[0].cross / (len(real) * len(generated))
    return KernelInceptionDistance(float(estimate), float(np.sqrt(sum(side.variance for side in sides))))


def _groups(embedding, patient, side, name):
    """Group `(n,)` of each image of one side, at least 2 of them: the unit that pairs are made between."""
    group = patients_of(embedding, patient, name)
    n_groups = group.max() + 1
    if n_groups < 2:
        unit = "image" if patient is None else "patient"
        raise ValueError(
            f"kernel_inception_distance compares pairs and needs at least 2 `{side}` {unit}s, got "
            f"{counted(n_groups, unit)}; give more."
        )
    return group


class _Side(NamedTuple):
    """Mean kernel value between its groups, total with the other side, and its part of the variance."""

    mean_within: float
    cross: float
    variance: float


def _side(X, other, group):
    r"""What one side adds to the estimate and to its variance, from sums of kernel values by group.

    With :math:`w_g` the sum over pairs of an image of group g and one of another group, :math:`c_g` that with the m
    images of the other side, and :math:`N = n^2 - \sum_g n_g^2` pairs between groups, the estimate without group g is,
    but for a term that is the same for all g,

    .. math:: \frac{\sum_h w_h - 2 w_g}{N - 2 n_g (n - n_g)} - 2 \, \frac{\sum_h c_h - c_g}{(n - n_g) \, m},

    and the jackknife variance of G groups is G - 1 times the variance of these. It is nan for fewer than 3 groups:
    without one of two no pair is left.
    """
    within, cross = np.empty(len(X)), np.empty(len(X))
    for rows in gen_batches(len(X), max(1, _CELLS // max(len(X), len(other)))):
        values = polynomial_kernel(X[rows], X, degree=3)  # (block, n); gamma is 1 / d, coef0 is 1
        values[group[rows, None] == group] = 0
        within[rows] = values.sum(axis=1)
        cross[rows] = polynomial_kernel(X[rows], other, degree=3).sum(axis=1)

    within, cross, size = np.bincount(group, within), np.bincount(group, cross), np.bincount(group)
    n_pairs = size.sum() ** 2 - np.sum(size**2)
    variance = np.nan
    if len(size) >= 3:
        rest = size.sum() - size
        # a group takes its pairs away twice, as the first and as the second of them
        left_out = (within.sum() - 2 * within) / (n_pairs - 2 * size * rest)
        left_out -= 2 * (cross.sum() - cross) / (rest * len(other))
        variance = (len(size) - 1) * np.var(left_out)
    return _Side(within.sum() / n_pairs, cross.sum(), variance)
