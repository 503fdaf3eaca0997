"""A scikit-learn selector of the dimensions that beat decoys of themselves on half-samples of patients."""

import math
import warnings
from numbers import Real

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from sklearn_magdg._attributes import unchanged_on_error
from sklearn_magdg.signature._half_samples import HalfSampleSelector
from sklearn_magdg.signature._knockoffs import gaussian_knockoffs, knockoff_threshold


class KnockoffSignatureSelector(HalfSampleSelector):
    r"""Selector of the dimensions that are chosen more often than decoys of themselves, so that few of them are false.

    Every dimension gets a knockoff, which looks like it and knows nothing of the classes. Dimensions and knockoffs
    compete on half-samples of patients, as in `StableSignatureSelector`: on every half the path of `signature_path` is
    followed until it holds q of both together. With :math:`\hat\Pi_j` the share of the half-samples that select
    dimension j and :math:`\tilde\Pi_j` that of its knockoff, the signature is

    .. math:: \{j : W_j \ge t\}, \quad W_j = \hat\Pi_j - \tilde\Pi_j, \quad
              t = \min \left\{ t > 0 : \frac{1 + \#\{j : W_j \le -t\}}{\#\{j : W_j \ge t\}} \le \mathrm{fdr} \right\}.

    The mean share of false positives in it is at most `fdr` (an empty signature has a share of 0).

    Parameters
    ----------
    fdr : float, default=0.2
        Mean share of the selected dimensions that may be false; between 0 and 1, both excluded. Nothing or at least
        1 / `fdr` dimensions are selected.
    n_resamples : int, default=100
        Number of half-samples; even, for they are complementary pairs.
    max_features : int, default=None
        q, the most dimensions and knockoffs that one half-sample selects, at least 1 and at most the number of
        dimensions. `None` is the larger of 2 / `fdr` and the square root of twice the dimensions.
    weakness : float, default=1.0
        In (0, 1]. Below 1 the penalty of every dimension and knockoff is divided by a random number, uniform in
        [`weakness`, 1], anew on every half-sample (randomised lasso); 0.2 to 0.8 let correlated dimensions take turns.
    n_Cs : int, default=30
        Grid of the path, as in `signature_path`.
    standardize : bool, default=True
        Whether every half-sample is brought to mean 0 and variance 1 too; all samples together are in any case, before
        knockoffs are drawn.
    tol : float, default=1e-4
        As in `signature_path`.
    n_jobs : int, default=None
        Half-samples in parallel; processes share one copy of the data. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        Halves the patients, draws knockoffs and weakens penalties.

    Attributes
    ----------
    selection_probabilities_ : ndarray of shape (n_features,)
        Share of the half-samples that selected each dimension.
    knockoff_statistics_ : ndarray of shape (n_features,)
        W in [-1, 1]: selection probability of each dimension minus that of its knockoff.
    threshold_ : float
        t, the least statistic that is selected; infinite if none will do.
    max_features_ : int
        q, as given or derived.
    signature_ : ndarray of int
        Sorted indices of the selected dimensions; may be empty.
    n_signature_ : int
        Their number.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    StableSignatureSelector : Bounds the mean number of false positives instead of their share; needs no knockoffs.
    SparseSignatureSelector : One penalty, chosen by cross-validation; quicker, without error control.

    Notes
    -----
    Knockoffs are Gaussian and equi-correlated. They assume normal dimensions whose covariance is estimated well
    (Ledoit-Wolf, so that fewer samples than dimensions will do) and that vary between patients and within patients in
    one proportion; where that fails, the promise is an approximation. The more the dimensions correlate, the more a
    knockoff resembles its original and the fewer are selected. Knockoffs are drawn once per fit, and with fewer
    patients than dimensions the signature may be another, or empty, with another `random_state`: look at several.

    A dimension that beats its knockoff goes with the classes given all others; that needs no exchangeability of the
    false dimensions, which the bounds of `StableSignatureSelector` do.

    `magnification` is accepted, so that a pipeline can route it, and checked, but plays no part: a patient brings the
    images of all its magnifications into one half.

    References
    ----------
    .. [1] E. Candes, Y. Fan, L. Janson, J. Lv, "Panning for gold: model-X knockoffs for high dimensional controlled
       variable selection", JRSS B 80(3), 2018, definition 3.1 and theorem 3.4.
    .. [2] R. D. Shah, R. J. Samworth, "Variable selection with error control: another look at stability selection",
       JRSS B 75(1), 2013 (the complementary pairs).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.signature import KnockoffSignatureSelector
    >>> X = np.random.default_rng(0).normal(size=(200, 20))
    >>> y = np.where(X[:, :5].sum(axis=1) > 0, "malignant", "benign")
    >>> selector = KnockoffSignatureSelector(fdr=0.2, n_resamples=20, random_state=0).fit(X, y)
    >>> selector.signature_, selector.threshold_
    (array([0, 1, 2, 3, 4]), 0.9)
    """

    _parameter_constraints = {
        **HalfSampleSelector._parameter_constraints,
        "fdr": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        fdr=0.2,
        *,
        n_resamples=100,
        max_features=None,
        weakness=1.0,
        n_Cs=30,
        standardize=True,
        tol=1e-4,
        n_jobs=None,
        random_state=None,
    ):
        self.fdr = fdr
        self.n_resamples = n_resamples
        self.max_features = max_features
        self.weakness = weakness
        self.n_Cs = n_Cs
        self.standardize = standardize
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y, *, patient=None, magnification=None):
        """Find the signature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Embeddings, or any features.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        patient : array-like of shape (n_samples,), default=None
            Patients, the units that are halved (within the class of most of their samples), and whose images have
            knockoffs as alike as they are. `None` makes every sample a patient of its own, which images of one
            patient do not deserve: the promise does not hold then.
        magnification : array-like of shape (n_samples,), default=None
            Accepted and checked, not used.

        Returns
        -------
        KnockoffSignatureSelector
            Itself.

        Raises
        ------
        ValueError
            If `n_resamples` is odd, `max_features` is more than there are dimensions, `y` has one class, a half has no
            sample of a class, or metadata are missing or spelled in two ways.

        Warns
        -----
        UserWarning
            If no dimension is selected.
        ConvergenceWarning
            If the path did not converge on some half-samples; how many is said once.
        """
        self._validate_params()
        with unchanged_on_error(self):
            rows = self._read_rows(X, y, patient, magnification)
            self.max_features_ = self._path_end()
            rng = check_random_state(self.random_state)
            halves = self._halve(rows, rng)
            own, decoy = self._compete(rows, halves, rng)
            self.selection_probabilities_ = own / self.n_resamples
            # a difference of counts, since 0.8 - 0.2 and 0.7 - 0.1 differ in their last digit
            self.knockoff_statistics_ = (own - decoy) / self.n_resamples
            self.threshold_ = knockoff_threshold(self.knockoff_statistics_, self.fdr)
            self.signature_ = np.flatnonzero(self.knockoff_statistics_ >= self.threshold_)
            self.n_signature_ = len(self.signature_)
            if not self.n_signature_:
                fewest = math.ceil(round(1 / self.fdr, 9))  # rounded, since 1 / (1 / 49) is a little more than 49
                warnings.warn(
                    f"No dimension beats its knockoff by enough for `fdr={self.fdr:g}`, which takes at least {fewest} "
                    f"that do: the signature is empty. Raise `fdr` or `max_features`, or use StableSignatureSelector."
                )
        return self

    def _path_end(self):
        """q: as given, or so many that 1 / `fdr` dimensions can win against as many that lose."""
        n_features = self.n_features_in_
        if self.max_features is not None:
            return self._given_max_features(n_features)
        return min(n_features, max(math.ceil(2 / self.fdr), round(math.sqrt(2 * n_features))))

    def _compete(self, rows, halves, rng):
        """Number of halves that select each dimension, and of those that select its knockoff."""
        X = StandardScaler().fit_transform(rows.X)
        knockoffs = gaussian_knockoffs(X, rows.patient.codes, rng)
        # A solver can favour the first of two almost equal columns: chance decides which of a pair comes first.
        swapped = rng.uniform(size=X.shape[1]) < 0.5
        pairs = np.asfortranarray(np.hstack([np.where(swapped, knockoffs, X), np.where(swapped, X, knockoffs)]))
        first, second = np.split(self._count(pairs, rows, halves, rng), 2)
        return np.where(swapped, second, first), np.where(swapped, first, second)
