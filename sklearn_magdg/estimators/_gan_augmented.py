"""A classifier trained on real images and on those that a generator adds."""

import math
import os
from collections import Counter
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg.cohort import as_column, encode_magnification
from sklearn_magdg.estimators._base import MAX_SEED, BaseNetClassifier
from sklearn_magdg.estimators._cnn import CNNClassifier
from sklearn_magdg.estimators._dcgan import DCGAN, SMALLEST
from sklearn_magdg.estimators._rows import check_labels, image_as_patient, training_weight
from sklearn_magdg.estimators._state import unchanged_on_error
from sklearn_magdg.estimators._validation import validation_mask
from sklearn_magdg.images._sources import ArraySource, JoinedSource, RowsOf, as_source


class GANAugmentedClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator
):
    """`estimator` trained on the training images and on labelled samples of a `generator` fitted on them.

    The generator sees what `fit` is given and nothing else, less the patients that early stopping of `estimator` sets
    aside. Real images are brought to the generator's size, in `fit` and in `predict`, so that sharpness
    never tells a real image from a generated one; arrays of images must be square, with 32 pixels a side or more.

    Parameters
    ----------
    estimator : classifier of this package, default=None
        What is trained; None is ``CNNClassifier()``. A clone is fitted, so that ``warm_start=True`` is refused. Its
        `n_jobs` and `image_cache` decide how image paths are read, for the generator too; its `checkpoint` needs an
        int as `random_state` here.
    generator : DCGAN or FrozenEstimator(DCGAN), default=None
        What generates; None is ``DCGAN()``. A plain generator is refitted on every training set, a fitted
        one inside ``FrozenEstimator`` is used as it is: if it has seen test images, they leak.
    ratio : float, default=1.0
        Generated images per real training image, at least 0.
    balance : bool, default=False
        Whether the generated images go where class and magnification are rare, to the rarest first; whether all
        become equally frequent depends on `ratio`. Else they follow the training set.
    random_state : int, RandomState or None, default=None
        Decides generator, samples and `estimator`.

    Attributes
    ----------
    estimator_ : fitted classifier
    generator_ : fitted generator, or None with ``ratio=0``
    n_synthetic_ : int
    synthetic_counts_ : dict
        How many were generated of each (class, magnification).
    classes_, history_, embedding_dim_
        Of ``estimator_``.
    n_features_in_ : int
        For 2-D X.

    Notes
    -----
    Repeated rows and weights are equivalent in the mean over random batches alone, as in `CNNClassifier`.

    References
    ----------
    The GAN-augmented model of arXiv 2604.25817.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.estimators import CNNClassifier, DCGAN, GANAugmentedClassifier
    >>> tissue = make_histology(4, images_per_cell=2, image_size=32, random_state=0)
    >>> model = GANAugmentedClassifier(
    ...     CNNClassifier(max_epochs=1), generator=DCGAN(32, width=4, max_epochs=1), ratio=0.5, random_state=0
    ... )
    >>> model.fit(tissue.data, tissue.target, magnification=tissue.magnification).n_synthetic_
    16
    """

    __metadata_request__fit = {"patient": True, "magnification": True}

    _parameter_constraints = {
        "estimator": [None, BaseNetClassifier],
        "generator": [None, DCGAN, FrozenEstimator],
        "ratio": [Interval(Real, 0, None, closed="left")],
        "balance": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, generator=None, ratio=1.0, balance=False, random_state=None):
        self.estimator = estimator
        self.generator = generator
        self.ratio = ratio
        self.balance = balance
        self.random_state = random_state

    def fit(self, X, y, *, patient=None, magnification=None, sample_weight=None):
        """Fit the generator, generate, fit the classifier.

        Parameters
        ----------
        X, y, patient, magnification, sample_weight
            As in `CNNClassifier.fit`. A generated image has the mean weight, a magnification where the
            training images have one, and no patient.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in `CNNClassifier.fit` and `DCGAN.fit`, for a generator or an `estimator` that cannot serve here, and for
            a `ratio` that asks for more than the machine's memory.
        KeyboardInterrupt
            Raised again after the completed epochs of `estimator`, if any, have been stored.
        """
        self._validate_params()
        _check_generator(self.generator)
        _check_estimator(self.estimator, self.random_state)
        with unchanged_on_error(self):
            interrupted = self._fit(X, y, patient, magnification, sample_weight)
        if interrupted:
            raise KeyboardInterrupt
        return self

    def _fit(self, X, y, patient, magnification, sample_weight):
        rng = check_random_state(self.random_state)
        estimator = _seeded_clone(CNNClassifier() if self.estimator is None else self.estimator, rng)
        generator = _seeded_clone(DCGAN() if self.generator is None else self.generator, rng)
        real = self._check_training_data(X, y, patient, magnification, sample_weight, estimator, generator)
        _check_frozen(generator, real.source)
        seen = real.take(~_kept_from_generator(estimator, real))
        n_synthetic = round(self.ratio * len(seen.y))
        _check_memory(self.ratio, n_synthetic, real.source.shape)
        counts, training = {}, real
        if n_synthetic:
            generator.fit(seen.source, seen.y, patient=seen.patient, magnification=seen.magnification)
            counts = _allot(seen, n_synthetic, self.balance, _learned_alone(generator))
            training = real.joined_with(_generate(generator, counts, rng), weight=seen.weight.mean())
        interrupted = _fit_until_interrupted(estimator, training)
        self.estimator_ = estimator
        self.generator_ = generator if counts else None
        self.n_synthetic_ = sum(counts.values())
        self.synthetic_counts_ = counts
        self.image_size_ = generator.image_size
        return interrupted

    def predict_proba(self, X):
        """Class probabilities, shape (n, n_classes)."""
        return self._fitted().predict_proba(self._read(X))

    def predict(self, X):
        """Most probable classes, shape (n,)."""
        return self._fitted().predict(self._read(X))

    def transform(self, X):
        """Embeddings of ``estimator_``, shape (n, `embedding_dim_`)."""
        return self._fitted().transform(self._read(X))

    def _check_training_data(self, X, y, patient, magnification, sample_weight, estimator, generator):
        source = self._as_source(X, estimator, reset=True, image_size=generator.image_size)
        y = check_labels(self, y, len(source))
        weight = training_weight(sample_weight, None, y)
        if magnification is not None:
            encode_magnification(magnification, len(y))
            magnification = as_column(magnification, "magnification")
        if patient is None and estimator.early_stopping:
            patient = image_as_patient(len(y))
        if patient is not None:
            patient = as_column(patient, "patient", len(y)).astype(object)
        return _Training(source, y, patient, magnification, weight)

    def _fitted(self):
        check_is_fitted(self, "estimator_")
        return self.estimator_

    def _read(self, X):
        return self._as_source(X, self.estimator_, reset=False, image_size=self.image_size_)

    def _as_source(self, X, estimator, **options):
        reading = {"n_jobs": estimator.n_jobs, "image_cache": estimator.image_cache}
        return as_source(self, X, square_from=SMALLEST, **reading, **options)

    @property
    def classes_(self):
        """Labels of ``estimator_``."""
        return self.estimator_.classes_

    @property
    def history_(self):
        """History of ``estimator_``."""
        return self.estimator_.history_

    @property
    def embedding_dim_(self):
        """Width of ``estimator_``'s embedding."""
        return self.estimator_.embedding_dim_

    @property
    def _n_features_out(self):
        return self.embedding_dim_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class _Training(NamedTuple):
    """Rows for the classifier: real ones, or real and generated."""

    source: object
    y: np.ndarray
    patient: np.ndarray | None
    magnification: np.ndarray | None
    weight: np.ndarray

    def take(self, mask):
        rows = np.flatnonzero(mask)
        parts = (None if values is None else values[rows] for values in self[1:])
        return _Training(RowsOf(self.source, rows), *parts)

    def joined_with(self, generated, weight):
        values, y, magnification = generated
        n = len(y)
        return _Training(
            JoinedSource([self.source, ArraySource(values)]),
            np.concatenate([self.y, y]),
            None if self.patient is None else np.concatenate([self.patient, np.full(n, None)]),
            None if self.magnification is None else np.concatenate([self.magnification, magnification]),
            np.concatenate([self.weight, np.full(n, weight)]),
        )

    def metadata(self):
        return {"patient": self.patient, "magnification": self.magnification, "sample_weight": self.weight}


