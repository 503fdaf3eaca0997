"""The fit, predict and transform of the classifiers that train a net."""

import copy
from numbers import Integral, Real
from os import PathLike

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklearn_magdg._attributes import forget, unchanged_on_error
from sklearn_magdg._metadata import sort_names
from sklearn_magdg.cohort import read_training_cohort, validation_rows, with_patients
from sklearn_magdg.estimators._base import NetTransformer, blank_module, warn_of_random_weights
from sklearn_magdg.images import ArraySource
from sklearn_magdg.modules import AUGMENTATIONS, Objective, TwoHeaded, feature_encoder, image_encoder, misfit
from sklearn_magdg.training import (
    MAX_SEED,
    Progress,
    ShuffledBatches,
    StopIfNotFinite,
    checkpoint_of,
    group_parameters,
    infer,
    labelled_data,
    resolve_device,
    seeded,
    threads,
    train,
)


class BaseNetClassifier(NetTransformer, ClassifierMixin, BaseEstimator):
    """Fit, predict and transform by a net; a method adds a second head or a penalty through the hooks below.

    What a method may change is what the net is made of, how rows are drawn and weighed, and what it minimises. A hook
    that depends on the rows takes their `Cohort`, never the rows themselves.
    """

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
            source = self._as_source(X, reset=True)
            cohort = read_training_cohort(
                y,
                len(source),
                patient=patient,
                magnification=magnification,
                sample_weight=sample_weight,
                class_weight=self.class_weight,
                asker=type(self).__name__,
            )
            data, valid = self._part(source, cohort)
            # drawn before the module is made, so that two fits with one seed agree whatever torch has drawn before
            seed = check_random_state(self.random_state).randint(MAX_SEED)
            with seeded(seed), threads(self.n_jobs):
                module = self._start_module(source.shape, data.cohort)
                if len(source.shape) == 1 and not self._goes_on():
                    module.encoder[0].measure(torch.from_numpy(data.source.read(np.arange(len(data)))))
                history, best_epoch, interrupted = self._train(module, data, valid)
            if not history:
                raise KeyboardInterrupt
            self._store(module, history, data.cohort, source.shape)
            if valid is not None:
                self.validation_patients_ = sort_names(valid.cohort.patient.present().names)
                self.best_epoch_ = best_epoch
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
        logits = self._infer(X, lambda output: output.class_logits)
        return softmax(logits.astype(np.float64), axis=1)  # in float32 rows would sum to 1 within 1e-7 only

    def predict(self, X):
        """Most probable classes.

        Parameters
        ----------
        X : array-like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n,)
            Of ``classes_``; the first of equally probable ones.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def transform(self, X):
        """Embeddings: what the class head reads.

        Parameters
        ----------
        X : array-like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, `embedding_dim_`), float32
        """
        return self._infer(X, lambda output: output.embedding)

    # Hooks of the methods

    def _build_domain_head(self, n_features, n_classes, n_magnifications):
        """What reads the magnification from the embedding, or None."""
        return None

    def _build_projection(self, n_features):
        """What stands between a frozen backbone and the heads, and its width."""
        return nn.Identity(), n_features

    def _build_objective(self, n_magnifications):
        """What is minimised."""
        return Objective()

    def _build_batches(self, cohort):
        """Positions of the rows of every batch of an epoch."""
        return ShuffledBatches(len(cohort), self.batch_size)

    def _balance_groups(self, cohort):
        """Groups within which training weights have mean 1: those that the batches balance."""
        return np.zeros(len(cohort), dtype=int)

    def _learning_rate(self, name):
        """Of the module's parameter `name`."""
        is_backbone = name.startswith("encoder.1.") and self.trainable != "head"  # whose module begins behind it
        return self.backbone_lr if is_backbone and self.backbone_lr is not None else self.lr

    def _betas(self, module):
        """Of AdamW."""
        return 0.9, 0.999

    def _method_callbacks(self, module, cohort, batches):
        """Those that steer the training or log what is the method's own."""
        return []

    def _closing_callbacks(self, module, cohort, batches):
        """Those that read the net when the others, early stopping among them, are done with it."""
        return []

    # Steps of `fit`

    def _goes_on(self):
        return self.warm_start and hasattr(self, "module_")

    def _part(self, source, cohort):
        """Training rows and, with early stopping, those of the patients set aside (else None), with their targets."""
        valid = None
        if self.early_stopping:
            cohort = with_patients(cohort)
            aside = self._rows_to_set_aside(cohort)
            rest = cohort.take(aside)
            valid = labelled_data(source.take(aside), rest, self._balance_groups(rest))
            source, cohort = source.take(~aside), cohort.take(~aside)
        if cohort.magnification is not None:  # the net tells only those apart that are left to train on
            cohort = cohort.replace(magnification=cohort.magnification.present())
        return labelled_data(source, cohort, self._balance_groups(cohort)), valid

    def _rows_to_set_aside(self, cohort):
        """Mask of early stopping's rows; a fit that goes on keeps the patients of the fit before."""
        before = getattr(self, "validation_patients_", []) if self._goes_on() else None
        return validation_rows(cohort, self.validation_fraction, check_random_state(self.random_state), before=before)

    def _train(self, module, data, valid):
        """Train `module` on `data`; returns what `train` does."""
        checkpoint, cohort = None, data.cohort
        if self.checkpoint is not None:
            # named by the rows as they are given: features of a frozen net differ in the last bits from run to run
            parts = [data] if valid is None else [data, valid]
            settings = self.get_params(deep=False)
            checkpoint = checkpoint_of(self.checkpoint, type(self).__name__, settings, module, parts)
        if self.trainable == "head" and len(data.source.shape) == 3:
            module, data, valid = self._on_features(module, data, valid)
        batches = self._build_batches(cohort)
        callbacks = self._build_callbacks(module, cohort, batches)
        history, best_epoch, interrupted = train(
            module,
            self._build_objective(0 if cohort.magnification is None else len(cohort.magnification.names)),
            data,
            batches,
            valid=valid,
            patience=self.patience,
            callbacks=callbacks if checkpoint is None else [*callbacks, checkpoint],  # last: it keeps their state
            device=resolve_device(self.device),
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            parameter_groups=group_parameters(module, self._learning_rate, self.weight_decay),
            betas=self._betas(module),
            precision=self.precision,
            verbose=int(self.verbose > 1),
        )
        if checkpoint is not None and not interrupted:  # an interrupted fit is to go on from it
            checkpoint.remove()
        return history, best_epoch, interrupted

    def _store(self, module, history, cohort, shape):
        """Set the fitted attributes, all at once and last, from the `cohort` that was trained on."""
        self.module_ = module.eval()  # or predictions would move its batch norms
        self.history_ = history
        self.classes_ = cohort.label.names
        self.magnifications_ = None if cohort.magnification is None else cohort.magnification.names
        self.embedding_dim_ = module.class_head.in_features
        self.input_shape_ = shape
        forget(self, "validation_patients_", "best_epoch_")

    def _start_module(self, shape, cohort):
        """A new net on its device, or that of the last fit where this one goes on."""
        classes = cohort.label.names
        magnifications = None if cohort.magnification is None else cohort.magnification.names
        if self._goes_on():
            return self._continued_module(shape, classes, magnifications)
        module = self._build_module(shape, len(classes), len(magnifications or ()))
        # stored images are channels-last already, and nets are faster so on CPUs too
        return module.to(resolve_device(self.device), memory_format=torch.channels_last)

    def _build_module(self, shape, n_classes, n_magnifications, *, check=True):
        """A net with first weights for rows of `shape`; `check` tries its backbone on a blank image."""
        if len(shape) == 1:
            untouched = {"backbone": "auto", "weights": None, "trainable": "all", "backbone_lr": None, "augment": None}
            touched = [name for name, default in untouched.items() if getattr(self, name) != default]
            if touched:
                raise ValueError(
                    f"X holds features (2-D), for which the encoder is a perceptron: leave {touched} at the default, "
                    "or give images."
                )
            encoder, n_features = feature_encoder(shape[0])
        else:
            encoder, n_features = image_encoder(
                shape,
                backbone=self.backbone,
                weights=self.weights,
                augment=self._augmentation,
                trainable=self.trainable,
                build_projection=self._build_projection,
                check=check,
            )
            if check and self.trainable != "all" and self.weights is None and not callable(self.backbone):
                warn_of_random_weights(f"trainable={self.trainable!r}")
        domain_head = self._build_domain_head(n_features, n_classes, n_magnifications)
        return TwoHeaded(encoder, n_features, n_classes, domain_head)

    @property
    def _augmentation(self):
        return AUGMENTATIONS[self.augment] if isinstance(self.augment, str) else self.augment

    def _rebuild_module(self):
        """A module like that of the last fit, with first weights: no file of weights is read."""
        unread = copy.copy(self).set_params(weights=None)  # a copy, whose parameters are nobody's
        n_magnifications = len(self.magnifications_ or ())
        return unread._build_module(self.input_shape_, len(self.classes_), n_magnifications, check=False)

    def _continued_module(self, shape, classes, magnifications):
        """A copy of the last fit's module, so that a failing fit leaves that one as it is."""
        now = {"classes": classes.tolist(), "magnifications": magnifications, "input shape": shape}
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
        if len(shape) == 3:
            module.encoder[0].augment = self._augmentation
        return module

    def _on_features(self, module, data, valid):
        """With a frozen backbone: its features computed once, unless augmentation changes them every time."""
        input_layer, frozen, measured, projection = module.encoder
        backbone, device = nn.Sequential(input_layer, frozen), resolve_device(self.device)

        def embedded(rows):
            features = infer(backbone, rows.source, batch_size=self.batch_size, device=device, read_output=lambda z: z)
            return rows.reading(ArraySource(features))

        on_features = embedded(data)
        if not self._goes_on():
            measured.measure(torch.from_numpy(on_features.source.array))
        if self.augment is not None:
            return module, data, valid
        top = TwoHeaded.sharing_heads(nn.Sequential(measured, projection), module)
        return top, on_features, None if valid is None else embedded(valid)

    def _build_callbacks(self, module, cohort, batches):
        """In the order in which skorch asks them: what may end the training, what steers it, what looks back."""
        callbacks = [StopIfNotFinite()]
        if self.max_grad_norm is not None:
            callbacks.append(GradientNormClipping(self.max_grad_norm))
        if self.lr_schedule == "cosine":
            n_steps = self.max_epochs * len(batches)
            # without an event skorch does not write the rate into the history of every batch
            callbacks.append(LRScheduler(CosineAnnealingLR, T_max=n_steps, step_every="batch", event_name=None))
        callbacks += [*self._method_callbacks(module, cohort, batches), *(self.callbacks or [])]
        callbacks += self._closing_callbacks(module, cohort, batches)
        return [*callbacks, Progress(len(batches))] if self.verbose == 1 else callbacks
