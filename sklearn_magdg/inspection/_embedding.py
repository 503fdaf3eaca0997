"""Two dimensions of an embedding, by class and magnification."""

from itertools import cycle, islice, product

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg.cohort import encode, encode_magnification
from sklearn_magdg.inspection._style import magnification_label, require_matplotlib, wrap_to_axes
from sklearn_magdg.metrics import magnification_leakage

# One hue per class, of a lightness that says the magnification in all hues and the greys of the legend alike: the
# marker tells classes apart in print.
MARKERS = ("o", "^", "D", "v", "P", "X", "*", "<")  # squares stand for magnifications in the legend
HUES = ("Blues", "Oranges", "Greens", "Purples", "Reds")
LIGHTEST, DARKEST, ALONE = 0.78, 0.27, 0.5  # 0 is black; every hue reaches both ends
LUMA = (0.299, 0.587, 0.114)  # what red, green and blue add to lightness
OPACITY = 0.85
MARKER_AREA = 26  # square points


class EmbeddingDisplay:
    """Scatter of an embedding in two dimensions: marker and hue by class, lightness by magnification.

    Where magnifications form clusters the encoder tells them apart. That they do not is no proof of the contrary,
    since two dimensions show little of an embedding: with `patient` the title says how well a linear probe reads the
    magnification from all of it.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Positions.
    axis_names : sequence of 2 str
        Labels of the axes.
    y : array-like of shape (n_samples,), default=None
        Classes.
    magnification : array-like of shape (n_samples,), default=None
        Ints or strings.
    leakage : NamedTuple, default=None
        As from `sklearn_magdg.metrics.magnification_leakage`.
    n_patients : int, default=None
        Those of the leakage, for the title.

    Attributes
    ----------
    ax_ : Axes
        The picture.
    figure_ : Figure
        Its figure.

    See Also
    --------
    sklearn_magdg.metrics.magnification_leakage : The numbers of the title.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.inspection import EmbeddingDisplay
    >>> tissue = make_histology(8, images_per_cell=1, image_size=8, random_state=0)
    >>> colours = tissue.data.mean(axis=(1, 2))
    >>> display = EmbeddingDisplay.from_embedding(  # doctest: +SKIP
    ...     colours, y=tissue.target_names[tissue.target], magnification=tissue.magnification
    ... )
    """

    def __init__(self, points, axis_names, *, y=None, magnification=None, leakage=None, n_patients=None):
        self.points = points
        self.axis_names = axis_names
        self.y = y
        self.magnification = magnification
        self.leakage = leakage
        self.n_patients = n_patients

    @classmethod
    def from_embedding(
        cls,
        embedding,
        *,
        y=None,
        magnification=None,
        patient=None,
        reducer=None,
        n_splits=5,
        random_state=None,
        ax=None,
    ):
        """Picture of a given embedding.

        Parameters
        ----------
        embedding : array-like of shape (n_samples, n_dimensions)
            Finite numbers, at least 2 dimensions.
        y : array-like of shape (n_samples,), default=None
            Classes; numbers or strings.
        magnification : array-like of shape (n_samples,), default=None
            Ints or strings.
        patient : array-like of shape (n_samples,), default=None
            Writes the leakage of the magnification, read from all dimensions, into the title; needs `magnification`
            and `n_splits` patients at every one.
        reducer : transformer, default=None
            Any with `fit_transform` to two columns, such as `sklearn.manifold.TSNE`; a clone is fitted. None is PCA.
        n_splits : int, default=5
            Folds of the leakage's probe, at least 2.
        random_state : int, RandomState or None, default=None
            Seed of the PCA and of the leakage's folds and resamples.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        EmbeddingDisplay
            Drawn.

        Raises
        ------
        ValueError
            If lengths differ, a value is missing or not finite, all samples are embedded alike, `reducer` gives other
            than two columns, `patient` comes without `magnification`, and as in `magnification_leakage`.
        TypeError
            If `reducer` is no transformer.
        ImportError
            If matplotlib is missing.
        """
        embedding = check_array(
            embedding, dtype=[np.float64, np.float32], ensure_min_features=2, input_name="embedding"
        )
        _refuse_constant(embedding)
        if patient is not None and magnification is None:
            raise ValueError("`patient` is for the leakage of the magnification; give `magnification` too.")
        reducer = PCA(2, random_state=random_state) if reducer is None else _clone(reducer)
        points = _two_columns(reducer, embedding)
        leakage = n_patients = None
        if patient is not None:
            n_patients = len(encode(patient, "patient", len(embedding)).names)
            options = {"n_splits": n_splits, "random_state": random_state}
            leakage = magnification_leakage(embedding, magnification, patient=patient, **options)
        names = _axis_names(reducer)
        known = {"y": y, "magnification": magnification, "leakage": leakage, "n_patients": n_patients}
        return cls(points, names, **known).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        y=None,
        magnification=None,
        patient=None,
        reducer=None,
        n_splits=5,
        random_state=None,
        ax=None,
    ):
        """Picture of the embeddings that a fitted estimator gives samples.

        Parameters
        ----------
        estimator : fitted estimator
            With `transform`, such as the classifiers of `sklearn_magdg.estimators`.
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes; best of patients that it did not see.
        y, magnification, patient, reducer, n_splits, random_state, ax
            As in `from_embedding`.

        Returns
        -------
        EmbeddingDisplay
            Drawn.

        Raises
        ------
        ValueError, TypeError, ImportError
            As in `from_embedding`.
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(estimator)
        return cls.from_embedding(
            estimator.transform(X),
            y=y,
            magnification=magnification,
            patient=patient,
            reducer=reducer,
            n_splits=n_splits,
            random_state=random_state,
            ax=ax,
        )

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            Columns `x` and `y` and, where they are known, `class` and `magnification`, one row per sample.
        """
        known = {"class": self.y, "magnification": self.magnification}
        columns = {name: np.asarray(values) for name, values in known.items() if values is not None}
        return pd.DataFrame({"x": self.points[:, 0], "y": self.points[:, 1], **columns})

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        EmbeddingDisplay
            Itself.
        """
        plt = require_matplotlib("EmbeddingDisplay")
        classes = _encoded(self.y, len(self.points), encode, "y")
        magnifications = _encoded(self.magnification, len(self.points), encode_magnification)
        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self._plot_points(classes, magnifications)
        self._add_legend(classes.names, magnifications.names)
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        ax.set_title(wrap_to_axes(ax, [self._title()], "medium"), fontsize="medium", loc="left")
        ax.spines[["top", "right"]].set_visible(False)
        return self

    def _plot_points(self, classes, magnifications):
        shades = _shades(len(magnifications.names))
        looks = _looks(len(classes.names))
        rarity = np.argsort(np.argsort(-np.bincount(magnifications.codes)))
        for (each, (marker, hue)), (at, shade) in product(enumerate(looks), enumerate(shades)):
            rows = (classes.codes == each) & (magnifications.codes == at)
            look = {"marker": marker, "color": [_colour(hue, shade)], "s": MARKER_AREA}
            look["zorder"] = 1 + rarity[at] / len(rarity)  # the rare ones above the others, and findable
            self.ax_.scatter(*self.points[rows].T, **look, alpha=OPACITY, edgecolors="white", linewidths=0.4)

    def _add_legend(self, class_names, magnification_names):
        entries = []
        if self.y is not None:
            looks = zip(class_names, _looks(len(class_names)), strict=True)
            entries += [(str(name), marker, _colour(hue, ALONE)) for name, (marker, hue) in looks]
        if self.magnification is not None:
            shades = zip(magnification_names, _shades(len(magnification_names)), strict=True)
            entries += [(magnification_label(name), "s", _colour("Greys", shade)) for name, shade in shades]
        if not entries:
            return
        handles = [_key(*entry) for entry in entries]
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}  # beside the points
        self.ax_.legend(handles=handles, **place, frameon=False)

    def _title(self):
        if self.leakage is None:
            return ""
        accuracy, chance, low, high = self.leakage
        interval = f"95 % interval {low:.2f} to {high:.2f}" + (
            f", {self.n_patients} patients" if self.n_patients else ""
        )
        return f"magnification read with balanced accuracy {accuracy:.2f} ({interval}), chance {chance:.2f}"


def _refuse_constant(embedding):
    if not np.ptp(embedding, axis=0).any():
        raise ValueError(
            f"`embedding` is the same for all {len(embedding)} samples, so that there is nothing to draw; look at the "
            f"training of the encoder."
        )


def _clone(reducer):
    if not hasattr(reducer, "fit_transform"):
        raise TypeError(
            f"`reducer` must be a transformer with `fit_transform`, such as `sklearn.manifold.TSNE()`, got {reducer!r}."
        )
    return clone(reducer)


def _two_columns(reducer, embedding):
    points = np.asarray(reducer.fit_transform(embedding))
    if points.shape != (len(embedding), 2):
        raise ValueError(
            f"`reducer` must give 2 columns for {len(embedding)} samples, {reducer!r} gave shape {points.shape}; set "
            f"its `n_components=2`."
        )
    return points


def _axis_names(reducer):
    last = reducer[-1] if isinstance(reducer, Pipeline) else reducer
    if not isinstance(last, PCA):
        return [f"{type(last).__name__} {k}" for k in (1, 2)]
    shares = last.explained_variance_ratio_
    return [f"principal component {k} ({share:.0%} of the variance)" for k, share in enumerate(shares, 1)]


def _encoded(values, n_samples, encoder, *name):
    """Codes into names; one name for all where nothing is known."""
    return encoder(np.zeros(n_samples, dtype=int) if values is None else values, *name, n_samples)


def _looks(n_classes):
    """(marker, name of the colour map) of every class; they repeat together after 40."""
    return list(islice(zip(cycle(MARKERS), cycle(HUES), strict=False), n_classes))


def _shades(n_magnifications):
    """Lightness of every magnification, from light to dark."""
    return np.linspace(LIGHTEST, DARKEST, n_magnifications) if n_magnifications > 1 else [ALONE]


def _colour(hue, shade):
    """The colour of a map that is as light as `shade`."""
    from matplotlib import colormaps

    colours = colormaps[hue](np.linspace(1, 0, 256))
    return colours[np.searchsorted(colours[:, :3] @ LUMA, shade)]


def _key(name, marker, colour):
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", marker=marker, color=colour, alpha=OPACITY, markersize=6, label=name)
