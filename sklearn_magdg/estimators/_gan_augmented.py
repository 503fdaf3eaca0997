"""A classifier trained on real images and on those that a generator adds."""

import math
import os
from collections import Counter
from numbers import Real

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

from sklearn_magdg._attributes import unchanged_on_error
from sklearn_magdg.cohort import cells_of, read_training_cohort, validation_rows, with_patients
from sklearn_magdg.estimators._base import read_source
from sklearn_magdg.estimators._classifier import BaseNetClassifier
from sklearn_magdg.estimators._cnn import CNNClassifier
from sklearn_magdg.estimators._dcgan import DCGAN, SMALLEST
from sklearn_magdg.images import ArraySource, JoinedSource
from sklearn_magdg.training import MAX_SEED


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
        _check_parts(self.estimator, self.generator, self.random_state)
        with unchanged_on_error(self):
            rng = check_random_state(self.random_state)
            # seeded before anything is read: `estimator` and generator draw the same whatever the images are
            estimator = _seeded_clone(CNNClassifier() if self.estimator is None else self.estimator, rng)
            generator = _seeded_clone(DCGAN() if self.generator is None else self.generator, rng)
            source = self._as_source(X, estimator, reset=True, image_size=generator.image_size)
            cohort = read_training_cohort(
                y,
                len(source),
                patient=patient,
                magnification=magnification,
                sample_weight=sample_weight,
                asker=type(self).__name__,
            )
            interrupted = self._fit(source, cohort, estimator, generator, rng)
        if interrupted:
            raise KeyboardInterrupt
        return self

    def _fit(self, source, cohort, estimator, generator, rng):
        """Fit generator and classifier and store them; returns whether an interrupt ended the classifier's fit."""
        is_frozen = isinstance(generator, FrozenEstimator)
        if is_frozen and generator.input_shape_ != source.shape:
            raise ValueError(
                f"The frozen generator was fitted on inputs of shape {generator.input_shape_}, got {source.shape}; fit "
                "it on the same features or images, or give it without FrozenEstimator."
            )
        seen = np.ones(len(cohort), dtype=bool)
        if estimator.early_stopping:
            # the patients that `estimator` will set aside, which the generator must not see either
            cohort = with_patients(cohort)
            seen = ~validation_rows(cohort, estimator.validation_fraction, check_random_state(estimator.random_state))
        n_synthetic = round(self.ratio * np.count_nonzero(seen))
        _check_memory(self.ratio, n_synthetic, source.shape)

        given, counts = _as_given(cohort), {}
        if n_synthetic:
            part = cohort.take(seen)
            generator.fit(source.take(seen), **_as_given(part, weighted=False))
            # fewer cells than are there where its early stopping set some aside; of a frozen one all are asked for,
            # and what that cannot generate is an error, for its user chose it
            learned = None if is_frozen else set(generator.cells_)
            counts = _allot(cells_of(part), n_synthetic, self.balance, learned)
            source, given = _with_samples(source, given, generator, counts, part.weight.mean(), rng)
        interrupted = False
        try:
            estimator.fit(source, **given)
        except KeyboardInterrupt:
            if not hasattr(estimator, "module_"):  # nothing of its first epoch is left
                raise
            interrupted = True

        self.estimator_ = estimator
        self.generator_ = generator if counts else None
        self.n_synthetic_ = sum(counts.values())
        self.synthetic_counts_ = counts
        self.image_size_ = generator.image_size
        return interrupted

    def predict_proba(self, X):
        """Class probabilities.

        Parameters
        ----------
        X : array-like
            As in `fit`; images are brought to the generator's size first, as in training.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            Columns in the order of ``classes_``.
        """
        return self._fitted().predict_proba(self._read(X))

    def predict(self, X):
        """Most probable classes.

        Parameters
        ----------
        X : array-like
            As in `predict_proba`.

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._fitted().predict(self._read(X))

    def transform(self, X):
        """Embeddings of ``estimator_``.

        Parameters
        ----------
        X : array-like
            As in `predict_proba`.

        Returns
        -------
        ndarray of shape (n, `embedding_dim_`), float32
        """
        return self._fitted().transform(self._read(X))

    def _fitted(self):
        check_is_fitted(self, "estimator_")
        return self.estimator_

    def _read(self, X):
        """`X` at the generator's size, as a source that ``estimator_`` takes."""
        return self._as_source(X, self.estimator_, reset=False, image_size=self.image_size_)

    def _as_source(self, X, estimator, *, reset, image_size):
        reading = {"image_size": image_size, "n_jobs": estimator.n_jobs, "cache": estimator.image_cache}
        return read_source(self, X, reset=reset, square_from=SMALLEST, **reading)

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


