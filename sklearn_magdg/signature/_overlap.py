"""How far signatures agree, and how far chance alone would make them agree."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom, norm
from sklearn.utils import check_random_state

_CELLS = 2**19  # random numbers that are drawn at once: arrays of 4 MB


class SignatureStability(NamedTuple):
    """What `signature_stability` returns."""

    jaccard_mean: float
    jaccard_chance: float
    stability: float
    low: float
    high: float


class SignatureOverlap(NamedTuple):
    """What `signature_overlap_test` returns."""

    jaccard_mean: float
    jaccard_chance: float
    p_value: float


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
    return _jaccard(_membership(signatures, n_features))


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
        If `n_features` is not an integer of at least 1, or a size not one in 0 to `n_features`.

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
    _check_n_features(n_features)
    for size in (size_a, size_b):
        if not isinstance(size, Integral) or not 0 <= size <= n_features:
            raise ValueError(
                f"A signature of {size} dimensions does not fit into `n_features={n_features}`; a size is an integer "
                f"from 0 to that, and `n_features` counts the dimensions of the whole embedding."
            )
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
        folds are not, as they share patients: its width is a lower bound on the uncertainty.

    Raises
    ------
    ValueError
        If `n_features` is not an integer of at least 1, an index not an integer in 0 to `n_features` - 1, or
        `confidence_level` not between 0 and 1.

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
    _check_n_features(n_features)
    member = _membership(_check_signatures(signatures, n_features), n_features)
    overlap, chance = _pair_means(member)
    M, d = member.shape
    k = member.sum(axis=1) / d  # share of the dimensions that each signature holds
    k_mean = k.mean() if M else 0.0
    if M < 2 or k_mean in (0, 1):
        return SignatureStability(overlap, chance, *[float("nan")] * 3)
    # From here on by the names of the paper: p_f, the index, and phi_i, what signature i adds to its variance.
    p = member.mean(axis=0)
    spread = k_mean * (1 - k_mean)
    stability = float(1 - np.mean(M / (M - 1) * p * (1 - p)) / spread)
    phi = (member @ p / d - k * k_mean + stability / 2 * (2 * k * k_mean - k - k_mean + 1)) / spread
    variance = float(4 / M**2 * np.sum((phi - phi.mean()) ** 2))
    margin = float(norm.ppf((1 + confidence_level) / 2) * np.sqrt(variance))
    return SignatureStability(overlap, chance, stability, stability - margin, min(stability + margin, 1.0))


def signature_overlap_test(signatures, n_features, *, n_permutations=9999, random_state=None):
    r"""Whether signatures overlap more than chance, by permuting the dimensions of each on its own.

    Under the null hypothesis each signature is a random subset of the `n_features` dimensions, of the size it has,
    drawn without regard to the others. With :math:`\bar J` the mean overlap of all pairs and :math:`\bar J_b` that of
    the b-th of B permutations,

    .. math:: p = \frac{1 + \#\{b : \bar J_b \ge \bar J\}}{1 + B}.

    Parameters
    ----------
    signatures : list of array-likes of int
        Each the indices of one signature's dimensions, below `n_features`.
    n_features : int
        Dimensions of the embedding.
    n_permutations : int, default=9999
        B, at least 1; no p-value is below 1 / (1 + B).
    random_state : int, RandomState or None, default=None
        Draws the permutations.

    Returns
    -------
    jaccard_mean : float
        Mean overlap over all pairs; pairs of empty signatures do not count.
    jaccard_chance : float
        Its exact mean under the null hypothesis (`expected_jaccard`).
    p_value : float
        Above 0, at most 1; `nan`, like the others, for fewer than two signatures that are not empty with another.

    Raises
    ------
    ValueError
        If `n_features` or `n_permutations` is not an integer of at least 1, or an index not an integer in 0 to
        `n_features` - 1.

    See Also
    --------
    signature_stability : How much they agree, with an interval.
    match_dimensions, ProcrustesAlignment : For signatures of encoders trained apart, whose axes differ.

    Notes
    -----
    A small p-value says that these selections name the same dimensions more often than blind ones would. It does
    not say that independent studies would agree: folds share patients, and signatures chosen on the same images agree
    on the accidents of these images too.

    References
    ----------
    .. [1] B. Phipson, G. K. Smyth, "Permutation P-values Should Never Be Zero", Statistical Applications in
       Genetics and Molecular Biology 9(1), 2010.

    Examples
    --------
    >>> from sklearn_magdg.signature import signature_overlap_test
    >>> result = signature_overlap_test([[0, 1, 2], [0, 1, 2], [0, 1, 7]], 40, random_state=0)
    >>> round(result.jaccard_mean, 2), round(result.jaccard_chance, 2), result.p_value < 0.001
    (0.67, 0.05, True)
    """
    if not isinstance(n_permutations, Integral) or n_permutations < 1:
        raise ValueError(f"`n_permutations` must be an integer of at least 1, got {n_permutations!r}.")
    _check_n_features(n_features)
    member = _membership(_check_signatures(signatures, n_features), n_features)
    overlap, chance = _pair_means(member)
    if np.isnan(overlap):
        return SignatureOverlap(overlap, chance, float("nan"))
    by_chance = _random_overlaps(member, n_permutations, check_random_state(random_state))
    n_reached = np.sum(by_chance >= overlap - 1e-9)  # equal overlaps may differ in their last digits
    return SignatureOverlap(overlap, chance, float((1 + n_reached) / (1 + n_permutations)))


def _check_n_features(n_features):
    """Refuse what cannot be the number of dimensions."""
    if not isinstance(n_features, Integral) or n_features < 1:
        raise ValueError(
            f"`n_features` must be an integer of at least 1, got {n_features!r}; give the dimensions of the embedding."
        )


def _check_signatures(signatures, n_features=None):
    """The indices of every signature, sorted, each once, below `n_features` where that is known."""
    checked = []
    for position, signature in enumerate(signatures):
        indices = np.asarray(signature)
        integers = indices.dtype.kind in "iu" or not indices.size  # an empty list is one of floats
        if indices.ndim != 1 or not integers or indices.min(initial=0) < 0:
            raise ValueError(
                f"Signature {position} must be a flat list of dimension indices (integers of at least 0), got "
                f"{signature!r}; turn a mask into indices with `numpy.flatnonzero`, of a dict give the `values()`."
            )
        indices = np.unique(indices).astype(np.intp)
        if n_features is not None and indices.size and indices[-1] >= n_features:
            raise ValueError(
                f"Signature {position} holds index {indices[-1]}, but `n_features` is {n_features}; give the "
                f"dimensions of the whole embedding, of which the signatures are parts."
            )
        checked.append(indices)
    return checked


def _membership(signatures, n_features):
    """Matrix of shape (n_signatures, n_features), 1 where the signature holds the dimension."""
    member = np.zeros((len(signatures), int(n_features)))
    for row, signature in zip(member, signatures, strict=True):
        row[signature] = 1
    return member


def _jaccard(member):
    """Overlaps (..., M, M) of membership matrices (..., M, d); `nan` where both signatures are empty.

    Shared dimensions are a product of matrices, which BLAS does for many permutations at once.
    """
    shared = member @ member.swapaxes(-1, -2)
    size = member.sum(axis=-1)
    union = size[..., :, None] + size[..., None, :] - shared
    return np.divide(shared, union, out=np.full(union.shape, np.nan), where=union > 0)


def _pairs(member):
    """Rows and columns of the pairs that count: not both are empty."""
    rows, columns = np.triu_indices(len(member), k=1)
    empty = ~member.any(axis=1)
    counted = ~(empty[rows] & empty[columns])
    return rows[counted], columns[counted]


def _pair_means(member):
    """Mean Jaccard overlap of the pairs, and its mean by chance; `nan` without pairs.

    Chance depends on the two sizes alone, so that it is computed once for every pair of sizes that occurs.
    """
    rows, columns = _pairs(member)
    if not len(rows):
        return float("nan"), float("nan")
    sizes = member.sum(axis=1).astype(int)
    sizes_of_pairs = np.sort(np.column_stack([sizes[rows], sizes[columns]]), axis=1)
    pairs, repeats = np.unique(sizes_of_pairs, axis=0, return_counts=True)
    chance = [expected_jaccard(a, b, member.shape[1]) for a, b in pairs.tolist()]
    return float(_jaccard(member)[rows, columns].mean()), float(np.average(chance, weights=repeats))


def _random_overlaps(member, n_permutations, rng):
    """Mean overlap of the pairs after each of the permutations, (n_permutations,); some at once, to bound memory."""
    rows, columns = _pairs(member)
    n_at_once = max(1, _CELLS // member.size)
    means = []
    for start in range(0, n_permutations, n_at_once):
        permuted = _permute(member, min(n_at_once, n_permutations - start), rng)
        means.append(_jaccard(permuted)[:, rows, columns].mean(axis=1))
    return np.concatenate(means)


def _permute(member, n_permutations, rng):
    """Memberships (n_permutations, M, d), each a random subset of its signature's size.

    The subset of the k smallest of d random numbers is uniform; finding it is quicker than shuffling.
    """
    permuted = np.zeros((n_permutations, *member.shape))
    for position, size in enumerate(member.sum(axis=1).astype(int).tolist()):
        if size:
            draws = rng.random_sample((n_permutations, member.shape[1]))
            permuted[:, position] = draws <= np.partition(draws, size - 1, axis=1)[:, size - 1 : size]
    return permuted
