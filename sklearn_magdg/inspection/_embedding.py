"""Two dimensions of an embedding, by class and magnification."""

from itertools import cycle, islice

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg.cohort import encode
from sklearn_magdg.inspection._shown import read_known
from sklearn_magdg.inspection._style import BESIDE, LUMA, axes_for, write_title
from sklearn_magdg.metrics import magnification_leakage

# One hue per class, of a lightness that says the magnification in all hues and the greys of the legend alike: the
# marker tells classes apart in print.
MARKERS = ("o", "^", "D", "v", "P", "X", "*", "<")  # squares stand for magnifications in the legend
HUES = ("Blues", "Oranges", "Greens", "Purples", "Reds")
LIGHTEST, DARKEST, ALONE = 0.78, 0.27, 0.5  # 0 is black; every hue reaches both ends
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
        if not np.ptp(embedding, axis=0).any():
            raise ValueError(
                f"`embedding` is the same for all {len(embedding)} samples, so that there is nothing to draw; look at "
                "the training of the encoder."
            )
        if patient is not None and magnification is None:
            raise ValueError("`patient` is for the leakage of the magnification; give `magnification` too.")
        points, names = _reduce(embedding, reducer, random_state)
        leakage = n_patients = None
        if patient is not None:
            n_patients = len(encode(patient, "patient", len(embedding)).names)
            options = {"n_splits": n_splits, "random_state": random_state}
            leakage = magnification_leakage(embedding, magnification, patient=patient, **options)
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

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_magdg.inspection import EmbeddingDisplay
        >>> points = np.array([[0.5, -1.0], [-0.5, 1.0]])
        >>> EmbeddingDisplay(points, ["first", "second"], magnification=[40, 100]).frame()
             x    y  magnification
        0  0.5 -1.0             40
        1 -0.5  1.0            100
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
        known = read_known(len(self.points), y=self.y, magnification=self.magnification)
        ax = axes_for("EmbeddingDisplay", ax, (6.4, 4.4))
        self.ax_, self.figure_ = ax, ax.figure
        self._plot_points(known)
        self._add_legend(known)
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        write_title(ax, self._title())
        ax.spines[["top", "right"]].set_visible(False)
        return self

    def _plot_points(self, known):
        """A scatter for every pair of class and magnification, where one is not known for each of the other."""
        shades, codes = [ALONE], np.zeros(len(self.points), dtype=int)
        if known.magnification is not None:
            shades, codes = _shades(known.magnification), known.magnification.codes
        rarity = np.argsort(np.argsort(-np.bincount(codes)))
        for label, (marker, hue) in enumerate(_looks(known.label)):
            for at, shade in enumerate(shades):
                rows = (known.label.codes == label) & (codes == at)
                look = {"marker": marker, "color": [_colour(hue, shade)], "s": MARKER_AREA}
                look["zorder"] = 1 + rarity[at] / len(rarity)  # the rare ones above the others, and findable
                self.ax_.scatter(*self.points[rows].T, **look, alpha=OPACITY, edgecolors="white", linewidths=0.4)

    def _add_legend(self, known):
        """Classes by marker and hue, and magnifications as squares of greys, the lightness of all hues alike."""
        from matplotlib.lines import Line2D

        entries = []
        if self.y is not None:
            looks = zip(known.label.names, _looks(known.label), strict=True)
            entries += [(str(name), marker, _colour(hue, ALONE)) for name, (marker, hue) in looks]
        if self.magnification is not None:
            shades = zip(known.magnification.names, _shades(known.magnification), strict=True)
            entries += [(magnification_text(name), "s", _colour("Greys", shade)) for name, shade in shades]
        look = {"linestyle": "none", "alpha": OPACITY, "markersize": 6}
        handles = [Line2D([], [], marker=mark, color=colour, label=name, **look) for name, mark, colour in entries]
        if handles:
            self.ax_.legend(handles=handles, **BESIDE)

    def _title(self):
        """How well the magnification is read from all dimensions; nothing where no patients were given."""
        if self.leakage is None:
            return ""
        accuracy, chance, low, high = self.leakage
        interval = f"95 % interval {low:.2f} to {high:.2f}" + (
            f", {self.n_patients} patients" if self.n_patients else ""
        )
        return f"magnification read with balanced accuracy {accuracy:.2f} ({interval}), chance {chance:.2f}"


def _reduce(embedding, reducer, random_state):
    """Two columns (n, 2) that a PCA or a clone of `reducer` makes of the embedding, and names of the axes.

    A PCA, also one at the end of a pipeline, says in the name how much of the variance its axis shows.

    Raises
    ------
    TypeError
        If `reducer` is no transformer.
    ValueError
        If it gives other than two columns.
    """
    if reducer is None:
        reducer = PCA(2, random_state=random_state)
    elif hasattr(reducer, "fit_transform"):
        reducer = clone(reducer)  # that of the caller stays unfitted
    else:
        raise TypeError(
            f"`reducer` must be a transformer with `fit_transform`, such as `sklearn.manifold.TSNE()`, got {reducer!r}."
        )
    points = np.asarray(reducer.fit_transform(embedding))
    if points.shape != (len(embedding), 2):
        raise ValueError(
            f"`reducer` must give 2 columns for {len(embedding)} samples, {reducer!r} gave shape {points.shape}; set "
            "its `n_components=2`."
        )
    last = reducer[-1] if isinstance(reducer, Pipeline) else reducer
    if not isinstance(last, PCA):
        return points, [f"{type(last).__name__} {k}" for k in (1, 2)]
    shares = enumerate(last.explained_variance_ratio_, 1)
    return points, [f"principal component {k} ({share:.0%} of the variance)" for k, share in shares]


def _looks(classes):
    """(marker, name of the colour map) of every class of an `Encoded` column; they repeat together after 40."""
    return list(islice(zip(cycle(MARKERS), cycle(HUES), strict=False), len(classes.names)))


def _shades(magnifications):
    """Lightness of every magnification of an `Encoded` column, from light to dark; in between where there is one."""
    n = len(magnifications.names)
    return np.linspace(LIGHTEST, DARKEST, n) if n > 1 else [ALONE]


def _colour(hue, shade):
    """The colour of a map that is as light as `shade`, from 0, black, to 1, white."""
    from matplotlib import colormaps

    colours = colormaps[hue](np.linspace(1, 0, 256))  # from dark to light, as a search needs them
    return colours[np.searchsorted(colours[:, :3] @ LUMA, shade)]
