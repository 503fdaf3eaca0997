"""The fit, predict and transform that the three classifiers share."""

import copy
import warnings
from numbers import Integral, Real
from os import PathLike
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import (
    assert_all_finite,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    compute_sample_weight,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import nn

from sklearn_magdg._metadata import as_column, encode, encode_magnification
from sklearn_magdg.estimators._callbacks import StopIfNotFinite
from sklearn_magdg.estimators._sources import ArraySource, RowsOf, as_source
from sklearn_magdg.estimators._training import (
    ShuffledBatches,
    TrainingData,
    infer,
    resolve_device,
    seeded,
    threads,
    train,
)
from sklearn_magdg.model_selection._holdout import patient_holdout
from sklearn_magdg.modules import (
    AUGMENTATIONS,
    FeatureInput,
    Frozen,
    Objective,
    TwoHeaded,
    build_backbone,
    check_backbone,
    last_block,
    perceptron,
)

MAX_SEED = np.iinfo(np.int32).max


class Rows(NamedTuple):
    """Training rows: their images or features and what is known of each."""

    source: object
    label: np.ndarray  # int64 (n,)
    patient: np.ndarray | None
    magnification: np.ndarray | None  # int64 codes (n,)
    weight: np.ndarray  # float64 (n,)

    def take(self, mask):
        def part(values):
            return None if values is None else values[mask]

        rows = np.flatnonzero(mask)
        return Rows(RowsOf(self.source, rows), *(part(values) for values in self[1:]))


class BaseNetClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    """Fit, predict and transform by a net; subclasses add a second head or a penalty through the hooks below."""

    __metadata_request__fit = {"patient": True, "magnification": True}

    _parameter_constraints = {
        "backbone": [str, callable],
        "weights": [None, str, PathLike],
        "trainable": [StrOptions({"all", "last_block", "head"})],
        "image_size": [None, Interval(Integral, 8, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "augment": [None, StrOptions(set(AUGMENTATIONS)), callable],
        "class_weight": [None, StrOptions({"balanced"}), dict],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "n_jobs": [None, Integral],
        "image_cache": [None, str, PathLike],
        "callbacks": [None, list],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # What a user calls

    def fit(self, X, y, *, patient=None, magnification=None, sample_weight=None):
        """Train the net.

        Parameters
        ----------
        X : array-like
            Images, uint8 or float in [0, 1], of shape (n, height, width, 3); or n image paths (1-D array,
            list, Series or one-column DataFrame), decoded batch by batch (see `image_cache`); or features
            (n, n_features).
            Float images are rounded to 8 bits.
        y : array-like of shape (n,)
            Labels, ints or strings.
        patient : array-like of shape (n,), default=None
            Patients, ints or strings; keeps early stopping patient-disjoint. A missing patient (None, NaN)
            never stands in the validation part.
        magnification : array-like of shape (n,), default=None
            Magnifications, numbers or strings such as "40X".
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights. A batch's loss is the weighted sum of its sample losses over (batch size x
            mean training weight), an unbiased estimate of the weighted loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For inputs of unknown shape, a single class, metadata of another length, or a loss that is no
            longer finite.
        KeyboardInterrupt
            Raised again after the completed epochs, if any, have been stored.
        """
        self._validate_params()
        rows, classes, magnifications = self._check_training_data(X, y, patient, magnification, sample_weight)
        rows, valid = self._split_validation(rows)
        seed = check_random_state(self.random_state).randint(MAX_SEED)
        with seeded(seed), threads(self.n_jobs):
            module = self._start_module(rows, classes, magnifications)
            history, interrupted = self._train(module, rows, valid)
        if history:
            self._store(module, history, classes, magnifications, rows.source)
            self._remember_validation(valid)
        if interrupted:
            raise KeyboardInterrupt
        return self

    def predict_proba(self, X):
        """Class probabilities.

        Parameters
        ----------
        X : array-like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            Columns in the order of ``classes_``.
        """
        logits = self._infer(X, lambda output: output.class_logits).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Most probable classes, shape (n,)."""
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def transform(self, X):
        """Embeddings: what the class head reads.

        Returns
        -------
        ndarray of shape (n, `embedding_dim_`), float32
        """
        return self._infer(X, lambda output: output.embedding)

    # Hooks of the methods

    def _build_domain_head(self, n_features, n_classes, n_magnifications):
        return None

    def _build_projection(self, n_features):
        """What stands between a frozen backbone and the heads, and its width."""
        return nn.Identity(), n_features

    def _build_objective(self, n_magnifications):
        return Objective()

    def _build_batches(self, rows):
        return ShuffledBatches(len(rows.label), self.batch_size)

    def _balance_groups(self, rows):
        """Groups within which training weights have mean 1."""
        return np.zeros(len(rows.label), dtype=int)

    def _optimizer_options(self, module):
        """Settings of AdamW beside `lr` and `weight_decay`, named as skorch has them."""
        return {}

    def _method_callbacks(self, module, rows, batches):
        return []

    # Steps of `fit`

    def _check_training_data(self, X, y, patient, magnification, sample_weight):
        source = self._as_source(X, reset=True)
        y = check_labels(self, y, len(source))
        classes, label = np.unique(y, return_inverse=True)
        n = len(label)
        weight = _check_sample_weight(sample_weight, label, dtype=np.float64, ensure_non_negative=True)
        weight = weight * compute_sample_weight(self.class_weight, y)
        if patient is not None:
            patient = as_column(patient, "patient", n)
        magnifications = None
        if magnification is not None:
            magnification, magnifications = encode_magnification(magnification, n)
        return Rows(source, label.astype(np.int64), patient, magnification, weight), classes, magnifications

    def _split_validation(self, rows):
        """Training rows and, with early stopping, those of the patients set aside."""
        if not self.early_stopping:
            return rows, None
        if rows.patient is None:
            rows = rows._replace(patient=image_as_patient(len(rows.label)))
        held_back = self._validation_mask(rows.label, rows.patient)
        return rows.take(~held_back), rows.take(held_back)

    def _validation_mask(self, label, patient):
        """Mask of the rows set aside for early stopping: a class-stratified part of the patients.

        It depends on the rows that have a patient alone: generated rows, which have none, leave it as it is. A fit
        that goes on keeps the part of the fit before, for the net has been trained on all others.
        """
        if self.warm_start and hasattr(self, "module_"):
            kept = self._kept_aside(label, patient)
            if kept.any():
                return kept
        rng = check_random_state(self.random_state)
        held_back = patient_holdout(patient, label, self.validation_fraction, rng)
        if not held_back.any():
            raise ValueError("early_stopping=True needs a class with at least 2 patients to set one of them aside.")
        return held_back

    def _kept_aside(self, label, patient):
        """Mask of the rows whose patients the fit before set aside."""
        before = getattr(self, "validation_patients_", [])
        kept = pd.Series(patient).isin(before).to_numpy()
        n_found = pd.Series(patient)[kept].nunique()
        if not before or n_found < len(before):
            warnings.warn(
                f"warm_start=True goes on from a fit that set {len(before)} patients aside, {n_found} of whom are in "
                "the data: early stopping may validate on patients that the net was trained on; fit on the same "
                "patients with early_stopping=True from the start.",
                UserWarning,
            )
        missing = np.setdiff1d(label, label[~kept])
        if len(missing):
            raise ValueError(
                "No patient of some class is left to train on beside those that the fit before set aside "
                f"({before}): pass all patients again, or set warm_start=False."
            )
        return kept

    def _start_module(self, rows, classes, magnifications):
        if self.warm_start and hasattr(self, "module_"):
            return self._continued_module(rows.source, classes, magnifications)
        n_magnifications = 0 if magnifications is None else len(magnifications)
        encoder, n_features = self._build_encoder(rows.source)
        domain_head = self._build_domain_head(n_features, len(classes), n_magnifications)
        module = TwoHeaded(encoder, n_features, len(classes), domain_head)
        return module.to(resolve_device(self.device), memory_format=torch.channels_last)

    def _continued_module(self, source, classes, magnifications):
        """A copy of the last fit's module, so that a failing fit leaves that one as it is."""
        now = {"classes": classes.tolist(), "magnifications": magnifications, "input shape": source.shape}
        then = [self.classes_.tolist(), self.magnifications_, self.input_shape_]
        for (what, new), old in zip(now.items(), then, strict=True):
            if new != old:
                raise ValueError(
                    f"warm_start=True goes on with the {what} {old}, got {new}; set warm_start=False to start afresh."
                )
        return copy.deepcopy(self.module_)

    def _build_encoder(self, source):
        if len(source.shape) == 1:
            return self._build_feature_encoder(source)
        augment = AUGMENTATIONS[self.augment] if isinstance(self.augment, str) else self.augment
        input_layer, net, n_features = build_backbone(self.backbone, self.weights, augment)
        check_backbone(input_layer, net, n_features, source.shape)
        if self.trainable == "last_block":
            return nn.Sequential(input_layer, Frozen(net, last_block(net))), n_features
        if self.trainable == "head":
            projection, width = self._build_projection(n_features)
            return nn.Sequential(input_layer, Frozen(net), FeatureInput(n_features), projection), width
        return nn.Sequential(input_layer, net), n_features

    def _build_feature_encoder(self, source):
        untouched = {"backbone": "auto", "weights": None, "trainable": "all", "augment": None}
        touched = [name for name, default in untouched.items() if getattr(self, name) != default]
        if touched:
            raise ValueError(
                f"X holds features (2-D), for which the encoder is a perceptron: leave {touched} at the default, "
                "or give images."
            )
        n_inputs, n_features = source.shape[0], 32
        measured = FeatureInput(n_inputs).measure(source.read(np.arange(len(source))))
        return nn.Sequential(measured, perceptron(n_inputs, n_features=n_features)), n_features

    def _train(self, module, rows, valid):
        n_magnifications = 0 if rows.magnification is None else rows.magnification.max() + 1
        if self.trainable == "head" and len(rows.source.shape) == 3:
            module, rows, valid = self._train_on_features(module, rows, valid)
        batches = self._build_batches(rows)
        return train(
            module,
            self._build_objective(n_magnifications),
            self._training_data(rows),
            batches,
            valid=None if valid is None else self._training_data(valid),
            patience=self.patience,
            callbacks=[
                StopIfNotFinite(),
                *self._method_callbacks(module, rows, batches),
                *(self.callbacks or []),
            ],
            device=resolve_device(self.device),
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            optimizer__weight_decay=self.weight_decay,
            **self._optimizer_options(module),
            precision=self.precision,
            verbose=int(self.verbose),
        )

    def _train_on_features(self, module, rows, valid):
        """With a frozen backbone: its features computed once, unless augmentation changes them every time."""
        input_layer, frozen, measured, projection = module.encoder
        backbone = nn.Sequential(input_layer, frozen)
        features = self._features(backbone, rows.source)
        measured.measure(torch.from_numpy(features))
        if self.augment is not None:
            return module, rows, valid
        top = TwoHeaded.sharing_heads(nn.Sequential(measured, projection), module)
        rows = rows._replace(source=ArraySource(features))
        if valid is not None:
            valid = valid._replace(source=ArraySource(self._features(backbone, valid.source)))
        return top, rows, valid

    def _features(self, backbone, source):
        device = resolve_device(self.device)
        return infer(backbone, source, batch_size=self.batch_size, device=device, read_output=lambda z: z)

    def _training_data(self, rows):
        magnification = np.zeros(len(rows.label), dtype=np.int64) if rows.magnification is None else rows.magnification
        weight = _mean_one(rows.weight, self._balance_groups(rows)).astype(np.float32)
        target = {"label": rows.label, "magnification": magnification, "weight": weight}
        return TrainingData(rows.source, {name: torch.from_numpy(values) for name, values in target.items()})

    def _store(self, module, history, classes, magnifications, source):
        self.module_ = module.eval()
        self.history_ = history
        self.classes_ = classes
        self.magnifications_ = magnifications
        self.embedding_dim_ = module.class_head.in_features
        self.input_shape_ = source.shape

    def _remember_validation(self, valid):
        if valid is not None:
            self.validation_patients_ = encode(valid.patient, "patient").names
        elif hasattr(self, "validation_patients_"):
            del self.validation_patients_

    def _infer(self, X, read_output):
        check_is_fitted(self)
        source = self._as_source(X, reset=False)
        if source.shape != self.input_shape_:
            raise ValueError(
                f"{type(self).__name__} was fitted on inputs of shape {self.input_shape_}, got {source.shape}; "
                "set `image_size` to bring images to one size."
            )
        device = next(self.module_.parameters()).device
        with threads(self.n_jobs):
            return infer(self.module_, source, batch_size=self.batch_size, device=device, read_output=read_output)

    def _as_source(self, X, *, reset):
        reading = {"image_size": self.image_size, "n_jobs": self.n_jobs, "image_cache": self.image_cache}
        return as_source(self, X, reset=reset, **reading)

    @property
    def _n_features_out(self):
        return self.embedding_dim_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def image_as_patient(n):
    """Every image as a patient of its own, with a warning of what that leaks."""
    warnings.warn(
        "early_stopping=True without `patient`: images of one patient may stand on both sides of the validation "
        "split, which flatters its loss; pass `patient` to `fit`.",
        UserWarning,
    )
    return np.arange(n)


def check_labels(estimator, y, n):
    """`y` as a 1-D array of `n` labels of at least two classes."""
    y = read_labels(y, n)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs at least 2 classes, got 1 class: {classes.tolist()[0]!r}; "
            "add images of another class."
        )
    return y


def read_labels(y, n):
    """`y` as a 1-D array of `n` labels, none missing."""
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    missing = np.flatnonzero(pd.isna(y)) if y.dtype.kind == "O" else []
    if len(missing):
        raise ValueError(f"`y` is missing for {len(missing)} samples, the first at position {missing[0]}; drop them.")
    check_classification_targets(y)
    check_consistent_length(range(n), y)
    return y


def _mean_one(weight, groups):
    """Weights over their mean within each group."""
    totals = np.bincount(groups, weights=weight)
    counts = np.bincount(groups)
    means = np.divide(totals, counts, out=np.ones_like(totals), where=totals > 0)
    return weight / means[groups]
