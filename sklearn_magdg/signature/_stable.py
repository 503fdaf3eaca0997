"""A scikit-learn selector of the dimensions that half-samples of patients agree on, with error control."""

import math
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import validate_data

from sklearn_magdg._words import counted
from sklearn_magdg.cohort import as_column, encode
from sklearn_magdg.signature._error_control import BOUNDS, expected_false_positives, largest_path
from sklearn_magdg.signature._half_samples import complementary_halves
from sklearn_magdg.signature._knockoffs import gaussian_knockoffs, knockoff_threshold
from sklearn_magdg.signature._path import compute_path
from sklearn_magdg.signature._support import SignatureSupportMixin

DEFAULT_MAX_FALSE_POSITIVES = 1.0


class StableSignatureSelector(SignatureSupportMixin, BaseEstimator):
    r"""Selector of the dimensions that l1-penalised logistic regressions choose on most half-samples of patients.

    Patients are halved at random `n_resamples` / 2 times and both halves are used (complementary pairs). On every
    half the path of `signature_path` is followed until it holds q dimensions, :math:`\hat S_b`. The signature is

    .. math:: \{j : \hat\Pi_j \ge \tau\}, \quad \hat\Pi_j = \frac{1}{2B} \sum_{b=1}^{2B} 1(j \in \hat S_b),

    and the mean number of false positives in it, V, is bounded (`bound`).

    Parameters
    ----------
    threshold : float, default=0.6
        :math:`\tau`, the share of half-samples that must select a dimension; more than 0.5, at most 1. Not used
        with `fdr`.
    n_resamples : int, default=100
        Number of half-samples, 2B; even.
    max_features : int, default=None
        q, the most dimensions that one half-sample selects, at least 1 and at most the number of dimensions.
    max_false_positives : float, default=None
        Derives q, the largest for which `bound` promises no more false positives on average; greater than 0.
        Without it and without `max_features` it is 1, and q at least 1; with `fdr`, q is the larger of 2 / `fdr` and
        the square root of twice the dimensions.
    bound : {"meinshausen-buhlmann", "unimodal", "r-concave"}, default="meinshausen-buhlmann"
        With p dimensions, "meinshausen-buhlmann" is :math:`E(V) \le q^2 / ((2 \tau - 1) p)`. "unimodal" about halves
        it, if the share of pairs that agree on a false dimension has a unimodal distribution. "r-concave" is about
        half of that again, if the distributions are r-concave too (a shape between unimodal and log-concave: r is
        -1/2 for pairs and -1/4 for half-samples, as its authors advise). See the notes for what all three assume.
    weakness : float, default=1.0
        In (0, 1]. Below 1 the penalty of every dimension is divided by a random number, uniform in [`weakness`, 1],
        anew on every half-sample (randomised lasso); 0.2 to 0.8 let correlated dimensions take turns.
    fdr : float, default=None
        In (0, 1): select by knockoffs instead, so that the mean share of false positives in the signature is at
        most this. Every dimension competes with a decoy of its own and must beat it by a margin; `threshold` and
        `bound` are not used. Nothing or at least 1 / `fdr` dimensions are selected. See the notes.
    n_Cs : int, default=30
        Grid of the path, as in `signature_path`.
    standardize : bool, default=True
        Whether every half-sample is brought to mean 0 and variance 1 first. (Knockoffs are always made so.)
    tol : float, default=1e-4
        As in `signature_path`.
    n_jobs : int, default=None
        Half-samples in parallel; processes share one copy of `X`. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        Halves the patients, weakens penalties and draws knockoffs.

    Attributes
    ----------
    selection_probabilities_ : ndarray of shape (n_features,)
        Share of the half-samples that selected each dimension.
    expected_false_positives_ : float
        Bound on the mean number of false positives, at most the number of dimensions; not with `fdr`.
    max_features_ : int
        q, as given or derived; with `fdr` among dimensions and knockoffs together.
    threshold_ : float
        What a dimension has to reach: `threshold`; with `fdr` the least knockoff statistic, infinite if none will do.
    signature_ : ndarray of int
        Sorted indices of the selected dimensions; may be empty.
    n_signature_ : int
        Their number.
    knockoff_statistics_ : ndarray of shape (n_features,)
        Selection probability of each dimension minus that of its knockoff; only with `fdr`.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
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

    Knockoffs are Gaussian and equi-correlated. They assume normal dimensions whose covariance is estimated well
    (Ledoit-Wolf, so that fewer samples than dimensions will do) and that vary between patients and within patients in
    one proportion; where that fails, the promise is an approximation. The more the dimensions correlate, the more a
    knockoff resembles its original and the fewer are selected. Knockoffs are drawn once per fit, and with fewer
    patients than dimensions the signature may be another, or empty, with another `random_state`: look at several.

    `magnification` is accepted, so that a pipeline can route it, and checked, but plays no part: a patient brings the
    images of all its magnifications into one half.

    References
    ----------
    .. [1] N. Meinshausen, P. Buhlmann, "Stability selection", JRSS B 72(4), 2010, theorem 1 and section 3.1 (the
       randomised lasso).
    .. [2] R. D. Shah, R. J. Samworth, "Variable selection with error control: another look at stability selection",
       JRSS B 75(1), 2013, theorems 1 and 2, equation 8.
    .. [3] E. Candes, Y. Fan, L. Janson, J. Lv, "Panning for gold: model-X knockoffs for high dimensional controlled
       variable selection", JRSS B 80(3), 2018.

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

    __metadata_request__fit = {"patient": True, "magnification": True}

    _parameter_constraints = {
        "threshold": [Interval(Real, 0.5, 1, closed="right")],
        "n_resamples": [Interval(Integral, 2, None, closed="left")],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "max_false_positives": [Interval(Real, 0, None, closed="neither"), None],
        "bound": [StrOptions(set(BOUNDS))],
        "weakness": [Interval(Real, 0, 1, closed="right")],
        "fdr": [Interval(Real, 0, 1, closed="neither"), None],
        "n_Cs": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        threshold=0.6,
        *,
        n_resamples=100,
        max_features=None,
        max_false_positives=None,
        bound="meinshausen-buhlmann",
        weakness=1.0,
        fdr=None,
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
        self.fdr = fdr
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
            `max_false_positives`, no q keeps to `max_false_positives`, `fdr` is given together with
            `max_false_positives`, `y` has one class, or a half has no sample of a class.

        Warns
        -----
        UserWarning
            If no dimension is selected.
        ConvergenceWarning
            If the path did not converge on some half-samples; how many is said once.
        """
        self._validate_params()
        self._check_combination()
        self._forget_other_mode()
        X, label, patient = self._check_training_data(X, y, patient, magnification)
        self.max_features_ = self._path_size(X.shape[1])
        rng = check_random_state(self.random_state)
        halves = complementary_halves(patient, label, self.n_resamples // 2, rng)
        self._refuse_missing_class(halves, label, patient)
        if self.fdr is None:
            reached = self.selection_probabilities_ = self._count(X, label, halves, rng) / self.n_resamples
        else:
            reached = self._knockoff_statistics(X, label, patient, halves, rng)
        self._store(reached)
        return self

    def _check_combination(self):
        if self.n_resamples % 2:
            raise ValueError(
                f"`n_resamples` counts half-samples, which come in complementary pairs, got {self.n_resamples}; "
                f"give an even number."
            )
        if self.max_features is not None and self.max_false_positives is not None:
            raise ValueError("`max_features` and `max_false_positives` both set where a path ends; give one of them.")
        if self.fdr is not None and self.max_false_positives is not None:
            raise ValueError(
                "`fdr` and `max_false_positives` control different errors (a share, a number); give one of them."
            )

    def _forget_other_mode(self):
        for name in ("expected_false_positives_", "knockoff_statistics_"):
            vars(self).pop(name, None)

    def _check_training_data(self, X, y, patient, magnification):
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], order="F")  # halves take rows of columns
        check_classification_targets(y)
        self.classes_, label = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"StableSignatureSelector needs at least 2 classes in `y`, got one class: {self.classes_.tolist()}."
            )
        if magnification is not None:
            as_column(magnification, "magnification", len(X))
        return X, label, np.arange(len(X)) if patient is None else encode(patient, "patient", len(X)).codes

    def _path_size(self, n_features):
        """Where a path ends: q."""
        if self.max_features is not None:
            return self._given_path_size(n_features)
        if self.fdr is not None:
            return min(n_features, max(math.ceil(2 / self.fdr), round(math.sqrt(2 * n_features))))
        allowed = DEFAULT_MAX_FALSE_POSITIVES if self.max_false_positives is None else self.max_false_positives
        q = largest_path(allowed, n_features, self.threshold, self.n_resamples // 2, self.bound)
        if q < 1 and self.max_false_positives is not None:
            least = self._promise(1, n_features)
            raise ValueError(
                f"`max_false_positives={allowed:g}` cannot be promised for {counted(n_features, 'dimension')} and "
                f"`threshold={self.threshold:g}`, where the bound {self.bound!r} is {least:.3g} at the least; allow "
                f"that, raise `threshold`, or choose a sharper `bound`."
            )
        return max(q, 1)

    def _promise(self, q, n_features):
        return float(expected_false_positives(q, n_features, self.threshold, self.n_resamples // 2, self.bound))

    def _given_path_size(self, n_features):
        if self.max_features > n_features:
            raise ValueError(
                f"`max_features={self.max_features}` is more than the {counted(n_features, 'dimension')} of `X`; give "
                f"at most that, far fewer for an error bound that says something."
            )
        return int(self.max_features)

    def _refuse_missing_class(self, halves, label, patient):
        unit = "patient" if len(np.unique(patient)) < len(patient) else "sample"
        for rows in halves:
            missing = np.setdiff1d(label, label[rows])
            if missing.size:
                n_units = len(np.unique(patient[label == missing[0]]))
                raise ValueError(
                    f"A half-sample has no sample of class {self.classes_.tolist()[missing[0]]!r}, which "
                    f"{counted(n_units, unit)} of {len(np.unique(patient))} have; add {unit}s of this class (2 that "
                    f"have it most often are enough for every half), or drop it."
                )

    def _count(self, X, label, halves, rng):
        """Number of halves that select each column of X; the columns may be more than the dimensions."""
        penalty_divisor = rng.uniform(self.weakness, 1, size=(len(halves), X.shape[1]))
        options = {"n_Cs": self.n_Cs, "tol": self.tol, "max_features": self.max_features_}
        selected, caught = zip(
            *Parallel(n_jobs=self.n_jobs)(
                delayed(_select)(X, label, rows, divisor, self.standardize, options)
                for rows, divisor in zip(halves, penalty_divisor, strict=True)
            ),
            strict=True,
        )
        _warn_once(caught)
        return np.sum(selected, axis=0)

    def _knockoff_statistics(self, X, label, patient, halves, rng):
        """Selection probability of every dimension minus that of its knockoff."""
        X = StandardScaler().fit_transform(X)
        knockoffs = gaussian_knockoffs(X, patient, rng)
        # A solver can favour the first of two almost equal columns: chance decides which of a pair comes first.
        swapped = rng.uniform(size=X.shape[1]) < 0.5
        pairs = np.asfortranarray(np.hstack([np.where(swapped, knockoffs, X), np.where(swapped, X, knockoffs)]))
        first, second = np.split(self._count(pairs, label, halves, rng), 2)
        own, decoy = np.where(swapped, second, first), np.where(swapped, first, second)
        self.selection_probabilities_ = own / self.n_resamples
        # counts, since 0.8 - 0.2 and 0.7 - 0.1 differ in their last digit
        self.knockoff_statistics_ = (own - decoy) / self.n_resamples
        return self.knockoff_statistics_

    def _store(self, reached):
        """Signature of the dimensions that reached the threshold."""
        if self.fdr is None:
            self.threshold_ = float(self.threshold)
            self.expected_false_positives_ = self._promise(self.max_features_, self.n_features_in_)
        else:
            self.threshold_ = knockoff_threshold(reached, self.fdr)
        self.signature_ = np.flatnonzero(reached >= self.threshold_)
        self.n_signature_ = len(self.signature_)
        if not self.n_signature_:
            self._warn_empty(reached)

    def _warn_empty(self, reached):
        if self.fdr is None:
            warnings.warn(
                f"No dimension is selected on {self.threshold:.0%} of the half-samples, the most on "
                f"{reached.max():.0%}: the signature is empty. Lower `threshold`, or raise `max_features` or "
                f"`max_false_positives`."
            )
        else:
            fewest = math.ceil(round(1 / self.fdr, 9))  # rounded, since 1 / (1 / 49) is a little more than 49
            warnings.warn(
                f"No dimension beats its knockoff by enough for `fdr={self.fdr:g}`, which takes at least {fewest} that "
                f"do: the signature is empty. Raise `fdr` or `max_features`, or use `max_false_positives`."
            )


def _select(X, label, rows, penalty_divisor, standardize, options):
    """Mask of the columns at the end of the path on `rows`, and the warnings on the way as (category, words)."""
    half = _scaled_half(X, rows, penalty_divisor, standardize)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path, _ = compute_path(half, label[rows], **options)
    return path.coefs[-1].any(axis=0), [(w.category, str(w.message)) for w in caught]


def _scaled_half(X, rows, penalty_divisor, standardize):
    """Centred columns of `rows`, scaled so that one penalty for all is one of its own for each."""
    half = np.take(X.T, rows, axis=1).T  # stays in Fortran order
    half -= half.mean(axis=0)
    half[:, np.ptp(half, axis=0) == 0] = 0.0  # the mean of many 0.1 need not be 0.1
    # A coefficient of x_j w_j is beta_j / w_j: scaled columns are penalties divided by w_j.
    half *= penalty_divisor / _spread(half) if standardize else penalty_divisor
    return half


def _spread(centred):
    """Standard deviation of every column; 1 where it is 0."""
    spread = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(centred))
    return np.where(spread > 0, spread, 1.0)


def _warn_once(caught):
    """One warning per category for all half-samples together."""
    for category in dict.fromkeys(category for each in caught for category, _ in each):
        words = [next((text for kind, text in each if kind is category), None) for each in caught]
        n_affected = sum(text is not None for text in words)
        first = next(text for text in words if text is not None)
        warnings.warn(f"On {n_affected} of {len(caught)} half-samples: {first}", category)
