"""How far generated images are from real ones, by a kernel on their embeddings."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.utils import gen_batches

from sklearn_magdg._words import counted
from sklearn_magdg.cohort import encode
from sklearn_magdg.metrics._embeddings import check_embeddings

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
    group, other = _groups(real, patient, "patient"), _groups(generated, generated_patient, "generated_patient")
    _check_numbers(group, "real", patient is None)
    _check_numbers(other, "generated", generated_patient is None)
    sides = _sums(real, generated, group), _sums(generated, real, other)
    estimate = sum(_mean_of_pairs(side.within.sum(), side.size) for side in sides)
    estimate -= 2 * sides[0].cross.sum() / (len(real) * len(generated))
    return KernelInceptionDistance(float(estimate), float(np.sqrt(sum(_jackknife_variance(side) for side in sides))))


def _groups(embedding, patient, name):
    return np.arange(len(embedding)) if patient is None else encode(patient, name, len(embedding)).codes


def _check_numbers(group, name, by_image):
    n_groups = group.max() + 1
    if n_groups < 2:
        came = counted(n_groups, "image" if by_image else "patient")
        raise ValueError(
            f"kernel_inception_distance compares pairs and needs at least 2 `{name}` "
            f"{'images' if by_image else 'patients'}, got {came}; give more."
        )


class _Sums(NamedTuple):
    """For each group of one side: its kernel values with other groups, those with the other side, and its size."""

    within: np.ndarray
    cross: np.ndarray
    size: np.ndarray
    n_other: int


def _sums(X, other, group):
    within, cross = np.empty(len(X)), np.empty(len(X))
    for rows in gen_batches(len(X), max(1, _CELLS // max(len(X), len(other)))):
        values = polynomial_kernel(X[rows], X, degree=3)  # (block, n); gamma is 1 / d, coef0 is 1
        values[group[rows, None] == group] = 0
        within[rows] = values.sum(axis=1)
        cross[rows] = polynomial_kernel(X[rows], other, degree=3).sum(axis=1)
    return _Sums(np.bincount(group, within), np.bincount(group, cross), np.bincount(group), len(other))


def _mean_of_pairs(total, size):
    return total / (size.sum() ** 2 - np.sum(size**2))


def _jackknife_variance(side):
    """Variance of the estimate from leaving out each group of one side in turn."""
    within, cross, size, n_other = side
    if len(size) < 3:
        return np.nan
    rest = size.sum() - size
    n_pairs = size.sum() ** 2 - np.sum(size**2) - 2 * size * rest
    left_out = (within.sum() - 2 * within) / n_pairs - 2 * (cross.sum() - cross) / (rest * n_other)
    return (len(size) - 1) * np.var(left_out)