def _check_generator(generator):
    trained = generator.estimator if isinstance(generator, FrozenEstimator) else generator
    if not isinstance(trained, DCGAN | None):
        raise ValueError(f"`generator` must be a DCGAN, alone or in FrozenEstimator, got {generator!r}.")
    if trained is not None and not trained.conditional:
        raise ValueError("The generator must give labels: use DCGAN(conditional=True).")


def _check_estimator(estimator, random_state):
    if estimator is None:
        return
    if estimator.warm_start:
        raise ValueError(
            "warm_start=True of `estimator` would do nothing, for a clone is fitted every time: set it to False."
        )
    if estimator.checkpoint is not None and not isinstance(random_state, int | np.integer):
        raise ValueError(
            "`checkpoint` of `estimator` needs an int as `random_state` of GANAugmentedClassifier, got "
            f"{random_state!r}: without one other images are generated, and no fit would go on."
        )


def _check_frozen(generator, source):
    """Refuse a frozen generator that is not fitted, or on something else than stands in `source`."""
    if not isinstance(generator, FrozenEstimator):
        return
    check_is_fitted(generator)
    if generator.input_shape_ != source.shape:
        raise ValueError(
            f"The frozen generator was fitted on inputs of shape {generator.input_shape_}, got {source.shape}; fit it "
            "on the same features or images, or give it without FrozenEstimator."
        )


