"""How far signatures agree, and how far chance alone would make them agree."""

from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom, norm


class SignatureStability(NamedTuple):
    """What `signature_stability` returns."""

    jaccard_mean: float
    jaccard_chance: float
    stability: float
    low: float
    high: float


def jaccard_matrix(signatures):
    r"""Jaccard overlap of every pair of signatures.

    .. math:: J(A, B) = |A \cap B| / |A \cup B|

    Parameters
    ----------
    signatures : list of k array-likes of int
        Each the indices of one signature's dimensions; order and repeats do not matter, one may be empty.

    Returns
    -------
    ndarray of shape (k, k)
        Symmetric, in [0, 1]; `nan` where both signatures are empty.

    Raises
    ------
    ValueError
        If a signature holds anything but integers of at least 0.

    References
    ----------
    .. [1] P. Jaccard, "The Distribution of the Flora in the Alpine Zone", New Phytologist 11(2), 1912.

    Examples
    --------
    >>> from sklearn_magdg.signature import jaccard_matrix
    >>> jaccard_matrix([[0, 1, 2], [1, 2, 3]]).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    signatures = _check_signatures(signatures)
    n_features = max((signature.max(initial=-1) + 1 for signature in signatures), default=0)
    member = _membership(signatures, n_features)
    shared = member @ member.T
    size = member.sum(axis=1)
    union = size[:, None] + size - shared
    return np.divide(shared, union, out=np.full(union.shape, np.nan), where=union > 0)


def expected_jaccard(size_a, size_b, n_features):
    """Mean Jaccard overlap of two signatures drawn at random, exactly.

    The intersection of random subsets of `size_a` and `size_b` of `n_features` dimensions is hypergeometric,
    and the overlap is intersection / (size_a + size_b - intersection). For equal sizes k this is close to
    k / (2 n_features - k), the overlap at the mean intersection.

    Parameters
    ----------
    size_a, size_b : int
        Sizes of the signatures, from 0 to `n_features`.
    n_features : int
        Dimensions of the embedding, at least 1.

    Returns
    -------
    float
        In [0, 1]; `nan` if both sizes are 0.

    Raises
    ------
    ValueError
        If a size is not in 0 to `n_features`.

    References
    ----------
    .. [1] R. Real, J. M. Vargas, "The Probabilistic Basis of Jaccard's Index of Similarity", Systematic
       Biology 45(3), 1996.

    Examples
    --------
    >>> from sklearn_magdg.signature import expected_jaccard
    >>> round(expected_jaccard(306, 306, 2048), 3)
    0.081
    """
    for size in (size_a, size_b):
        if not 0 <= size <= n_features:
            raise ValueError(f"A signature of {size} dimensions does not fit into `n_features={n_features}`.")
    if size_a == size_b == 0:
        return float("nan")
    shared = np.arange(max(0, size_a + size_b - n_features), min(size_a, size_b) + 1)
    probability = hypergeom.pmf(shared, n_features, size_a, size_b)
    return float(probability @ (shared / (size_a + size_b - shared)))


def signature_stability(signatures, n_features, *, confidence_level=0.95):
    r"""Agreement of signatures beyond chance: Nogueira's index with its asymptotic interval.

    With :math:`z_{if} = 1` where signature i of M holds dimension f of d, :math:`\hat p_f` its frequency and
    :math:`\bar k` the mean size,

    .. math:: \hat\Phi = 1 - \frac{\frac{1}{d} \sum_f \frac{M}{M - 1} \hat p_f (1 - \hat p_f)}
              {\frac{\bar k}{d} (1 - \frac{\bar k}{d})}:

    1 for identical signatures, 0 on average for random ones, whatever their size.

    Parameters
    ----------
    signatures : list of array-likes of int
        Each the indices of one signature's dimensions, below `n_features`.
    n_features : int
        Dimensions of the embedding, d.
    confidence_level : float, default=0.95
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    jaccard_mean : float
        Mean overlap over all pairs; pairs of empty signatures do not count.
    jaccard_chance : float
        Its mean for random signatures of the same sizes (`expected_jaccard`).
    stability : float
        Nogueira's index. `nan` for fewer than two signatures, all empty, or all full.
    low, high : float
        Confidence interval of `stability`, at most 1; it treats the signatures as independent, which those of
        overlapping training sets are not: take it as the narrowest that can be claimed.

    Raises
    ------
    ValueError
        If an index is not an integer in 0 to `n_features` - 1, or `confidence_level` not between 0 and 1.

    References
    ----------
    .. [1] S. Nogueira, K. Sechidis, G. Brown, "On the Stability of Feature Selection Algorithms", JMLR
       18(174), 2018, theorem 4 (the index) and corollary 9 (the interval).

    Examples
    --------
    >>> from sklearn_magdg.signature import signature_stability
    >>> round(signature_stability([[0, 1], [1, 2], [0, 2]], 3).stability, 3)
    -0.5
    """
    if not 0 < confidence_level < 1:
        raise ValueError(f"`confidence_level` must lie between 0 and 1, got {confidence_level!r}.")
    signatures = _check_signatures(signatures, n_features)
    member = _membership(signatures, n_features)
    stability, variance = _nogueira(member)
    margin = float(norm.ppf((1 + confidence_level) / 2) * np.sqrt(variance))
    overlap, chance = _pair_means(signatures, member.sum(axis=1), n_features)
    return SignatureStability(overlap, chance, stability, stability - margin, min(stability + margin, 1.0))


def _check_signatures(signatures, n_features=None):
    checked = []
    for position, signature in enumerate(signatures):
        indices = np.unique(np.asarray(signature))
        if indices.size and (indices.ndim != 1 or indices.dtype.kind not in "iu" or indices[0] < 0):
            raise ValueError(
                f"Signature {position} must hold dimension indices (integers of at least 0), got {signature!r}; "
                f"turn a mask into indices with `numpy.flatnonzero`."
            )
        if n_features is not None and indices.size and indices[-1] >= n_features:
            raise ValueError(f"Signature {position} holds index {indices[-1]}, but `n_features` is {n_features}.")
        checked.append(indices.astype(np.intp))
    return checked


def _membership(signatures, n_features):
    """Matrix of shape (n_signatures, n_features), 1 where the signature holds the dimension."""
    member = np.zeros((len(signatures), int(n_features)))
    for row, signature in zip(member, signatures, strict=True):
        row[signature] = 1
    return member


def _nogueira(member):
    """Index and variance of a membership matrix (M, d), by the names of the paper."""
    M, d = member.shape
    k = member.sum(axis=1) / d  # share of the dimensions that each signature holds
    k_mean = k.mean() if M else 0.0
    if M < 2 or k_mean in (0, 1):
        return float("nan"), float("nan")
    p = member.mean(axis=0)
    spread = k_mean * (1 - k_mean)
    stability = 1 - np.mean(M / (M - 1) * p * (1 - p)) / spread
    phi = (member @ p / d - k * k_mean + stability / 2 * (2 * k * k_mean - k - k_mean + 1)) / spread
    variance = 4 / M**2 * np.sum((phi - phi.mean()) ** 2)
    return float(stability), float(variance)


def _pair_means(signatures, sizes, n_features):
    """Mean Jaccard overlap of the pairs, and its mean by chance; `nan` without pairs."""
    rows, columns = np.triu_indices(len(signatures), k=1)
    overlaps = jaccard_matrix(signatures)[rows, columns]
    counted = ~np.isnan(overlaps)
    if not counted.any():
        return float("nan"), float("nan")
    sizes_of_pairs = np.sort(np.column_stack([sizes[rows[counted]], sizes[columns[counted]]]).astype(int), axis=1)
    pairs, repeats = np.unique(sizes_of_pairs, axis=0, return_counts=True)
    chance = [expected_jaccard(a, b, n_features) for a, b in pairs.tolist()]
    return float(overlaps[counted].mean()), float(np.average(chance, weights=repeats))
