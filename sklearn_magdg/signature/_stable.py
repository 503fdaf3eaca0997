"""A scikit-learn selector of the dimensions that half-samples of patients agree on, with error control."""

import warnings
from functools import wraps
from numbers import Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_magdg._attributes import unchanged_on_error
from sklearn_magdg._words import counted
from sklearn_magdg.signature._error_control import BOUNDS, expected_false_positives, largest_path
from sklearn_magdg.signature._half_samples import HalfSampleSelector

DEFAULT_MAX_FALSE_POSITIVES = 1.0


def _refuse_fdr(init):
    """`init`, which also says where `fdr` has gone.

    A wrapper, since scikit-learn takes every name in the signature for a parameter that can be set: this one must be
    in neither `get_params` nor a clone.
    """

    @wraps(init)
    def refusing(self, *args, **parameters):
        if "fdr" in parameters:
            raise TypeError(
                f"StableSignatureSelector has no `fdr`: the share of false positives is controlled by "
                f"KnockoffSignatureSelector(fdr={parameters['fdr']!r}), their number here by `max_false_positives`."
            )
        init(self, *args, **parameters)

    return refusing


class StableSignatureSelector(HalfSampleSelector):
    r"""Selector of the dimensions that l1-penalised logistic regressions choose on most half-samples of patients.

    Patients are halved at random `n_resamples` / 2 times and both halves are used (complementary pairs). On every
    half the path of `signature_path` is followed until it holds q dimensions, :math:`\hat S_b`. The signature is

    .. math:: \{j : \hat\Pi_j \ge \tau\}, \quad \hat\Pi_j = \frac{1}{2B} \sum_{b=1}^{2B} 1(j \in \hat S_b),

    and the mean number of false positives in it, V, is bounded (`bound`).

    Parameters
    ----------
    threshold : float, default=0.6
        :math:`\tau`, the share of half-samples that must select a dimension; more than 0.5, at most 1.
    n_resamples : int, default=100
        Number of half-samples, 2B; even.
    max_features : int, default=None
        q, the most dimensions that one half-sample selects, at least 1 and at most the number of dimensions.
    max_false_positives : float, default=None
        Derives q, the largest for which `bound` promises no more false positives on average; greater than 0.
        Without it and without `max_features` it is 1, and q at least 1.
    bound : {"meinshausen-buhlmann", "unimodal", "r-concave"}, default="meinshausen-buhlmann"
        With p dimensions, "meinshausen-buhlmann" is :math:`E(V) \le q^2 / ((2 \tau - 1) p)`. "unimodal" about halves
        it, if the share of pairs that agree on a false dimension has a unimodal distribution. "r-concave" is about
        half of that again, if the distributions are r-concave too (a shape between unimodal and log-concave: r is
        -1/2 for pairs and -1/4 for half-samples, as its authors advise). See the notes for what all three assume.
    weakness : float, default=1.0
        In (0, 1]. Below 1 the penalty of every dimension is divided by a random number, uniform in [`weakness`, 1],
        anew on every half-sample (randomised lasso); 0.2 to 0.8 let correlated dimensions take turns.
    n_Cs : int, default=30
        Grid of the path, as in `signature_path`.
    standardize : bool, default=True
        Whether every half-sample is brought to mean 0 and variance 1 first.
    tol : float, default=1e-4
        As in `signature_path`.
    n_jobs : int, default=None
        Half-samples in parallel; processes share one copy of `X`. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        Halves the patients and weakens penalties.

    Attributes
    ----------
    selection_probabilities_ : ndarray of shape (n_features,)
        Share of the half-samples that selected each dimension.
    expected_false_positives_ : float
        Bound on the mean number of false positives, at most the number of dimensions.
    max_features_ : int
        q, as given or derived.
    threshold_ : float
        What a dimension has to reach: `threshold`.
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
    KnockoffSignatureSelector : The mean share of false positives in the signature instead of their mean number.
    SparseSignatureSelector : One penalty, chosen by cross-validation; quicker, without error control.
    signature_stability : How far signatures of several fits agree.

    Notes
    -----
    Strictly, the bounds count the selected dimensions that one half-sample selects with a probability of at most
    q / p, and need no more than independent patients (and the shapes named at `bound`). That these are the false ones
    is the assumption of exchangeability: that the false dimensions are all equally likely to be selected, and the
    selection is no worse than a guess.
    Correlated embeddings break it: a false dimension that correlates with a true one is selected in its place, as
    often as the data confuse the two. Read such a signature as one of several that do as well.

    `magnification` is accepted, so that a pipeline can route it, and checked, but plays no part: a patient brings the
    images of all its magnifications into one half.

    References
    ----------
    .. [1] N. Meinshausen, P. Buhlmann, "Stability selection", JRSS B 72(4), 2010, theorem 1 and section 3.1 (the
       randomised lasso).
    .. [2] R. D. Shah, R. J. Samworth, "Variable selection with error control: another look at stability selection",
       JRSS B 75(1), 2013, theorems 1 and 2, equation 8.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.signature import StableSignatureSelector
    >>> X = np.random.default_rng(0).normal(size=(60, 20))
    >>> y = np.where(X[:, 3] > 0, "malignant", "benign")
    >>> selector = StableSignatureSelector(n_resamples=20, random_state=0).fit(X, y)
    >>> selector.signature_.tolist(), selector.max_features_, round(selector.expected_false_positives_, 3)
    ([3], 2, 1.0)
    """

    _parameter_constraints = {
        **HalfSampleSelector._parameter_constraints,
        "threshold": [Interval(Real, 0.5, 1, closed="right")],
        "max_false_positives": [Interval(Real, 0, None, closed="neither"), None],
        "bound": [StrOptions(set(BOUNDS))],
    }

    @_refuse_fdr
    def __init__(
        self,
        threshold=0.6,
        *,
        n_resamples=100,
        max_features=None,
        max_false_positives=None,
        bound="meinshausen-buhlmann",
        weakness=1.0,
        n_Cs=30,
        standardize=True,
        tol=1e-4,
        n_jobs=None,
        random_state=None,
    ):
        self.threshold = threshold
        self.n_resamples = n_resamples
        self.max_features = max_features
        self.max_false_positives = max_false_positives
        self.bound = bound
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
            Patients, the units that are halved (within the class of most of their samples). `None` makes every
            sample a patient of its own, which images of one patient do not deserve.
        magnification : array-like of shape (n_samples,), default=None
            Accepted and checked, not used.

        Returns
        -------
        StableSignatureSelector
            Itself.

        Raises
        ------
        ValueError
            If `n_resamples` is odd, `max_features` is more than there are dimensions or given together with
            `max_false_positives`, no q keeps to `max_false_positives`, `y` has one class, a half has no sample of a
            class, or metadata are missing or spelled in two ways.

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
            self.expected_false_positives_ = self._promise(self.max_features_)
            rng = check_random_state(self.random_state)
            halves = self._halve(rows, rng)
            self.selection_probabilities_ = self._count(rows.X, rows, halves, rng) / self.n_resamples
            self.threshold_ = float(self.threshold)
            self.signature_ = np.flatnonzero(self.selection_probabilities_ >= self.threshold_)
            self.n_signature_ = len(self.signature_)
            if not self.n_signature_:
                warnings.warn(
                    f"No dimension is selected on {self.threshold:.0%} of the half-samples, the most on "
                    f"{self.selection_probabilities_.max():.0%}: the signature is empty. Lower `threshold`, or raise "
                    f"`max_features` or `max_false_positives`."
                )
        return self

    def _validate_params(self):
        """Also refuse two ends of one path."""
        super()._validate_params()
        if self.max_features is not None and self.max_false_positives is not None:
            raise ValueError("`max_features` and `max_false_positives` both set where a path ends; give one of them.")

    def _path_end(self):
        """q: as given, or the largest whose bound keeps to the false positives that are allowed."""
        n_features = self.n_features_in_
        if self.max_features is not None:
            return self._given_max_features(n_features)
        allowed = DEFAULT_MAX_FALSE_POSITIVES if self.max_false_positives is None else self.max_false_positives
        q = largest_path(allowed, n_features, self.threshold, self.n_resamples // 2, self.bound)
        if q < 1 and self.max_false_positives is not None:
            raise ValueError(
                f"`max_false_positives={allowed:g}` cannot be promised for {counted(n_features, 'dimension')} and "
                f"`threshold={self.threshold:g}`, where the bound {self.bound!r} is {self._promise(1):.3g} at the "
                f"least; allow that, raise `threshold`, or choose a sharper `bound`."
            )
        return max(q, 1)

    def _promise(self, q):
        """Bound on the mean number of false positives at the end q of the paths."""
        n_pairs = self.n_resamples // 2
        return float(expected_false_positives(q, self.n_features_in_, self.threshold, n_pairs, self.bound))