def _as_given(cohort, *, weighted=True):
    """What `fit` takes of a cohort, with names in place of codes; a generator takes no weights.

    Generator and classifier are estimators of their own, which check and encode what they are given as any user's.
    """
    given = {
        "y": cohort.label.names[cohort.label.codes],
        "patient": None if cohort.patient is None else cohort.patient.values(),
        "magnification": None if cohort.magnification is None else cohort.magnification.values(),
    }
    return given | {"sample_weight": cohort.weight} if weighted else given


def _check_parts(estimator, generator, random_state):
    """Refuse a generator or a classifier that cannot serve here."""
    trained = generator.estimator if isinstance(generator, FrozenEstimator) else generator
    if not isinstance(trained, DCGAN | None):
        raise ValueError(f"`generator` must be a DCGAN, alone or in FrozenEstimator, got {generator!r}.")
    if trained is not None and not trained.conditional:
        raise ValueError("The generator must give labels: use DCGAN(conditional=True).")
    if isinstance(generator, FrozenEstimator):
        check_is_fitted(generator)
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


def _check_memory(ratio, n_synthetic, shape):
    """Refuse more samples than the machine's memory could hold; where the system does not tell it, nothing."""
    n_bytes = n_synthetic * math.prod(shape) * (1 if len(shape) == 3 else 4)
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return
    if n_bytes > memory:
        raise ValueError(
            f"`ratio`={ratio:g} asks for {n_synthetic:,} generated samples of together {n_bytes / 1e9:,.1f} GB, more "
            f"than the {memory / 1e9:,.1f} GB of memory that this machine has: lower it."
        )


def _seeded_clone(estimator, rng):
    """A clone whose every `random_state` is an int, so that what it draws can be drawn again.

    The names are sorted, so that the draws do not depend on the order of the parameters.
    """
    estimator = clone(estimator)
    if isinstance(estimator, FrozenEstimator):  # which `clone` leaves as it is, with all that it has learned
        return estimator
    names = sorted(name for name in estimator.get_params() if name.split("__")[-1] == "random_state")
    return estimator.set_params(**{name: rng.randint(MAX_SEED) for name in names})


def _allot(cell_of_row, n_synthetic, balance, learned=None):
    """How many to generate of every (class, magnification) that rows have, or of those of them that were `learned`.

    In proportion to the cell's rows, or (`balance`) so that the smallest cells are filled up first. Whole numbers by
    largest remainders, the first cell on a tie.
    """
    counts = {cell: n for cell, n in Counter(cell_of_row).items() if learned is None or cell in learned}
    sizes = np.array(list(counts.values()), dtype=float)
    shares = _filling_up(sizes, n_synthetic) if balance else sizes / sizes.sum() * n_synthetic
    whole = np.floor(shares).astype(int)
    # ascending differences are descending remainders
    rest = np.argsort(whole - shares, kind="stable")[: n_synthetic - whole.sum()]
    whole[rest] += 1
    return {cell: int(n) for cell, n in zip(counts, whole, strict=True) if n}


def _filling_up(sizes, n):
    """Additions that sum to `n` and bring the smallest `sizes` to one level, as water would.

    The level over the k smallest of them is (n + their sum) / k; it is that of the largest k all of which lie below it.
    """
    ordered = np.sort(sizes)
    levels = (n + np.cumsum(ordered)) / np.arange(1, len(ordered) + 1)
    level = levels[np.flatnonzero(levels >= ordered)[-1]]
    return np.maximum(level - sizes, 0)


def _with_samples(source, given, generator, counts, weight, rng):
    """Real rows, and samples behind them as often as `counts` says of each cell: of no patient, all of one weight."""
    labels, magnifications = (np.repeat(np.array(names), list(counts.values())) for names in zip(*counts, strict=True))
    asked = None if magnifications[0] is None else magnifications
    if asked is not None and generator.cells_[0][1] is None:
        raise ValueError(
            "The frozen generator was fitted without `magnification`, which is given here: fit it with magnifications."
        )
    values, labels = generator.sample(len(labels), labels, magnification=asked, random_state=rng)
    added = {
        "y": labels,
        "patient": np.full(len(labels), None),
        "magnification": magnifications,
        "sample_weight": np.full(len(labels), weight),
    }
    given = {name: None if own is None else np.concatenate([own, added[name]]) for name, own in given.items()}
    return JoinedSource([source, ArraySource(values)]), given


def seen_by_net(estimator, X):
    """The classifier that holds the net, and `X` as a source that the net reads: of a fitted `estimator`, whichever.

    Images pass through the size of a generator first, as they did in `fit`.
    """
    if isinstance(estimator, GANAugmentedClassifier):
        estimator, X = estimator.estimator_, estimator._read(X)
    return estimator, estimator._as_source(X, reset=False)
