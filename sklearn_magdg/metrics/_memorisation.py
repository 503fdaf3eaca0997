"""Whether generated images repeat training images."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from sklearn.metrics import pairwise_distances_chunked

from sklearn_magdg.metrics._embeddings import (
    DISTANCE,
    check_embeddings,
    check_n_neighbors,
    patients_of,
    squared_radii,
)


class NearestTrainingImages(NamedTuple):
    """What `nearest_training_images` returns."""

    indices: np.ndarray
    distances: np.ndarray


class MemorisationTest(NamedTuple):
    """What `memorisation_test` returns."""

    closer: float
    p_value: float
    authenticity: float


def nearest_training_images(generated, *, training, n_neighbors=1):
    r"""For each generated image the training images nearest to it, nearest first.

    To look at side by side: a sample beside its nearest training image shows what was copied, and what an encoder
    takes for alike.

    Parameters
    ----------
    generated : array-like of shape (n_generated, n_dimensions)
        Embeddings of generated images; finite numbers.
    training : array-like of shape (n_training, n_dimensions)
        Embeddings, by the same encoder, of all images that the generator was fitted on.
    n_neighbors : int, default=1
        Training images per generated image, from 1 to n_training.

    Returns
    -------
    indices : ndarray of shape (n_generated, n_neighbors)
        Rows of `training`; of two at the same distance the first comes first.
    distances : ndarray of shape (n_generated, n_neighbors)
        Euclidean, ascending, exactly 0 for a copy.

    Raises
    ------
    ValueError
        If there are fewer than `n_neighbors` training images, if the numbers of columns differ, if a number is not
        finite, or if `n_neighbors` is invalid.

    References
    ----------
    .. [1] T. Karras, T. Aila, S. Laine, J. Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and
       Variation", International Conference on Learning Representations, 2018, figure 10.

    Examples
    --------
    >>> from sklearn_magdg.metrics import nearest_training_images
    >>> training = [[0, 0], [3, 4], [0, 1]]
    >>> indices, distances = nearest_training_images([[3, 4], [0, 3]], training=training, n_neighbors=2)
    >>> indices.tolist(), distances.round(2).tolist()
    ([[1, 2], [2, 0]], [[0.0, 4.24], [2.0, 3.0]])
    """
    generated, training = check_embeddings(generated=generated, training=training)
    check_n_neighbors(n_neighbors)
    if len(training) < n_neighbors:
        raise ValueError(
            f"`n_neighbors={n_neighbors}` needs as many training images, got {len(training)}; lower `n_neighbors`."
        )
    return _nearest(generated, training, n_neighbors)


def _nearest(embedding, training, n_neighbors=1):
    """`NearestTrainingImages` of checked embeddings, both fields `(n, n_neighbors)`, by blocks of rows."""

    def reduce(block, start):
        # stable, so that of two at one distance the first row comes first; a tree or `argpartition` would not say
        order = np.argsort(block, axis=1, kind="stable")[:, :n_neighbors]
        return order, np.sqrt(np.take_along_axis(block, order, axis=1))

    blocks = pairwise_distances_chunked(embedding, training, reduce_func=reduce, metric=DISTANCE)
    return NearestTrainingImages(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def memorisation_test(generated, *, training, held_out, patient=None):
    r"""How often a generated image lies closer to the training images than a held-out real image does, and its p-value.

    Each image has a distance to its nearest training image. A held-out image's placement is the share of generated
    images whose distance is smaller than its own, ties counting half; :math:`V_p` is the mean placement of a
    patient's images, and with P held-out patients and m generated images [1]_

    .. math:: \text{closer} = \frac{1}{P} \sum_p V_p, \quad
              z = \frac{\text{closer} - 1 / 2}{\sqrt{\sum_p (V_p - 1 / 2)^2 / P^2 + 1 / (12 m)}}.

    Held-out images of one patient are not independent, so that patients count, each as one however many images it
    has. The p-value is the upper tail of the normal distribution at z. Without `patient`, where every image is a
    patient of its own, closer is the Mann-Whitney statistic over its maximum and z close to that test's.

    What it answers: do generated images lie closer to the training images than images of *new patients* do? New
    patients lie farther away than new images of the training patients would. A generator that draws new images with
    the stains of its training patients, copying none, is therefore flagged as well. `authenticity` tells the two apart
    [2]_: the share of generated images whose distance to their nearest training image is larger than that image's own
    distance to its nearest other training image. Copies have 0, new images of the training patients far more.

    Parameters
    ----------
    generated : array-like of shape (n_generated, n_dimensions)
        Embeddings of generated images, drawn independently of each other; finite numbers.
    training : array-like of shape (n_training, n_dimensions)
        Embeddings, by the same encoder, of all images that the generator was fitted on. Of rows that are equal one is
        kept, since an image that is there twice has no distance of its own; 2 different ones are needed.
    held_out : array-like of shape (n_held_out, n_dimensions)
        Embeddings of real images that neither the generator nor the encoder has seen, of other patients. An encoder
        that was fitted on the training images may move them away from all others, samples included.
    patient : array-like of shape (n_held_out,), default=None
        Ints or strings. `None` takes every held-out image as a patient of its own: with several images per patient
        small p-values then come too often.

    Returns
    -------
    closer : float
        In [0, 1]: 0.5 where generated images are as far from the training images as those of new patients, 1 where all
        are closer, below 0.5 where they are farther away than real images are.
    p_value : float
        One-sided, for closer above 0.5. z is at most the square root of P, so that 3 patients give no p-value below
        0.04, and 5 none below 0.01.
    authenticity : float
        In [0, 1]. Among dense training images fresh ones expect 1/3 in one dimension, 0.38 in two and near 0.5 in
        many. They have more, up to 1, where training images are sparse in many dimensions or come several to a
        patient: compare with the authenticity of real images, held-out ones passed as `generated`.

    Raises
    ------
    ValueError
        If there are fewer than 2 different training images, if the numbers of columns differ, if a number is not
        finite, if a patient is missing, or if lengths differ.

    Notes
    -----
    The variance is taken about 1/2, its value under the null hypothesis. Self-normalised sums of that kind have tails
    no longer than the normal's at usual levels [3]_. In simulations (``benchmarks/simulate_memorisation.py``) where
    held-out and generated images came from one population of patients, the p-value was at most 0.05 in 3.5 to 4.9 % of
    studies of 5 to 100 held-out patients, equal or very unequal in size, and in 0.5 to 1.7 % of those of 3.
    Equal distances make the p-value larger than it need be.

    References
    ----------
    .. [1] C. Meehan, K. Chaudhuri, S. Dasgupta, "A Three Sample Test to Detect Data Copying in Generative Models",
       International Conference on Artificial Intelligence and Statistics, 2020, section 3.
    .. [2] A. M. Alaa, B. van Breugel, E. Saveliev, M. van der Schaar, "How Faithful is your Synthetic Data?
       Sample-level Metrics for Evaluating and Auditing Generative Models", International Conference on Machine
       Learning, 2022, authenticity.
    .. [3] B. Efron, "Student's t-Test Under Symmetry Conditions", Journal of the American Statistical Association
       64(328), 1969.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.metrics import memorisation_test
    >>> rng = np.random.default_rng(0)
    >>> training, held_out, generated = rng.normal(size=(3, 90, 4))
    >>> copies = training + 0.01 * rng.normal(size=(90, 4))
    >>> patient = np.arange(90) // 5
    >>> [round(each, 3) for each in memorisation_test(copies, training=training, held_out=held_out, patient=patient)]
    [1.0, 0.0, 0.0]
    >>> [round(each, 3) for each in memorisation_test(generated, training=training, held_out=held_out, patient=patient)]
    [0.511, 0.394, 0.567]
    """
    generated, training, held_out = check_embeddings(generated=generated, training=training, held_out=held_out)
    group = patients_of(held_out, patient)
    training = np.unique(training, axis=0)
    if len(training) < 2:
        raise ValueError(
            f"memorisation_test needs at least 2 different rows in `training`, got {len(training)}; pass the "
            f"embeddings of all training images."
        )
    nearest, distance = (each[:, 0] for each in _nearest(generated, training))
    authentic = distance > np.sqrt(squared_radii(training, 1))[nearest]

    # the share of generated images that are closer than a held-out one, from their sorted distances: both sides of
    # its place in them, so that ties count half
    ordered, own = np.sort(distance), _nearest(held_out, training).distances[:, 0]
    placement = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
    placement = placement / (2 * len(generated))

    by_patient = np.bincount(group, placement) / np.bincount(group)
    closer = by_patient.mean()
    # about 1/2, not about the mean: the null hypothesis says where the mean is
    variance = np.mean((by_patient - 0.5) ** 2) / len(by_patient) + 1 / (12 * len(generated))
    p_value = ndtr(-(closer - 0.5) / np.sqrt(variance))  # the upper tail, without the cancellation of 1 - ndtr
    return MemorisationTest(float(closer), float(p_value), float(authentic.mean()))
