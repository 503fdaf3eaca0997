"""The fit, predict and transform that the three classifiers share."""

import copy
from numbers import Integral, Real
from os import PathLike

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklearn_magdg.cohort import as_column, encode, encode_magnification
from sklearn_magdg.estimators._encoder import augmentation, build_encoder
from sklearn_magdg.estimators._net_transformer import NetTransformer
from sklearn_magdg.estimators._rows import (
    Rows,
    check_labels,
    image_as_patient,
    mean_one,
    present_magnifications,
    training_weight,
)
from sklearn_magdg.estimators._state import unchanged_on_error
from sklearn_magdg.estimators._validation import validation_mask
from sklearn_magdg.images._sources import ArraySource
from sklearn_magdg.modules import AUGMENTATIONS, Objective, TwoHeaded
from sklearn_magdg.persistence._layout import blank_module, misfit
from sklearn_magdg.training._callbacks import Progress, StopIfNotFinite
from sklearn_magdg.training._checkpoint import checkpoint_of
from sklearn_magdg.training._net import (
    ShuffledBatches,
    TrainingData,
    group_parameters,
    infer,
    resolve_device,
    seeded,
    threads,
    train,
)

MAX_SEED = np.iinfo(np.int32).max


class BaseNetClassifier(NetTransformer, ClassifierMixin, BaseEstimator):
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
        "backbone_lr": [None, Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"constant", "cosine"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_grad_norm": [None, Interval(Real, 0, None, closed="neither")],
        "augment": [None, StrOptions(set(AUGMENTATIONS)), callable],
        "class_weight": [None, StrOptions({"balanced"}), dict],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "n_jobs": [None, Integral],
        "image_cache": [None, str, PathLike],
        "checkpoint": [None, str, PathLike],
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
            Float images are rounded to 8 bits. Every path must lead to an image before the training starts.
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
            longer finite. What an earlier fit learned then stays as it was.
        FileNotFoundError
            For a path that leads nowhere.
        KeyboardInterrupt
            Raised again. After at least one completed epoch the fit is stored, with the weights of the moment (with
            early stopping the best ones) and the history of the completed epochs.
        """
        self._validate_params()
        with unchanged_on_error(self):
            rows, classes, magnifications = self._check_training_data(X, y, patient, magnification, sample_weight)
            rows, valid = self._split_validation(rows)
            rows, magnifications = present_magnifications(rows, magnifications)
            seed = check_random_state(self.random_state).randint(MAX_SEED)
            with seeded(seed), threads(self.n_jobs):
                module = self._start_module(rows, classes, magnifications)
                history, best_epoch, interrupted = self._train(module, rows, valid)
            if not history:
                raise KeyboardInterrupt
            self._store(module, history, classes, magnifications, rows.source)
            self._remember_validation(valid, best_epoch)
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

    def _learning_rate(self, name):
        """Of the module's parameter `name`."""
        is_backbone = name.startswith("encoder.1.") and self.trainable != "head"  # whose module begins behind it
        return self.backbone_lr if is_backbone and self.backbone_lr is not None else self.lr

    def _betas(self, module):
        """Of AdamW."""
        return 0.9, 0.999

    def _method_callbacks(self, module, rows, batches):
        return []

    def _closing_callbacks(self, module, rows, batches):
        """Those that read the net when the others, early stopping among them, are done with it."""
        return []

    # Steps of `fit`

    def _check_training_data(self, X, y, patient, magnification, sample_weight):
        source = self._as_source(X, reset=True)
        y = check_labels(self, y, len(source))
        classes, label = np.unique(y, return_inverse=True)
        n = len(label)
        weight = training_weight(sample_weight, self.class_weight, y)
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
        held_back = validation_mask(self, rows.label, rows.patient)
        return rows.take(~held_back), rows.take(held_back)

    def _start_module(self, rows, classes, magnifications):
        if self._goes_on():
            return self._continued_module(rows.source, classes, magnifications)
        module = self._build_module(rows.source.shape, len(classes), len(magnifications or ()))
        module.to(resolve_device(self.device), memory_format=torch.channels_last)
        if len(rows.source.shape) == 1:
            module.encoder[0].measure(rows.source.read(np.arange(len(rows.source))))
        return module

    def _goes_on(self):
        return self.warm_start and hasattr(self, "module_")

    def _build_module(self, shape, n_classes, n_magnifications, *, check=True):
        encoder, n_features = build_encoder(self, shape, check=check)
        domain_head = self._build_domain_head(n_features, n_classes, n_magnifications)
        return TwoHeaded(encoder, n_features, n_classes, domain_head)

    def _rebuild_module(self):
        """A module like that of the last fit, with first weights: no file of weights is read."""
        unread = copy.copy(self).set_params(weights=None)
        n_magnifications = len(self.magnifications_ or ())
        return unread._build_module(self.input_shape_, len(self.classes_), n_magnifications, check=False)

    def _continued_module(self, source, classes, magnifications):
        """A copy of the last fit's module, so that a failing fit leaves that one as it is."""
        now = {"classes": classes.tolist(), "magnifications": magnifications, "input shape": source.shape}
        then = [self.classes_.tolist(), self.magnifications_, self.input_shape_]
        for (what, new), old in zip(now.items(), then, strict=True):
            if new != old:
                raise ValueError(
                    f"warm_start=True goes on with the {what} {old}, got {new}; set warm_start=False to start afresh."
                )
        fault = misfit(blank_module(self).state_dict(), self.module_.state_dict())
        if fault:
            raise ValueError(
                "warm_start=True goes on with the net of the last fit, but the parameters (`backbone`, `trainable` and "
                f"others) now describe another one ({fault}): undo `set_params`, or set warm_start=False."
            )
        module = copy.deepcopy(self.module_).to(resolve_device(self.device))
        if len(source.shape) == 3:
            module.encoder[0].augment = augmentation(self)
        return module

    def _train(self, module, rows, valid):
        n_magnifications = 0 if rows.magnification is None else rows.magnification.max() + 1
        checkpoint = None if self.checkpoint is None else checkpoint_of(self, module, rows, valid)
        if self.trainable == "head" and len(rows.source.shape) == 3:
            module, rows, valid = self._train_on_features(module, rows, valid)
        batches = self._build_batches(rows)
        history, best_epoch, interrupted = train(
            module,
            self._build_objective(n_magnifications),
            self._training_data(rows),
            batches,
            valid=None if valid is None else self._training_data(valid),
            patience=self.patience,
            callbacks=[*self._build_callbacks(module, rows, batches), *([checkpoint] if checkpoint else [])],
            device=resolve_device(self.device),
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            parameter_groups=group_parameters(module, self._learning_rate, self.weight_decay),
            betas=self._betas(module),
            precision=self.precision,
            verbose=int(self.verbose > 1),
        )
        if checkpoint and not interrupted:
            checkpoint.remove()
        return history, best_epoch, interrupted

    def _build_callbacks(self, module, rows, batches):
        callbacks = [StopIfNotFinite()]
        if self.max_grad_norm is not None:
            callbacks.append(GradientNormClipping(self.max_grad_norm))
        if self.lr_schedule == "cosine":
            n_steps = self.max_epochs * len(batches)
            callbacks.append(LRScheduler(CosineAnnealingLR, T_max=n_steps, step_every="batch", event_name=None))
        callbacks += [*self._method_callbacks(module, rows, batches), *(self.callbacks or [])]
        callbacks += self._closing_callbacks(module, rows, batches)
        return [*callbacks, Progress(len(batches))] if self.verbose == 1 else callbacks

    def _train_on_features(self, module, rows, valid):
        """With a frozen backbone: its features computed once, unless augmentation changes them every time."""
        input_layer, frozen, measured, projection = module.encoder
        backbone = nn.Sequential(input_layer, frozen)
        features = self._features(backbone, rows.source)
        if not self._goes_on():
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
        weight = mean_one(rows.weight, self._balance_groups(rows)).astype(np.float32)
        target = {"label": rows.label, "magnification": magnification, "weight": weight}
        return TrainingData(rows.source, {name: torch.from_numpy(values) for name, values in target.items()})

    def _store(self, module, history, classes, magnifications, source):
        self.module_ = module.eval()
        self.history_ = history
        self.classes_ = classes
        self.magnifications_ = magnifications
        self.embedding_dim_ = module.class_head.in_features
        self.input_shape_ = source.shape

    def _remember_validation(self, valid, best_epoch):
        if valid is not None:
            self.validation_patients_ = encode(valid.patient, "patient").names
            self.best_epoch_ = best_epoch
        elif hasattr(self, "validation_patients_"):
            del self.validation_patients_, self.best_epoch_
