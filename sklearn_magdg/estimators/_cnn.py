"""The supervised baseline."""

import warnings
from numbers import Real

from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_magdg.estimators._classifier import BaseNetClassifier
from sklearn_magdg.modules import EMBEDDING_PENALTIES, PENALTIES, Objective, trainable_projection


class CNNClassifier(BaseNetClassifier):
    """Image classifier trained by cross-entropy; optionally with a penalty that aligns magnifications.

    Parameters
    ----------
    backbone : str or callable, default="auto"
        "auto" is a small CNN for images and a multilayer perceptron for 2-D X. Else the name of a
        torchvision classification model, whose classifier is replaced, or a callable that returns
        ``(module, n_features)``.
    weights : None, "imagenet" or path, default=None
        "imagenet" downloads torchvision's default weights. A path is read as a state dict of the named
        backbone, ``.safetensors`` or a torch file (with ``weights_only=True``), whatever classifier it had.
    trainable : {"all", "last_block", "head"}, default="all"
        What trains. With "head" the backbone is frozen, its batch norm in eval mode, and its embeddings are
        computed once when `augment` is None; they are standardised by the training images.
    image_size : int, default=None
        Side in pixels that images are brought to. None keeps arrays as they are and brings paths to 224.
    max_epochs : int, default=20
        Passes over the training images.
    batch_size : int, default=32
        Images per step.
    lr : float, default=1e-3
        Learning rate of AdamW.
    backbone_lr : float, default=None
        Learning rate of the backbone, usually below that of the new heads where its `weights` are pretrained.
        None is `lr`. Not used with ``trainable="head"``.
    lr_schedule : {"constant", "cosine"}, default="constant"
        "cosine" lowers all learning rates to 0 over `max_epochs`, step by step, along half a cosine
        (Loshchilov & Hutter 2017, eq. 5).
    weight_decay : float, default=1e-4
        Decoupled weight decay of AdamW.
    max_grad_norm : float, default=None
        Upper bound of the gradient's norm over all weights: a longer one is shortened to it. None leaves it.
    augment : None, "histology" or callable, default=None
        "histology" is flips, right-angle turns, stain jitter and random magnification:
        ``sklearn_magdg.modules.HistologyAugment()``, which can also be given with settings of its own
        (``zoom=None`` leaves the magnification). A callable takes a uint8 tensor (n, height, width, 3) and
        returns one like it (or float in [0, 255]); it should draw from torch's global generator.
    penalty : {None, "coral", "mmd", "vrex", "group_dro"}, default=None
        Makes magnifications alike: Deep CORAL and MMD in the embedding, VREx and GroupDRO in the risk per
        magnification. Needs `magnification` in `fit`, and two of them left beside the patients of
        early stopping; else it warns and trains without.
    penalty_weight : float, default=1.0
        Factor of the penalty (GroupDRO has none: it weighs the class losses).
    class_weight : None, "balanced" or dict, default=None
        Multiplies `sample_weight`.
    early_stopping : bool, default=False
        Whether to set patients aside and stop when their loss no longer falls; the best weights are kept.
    validation_fraction : float, default=0.15
        Share of the patients set aside.
    patience : int, default=5
        Epochs without a better validation loss before stopping.
    device : str, default="auto"
        A torch device; "auto" is the GPU where there is one.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the forward pass in training; predictions are always in float32. "bfloat16" needs
        instructions for it (AVX512-BF16, AMX) and large layers to pay; measure it.
    n_jobs : int, default=None
        Threads for computing and for decoding paths; None leaves torch's own number and decodes in one.
    image_cache : str or os.PathLike, default=None
        Folder where images given by path are kept decoded, so that every epoch after the first, every fit
        and every prediction read them there; the same cache as that of `ImageReader`, and as large: 3 x side
        x side bytes per image (150 kB at 224 pixels). None decodes each image every time it is needed.
    checkpoint : str or os.PathLike, default=None
        Folder where the state of the training (weights, optimizer, schedule, generators, history) is kept
        after every epoch, for long fits. A `fit` with the same parameters and data goes on from there and ends
        bit for bit where an uninterrupted one would have; a finished fit removes its file. The file is named
        by a digest of parameters, data (of image paths: name, size in bytes and time of modification) and first
        weights, so that the fits of a search can share a folder. Needs an int as `random_state`, and callables that
        can be told apart: at the top level of a module, or with a repr that shows their settings.
    callbacks : list, default=None
        skorch callbacks.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one.
    verbose : int, default=0
        1 shows a progress bar, 2 prints skorch's table, a line an epoch.
    random_state : int, RandomState or None, default=None
        Decides initialisation, batches, augmentation and the validation split.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    magnifications_ : list or None
        Magnifications trained on, ascending.
    embedding_dim_ : int
    validation_patients_ : list
        Patients set aside by early stopping (positions of images, without `patient`). A warm start keeps them aside.
    best_epoch_ : int
        With early stopping, the epoch whose weights were kept.
    history_ : list of dict
        Per epoch ``epoch``, ``train_loss``, ``class_loss``, ``dur`` (seconds) and what the method adds.
    module_ : torch.nn.Module
    n_features_in_ : int
        For 2-D X.

    Notes
    -----
    What is minimised is the weighted cross-entropy. With ``penalty="coral"`` or ``"mmd"`` the mean over pairs of
    magnifications of the distance between their embeddings in a batch is added `penalty_weight` times, with ``"vrex"``
    the variance of their risks; ``"group_dro"`` weighs the risks themselves, the largest most. A batch that lacks a
    magnification compares those that it has.

    One of scikit-learn's estimator checks fails, as it would for its own ``MLPClassifier`` with mini-batches:
    ``check_sample_weight_equivalence_on_dense_data``. A weight of 2 has the loss of a repeated row in the mean over
    random batches, not batch by batch.

    References
    ----------
    The baseline of arXiv 2604.25817. Penalties: Sun & Saenko 2016; Gretton et al. 2012; Krueger et al.
    2021; Sagawa et al. 2020.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.estimators import CNNClassifier
    >>> tissue = make_histology(4, images_per_cell=2, image_size=16, random_state=0)
    >>> model = CNNClassifier(max_epochs=1, random_state=0).fit(tissue.data, tissue.target)
    >>> model.predict_proba(tissue.data).shape
    (32, 2)
    """

    _parameter_constraints = {
        **BaseNetClassifier._parameter_constraints,
        "penalty": [None, StrOptions(set(PENALTIES))],
        "penalty_weight": [Interval(Real, 0, None, closed="left")],
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
        penalty=None,
        penalty_weight=1.0,
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
        self.penalty = penalty
        self.penalty_weight = penalty_weight
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

    def _build_objective(self, n_magnifications):
        """Cross-entropy and the penalty; with a single magnification the penalty has nothing to compare."""
        if self.penalty is None:
            return Objective()
        if n_magnifications < 2:
            warnings.warn(
                f"penalty={self.penalty!r} compares magnifications, got {n_magnifications} to train on: training "
                "without it; pass `magnification` to `fit` with at least 2, or lower `validation_fraction` where "
                "early stopping sets the others aside.",
                UserWarning,
            )
            return Objective()
        return Objective(penalty=self.penalty, penalty_weight=self.penalty_weight, n_magnifications=n_magnifications)

    def _balance_groups(self, cohort):
        """Magnifications, where the penalty compares their risks."""
        reads_risk = self.penalty in PENALTIES.keys() - EMBEDDING_PENALTIES.keys()
        if reads_risk and cohort.magnification is not None:
            return cohort.magnification.codes  # or weights themselves would pass for risk
        return super()._balance_groups(cohort)

    def _build_projection(self, n_features):
        if self.penalty in EMBEDDING_PENALTIES:  # a frozen embedding has nothing to align with
            return trainable_projection(n_features)
        return super()._build_projection(n_features)
