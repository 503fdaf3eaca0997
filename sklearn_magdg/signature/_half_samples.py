"""Counting on complementary half-samples of patients which dimensions the end of a path holds."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval
from sklearn.utils.parallel import Parallel, delayed

from sklearn_magdg._words import counted
from sklearn_magdg.cohort import Encoded
from sklearn_magdg.signature._base import SignatureSelector
from sklearn_magdg.signature._path import compute_path


class HalfSampleSelector(SignatureSelector):
    """What selectors that count over half-samples share: their parameters, the halves, the count.

    Everything random is drawn from one generator, in this order: the halves, what the selector itself draws, the
    divisors of the penalties. A selector that keeps to it gives for a seed what it gave before.
    """

    _parameter_constraints = {
        "n_resamples": [Interval(Integral, 2, None, closed="left")],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "weakness": [Interval(Real, 0, 1, closed="right")],
        "n_Cs": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def _validate_params(self):
        """Also refuse an odd number of half-samples."""
        super()._validate_params()
        if self.n_resamples % 2:
            raise ValueError(
                f"`n_resamples` counts half-samples, which come in complementary pairs, got {self.n_resamples}; "
                f"give an even number."
            )

    def _read_rows(self, X, y, patient, magnification):
        """`TrainingRows` with a patient for every row: one of its own where none are given."""
        rows = super()._read_rows(X, y, patient, magnification, order="F")  # halves take rows of columns
        if rows.patient is None:
            return rows.replace(patient=Encoded(np.arange(len(rows)), range(len(rows))))
        return rows

    def _given_max_features(self, n_features):
        """`max_features`, which is not None, unless there are fewer dimensions."""
        if self.max_features > n_features:
            raise ValueError(
                f"`max_features={self.max_features}` is more than the {counted(n_features, 'dimension')} of `X`; give "
                f"at most that, far fewer for an error bound that says something."
            )
        return int(self.max_features)

    def _halve(self, rows, rng):
        """Rows of `n_resamples` half-samples, pair after pair, every class in each of them."""
        halves = complementary_halves(rows, self.n_resamples // 2, rng)
        codes, patient = rows.label.codes, rows.patient.codes
        for half in halves:
            missing = np.setdiff1d(codes, codes[half])
            if missing.size:
                n_patients = len(np.unique(patient))
                unit = "patient" if n_patients < len(patient) else "sample"
                n_units = len(np.unique(patient[codes == missing[0]]))
                raise ValueError(
                    f"A half-sample has no sample of class {self.classes_.tolist()[missing[0]]!r}, which "
                    f"{counted(n_units, unit)} of {n_patients} have; add {unit}s of this class (2 that "
                    f"have it most often are enough for every half), or drop it."
                )
        return halves

    def _count(self, X, rows, halves, rng):
        """Number of halves that select each column of X (m,); `X` may have more columns than `rows.X`.

        What the paths warned of is said once per category, with the number of half-samples and the first words.
        """
        # drawn where nothing is weakened too, so that no other draw depends on `weakness`
        penalty_divisor = rng.uniform(self.weakness, 1, size=(len(halves), X.shape[1]))
        options = {"n_Cs": self.n_Cs, "tol": self.tol, "max_features": self.max_features_}
        outcomes = Parallel(n_jobs=self.n_jobs)(
            delayed(_select)(X, rows.label.codes, half, divisor, self.standardize, options)
            for half, divisor in zip(halves, penalty_divisor, strict=True)
        )
        selected, caught = zip(*outcomes, strict=True)
        for category in dict.fromkeys(category for each in caught for category, _ in each):
            first_words = [next((text for kind, text in each if kind is category), None) for each in caught]
            affected = [text for text in first_words if text is not None]
            warnings.warn(f"On {len(affected)} of {len(halves)} half-samples: {affected[0]}", category)
        return np.sum(selected, axis=0)


def complementary_halves(cohort, n_pairs, rng):
    """Rows of 2 `n_pairs` half-samples; the second of a pair holds the patients that the first does not.

    Parameters
    ----------
    cohort : Cohort
        With a patient for every row. A patient counts to the class of most of its rows, and every class is halved by
        itself.
    n_pairs : int
        At least 1.
    rng : RandomState
        Deals the patients; where their number in a class is odd, chance decides which half has one more.

    Returns
    -------
    list of 2 n_pairs ndarrays of int
        Pair after pair.
    """
    patient_class = cohort.patient_class
    halves = []
    for _ in range(n_pairs):
        in_first = np.zeros(len(patient_class), dtype=bool)
        for each in np.unique(patient_class):
            members = rng.permutation(np.flatnonzero(patient_class == each))
            in_first[members[: (len(members) + rng.randint(2)) // 2]] = True
        row_in_first = in_first[cohort.patient.codes]
        halves += [np.flatnonzero(row_in_first), np.flatnonzero(~row_in_first)]
    return halves


def _select(X, label, rows, penalty_divisor, standardize, options):
    """Mask of the columns at the end of the path on `rows`, and the warnings on the way as (category, words)."""
    half = _scaled_half(X, rows, penalty_divisor, standardize)
    # caught and carried home: a process that works for another cannot warn there
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path, _ = compute_path(half, label[rows], **options)
    return path.coefs[-1].any(axis=0), [(w.category, str(w.message)) for w in caught]


def _scaled_half(X, rows, penalty_divisor, standardize):
    """Centred columns of `rows`, scaled so that one penalty for all is one of its own for each.

    `StandardScaler` takes three times as long here, and three times the memory: copies for the moments.
    """
    half = np.take(X.T, rows, axis=1).T  # stays in Fortran order
    half -= half.mean(axis=0)
    half[:, np.ptp(half, axis=0) == 0] = 0.0  # the mean of many 0.1 need not be 0.1
    # A coefficient of x_j w_j is beta_j / w_j: scaled columns are penalties divided by w_j.
    if not standardize:
        half *= penalty_divisor
        return half
    spread = np.sqrt(np.einsum("ij,ij->j", half, half) / len(half))
    half *= penalty_divisor / np.where(spread > 0, spread, 1.0)
    return half
