"""A scikit-learn selector of the embedding dimensions that an l1-penalised classifier uses."""

import warnings
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sklearn_magdg._metadata import as_column, encode, encode_magnification
from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from sklearn_magdg.model_selection._asking import split_with_metadata
from sklearn_magdg.signature._path import _follow, _LinearModel, _log_partition, _one_hot

DEFAULT_FOLDS = 5


class _Training(NamedTuple):
    """What one fit sees: X (n, d), class codes y (n,) below n_classes, weight, patient codes or None, magnification."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    patient: np.ndarray | None
    magnification: np.ndarray | None
    n_classes: int

    def subset(self, rows):
        *columns, n_classes = self
        return _Training(*(None if each is None else each[rows] for each in columns), n_classes)

    def missing_classes(self):
        return np.flatnonzero(np.bincount(self.y, weights=self.weight, minlength=self.n_classes) == 0)

    def model(self):
        return _LinearModel(self.X, _one_hot(self.y, self.n_classes), self.weight)


class _Fit(NamedTuple):
    """One fitted signature, the iterations it took, and the cross-validation behind C."""

    C: float
    coef: np.ndarray
    intercept: np.ndarray
    signature: np.ndarray
    n_iter: int
    Cs: np.ndarray | None = None
    log_loss: np.ndarray | None = None


class SparseSignatureSelector(SelectorMixin, BaseEstimator):
    r"""Selector of the dimensions to which an l1-penalised logistic regression gives weight.

    With :math:`\tilde x` the standardised features, the signature is :math:`\{j : B_{\cdot j} \neq 0\}` at the
    minimum of

    .. math:: \|B\|_1 + C \sum_i w_i \, \ell(y_i, B \tilde x_i + b)

    (`signature_path`). `transform` keeps those columns of `X`, unscaled.

    Parameters
    ----------
    C : "cv" or float, default="cv"
        Inverse penalty, greater than 0. "cv" chooses it by cross-validated log loss on a grid that starts where
        the first dimension enters, so that it never selects nothing. A number that would select nothing warns
        and keeps the strongest dimension.
    n_Cs : int, default=30
        Number of values on the grid of "cv".
    cv : int, splitter, iterable of splits or None, default=None
        Folds of "cv". A number of folds is stratified by class and, when `fit` receives `patient`,
        patient-disjoint. `None` is 5 folds, or fewer where the smallest class has fewer samples (patients).
        A splitter is called as `split(X, y, groups=patient)`; folds that share a patient between their sides warn.
    one_se : bool, default=True
        Take the smallest `C` whose mean log loss is within one standard error of the best, instead of the best.
    standardize : bool, default=True
        Bring every feature to mean 0 and variance 1 (weighted) first; constant features stay 0.
    per_magnification : bool, default=False
        Fit at every training magnification on its own, standardised on its own, and keep the dimensions selected
        at all of them; `fit` then needs `magnification`. If they share none, the strongest dimension is kept,
        with a warning.
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
        Coefficients in the standardised scale; exact zeros outside the signature. Under `per_magnification` the
        mean over magnifications.
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
    Cs_, log_loss_ : ndarrays of shape (n_Cs,) and (n_Cs, n_folds)
        Grid and cross-validated log loss; only with `C="cv"`.
    magnification_signatures_ : dict
        Magnification -> its own signature, in numeric order; only with `per_magnification=True`.
    pooled_signature_ : ndarray of int
        Signature of all magnifications together; only with `per_magnification=True`.
    fraction_of_pooled_ : float
        Share of the pooled signature, in [0, 1], that is selected at every magnification; only with
        `per_magnification=True`.
    n_iter_ : int
        Most iterations that the solver took for one `C` of the fit on all samples.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    signature_path : The solver.
    signature_stability : How far signatures of several fits agree.

    Notes
    -----
    The embedding should come from an encoder that has not seen these patients: a net separates its own training
    patients almost perfectly, and a `C` chosen there says nothing about new ones.

    In the folds `C` is multiplied by the ratio of total to training weight, so that the penalty per sample is
    that of the final fit. "cv" scores with the sample weights.

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

    __metadata_request__fit = {"patient": True, "magnification": True}

    _parameter_constraints = {
        "C": [StrOptions({"cv"}), Interval(Real, 0, None, closed="neither")],
        "n_Cs": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
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
            If `y` has one class, if a class is missing at a magnification, if `magnification` is missing with
            `per_magnification=True`, or if a class has too few samples (patients) for the folds.
        """
        self._validate_params()
        training = self._check_training_data(X, y, patient, magnification, sample_weight)
        pooled = self._fit_signature(training)
        self._store(pooled)
        if self.per_magnification:
            self._store_shared(pooled, training)
        return self

    def _check_training_data(self, X, y, patient, magnification, sample_weight):
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"SparseSignatureSelector needs at least 2 classes in `y`, got one class: {self.classes_.tolist()}."
            )
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        class_weight = compute_class_weight(
            self.class_weight, classes=self.classes_, y=y, sample_weight=weight if weight.any() else None
        )
        patient = None if patient is None else encode(patient, "patient", len(X)).codes
        if magnification is not None:
            magnification = as_column(magnification, "magnification", len(X))
        training = _Training(X, codes, weight * class_weight[codes], patient, magnification, len(self.classes_))
        if training.missing_classes().size:
            missing = self.classes_[training.missing_classes()].tolist()
            raise ValueError(f"`sample_weight` or `class_weight` leaves no weight to the classes {missing}; drop them.")
        return training

    def _store(self, fit):
        self.C_, self.coef_, self.intercept_, self.n_iter_ = fit.C, fit.coef, fit.intercept, fit.n_iter
        self.signature_, self.n_signature_ = fit.signature, len(fit.signature)
        if self.C == "cv":
            self.Cs_, self.log_loss_ = fit.Cs, fit.log_loss

    def _store_shared(self, pooled, training):
        """Replace the pooled signature by what all magnifications share."""
        parts = self._split_by_magnification(training)
        fits = {name: self._fit_signature(part) for name, part in parts.items()}
        coef = np.mean([fit.coef for fit in fits.values()], axis=0)
        shared = set.intersection(*(set(fit.signature.tolist()) for fit in fits.values()))
        self.magnification_signatures_ = {name: fit.signature for name, fit in fits.items()}
        self.pooled_signature_ = pooled.signature
        self.fraction_of_pooled_ = len(shared.intersection(pooled.signature.tolist())) / len(pooled.signature)
        if not shared:
            warnings.warn(
                f"The signatures at magnifications {list(fits)} share no dimension; the strongest one is kept. "
                f"Raise `C`, or use `per_magnification=False`."
            )
            shared = {int(np.argmax(np.abs(coef).max(axis=0)))}
        self.signature_, self.n_signature_ = np.array(sorted(shared)), len(shared)
        self.coef_ = np.zeros_like(coef)
        self.coef_[:, self.signature_] = coef[:, self.signature_]
        self.intercept_ = np.mean([fit.intercept for fit in fits.values()], axis=0)

    def _split_by_magnification(self, training):
        if training.magnification is None:
            raise ValueError(
                "SparseSignatureSelector with `per_magnification=True` needs `magnification`, one per sample: pass "
                "`fit(X, y, magnification=...)`, or through `params` with metadata routing."
            )
        codes, names = encode_magnification(training.magnification)
        parts = {name: training.subset(codes == code) for code, name in enumerate(names)}
        missing = {name: self.classes_[part.missing_classes()].tolist() for name, part in parts.items()}
        missing = {name: classes for name, classes in missing.items() if classes}
        if missing:
            raise ValueError(
                f"`per_magnification=True` needs every class at every magnification; missing are (magnification: "
                f"classes) {missing}. Add samples, leave these magnifications out, or use `per_magnification=False`."
            )
        return parts

    def _fit_signature(self, training):
        scaled = training._replace(X=self._scaler(training)(training.X))
        if self.C != "cv":
            return self._fit_at(scaled, float(self.C))
        Cs = scaled.model().default_grid(self.n_Cs)
        log_loss = self._cross_validate(training, Cs)
        chosen = _choose(log_loss, self.one_se)
        # Warm starts along the grid are faster than a cold start at the chosen C.
        return self._fit_at(scaled, Cs[chosen], warm_Cs=Cs[:chosen])._replace(Cs=Cs, log_loss=log_loss)

    def _fit_at(self, scaled, C, warm_Cs=()):
        """Signature at C, reached by way of the ascending `warm_Cs`."""
        coefs, intercepts, n_iter = self._follow(scaled, [*warm_Cs, C])
        signature = np.flatnonzero((coefs[-1] != 0).any(axis=0))
        if signature.size == 0:
            return self._fit_strongest(scaled, C)
        return _Fit(float(C), coefs[-1], intercepts[-1], signature, n_iter)

    def _fit_strongest(self, scaled, C):
        """Signature of one dimension, at the first C of the grid (weight 0 if nothing goes with y)."""
        model = scaled.model()
        strongest = int(np.argmax(np.abs(model.gradient()[0]).max(axis=0)))
        first_C = model.default_grid(1)[0]
        warnings.warn(
            f"C={C:.3g} selects no dimension; the strongest one ({strongest}) is kept, fitted at C={first_C:.3g}. "
            f'Raise `C` to more than that, or use `C="cv"`.'
        )
        coefs, intercepts, n_iter = self._follow(scaled._replace(X=scaled.X[:, [strongest]]), [first_C])
        coef = np.zeros_like(model.coef)
        coef[:, [strongest]] = coefs[-1]
        return _Fit(float(first_C), coef, intercepts[-1], np.array([strongest]), n_iter)

    def _scaler(self, training):
        if not self.standardize:
            return lambda X: X
        return StandardScaler().fit(training.X, sample_weight=training.weight).transform

    def _follow(self, training, Cs):
        return _follow(training.model(), np.array(Cs), tol=self.tol, max_iter=self.max_iter)

    def _cross_validate(self, training, Cs):
        """Log loss of every C in every fold, (n_Cs, n_folds)."""
        cv = self._splitter(training)
        splits = list(split_with_metadata(cv, training.X, training.y, training.patient, training.magnification))
        if training.patient is not None:
            _warn_shared_patients(splits, training.patient)
        losses = Parallel(n_jobs=self.n_jobs)(
            delayed(self._fold_log_loss)(training.subset(train), training.subset(test), training.weight.sum(), Cs)
            for train, test in splits
        )
        return np.column_stack(losses)

    def _splitter(self, training):
        cv = _default_folds(training, self.classes_) if self.cv is None else self.cv
        if not isinstance(cv, Integral):
            self._refuse_splits_of_all(cv)
            return check_cv(cv)
        folds = StratifiedKFold if training.patient is None else StratifiedGroupKFold
        return folds(int(cv), shuffle=self.random_state is not None, random_state=self.random_state)

    def _refuse_splits_of_all(self, cv):
        if self.per_magnification and (not hasattr(cv, "split") or isinstance(cv, LeaveOneMagnificationOut)):
            raise ValueError(
                "`per_magnification=True` fits at one magnification at a time, where the splits of all samples in `cv` "
                "have no meaning; give a number of folds, or a splitter by patients."
            )

    def _fold_log_loss(self, train, test, total_weight, Cs):
        if train.missing_classes().size:
            raise ValueError(
                f"A fold of `cv` trains without class {self.classes_[train.missing_classes()].tolist()}; use fewer "
                f"folds, or a number for `C`."
            )
        scale = self._scaler(train)
        # The penalty per sample is that of the final fit, although a fold has fewer samples.
        fold_Cs = Cs * (total_weight / train.weight.sum())
        coefs, intercepts, _ = self._follow(train._replace(X=scale(train.X)), fold_Cs)
        scores = np.einsum("nd,ckd->cnk", scale(test.X), coefs, optimize=True) + intercepts[:, None]
        return [np.average(_log_loss(each, test.y), weights=test.weight) for each in scores]

    def _get_support_mask(self):
        check_is_fitted(self)
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[self.signature_] = True
        return mask

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _default_folds(training, classes):
    """5 folds, or as many as the smallest class has samples or patients."""
    unit, noun = (np.arange(len(training.y)), "samples") if training.patient is None else (training.patient, "patients")
    sizes = [len(np.unique(unit[training.y == code])) for code in range(len(classes))]
    if min(sizes) < 2:
        raise ValueError(
            f'`C="cv"` needs at least 2 {noun} in every class, got {dict(zip(classes.tolist(), sizes, strict=True))}; '
            f"give a number for `C` instead."
        )
    return min(DEFAULT_FOLDS, *sizes)


def _warn_shared_patients(splits, patient):
    n_leaking = sum(np.isin(patient[test], patient[train]).any() for train, test in splits)
    if n_leaking:
        warnings.warn(
            f"{n_leaking} of {len(splits)} folds of `cv` have a patient on both sides, which favours dimensions that "
            f"recognise patients; give a number of folds, or a splitter by patients.",
            UserWarning,
        )


def _choose(log_loss, one_se):
    """Index of the best C, or of the smallest C within one standard error of it."""
    mean = log_loss.mean(axis=1)
    best = int(np.argmin(mean))
    n_folds = log_loss.shape[1]
    if not one_se or n_folds < 2:
        return best
    standard_error = log_loss[best].std(ddof=1) / np.sqrt(n_folds)
    return int(np.argmax(mean <= mean[best] + standard_error))


def _log_loss(scores, y):
    """Negative log-likelihood per sample of class codes `y` under scores (n, k or 1)."""
    of_class = scores[:, 0] * y if scores.shape[1] == 1 else scores[np.arange(len(y)), y]
    return _log_partition(scores)[:, 0] - of_class
