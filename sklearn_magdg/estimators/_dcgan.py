"""A class-conditional DCGAN with `fit` and `sample`."""

from numbers import Integral, Real
from os import PathLike

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn
from torch.nn import functional as F

from sklearn_magdg._metadata import as_column, encode_magnification, sort_names
from sklearn_magdg._words import name_some
from sklearn_magdg.estimators._base import MAX_SEED
from sklearn_magdg.estimators._callbacks import LogParts, StopIfNotFinite
from sklearn_magdg.estimators._rows import read_labels
from sklearn_magdg.estimators._sources import as_source
from sklearn_magdg.estimators._state import unchanged_on_error
from sklearn_magdg.estimators._training import (
    ShuffledBatches,
    TrainingData,
    completed_epochs,
    load_batches,
    resolve_device,
    seeded,
)
from sklearn_magdg.modules import (
    FeatureDiscriminator,
    FeatureGenerator,
    FeatureInput,
    ImageDiscriminator,
    ImageGenerator,
    diff_augment,
)


class AdversarialNet(NeuralNet):
    """skorch's loop over a generator and a discriminator, each with its own Adam."""

    def __init__(self, *args, batches=None, betas=(0.5, 0.999), augment=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.batches = batches
        self.betas = betas
        self.augment = augment

    def initialize_optimizer(self, *args, **kwargs):
        adam = {"lr": self.lr, "betas": self.betas}
        self.generator_optimizer_ = torch.optim.Adam(self.module_["generator"].parameters(), **adam)
        self.discriminator_optimizer_ = torch.optim.Adam(self.module_["discriminator"].parameters(), **adam)
        return self

    def get_iterator(self, dataset, training=False):
        return load_batches(dataset, self.batches)

    def train_step(self, batch, **fit_params):
        self._set_training(True)
        real, cell = batch[0].to(self.device), batch[1]["cell"].to(self.device)
        generator, discriminator = self.module_["generator"], self.module_["discriminator"]
        real = self.module_["input"](real)
        z = torch.randn(len(cell), generator.latent_dim, device=self.device)
        fake = generator(z, cell)

        real_logits = discriminator(self._seen(real), cell)
        fake_logits = discriminator(self._seen(fake.detach()), cell)
        discriminator_loss = self.criterion_.discriminator_loss(real_logits, fake_logits)
        self._update(self.discriminator_optimizer_, discriminator_loss)

        discriminator.requires_grad_(False)  # the generator's step needs no gradient of these weights
        generator_loss = self.criterion_.generator_loss(discriminator(self._seen(fake), cell))
        self._update(self.generator_optimizer_, generator_loss)
        discriminator.requires_grad_(True)

        self.criterion_.parts = {
            "generator_loss": generator_loss.detach(),
            "discriminator_loss": discriminator_loss.detach(),
            "real_score": real_logits.detach().sigmoid().mean(),
            "fake_score": fake_logits.detach().sigmoid().mean(),
        }
        return {"loss": (generator_loss + discriminator_loss).detach(), "y_pred": None}

    def _seen(self, images):
        return images if self.augment is None else self.augment(images)

    @staticmethod
    def _update(optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class AdversarialLoss(nn.Module):
    """The non-saturating losses of Goodfellow et al. (2014, section 3) on logits."""

    def discriminator_loss(self, real_logits, fake_logits):
        return (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()

    def generator_loss(self, fake_logits):
        return F.softplus(-fake_logits).mean()


class DCGAN(BaseEstimator):
    """Generator of labelled images (or feature vectors), trained against a discriminator.

    Parameters
    ----------
    image_size : int, default=64
        Side in pixels of what it generates: a multiple of 16 from 32 to 128. Not used for 2-D X.
    latent_dim : int, default=64
        Length of the latent vectors.
    width : int, default=32
        Channels of the generator's last hidden layer; the others have 2, 4 and 8 times as many.
    conditional : bool, default=True
        Whether it generates by class (and by magnification, where `fit` was given it).
    diff_augment : bool, default=True
        Whether the discriminator sees images through differentiable augmentation, which keeps it from
        learning a small training set by heart. Not used for 2-D X.
    max_epochs : int, default=50
    batch_size : int, default=64
    lr : float, default=2e-4
        Learning rate of both Adams.
    betas : pair of floats, default=(0.5, 0.999)
    device : str, default="auto"
    image_cache : str or os.PathLike, default=None
        Folder where images given by path are kept decoded, as in `CNNClassifier`.
    verbose : int, default=0
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or None
    history_ : list of dict
        Per epoch ``generator_loss``, ``discriminator_loss``, and the discriminator's mean output (0 to 1) on
        real (``real_score``) and generated images (``fake_score``).
    module_ : torch.nn.ModuleDict

    References
    ----------
    Radford et al. 2016, arXiv 1511.06434; conditional by projection: Miyato & Koyama 2018; differentiable
    augmentation: Zhao et al. 2020.

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

    __metadata_request__fit = {"magnification": True}

    _parameter_constraints = {
        "image_size": [Integral],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
        "conditional": ["boolean"],
        "diff_augment": ["boolean"],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "betas": [tuple, list],
        "device": [str],
        "image_cache": [None, str, PathLike],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        image_size=64,
        *,
        latent_dim=64,
        width=32,
        conditional=True,
        diff_augment=True,
        max_epochs=50,
        batch_size=64,
        lr=2e-4,
        betas=(0.5, 0.999),
        device="auto",
        image_cache=None,
        verbose=0,
        random_state=None,
    ):
        self.image_size = image_size
        self.latent_dim = latent_dim
        self.width = width
        self.conditional = conditional
        self.diff_augment = diff_augment
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.betas = betas
        self.device = device
        self.image_cache = image_cache
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X, y=None, *, magnification=None):
        """Train generator and discriminator.

        Parameters
        ----------
        X : array-like
            As in `CNNClassifier.fit`; images are brought to `image_size`.
        y : array-like of shape (n,)
            Labels; required when `conditional`.
        magnification : array-like of shape (n,), default=None
            When given and `conditional`, it generates by class and magnification.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For an unsupported `image_size`, missing labels, or a loss that is no longer finite.
        """
        self._validate_params()
        with unchanged_on_error(self):
            source = as_source(self, X, reset=True, image_size=self.image_size, image_cache=self.image_cache)
            labels, cells = self._read_cells(len(source), y, magnification)
            seed = check_random_state(self.random_state).randint(MAX_SEED)
            with seeded(seed):
                module = self._start_module(source, len(cells))
                self.history_ = self._train(module, source, _codes_of(labels, cells))
        self.module_ = module.eval()
        self.cells_ = cells
        self.cell_counts_ = np.bincount(_codes_of(labels, cells), minlength=len(cells))
        self.classes_ = np.unique([cell[0] for cell in cells]) if self.conditional else None
        self.input_shape_ = source.shape
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
        rng = check_random_state(random_state)
        code = self._draw_cells(n, y, magnification, rng)
        values = self._generate(code, rng.randint(MAX_SEED))
        return values, self._labels_of(code)

    def _validate_params(self):
        super()._validate_params()
        if not 32 <= self.image_size <= 128 or self.image_size % 16:
            raise ValueError(f"DCGAN's `image_size` must be a multiple of 16 from 32 to 128, got {self.image_size}.")
        if len(self.betas) != 2:
            raise ValueError(f"`betas` must be a pair of numbers, got {self.betas!r}.")

    def _labels_of(self, code):
        return np.array([cell[0] for cell in self.cells_])[code] if self.conditional else None

    def _read_cells(self, n, y, magnification):
        """A (class, magnification) pair per row, and the distinct ones sorted."""
        if not self.conditional:
            return [(None, None)] * n, [(None, None)]
        if y is None:
            raise ValueError("DCGAN(conditional=True) needs labels: pass `y` to `fit`, or set conditional=False.")
        y = read_labels(y, n)
        if magnification is None:
            labels = [(label, None) for label in y]
        else:
            encode_magnification(magnification, n)
            labels = list(zip(y, as_column(magnification, "magnification"), strict=True))
        return labels, sorted(set(labels), key=lambda cell: (cell[0], str(cell[1])))

    def _start_module(self, source, n_cells):
        module = self._build_module(source.shape, n_cells)
        if len(source.shape) == 1:
            module["input"].measure(source.read(np.arange(len(source))))
        return module.to(resolve_device(self.device), memory_format=torch.channels_last)

    def _build_module(self, shape, n_cells):
        if len(shape) == 1:
            n_features = shape[0]
            module = {
                "input": FeatureInput(n_features),
                "generator": FeatureGenerator(n_features, self.latent_dim, n_cells),
                "discriminator": FeatureDiscriminator(n_features, n_cells),
            }
        else:
            module = {
                "input": _SignedInput(),
                "generator": ImageGenerator(self.image_size, self.latent_dim, self.width, n_cells),
                "discriminator": ImageDiscriminator(self.image_size, self.width, n_cells),
            }
        return nn.ModuleDict(module)

    def _rebuild_module(self):
        """A module like that of the last fit, with first weights."""
        return self._build_module(self.input_shape_, len(self.cells_))

    def _train(self, module, source, code):
        net = AdversarialNet(
            module,
            criterion=AdversarialLoss(),
            train_split=None,
            batches=ShuffledBatches(len(source), self.batch_size),
            betas=tuple(self.betas),
            augment=diff_augment if self.diff_augment and len(source.shape) == 3 else None,
            max_epochs=self.max_epochs,
            lr=self.lr,
            callbacks=[LogParts(), StopIfNotFinite()],
            device=resolve_device(self.device),
            verbose=int(self.verbose),
        ).initialize()
        net.partial_fit(TrainingData(source, {"cell": torch.from_numpy(code)}))
        history = completed_epochs(net)
        if len(history) < self.max_epochs:
            raise KeyboardInterrupt
        return history

    def _draw_cells(self, n, y, magnification, rng):
        wanted = np.ones((n, len(self.cells_)), dtype=bool)
        for part, values, name in ((0, y, "y"), (1, magnification, "magnification")):
            if values is not None:
                wanted &= self._matches(n, part, values, name)
        weights = wanted * self.cell_counts_
        if not weights.any(axis=1).all():
            raise ValueError("No training image had that combination of class and magnification.")
        cumulative = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
        return (rng.random_sample((n, 1)) > cumulative[:, :-1]).sum(axis=1)

    def _matches(self, n, part, values, name):
        known = [cell[part] for cell in self.cells_]
        values = np.broadcast_to(np.asarray(values), (n,)) if np.ndim(values) == 0 else np.asarray(values)
        if len(values) != n:
            raise ValueError(f"`{name}` must have n={n} entries, got {len(values)}.")
        unknown = sorted(set(values.tolist()) - set(known), key=str)
        if unknown:
            fitted = name_some(sort_names(set(known)))
            raise ValueError(f"`{name}` holds {unknown[0]!r}, which was not in the training set: {fitted}.")
        return np.array([[value == k for k in known] for value in values])

    def _generate(self, code, seed):
        generator = self.module_["generator"]
        device = next(generator.parameters()).device
        noise = torch.Generator().manual_seed(int(seed))
        batches = []
        with torch.inference_mode():
            for part in torch.from_numpy(code).split(self.batch_size):
                z = torch.randn(len(part), generator.latent_dim, generator=noise)
                batches.append(self.module_["input"].inverse(generator(z.to(device), part.to(device))).cpu())
        return torch.cat(batches).numpy()


class _SignedInput(nn.Module):
    """Stored images ``(n, h, w, 3)`` in [0, 255] <-> ``(n, 3, h, w)`` in [-1, 1]."""

    def forward(self, images):
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1

    def inverse(self, images):
        return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _codes_of(labels, cells):
    position = {cell: code for code, cell in enumerate(cells)}
    return np.array([position[label] for label in labels], dtype=np.int64)
