"""A class-conditional DCGAN with `fit` and `sample`."""

from numbers import Integral, Real
from os import PathLike

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg._attributes import forget, unchanged_on_error
from sklearn_magdg._metadata import sort_names
from sklearn_magdg.cohort import (
    cells_to_learn,
    draw_cells,
    parts_of,
    read_generator_cohort,
    validation_rows,
    with_patients,
)
from sklearn_magdg.estimators._base import read_source
from sklearn_magdg.estimators._image_encoder import embedding_function
from sklearn_magdg.modules import ADVERSARIAL_LOSSES, UPSAMPLINGS, build_discriminator, build_generator
from sklearn_magdg.training import (
    MAX_SEED,
    SampleJudge,
    TrainingData,
    completed_epochs,
    gan_net,
    generator_alone,
    keep_generator,
    kept_epoch,
    players,
    resolve_device,
    run,
    sample_cells,
    seeded,
    spread_of_samples,
    threads,
    warn_of_lost_game,
)

SMALLEST, LARGEST = 32, 128  # sides in pixels that four strided convolutions serve


class DCGAN(BaseEstimator):
    """Generator of labelled images (or feature vectors), trained against a discriminator.

    The published nets with their first weights, rates and momenta (Radford et al. 2016), conditional by batch norms of
    the generator and a projection of the discriminator, with resize convolutions, a gradient penalty, turned and
    mirrored images and a moving average of the generator; differentiable augmentation, spectral normalisation and the
    hinge loss are options.

    Parameters
    ----------
    image_size : int, default=64
        Side in pixels of what it generates: a multiple of 16 from 32 to 128. Not used for 2-D X.
    latent_dim : int, default=64
        Length of the latent vectors.
    width : int, default=16
        Channels of the generator's last hidden layer; the others have 2, 4 and 8 times as many. The published net has
        64; a narrow one takes more steps in the same time.
    upsampling : {"resize", "transposed"}, default="resize"
        How the generator doubles height and width: by nearest neighbours and a 3 x 3 convolution, or by the free
        transposed convolution of the published net, which leaves checkerboard artefacts. Not used for 2-D X.
    conditional : bool, default=True
        Whether it generates by class (and by magnification, where `fit` was given it).
    diff_augment : bool, default=False
        Whether the discriminator sees images through differentiable augmentation, which keeps it from learning a small
        training set by heart, and makes its task harder: worth a trial where the training is so long that
        ``real_score`` and ``fake_score`` run to 1 and 0, or samples turn into copies. Not used for 2-D X.
    flips : bool, default=True
        Whether training images are turned by right angles and mirrored at random, all eight ways: a slide has no up.
        Not used for 2-D X.
    spectral_norm : bool, default=False
        Whether the discriminator has spectral normalisation in place of batch norm.
    loss : {"non-saturating", "hinge"}, default="non-saturating"
        What the two nets play for.
    gradient_penalty : float, default=0.03
        Weight, at least 0, of the R1 penalty, half the discriminator's squared slope at the real images (or features)
        that it sees; it keeps the discriminator from running away from the generator.
    ema_decay : float or None, default=0.99
        Share, in [0, 1), that the generator's moving average keeps of itself in every step. The average is what
        generates. None keeps the generator of the last step.
    max_epochs : int, default=100
    batch_size : int, default=16
    lr : float, default=2e-4
        Learning rate of both Adams.
    betas : pair of floats, default=(0.5, 0.999)
    early_stopping : bool, default=False
        Whether to set a class-stratified part of the patients aside, measure the KID of samples to their images after
        every epoch, stop when it no longer falls, and keep the generator that had the lowest. On the training images
        themselves a KID would reward memorising. Of few hundred images it makes an epoch a third longer.
    validation_fraction : float, default=0.15
        Share of the patients of each class to set aside.
    patience : int, default=10
        Epochs without a lower KID after which the training stops.
    kid_embedding : None, ImageEncoder or fitted transformer, default=None
        Embedding that KID, and the spread of the samples, are measured in. A transformer of stored images is given as
        ``FrozenEstimator(fitted)``, so that clones keep what it learned. None is ``ImageEncoder()``, a random net, or
        for 2-D X the standardised features. One that was fitted on test images leaks them through early stopping.
    device : str, default="auto"
    n_jobs : int, default=None
        Threads to compute and to decode image paths with, as in `CNNClassifier`.
    image_cache : str or os.PathLike, default=None
        Folder where images given by path are kept decoded, as in `CNNClassifier`.
    verbose : int, default=0
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or None
    cells_ : list of (class, magnification)
        What it can generate; None stands where it is not conditional on one.
    history_ : list of dict
        Per epoch ``generator_loss``, ``discriminator_loss``, and the discriminator's mean output (0 to 1) on
        real (``real_score``) and generated images (``fake_score``); with early stopping ``kid``, which takes every
        held-back image for a patient of its own and so serves to compare epochs alone.
    spread_ : float
        How far apart samples of a class lie, in the mean over pairs, relative to training images of the same cells;
        that of the class where it is smallest. Near 0 the generator has collapsed.
    validation_patients_ : list
        With early stopping, the patients set aside.
    best_epoch_ : int
        With early stopping, the epoch whose generator is kept.
    cell_counts_ : ndarray of shape (n_cells,)
        Training images of each of ``cells_``.
    input_shape_ : tuple of int
        Height, width and 3 of the images that it learned from, or the number of features.
    n_features_in_ : int
        For 2-D X.
    module_ : torch.nn.ModuleDict
        The generator alone; what the discriminator knows of the training images is not kept.

    Warns
    -----
    ConvergenceWarning
        After the training, where samples lie far closer together than training images do (collapse) or the
        discriminator tells real from generated images nearly always; each with what to change.

    References
    ----------
    Radford et al. 2016, arXiv 1511.06434; resize convolution: Odena et al. 2016, doi 10.23915/distill.00003;
    conditional batch norm: Dumoulin et al. 2017; projection: Miyato & Koyama 2018; differentiable augmentation: Zhao et
    al. 2020; spectral normalisation and hinge loss: Miyato et al. 2018; gradient penalty: Mescheder et al. 2018, eq. 9,
    every fourth step (Karras et al. 2020, section 3.1); moving average and its batch norms: Brock et al. 2019, section
    4.1; KID: Binkowski et al. 2018.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.estimators import DCGAN
    >>> tissue = make_histology(4, images_per_cell=2, image_size=32, random_state=0)
    >>> gan = DCGAN(32, width=4, max_epochs=1, random_state=0).fit(tissue.data, tissue.target)
    >>> images, labels = gan.sample(5, random_state=0)
    >>> images.shape
    (5, 32, 32, 3)
    """

    __metadata_request__fit = {"patient": True, "magnification": True}

    _parameter_constraints = {
        "image_size": [Integral],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
        "upsampling": [StrOptions(set(UPSAMPLINGS))],
        "conditional": ["boolean"],
        "diff_augment": ["boolean"],
        "flips": ["boolean"],
        "spectral_norm": ["boolean"],
        "loss": [StrOptions(set(ADVERSARIAL_LOSSES))],
        "gradient_penalty": [Interval(Real, 0, None, closed="left")],
        "ema_decay": [None, Interval(Real, 0, 1, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "betas": ["array-like"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "kid_embedding": [None, HasMethods(["transform"])],
        "device": [str],
        "n_jobs": [None, Integral],
        "image_cache": [None, str, PathLike],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        image_size=64,
        *,
        latent_dim=64,
        width=16,
        upsampling="resize",
        conditional=True,
        diff_augment=False,
        flips=True,
        spectral_norm=False,
        loss="non-saturating",
        gradient_penalty=0.03,
        ema_decay=0.99,
        max_epochs=100,
        batch_size=16,
        lr=2e-4,
        betas=(0.5, 0.999),
        early_stopping=False,
        validation_fraction=0.15,
        patience=10,
        kid_embedding=None,
        device="auto",
        n_jobs=None,
        image_cache=None,
        verbose=0,
        random_state=None,
    ):
        self.image_size = image_size
        self.latent_dim = latent_dim
        self.width = width
        self.upsampling = upsampling
        self.conditional = conditional
        self.diff_augment = diff_augment
        self.flips = flips
        self.spectral_norm = spectral_norm
        self.loss = loss
        self.gradient_penalty = gradient_penalty
        self.ema_decay = ema_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.betas = betas
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.kid_embedding = kid_embedding
        self.device = device
        self.n_jobs = n_jobs
        self.image_cache = image_cache
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X, y=None, *, patient=None, magnification=None):
        """Train generator and discriminator.

        Parameters
        ----------
        X : array-like
            As in `CNNClassifier.fit`; images are brought to `image_size`. Arrays of images must be square, and no
            image may have a side below 32 pixels.
        y : array-like of shape (n,)
            Labels, of each at least two images; required when `conditional`.
        patient : array-like of shape (n,), default=None
            Patients, which early stopping keeps apart; as in `CNNClassifier.fit`.
        magnification : array-like of shape (n,), default=None
            When given and `conditional`, it generates by class and magnification.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For an unsupported `image_size`, images too small or not square, missing labels, a class of one image, no
            patient to set aside, or a loss that is no longer finite. What an earlier fit learned then stays as it was.
        NotFittedError
            When `kid_embedding` is not fitted.
        KeyboardInterrupt
            Raised again. After at least one completed epoch the generator is stored.
        """
        self._validate_params()
        with unchanged_on_error(self):
            reading = {"image_size": self.image_size, "n_jobs": self.n_jobs, "cache": self.image_cache}
            source = read_source(self, X, reset=True, square_from=SMALLEST, **reading)
            told = {"patient": patient, "magnification": magnification, "conditional": self.conditional}
            cohort = read_generator_cohort(y, len(source), **told, asker="DCGAN")
            held_back = np.zeros(len(cohort), dtype=bool)
            forget(self, "validation_patients_")
            if self.early_stopping:
                cohort = with_patients(cohort)
                held_back = validation_rows(cohort, self.validation_fraction, check_random_state(self.random_state))
                self.validation_patients_ = sort_names(cohort.take(held_back).patient.present().names)
            cells, code = cells_to_learn(cohort, held_back)
            seed = check_random_state(self.random_state).randint(MAX_SEED)
            with seeded(seed), threads(self.n_jobs):
                interrupted = self._fit(source, code, cells, held_back)
        if interrupted:
            raise KeyboardInterrupt
        return self

    def sample(self, n, y=None, *, magnification=None, random_state=None):
        """Generate.

        Parameters
        ----------
        n : int
            How many, at least 1.
        y : label or array-like of shape (n,), default=None
            Classes wanted; None draws them as often as they stood in the training set.
        magnification : value or array-like of shape (n,), default=None
            Magnifications wanted; only after a `fit` with `magnification`. None draws them likewise.
        random_state : int, RandomState or None, default=None

        Returns
        -------
        images : ndarray (n, image_size, image_size, 3) of uint8, or (n, n_features) of float32
        labels : ndarray of shape (n,), or None when not `conditional`

        Raises
        ------
        ValueError
            For a class or magnification that was not in the training set.
        """
        check_is_fitted(self, "module_")
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(f"`n` must be an integer of at least 1, got {n!r}.")
        # cells first, then the seed of the latent vectors: the order of draws is part of what a seed gives
        rng = check_random_state(random_state)
        code = draw_cells(self.cells_, self.cell_counts_, n, y, magnification, rng)
        with threads(self.n_jobs):
            values = sample_cells(self.module_, code, rng.randint(MAX_SEED), self.batch_size)
        return values, np.array([cell[0] for cell in self.cells_])[code] if self.conditional else None

    def _validate_params(self):
        super()._validate_params()
        if not SMALLEST <= self.image_size <= LARGEST or self.image_size % 16:
            raise ValueError(
                f"DCGAN's `image_size` must be a multiple of 16 from {SMALLEST} to {LARGEST}, got {self.image_size}."
            )
        if len(self.betas) != 2:
            raise ValueError(f"`betas` must be a pair of numbers, got {self.betas!r}.")

    # Steps of `fit`

    def _fit(self, source, code, cells, held_back):
        """Train and store; returns whether a keyboard interrupt cut the training short.

        `code` (n,) is the position of each row's cell in `cells`, -1 where it is none of them.
        """
        seen = np.flatnonzero(~held_back)
        training, seen_code = source.take(seen), code[seen]
        module = self._start_module(training, cells)
        embed = embedding_function(self.kid_embedding, module["input"], source.shape)
        embed(training.read(np.arange(1)))  # one that cannot take them says so before hours of training
        # cells that only held-back patients have say nothing of the generator
        judged = np.flatnonzero(held_back & (code >= 0))
        judge = SampleJudge(embed, source.take(judged), code[judged], self.batch_size) if len(judged) else None
        net = self._build_net(module, seen_code, judge)
        interrupted = run(net, TrainingData(training, {"cell": seen_code}))
        # an interrupt between an epoch's end and its KID leaves a row without, which early stopping did not judge
        history = [row for row in completed_epochs(net) if judge is None or "kid" in row]
        if not history:
            raise KeyboardInterrupt
        self.module_ = keep_generator(module, seen_code)
        self.history_ = history
        self.cells_ = cells
        self.cell_counts_ = np.bincount(seen_code, minlength=len(cells))
        self.classes_ = np.unique([cell[0] for cell in cells]) if self.conditional else None
        self.input_shape_ = source.shape
        forget(self, "best_epoch_")
        if judge is not None:
            self.best_epoch_ = kept_epoch(net)
        classes = parts_of(cells)[:, 0]
        self.spread_ = spread_of_samples(self.module_, embed, training, seen_code, classes, self.batch_size)
        played = history[: getattr(self, "best_epoch_", None)]  # what made the generator that is kept
        warn_of_lost_game(played, len(played) * len(net.batches), self.spread_, net.criterion_.guessing())
        return interrupted

    def _start_module(self, source, cells):
        """Both players with first weights, on the device."""
        codes, shape = parts_of(cells), source.shape
        # first weights are drawn in this order, generator before discriminator
        input_layer, generator = build_generator(shape, codes, **self._size())
        if len(shape) == 1:
            input_layer.measure(torch.from_numpy(source.read(np.arange(len(source)))))
        discriminator = build_discriminator(
            shape, codes, image_size=self.image_size, width=self.width, spectral_norm=self.spectral_norm
        )
        module = players(input_layer, generator, discriminator, self.ema_decay)
        return module.to(resolve_device(self.device), memory_format=torch.channels_last)

    def _size(self):
        """What the generator's layers depend on."""
        return {name: getattr(self, name) for name in ("image_size", "latent_dim", "width", "upsampling")}

    def _rebuild_module(self):
        """A module like that of the last fit, with first weights."""
        return generator_alone(*build_generator(self.input_shape_, parts_of(self.cells_), **self._size()))

    def _build_net(self, module, code, judge):
        """The two players ready to play; `judge` is what early stopping looks through, None without it."""
        as_given = ("loss", "flips", "diff_augment", "gradient_penalty", "max_epochs", "patience", "batch_size", "lr")
        settings = {name: getattr(self, name) for name in as_given}
        settings |= {"betas": tuple(self.betas), "device": resolve_device(self.device), "verbose": int(self.verbose)}
        return gan_net(module, code, judge, **settings)
