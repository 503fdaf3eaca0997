"""The domain-general net: an adversary that reads the magnification through a reversed gradient."""

import warnings
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_magdg.estimators._classifier import BaseNetClassifier
from sklearn_magdg.modules import DomainHead, Objective, trainable_projection
from sklearn_magdg.training import AdversaryHealth, BalancedBatches, LogConstant, LogReversalGradient, ReversalSchedule

# Ganin et al. train new heads at ten times the encoder's rate: a domain head that lags behind is fooled by
# moving the magnifications about, which makes them no harder to read for a fresh one.
_HEAD_LR_FACTOR = 10
# As in DCGAN: with the usual momentum of 0.9 two players swing around each other.
_BETAS = (0.5, 0.999)


class GradientReversalClassifier(BaseNetClassifier):
    """Image classifier whose embedding is trained to hide the magnification.

    A domain head reads the magnification from the embedding; between them the gradient is reversed, so that
    the encoder learns what the domain head cannot use:

    minimise over encoder and class head ``class_loss - domain_weight * strength * domain_loss``, over the
    domain head ``domain_weight * domain_loss``, both in one backward pass.

    Parameters
    ----------
    backbone, weights, trainable, image_size, max_epochs, batch_size, lr, backbone_lr, lr_schedule, weight_decay, \
max_grad_norm, augment, class_weight, early_stopping, validation_fraction, patience, device, precision, n_jobs, \
image_cache, checkpoint, callbacks, warm_start, verbose, random_state
        As in `CNNClassifier`. With ``trainable="head"`` a trainable projection stands before both heads; it
        is then the embedding. The domain head learns at ten times `lr`, and AdamW's first beta is 0.5.
    reversal_strength : float, default=1.0
        Factor of the reversal layer, at least 0. 0 trains the domain head and leaves the encoder alone.
    reversal_schedule : {"ramp", "constant"}, default="ramp"
        "ramp" multiplies the strength by ``2 / (1 + exp(-reversal_gamma * p)) - 1`` at progress p, the share of
        `max_epochs` that is done; a warm start takes p up where the last fit left it.
    reversal_gamma : float, default=10.0
        Steepness of the ramp.
    reversal_warmup : float, default=0.0
        Share of the training, at least 0 and below 1, during which the strength is 0, so that the domain head
        learns before the encoder listens. The schedule then runs over what is left.
    domain_weight : float, default=1.0
        Multiplies the domain loss, for head and encoder alike.
    conditional : bool, default=False
        The conditional adversary (CDAN): it reads the embedding class by class.
    balance_magnifications : bool, default=True
        Whether batches hold every magnification equally often.

    Attributes
    ----------
    classes_, magnifications_, embedding_dim_, validation_patients_, best_epoch_, history_, module_, n_features_in_
        As in `CNNClassifier`; `history_` adds per epoch ``domain_loss``, ``domain_accuracy`` beside
        ``domain_chance``, ``reversal_strength`` and ``reversal_progress`` (of the last step), and
        ``reversal_gradient``, the mean norm of the gradient that the domain head sends back, before its reversal.

    Warns
    -----
    ConvergenceWarning
        After `fit`, if the domain head sent no gradient back; if its loss ended at that of guessing while a
        fresh probe (`sklearn_magdg.metrics.magnification_leakage`, on at most 400 training images) still reads
        the magnification from the embedding, its interval nearer to certainty than to chance; if the class loss
        ended no better than guessing; if the training ended within the warm-up; or if early stopping kept an epoch
        whose strength was below half of `reversal_strength`. Judged is the epoch whose weights are kept.
    UserWarning
        If fewer than two magnifications are left to train on beside the patients of early stopping: nothing is then
        hidden.

    Notes
    -----
    What should the domain accuracy look like? It rises above ``domain_chance`` while the strength is small, for the
    head learns first, and falls to chance as the strength grows. Above chance at the end, the encoder has not hidden
    the magnification yet; near 1 it has lost: raise `reversal_strength`. At chance from the first epoch on, the head
    has never learned. At chance at the end it can be success, or a head that was fooled while a fresh one would still
    read the magnification. It takes hundreds of steps to get from one to the other: on few images raise `max_epochs`
    or lower `batch_size`. The only proof is `magnification_leakage` of the embedding of patients that were not
    trained on.

    References
    ----------
    Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", JMLR 17(59); the domain-general model
    of arXiv 2604.25817. Long et al. 2018, "Conditional Adversarial Domain Adaptation".

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.estimators import GradientReversalClassifier
    >>> tissue = make_histology(4, images_per_cell=2, image_size=16, random_state=0)
    >>> model = GradientReversalClassifier(max_epochs=1, random_state=0)
    >>> model.fit(tissue.data, tissue.target, magnification=tissue.magnification).magnifications_
    [40, 100, 200, 400]
    """

    _parameter_constraints = {
        **BaseNetClassifier._parameter_constraints,
        "reversal_strength": [Interval(Real, 0, None, closed="left")],
        "reversal_schedule": [StrOptions({"ramp", "constant"})],
        "reversal_gamma": [Interval(Real, 0, None, closed="neither")],
        "reversal_warmup": [Interval(Real, 0, 1, closed="left")],
        "domain_weight": [Interval(Real, 0, None, closed="left")],
        "conditional": ["boolean"],
        "balance_magnifications": ["boolean"],
    }

    def __init__(
        self,
        backbone="auto",
        *,
        weights=None,
        trainable="all",
        image_size=None,
        max_epochs=20,
        batch_size=32,
        lr=1e-3,
        backbone_lr=None,
        lr_schedule="constant",
        weight_decay=1e-4,
        max_grad_norm=None,
        augment=None,
        reversal_strength=1.0,
        reversal_schedule="ramp",
        reversal_gamma=10.0,
        reversal_warmup=0.0,
        domain_weight=1.0,
        conditional=False,
        balance_magnifications=True,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.15,
        patience=5,
        device="auto",
        precision="float32",
        n_jobs=None,
        image_cache=None,
        checkpoint=None,
        callbacks=None,
        warm_start=False,
        verbose=0,
        random_state=None,
    ):
        self.backbone = backbone
        self.weights = weights
        self.trainable = trainable
        self.image_size = image_size
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.backbone_lr = backbone_lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.augment = augment
        self.reversal_strength = reversal_strength
        self.reversal_schedule = reversal_schedule
        self.reversal_gamma = reversal_gamma
        self.reversal_warmup = reversal_warmup
        self.domain_weight = domain_weight
        self.conditional = conditional
        self.balance_magnifications = balance_magnifications
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.image_cache = image_cache
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def _build_domain_head(self, n_features, n_classes, n_magnifications):
        """What reads the magnification; None, with a warning, where there is a single one to read."""
        if n_magnifications < 2:
            warnings.warn(
                f"GradientReversalClassifier needs at least 2 magnifications to hide, got {n_magnifications} to "
                "train on: it trains as the baseline; pass `magnification` to `fit`, or lower `validation_fraction` "
                "where early stopping sets the others aside.",
                UserWarning,
            )
            return None
        return DomainHead(n_features, n_classes, n_magnifications, self.conditional)

    def _build_projection(self, n_features):
        """What the adversary can change of a frozen backbone's features, which hide nothing by themselves."""
        return trainable_projection(n_features)

    def _build_objective(self, n_magnifications):
        return Objective(domain_weight=self.domain_weight)

    def _is_balanced(self, cohort):
        """Whether batches balance the magnifications; of a single one there is nothing to balance."""
        if not self.balance_magnifications or cohort.magnification is None:
            return False
        return np.ptp(cohort.magnification.codes) > 0

    def _build_batches(self, cohort):
        if self._is_balanced(cohort):
            return BalancedBatches(cohort.magnification.codes, self.batch_size)
        return super()._build_batches(cohort)

    def _balance_groups(self, cohort):
        """Magnifications where batches balance them: within one its weights decide, between them the batches do."""
        return cohort.magnification.codes if self._is_balanced(cohort) else super()._balance_groups(cohort)

    def _learning_rate(self, name):
        """Ten times `lr` for the domain head, which must keep up with the encoder."""
        return _HEAD_LR_FACTOR * self.lr if name.startswith("domain_head.") else super()._learning_rate(name)

    def _betas(self, module):
        """AdamW's momenta, shorter where two players move against each other."""
        return super()._betas(module) if module.domain_head is None else _BETAS

    def _method_callbacks(self, module, cohort, batches):
        """The schedule of the reversal, and what the adversary's log needs beside its losses."""
        if module.domain_head is None:
            return []
        # a warm start takes the schedule up where it was: its domain head has learned already
        start = self.history_[-1]["reversal_progress"] if self._goes_on() else 0.0
        schedule = ReversalSchedule(
            self.reversal_strength,
            self.reversal_schedule,
            gamma=self.reversal_gamma,
            warmup=self.reversal_warmup,
            n_batches=len(batches),
            n_steps=self.max_epochs * len(batches),
            start=start,
        )
        shares = np.bincount(cohort.magnification.codes) / len(cohort)
        chance = float(1 / np.count_nonzero(shares) if self._is_balanced(cohort) else shares.max())
        return [schedule, LogConstant("domain_chance", chance), LogReversalGradient()]

    def _closing_callbacks(self, module, cohort, batches):
        """The look at the adversary's health; one that was never asked to act cannot have died."""
        if module.domain_head is None or not self.reversal_strength * self.domain_weight:
            return []
        health = AdversaryHealth(
            self._balance_groups(cohort),
            strength=self.reversal_strength,
            n_batches=len(batches),
            domain_weight=self.domain_weight,
            warmup=self.reversal_warmup,
        )
        return [health]