def _check_memory(ratio, n_synthetic, shape):
    n_bytes = n_synthetic * math.prod(shape) * (1 if len(shape) == 3 else 4)
    if n_bytes > _memory():
        raise ValueError(
            f"`ratio`={ratio:g} asks for {n_synthetic:,} generated samples of together {n_bytes / 1e9:,.1f} GB, more "
            f"than the {_memory() / 1e9:,.1f} GB of memory that this machine has: lower it."
        )


def _memory():
    """Bytes of this machine's memory; infinitely many where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def _seeded_clone(estimator, rng):
    """A clone whose every `random_state` is an int, so that what it draws can be drawn again."""
    estimator = clone(estimator)
    if isinstance(estimator, FrozenEstimator):
        return estimator
    names = sorted(name for name in estimator.get_params() if name.split("__")[-1] == "random_state")
    return estimator.set_params(**{name: rng.randint(MAX_SEED) for name in names})


def _kept_from_generator(estimator, real):
    """Rows that `estimator` will set aside for early stopping, which the generator must not see either."""
    if not estimator.early_stopping:
        return np.zeros(len(real.y), dtype=bool)
    return validation_mask(estimator, real.y, real.patient)


def _fit_until_interrupted(estimator, training):
    """Whether an interrupt ended the fit after its first epoch; an earlier one leaves nothing and is raised again."""
    try:
        estimator.fit(training.source, training.y, **training.metadata())
    except KeyboardInterrupt:
        if not hasattr(estimator, "module_"):
            raise
        return True
    return False


def _learned_alone(generator):
    """Cells that a generator fitted here has learned, fewer than are there where early stopping set some aside.

    None of a frozen one: what that cannot generate is an error, for its user chose it.
    """
    return None if isinstance(generator, FrozenEstimator) else set(generator.cells_)


def _allot(rows, n_synthetic, balance, learned=None):
    """How many to generate of every (class, magnification) cell of `rows`, or of those of them that were `learned`.

    In proportion to the cell's rows, or (`balance`) so that the smallest cells are filled up first.
    """
    magnification = [None] * len(rows.y) if rows.magnification is None else rows.magnification
    counts = Counter(zip(rows.y.tolist(), as_column(magnification, "magnification").tolist(), strict=True))
    counts = {cell: n for cell, n in counts.items() if learned is None or cell in learned}
    sizes = np.array(list(counts.values()), dtype=float)
    shares = _filling_up(sizes, n_synthetic) if balance else sizes / sizes.sum() * n_synthetic
    whole = np.floor(shares).astype(int)
    rest = np.argsort(whole - shares, kind="stable")[: n_synthetic - whole.sum()]
    whole[rest] += 1  # largest remainders
    return {cell: int(n) for cell, n in zip(counts, whole, strict=True) if n}


def _filling_up(sizes, n):
    """Additions that sum to `n` and bring the smallest `sizes` to one level, as water would."""
    ordered = np.sort(sizes)
    levels = (n + np.cumsum(ordered)) / np.arange(1, len(ordered) + 1)
    level = levels[np.flatnonzero(levels >= ordered)[-1]]
    return np.maximum(level - sizes, 0)


def _generate(generator, counts, rng):
    y = np.repeat(_column([cell[0] for cell in counts]), list(counts.values()))
    magnification = np.repeat(_column([cell[1] for cell in counts]), list(counts.values()))
    by_magnification = None if magnification[0] is None else magnification
    if by_magnification is not None and generator.cells_[0][1] is None:
        raise ValueError(
            "The frozen generator was fitted without `magnification`, which is given here: fit it with magnifications."
        )
    values, labels = generator.sample(len(y), y, magnification=by_magnification, random_state=rng)
    return values, labels, magnification


def _column(values):
    return np.array(values, dtype=object if values[0] is None else None)
