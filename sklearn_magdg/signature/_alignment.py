"""Bringing the embeddings of two encoders into one system of axes, from images that both have embedded."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted


class DimensionMatch(NamedTuple):
    """What `match_dimensions` returns."""

    matched: np.ndarray
    correlation: np.ndarray


class ProcrustesAlignment(BaseEstimator):
    r"""Rotation of one encoder's embedding onto the axes of another's.

    Row i of both embeddings is one image. With :math:`\bar x, \bar y` the means and
    :math:`s = \|Y - \bar y\| / \|X - \bar x\|` (Frobenius), which brings both to one variance in all,

    .. math:: R = \arg\min_{R^\top R = I} \|s (X - \bar x) R - (Y - \bar y)\|, \qquad
              \mathrm{transform}(x) = s (x - \bar x) R + \bar y.

    Labels play no part. Distances keep their proportions, so that whatever was separable stays so.

    Attributes
    ----------
    rotation_ : ndarray of shape (n_features, n_features)
        Orthogonal; may reflect.
    scale_ : float
        s; 1 where one of the embeddings is constant.
    mean_, reference_mean_ : ndarrays of shape (n_features,)
        Means of the embedding and of the reference.
    n_features_in_ : int
        Dimensions of either embedding.

    See Also
    --------
    match_dimensions : A dimension of the reference for each dimension, without mixing them.

    Notes
    -----
    Sparsity depends on the axes: a signature is not carried over by a rotation, which turns one dimension into a
    mixture of all. Rotate first, then choose the signature on the rotated embedding. Two such signatures name
    comparable dimensions as far as the embeddings agree at all, which `score` on images that `fit` did not see tells;
    take more images than dimensions, as fewer are made to agree whatever the encoders.

    References
    ----------
    .. [1] P. H. Schönemann, "A Generalized Solution of the Orthogonal Procrustes Problem", Psychometrika 31(1),
       1966.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.signature import ProcrustesAlignment
    >>> reference = np.random.default_rng(0).normal(size=(20, 3))
    >>> turned = 2 * reference[:, [2, 0, 1]] + 5  # the same embedding, its axes in another order
    >>> alignment = ProcrustesAlignment().fit(turned, reference)
    >>> np.allclose(alignment.transform(turned), reference)
    True
    """

    def fit(self, embedding, reference):
        """Find the rotation.

        Parameters
        ----------
        embedding : array-like of shape (n_images, n_features)
            Embedding to rotate.
        reference : array-like of shape (n_images, n_features)
            Embedding of the same images, in the same order, by the encoder whose axes are wanted.

        Returns
        -------
        ProcrustesAlignment
            Itself.

        Warns
        -----
        UserWarning
            For no more images than dimensions.

        Raises
        ------
        ValueError
            If the embeddings are not finite matrices of one shape, of at least two images.
        """
        embedding, reference = _check_same_images(embedding, reference, same_dimensions=True)
        n_images, self.n_features_in_ = embedding.shape
        if n_images <= self.n_features_in_:
            warnings.warn(
                f"{n_images} images in {self.n_features_in_} dimensions can be rotated onto each other whatever the "
                "encoders: align on more images than dimensions, or fewer dimensions (PCA).",
                UserWarning,
            )
        self.mean_, self.reference_mean_ = embedding.mean(axis=0), reference.mean(axis=0)
        centred, wanted = embedding - self.mean_, reference - self.reference_mean_
        self.rotation_, _ = orthogonal_procrustes(centred, wanted)
        sizes = np.linalg.norm(wanted), np.linalg.norm(centred)
        self.scale_ = float(sizes[0] / sizes[1]) if all(sizes) else 1.0
        return self

    def transform(self, embedding):
        """Embedding in the axes of the reference.

        Parameters
        ----------
        embedding : array-like of shape (n_images, n_features)
            Of any images, by the encoder that was aligned.

        Returns
        -------
        ndarray of shape (n_images, n_features)
            Rotated, float64.

        Raises
        ------
        ValueError
            If the number of dimensions is not that of `fit`.
        """
        check_is_fitted(self)
        embedding = check_array(embedding, dtype=np.float64, input_name="embedding")
        if embedding.shape[1] != self.n_features_in_:
            raise ValueError(
                f"`embedding` has {embedding.shape[1]} dimensions, the aligned encoder's {self.n_features_in_}: give "
                "embeddings of that encoder."
            )
        return self.scale_ * (embedding - self.mean_) @ self.rotation_ + self.reference_mean_

    def score(self, embedding, reference):
        r"""Share of the reference's variance that the rotated embedding gives.

        .. math:: 1 - \|\mathrm{transform}(X) - Y\|^2 / \|Y - \bar y\|^2

        Parameters
        ----------
        embedding, reference : array-likes of shape (n_images, n_features)
            As in `fit`, of other images than these if the figure is to mean something.

        Returns
        -------
        float
            At most 1; 0 is what the mean of the reference in `fit` gives, -1 what an unrelated embedding of the
            same variance gives on average. `nan` for a constant reference.

        Raises
        ------
        ValueError
            As `fit`.
        """
        rotated = self.transform(embedding)
        _, reference = _check_same_images(embedding, reference, same_dimensions=True)
        total = np.sum((reference - self.reference_mean_) ** 2)
        return float(1 - np.sum((rotated - reference) ** 2) / total) if total else float("nan")


def match_dimensions(embedding, reference):
    r"""For each dimension of an embedding the one of another encoder's that follows it most closely.

    Row i of both embeddings is one image. The pairs :math:`j \to m(j)`, no dimension in two of them, have the largest
    :math:`\sum_j |\mathrm{corr}(X_j, Y_{m(j)})|` (Hungarian algorithm). Labels play no part. A signature of the
    embedding is carried over by `matched[signature]`.

    Parameters
    ----------
    embedding : array-like of shape (n_images, n_features)
        Embedding whose dimensions look for a partner.
    reference : array-like of shape (n_images, n_reference_features)
        Embedding of the same images, in the same order, by another encoder.

    Returns
    -------
    matched : ndarray of shape (n_features,), dtype int
        Dimension of the reference; a permutation for embeddings of one size. -1 where the reference has fewer
        dimensions and none is left.
    correlation : ndarray of shape (n_features,)
        Pearson's, of the pair, in [-1, 1]. 0 where either dimension is constant (a dead ReLU), whose partner is one
        that was left over, and where there is none.

    Raises
    ------
    ValueError
        If the embeddings are not finite matrices of as many rows, at least two.

    See Also
    --------
    ProcrustesAlignment : Rotates all dimensions together.
    signature_overlap_test : Whether carried-over signatures overlap more than chance.

    Notes
    -----
    Every dimension gets a partner, good or bad: read `correlation` before the overlap. Dimensions that correlate at
    0.3 are not the same dimension, and the best of d unrelated ones on n images reaches some
    :math:`\sqrt{2 \log d / n}`. Match on other images than those on which the signatures were chosen, else both
    follow the accidents of the same images.

    References
    ----------
    .. [1] Y. Li, J. Yosinski, J. Clune, H. Lipson, J. Hopcroft, "Convergent Learning: Do Different Neural Networks
       Learn the Same Representations?", ICLR 2016, section 3 (one-to-one alignment).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.signature import match_dimensions
    >>> reference = np.random.default_rng(0).normal(size=(20, 3))
    >>> matched, correlation = match_dimensions(reference[:, [2, 0, 1]] * [1, -2, 5], reference)
    >>> matched, correlation.round(2)
    (array([2, 0, 1]), array([ 1., -1.,  1.]))
    """
    embedding, reference = _check_same_images(embedding, reference)
    correlations = _standardise(embedding).T @ _standardise(reference) / len(embedding)
    rows, columns = linear_sum_assignment(np.abs(correlations), maximize=True)
    matched, correlation = np.full(embedding.shape[1], -1), np.zeros(embedding.shape[1])
    matched[rows] = columns  # in order and all of them, unless the reference has fewer dimensions
    correlation[rows] = np.clip(correlations[rows, columns], -1, 1)
    return DimensionMatch(matched, correlation)


def _standardise(embedding):
    """Columns of mean 0 and variance 1; constant ones are 0, and so correlate with nothing."""
    constant = embedding.min(axis=0) == embedding.max(axis=0)
    # The squares of numbers below 1e-154 are 0, those of numbers above 1e154 infinite.
    embedding = embedding / np.where(constant, 1, np.abs(embedding).max(axis=0))
    spread = np.where(constant, 1, embedding.std(axis=0))
    return np.where(constant, 0, (embedding - embedding.mean(axis=0)) / spread)


def _check_same_images(embedding, reference, *, same_dimensions=False):
    """Both as float64 matrices of at least two rows, as many on both sides; a rotation also needs as many columns."""
    embedding = check_array(embedding, dtype=np.float64, ensure_min_samples=2, input_name="embedding")
    reference = check_array(reference, dtype=np.float64, ensure_min_samples=2, input_name="reference")
    if len(embedding) != len(reference):
        raise ValueError(
            f"Both encoders must embed the same images, row by row; got {len(embedding)} rows of `embedding` and "
            f"{len(reference)} of `reference`."
        )
    if same_dimensions and embedding.shape[1] != reference.shape[1]:
        raise ValueError(
            f"A rotation needs as many dimensions on both sides, got {embedding.shape[1]} for `embedding` and "
            f"{reference.shape[1]} for `reference`: bring the larger to the smaller by PCA, or use "
            "`match_dimensions`."
        )
    return embedding, reference
