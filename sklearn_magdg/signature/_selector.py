"""A scikit-learn selector of the embedding dimensions that an l1-penalised classifier uses."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight

from sklearn_magdg._attributes import unchanged_on_error
from sklearn_magdg._metadata import magnification_text
from sklearn_magdg.cohort import Encoded
from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from sklearn_magdg.signature._base import SignatureSelector
from sklearn_magdg.signature._cross_validation import choose, cross_validated_losses, make_splits
from sklearn_magdg.signature._loss import LOSSES
from sklearn_magdg.signature._magnifications import SignatureFit, positions_by_magnification, shared_signature
from sklearn_magdg.signature._path import default_grid, follow, warn_if_not_converged
from sklearn_magdg.signature._training_rows import TrainingRows


class SparseSignatureSelector(SignatureSelector):
    r"""Selector of the dimensions to which an l1-penalised logistic regression gives weight.

    With :math:`\tilde x` the standardised features, the signature is :math:`\{j : B_{\cdot j} \neq 0\}` at the
    minimum of

    .. math:: \|B\|_1 + C \sum_i w_i \, \ell(y_i, B \tilde x_i + b)

    (`signature_path`). `transform` keeps those columns of `X`, unscaled.

    Parameters
    ----------
    C : "cv" or float, default="cv"
        Inverse penalty, greater than 0. "cv" chooses it by cross-validated loss (`scoring`) on a grid from where
        the first dimension enters to 100 times that, so that it never selects nothing. A number that would select
        nothing warns and keeps the strongest dimension.
    n_Cs : int, default=30
        Number of values on the grid of "cv".
    cv : int, splitter, iterable of splits or None, default=None
        Folds of "cv". A number of folds is stratified by class and, when `fit` receives `patient`,
        patient-disjoint. `None` is 5 folds, or fewer where the smallest class has fewer samples (patients).
        A splitter is given the metadata that its `split` takes, patients as codes; folds that share a patient between
        their sides warn.
    scoring : {"neg_log_loss", "neg_brier_score"}, default="neg_log_loss"
        What "cv" scores by, in scikit-learn's words and on its scale.
    one_se : bool, default=True
        Take the smallest `C` whose mean loss over folds is within one standard error of the lowest mean, instead of
        that with the lowest. The error is that of the lowest mean: the standard deviation over folds, divided by
        the square root of their number [2]_.
    standardize : bool, default=True
        Bring every feature to mean 0 and variance 1 (weighted) first; constant features stay 0.
    per_magnification : bool, default=False
        Fit at every training magnification on its own, standardised and cross-validated on its own, and keep the
        dimensions selected at all of them (an invariant signature); `fit` then needs `magnification`. If they
        share none, the dimension with the largest mean weight is kept, with a warning. A number for `C` is the same
        at every magnification, and so penalises one with fewer samples more.
    class_weight : dict, "balanced" or None, default=None
        Factors on the sample weights by class; "balanced" is inverse to the class frequency.
    tol : float, default=1e-6
        As in `signature_path`.
    max_iter : int, default=100
        As in `signature_path`.
    n_jobs : int or None, default=None
        Folds fitted at once; `None` is one, -1 all processors.
    random_state : int, RandomState or None, default=None
        Shuffles the folds made for an integer or `None` in `cv`; with `None` they follow the order of the data.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes or 1, n_features)
        Coefficients in the standardised scale, float64; exact zeros outside the signature. Under
        `per_magnification` the mean over magnifications.
    intercept_ : ndarray of shape (n_classes or 1,)
        Intercepts in the standardised scale (mean over magnifications likewise).
    C_ : float
        The `C` of the fit on all samples.
    signature_ : ndarray of int
        Sorted indices of the selected dimensions.
    n_signature_ : int
        Their number, at least 1.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    Cs_, cv_losses_ : ndarrays of shape (n_Cs,) and (n_Cs, n_folds)
        Grid, ascending, and the mean loss (minus the score) of every `C` on the test part of every fold; only with
        `C="cv"`, and under `per_magnification` those of all samples.
    magnification_signatures_, magnification_coef_, magnification_C_ : dicts
        Magnification, in numeric order -> its own signature, coefficients and `C`; only with
        `per_magnification=True`.
    pooled_signature_ : ndarray of int
        Signature of all magnifications together; only with `per_magnification=True`.
    fraction_of_pooled_ : float
        Share of the pooled signature, in [0, 1], that is selected at every magnification; only with
        `per_magnification=True`.
    n_iter_ : int
        Most iterations that the solver took for one `C` of the fit on all samples (under `per_magnification` of
        those of each magnification too); `max_iter` where it did not converge.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    signature_path : The solver.
    signature_stability : How far signatures of several fits agree.

    Notes
    -----
    **Honest signatures.** The embedding should come from an encoder that has not seen these patients: one part of the
    training patients kept from it, or a frozen pretrained encoder. A net separates its own training patients almost
    perfectly, however the folds of "cv" are dealt, for every fold's patients have shaped the embedding. A trial on
    real images gave an AUC of 0.987 in such folds and of 0.494 on new patients; `benchmarks/measure_honest.py`
    shows the same on rendered tissue. The loss then falls to the end of the grid, which warns; that no warning comes
    proves nothing. Behind a trained classifier in a `Pipeline`, fix `C` or tune it by a search around the whole
    pipeline, whose folds train the encoder anew.

    **Across magnifications.** Selected everywhere does not mean pointing the same way everywhere: a dimension whose
    weight changes sign between magnifications (`magnification_coef_`) is no invariant one, and warns. Magnifications
    share dimensions by chance too: `signature_overlap_test(selector.magnification_signatures_.values(), n_features)`.

    In the folds `C` is multiplied by the ratio of total to training weight, so that the penalty per sample is
    that of the final fit. "cv" scores with the sample weights, and counts every fold alike.

    References
    ----------
    .. [1] "Magnification-Invariant Image Classification via Domain Generalization and Stable Sparse Embedding
       Signatures", arXiv 2604.25817.
    .. [2] T. Hastie, R. Tibshirani, J. Friedman, "The Elements of Statistical Learning", 2nd edition, 2009,
       section 7.10 (the one-standard-error rule).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.signature import SparseSignatureSelector
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> y = np.where(X[:, 3] > 0, "malignant", "benign")
    >>> SparseSignatureSelector(C=0.1).fit(X, y).signature_
    array([3])
    """

    _parameter_constraints = {
        "C": [StrOptions({"cv"}), Interval(Real, 0, None, closed="neither")],
        "n_Cs": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(LOSSES))],
        "one_se": ["boolean"],
        "standardize": ["boolean"],
        "per_magnification": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        C="cv",
        *,
        n_Cs=30,
        cv=None,
        scoring="neg_log_loss",
        one_se=True,
        standardize=True,
        per_magnification=False,
        class_weight=None,
        tol=1e-6,
        max_iter=100,
        n_jobs=None,
        random_state=None,
    ):
        self.C = C
        self.n_Cs = n_Cs
        self.cv = cv
        self.scoring = scoring
        self.one_se = one_se
        self.standardize = standardize
        self.per_magnification = per_magnification
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y, *, patient=None, magnification=None, sample_weight=None):
        """Find the signature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Embeddings, or any features.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        patient : array-like of shape (n_samples,), default=None
            Patients, which never stand on both sides of a fold of `C="cv"`.
        magnification : array-like of shape (n_samples,), default=None
            Magnifications; needed with `per_magnification=True`, and by a `cv` that asks for them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of at least 0.

        Returns
        -------
        SparseSignatureSelector
            Itself.

        Raises
        ------
        ValueError
            If `y` has one class, if a weight is negative, if a class is missing at a magnification, if
            `magnification` is missing with `per_magnification=True`, or if a class has too few samples (patients) for
            the folds.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` ended before `tol` was reached, on all samples or in folds.
        UserWarning
            If a number for `C` selects nothing, if the best `C` of "cv" is the last of its grid, if folds share
            patients, or if magnifications share no dimension.
        """
        self._validate_params()
        with unchanged_on_error(self):
            rows = self._weigh(self._read_rows(X, y, patient, magnification), sample_weight)
            if self.per_magnification and rows.magnification is None:
                raise ValueError(
                    "SparseSignatureSelector with `per_magnification=True` needs `magnification`, one per sample: pass "
                    "`fit(X, y, magnification=...)`, or through `params` with metadata routing."
                )
            parts = positions_by_magnification(rows) if self.per_magnification else {}
            pooled = self._choose_and_fit(rows)
            fits = {}
            for name, part in parts.items():
                where = f" at magnification {magnification_text(name)}"
                fits[name] = self._choose_and_fit(rows.take(part).replace(where=where))
            self._store(pooled, fits)
        return self

    def _validate_params(self):
        """Also refuse splits of all samples for the fits at single magnifications."""
        super()._validate_params()
        if self.C != "cv" or not self.per_magnification or self.cv is None or isinstance(self.cv, Integral):
            return
        if not hasattr(self.cv, "split") or isinstance(self.cv, LeaveOneMagnificationOut):
            raise ValueError(
                "`per_magnification=True` fits at one magnification at a time, where the splits of all samples in `cv` "
                "have no meaning; give a number of folds, or a splitter by patients."
            )

    def _rows(self, X, y, sample_weight):
        """Rows of the fitted classes with their weights, for who follows the path of the fit anew."""
        label = Encoded(np.searchsorted(self.classes_, y), self.classes_)
        return self._weigh(TrainingRows(label, X=X), sample_weight)

    def _weigh(self, rows, sample_weight):
        """`rows` with `sample_weight` times `class_weight`.

        "balanced" divides by the weights of the classes, not by their sizes as `cohort.training_weight` does.
        """
        weight = _check_sample_weight(sample_weight, rows.X, dtype=np.float64, ensure_non_negative=True)
        codes, classes = rows.label
        # a class without weight would be divided by 0: it is named below
        present = weight if np.bincount(codes, weights=weight).all() else None
        y = classes[codes]
        of_class = compute_class_weight(self.class_weight, classes=classes, y=y, sample_weight=present)
        refused = ~(np.isfinite(of_class) & (of_class >= 0))
        if refused.any():
            raise ValueError(
                f"`class_weight` must be finite factors of at least 0, got {of_class[refused][0]:g} for class "
                f"{classes[refused].tolist()[0]!r}; give a positive factor, or drop the class."
            )
        rows = rows.replace(weight=weight * of_class[codes])
        missing = rows.missing_classes()
        if missing:
            raise ValueError(f"`sample_weight` or `class_weight` leaves no weight to the classes {missing}; drop them.")
        return rows

    def _store(self, pooled, fits):
        """Keep what was fitted on all samples, and what the `fits` of single magnifications share, if there are any."""
        self._strongest_alone = pooled.strongest_alone  # its weights do not lie on the path
        self.C_, self.coef_, self.intercept_, self.n_iter_ = pooled.C, pooled.coef, pooled.intercept, pooled.n_iter
        self.signature_ = pooled.signature
        if self.C == "cv":
            self.Cs_, self.cv_losses_ = pooled.Cs, pooled.losses
        if fits:
            self.magnification_signatures_ = {name: fit.signature for name, fit in fits.items()}
            self.magnification_coef_ = {name: fit.coef for name, fit in fits.items()}
            self.magnification_C_ = {name: fit.C for name, fit in fits.items()}
            self.n_iter_ = max(pooled.n_iter, *(fit.n_iter for fit in fits.values()))
            self.pooled_signature_ = pooled.signature
            shared = shared_signature(pooled, fits)
            self.signature_, self.coef_, self.intercept_, self.fraction_of_pooled_ = shared
        self.n_signature_ = len(self.signature_)

    def _choose_and_fit(self, rows):
        """`SignatureFit` of `rows` at `C`, or at the one that their cross-validation chooses."""
        if self.C != "cv":
            return self._fit_along(rows, [float(self.C)])
        Cs = default_grid(self._model(rows), self.n_Cs)
        losses = cross_validated_losses(
            rows, Cs, make_splits(self.cv, rows, self.random_state), scoring=self.scoring,
            standardize=self.standardize, tol=self.tol, max_iter=self.max_iter, n_jobs=self.n_jobs,
        )  # fmt: skip
        if np.argmin(losses.mean(axis=1)) == len(Cs) - 1 > 0:
            warnings.warn(
                f"The cross-validated loss is lowest at the largest of {len(Cs)} values of `C`{rows.where}: its "
                f"minimum may lie beyond. That is usual in the embedding of an encoder trained on these patients, "
                f"where the classes are perfectly separable: choose on patients that it has not seen, or give a "
                f"number for `C`."
            )
        # Warm starts along the grid are faster than a cold start at the chosen C.
        return self._fit_along(rows, Cs[: choose(losses, self.one_se) + 1])._replace(Cs=Cs, losses=losses)

    def _fit_along(self, rows, Cs):
        """`SignatureFit` at the last of the ascending Cs, reached by way of the others."""
        model = self._model(rows)
        coef, intercept, n_iter = self._follow(model, Cs)
        signature = np.flatnonzero(coef.any(axis=0))
        if signature.size == 0:
            return self._keep_strongest(rows, model, Cs[-1])
        return SignatureFit(float(Cs[-1]), coef, intercept, signature, n_iter)

    def _follow(self, model, Cs):
        """Coefficients (k, n_features) and intercepts (k,) at the last C, and the most iterations of any."""
        path = follow(model, Cs, tol=self.tol, max_iter=self.max_iter)
        warn_if_not_converged(path, self.tol, self.max_iter)
        return path.coefs[-1], path.intercepts[-1], int(path.n_iters.max())

    def _keep_strongest(self, rows, model, C):
        """`SignatureFit` of one dimension, at the first C of the grid (weight 0 if nothing goes with y)."""
        strength = np.abs(model.null_gradient).max(axis=0)
        strongest = int(np.argmax(strength))
        alone = self._model(rows.replace(X=rows.X[:, [strongest]]))
        first_Cs = default_grid(alone, 1)
        if strength[strongest] > 0:
            warnings.warn(
                f"C={C:.3g} selects no dimension{rows.where}; the strongest one ({strongest}) is kept, fitted at "
                f'C={first_Cs[0]:.3g}. Raise `C` to more than that, or use `C="cv"`.'
            )
        else:
            warnings.warn(
                f"No dimension goes with `y`{rows.where}, all may be constant; the first one is kept, with weight 0."
            )
        coef_alone, intercept, n_iter = self._follow(alone, first_Cs)
        coef = np.zeros_like(model.null_gradient)
        coef[:, [strongest]] = coef_alone
        return SignatureFit(float(first_Cs[0]), coef, intercept, np.array([strongest]), n_iter, strongest_alone=True)

    def _model(self, rows):
        """`LinearModel` of `rows`, standardised if the selector does that."""
        # Nothing keeps the standardised copy once the model has its own.
        return (rows.replace(X=rows.scaler().transform(rows.X)) if self.standardize else rows).model()
