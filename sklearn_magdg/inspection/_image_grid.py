"""Real images beside generated ones, and beside the training images that these are nearest to."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklearn_magdg._metadata import sort_cells
from sklearn_magdg._words import name_some
from sklearn_magdg.cohort import cells_of, codes_of
from sklearn_magdg.inspection._image_sheet import HEADINGS, ImageSheet, cell_name
from sklearn_magdg.inspection._shown import check_n_images, draw_of_each, read_known
from sklearn_magdg.inspection._style import axes_for
from sklearn_magdg.metrics import nearest_training_images

MAX_SEED = 2**31 - 1


class ImageGridDisplay:
    """Images by class and magnification: a contact sheet, or real ones, generated ones and what these are nearest to.

    Whether a generator has learned a class, or some of its images by heart, is seen beside the training images only.
    Below the one nearest to each generated image stands their distance, relative to the distance from that training
    image to the next one. Both are distances in an embedding; that of the default is the same for an image turned or
    mirrored, as a generator that was fitted with ``flips=True`` may give it.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), dtype uint8
        What is drawn.
    table : DataFrame of n rows
        What `frame` gives. Bands stand in the order in which their class and magnification come first.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_bands, n_blocks)
        Each holds the images of a block and band, tiled.
    figure_ : Figure
        Its figure.

    See Also
    --------
    sklearn_magdg.metrics.nearest_training_images : The distances.
    sklearn_magdg.metrics.memorisation_test : Whether all generated images together lie too close.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.inspection import ImageGridDisplay
    >>> tissue = make_histology(4, images_per_cell=2, image_size=32, random_state=0)
    >>> display = ImageGridDisplay.from_images(  # doctest: +SKIP
    ...     tissue.data, tissue.target_names[tissue.target], magnification=tissue.magnification, random_state=0
    ... )
    """

    def __init__(self, images, table):
        self.images = images
        self.table = table

    @classmethod
    def from_estimator(
        cls,
        generator,
        X=None,
        y=None,
        *,
        magnification=None,
        embedding=None,
        n_images=4,
        random_state=None,
        ax=None,
    ):
        """Picture of what a fitted generator makes, beside its training images.

        Parameters
        ----------
        generator : DCGAN or GANAugmentedClassifier
            Fitted on images; a DCGAN may stand in `FrozenEstimator`.
        X : array-like of shape (n_samples, height, width, 3) or (n_samples,), default=None
            The images or image paths that the generator was fitted on, without those of its `validation_patients_`;
            all of them, since the nearest are looked for among these. They are shown as the generator saw them, and
            held in memory at its size. None shows generated images alone, which is what can be published where
            patients' images cannot.
        y, magnification : array-like of shape (n_samples,), default=None
            Of X, as in `fit` of the generator; what that was fitted without is not used.
        embedding : ImageEncoder or fitted transformer, default=None
            Gives images the embedding in which the nearest is the one at the smallest Euclidean distance. None is
            ``sklearn_magdg.estimators.ImageEncoder(turns=True)``, which nothing trains and which does not see how an
            image is turned.
        n_images : int, default=4
            Images of every class and magnification in a block, at least 1. Of real images fewer are shown where
            there are fewer.
        random_state : int, RandomState or None, default=None
            Seed of what is generated, and of the draw of real images; what is generated does not depend on X.
        ax : Axes, default=None
            Axes, made by `plt.subplots` or its like, whose place the picture takes; a new figure if None.

        Returns
        -------
        ImageGridDisplay
            Drawn.

        Raises
        ------
        TypeError
            If `generator` generates no images by class and magnification, or `embedding` does not transform.
        ValueError
            If the generator was fitted on features or `GANAugmentedClassifier` with ``ratio=0``; if X holds features;
            if `y` or `magnification` is missing beside X, comes without it, or holds a combination that the generator
            was not fitted on; if lengths differ or `n_images` is not as above.
        NotFittedError
            If the generator or the embedding is not fitted.
        ImportError
            If matplotlib is missing.
        """
        check_n_images(n_images)
        generator = _find_generator(generator)
        cells, rng = sort_cells(generator.cells_), check_random_state(random_state)
        codes = np.repeat(np.arange(len(cells)), n_images)
        generated = _sample(generator, cells, codes, rng)
        blocks = [(generated, _columns("generated", codes))]
        if X is not None:
            training = _read(X, generated.shape[1])
            training_codes = _codes_in(cells, len(training), y, magnification)
            rows = draw_of_each(training_codes, n_images, rng)
            blocks.append((training[rows], _columns("real", training_codes[rows], row=rows)))
            found = _find_nearest(generated, training, embedding)
            of_found = training_codes[found["row"]]
            pairs = zip(of_found, codes, strict=True)
            differs = [cell_name(cells[code], unlike=cells[expected]) for code, expected in pairs]
            blocks.append((training[found["row"]], _columns("nearest", codes, **found, differs=differs)))
        elif y is not None or magnification is not None or embedding is not None:
            raise ValueError("`y`, `magnification` and `embedding` are for the training images; give these as X too.")
        return cls(*_join(blocks, cells)).plot(ax)

    @classmethod
    def from_images(cls, images, y=None, *, magnification=None, n_images=4, random_state=None, ax=None):
        """Contact sheet of some of the images.

        Parameters
        ----------
        images : array-like of shape (n_samples, height, width, 3) or (n_samples,)
            Images, or image paths, which are brought to 224 pixels.
        y, magnification : array-like of shape (n_samples,), default=None
            Of every image.
        n_images : int, default=4
            Images drawn at random of every class and magnification, at least 1.
        random_state : int, RandomState or None, default=None
            Seed of the draw.
        ax : Axes, default=None
            Axes, made by `plt.subplots` or its like, whose place the picture takes; a new figure if None.

        Returns
        -------
        ImageGridDisplay
            Drawn.

        Raises
        ------
        ValueError
            If X holds features, lengths differ, a value is missing, or `n_images` is not as above.
        ImportError
            If matplotlib is missing.
        """
        check_n_images(n_images)
        cell_of_row = cells_of(read_known(_num_samples(images), y=y, magnification=magnification))
        cells = sort_cells(set(cell_of_row))
        codes = codes_of(cell_of_row, cells)
        rows = draw_of_each(codes, n_images, check_random_state(random_state))
        shown = _read(_safe_indexing(images, rows))  # of image paths only those drawn are opened
        return cls(*_join([(shown, _columns("images", codes[rows], row=rows))], cells)).plot(ax)

    def frame(self):
        """What is drawn, as a table.

        Returns
        -------
        DataFrame
            One row per image, band by band: `block` ("images", "real", "generated" or "nearest"), `class` and
            `magnification` of the band (None where unknown), `row` in X (missing for generated images), and of the
            nearest training images their `distance` to the generated image that stands at the same place, the `ratio`
            of this to their distance to the next training image that is no copy of them, and how their class or
            magnification `differs` from the band's ("" where it does not).

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sklearn_magdg.inspection import ImageGridDisplay
        >>> table = pd.DataFrame({"block": ["images"], "class": ["benign"], "magnification": [40], "row": [3]})
        >>> display = ImageGridDisplay(np.zeros((1, 8, 8, 3), np.uint8), table)
        >>> display.frame()
            block   class  magnification  row
        0  images  benign             40    3
        """
        return self.table.copy()

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Axes, made by `plt.subplots` or its like, whose place the picture takes; best in a figure of
            `layout="constrained"`. A new figure, growing with the number of bands and images, if None.

        Returns
        -------
        ImageGridDisplay
            Itself.
        """
        grid = ImageSheet(self.images, self.table)
        if ax is not None:
            grid.fit_into(ax)
        ax = axes_for("ImageGridDisplay", ax, grid.figure_size)
        self.figure_ = ax.figure
        places = grid.divide(ax)
        self.axes_ = np.empty((len(grid.cells), len(grid.blocks)), dtype=object)
        for at in np.ndindex(self.axes_.shape):
            self.axes_[at] = self.figure_.add_subplot(places[at])
            grid.plot(self.axes_[at], *at)
        grid.label(self.axes_)
        return self


def _find_generator(estimator):
    """The fitted generator of images in `estimator`, whatever it is wrapped in.

    Anything that has ``cells_`` and `sample` will do, so that a generator of one's own can be shown too.

    Raises
    ------
    TypeError, ValueError, NotFittedError
        If there is none: as in `ImageGridDisplay.from_estimator`.
    """
    from sklearn_magdg.estimators import DCGAN, GANAugmentedClassifier

    found = _thawed(estimator)
    if isinstance(found, GANAugmentedClassifier):
        check_is_fitted(found)
        if found.generator_ is None:
            raise ValueError(
                "This GANAugmentedClassifier was fitted with ratio=0 and has no generator; fit it with a `ratio` "
                "above 0, or show the training images by `ImageGridDisplay.from_images`."
            )
        found = _thawed(found.generator_)
    if isinstance(found, DCGAN):
        check_is_fitted(found)
    if not (hasattr(found, "sample") and hasattr(found, "cells_")):
        raise TypeError(
            f"ImageGridDisplay shows what a DCGAN or GANAugmentedClassifier generates, got {type(found).__name__}; of "
            "a Pipeline or a search give the fitted one inside."
        )
    if len(found.input_shape_) != 3:
        raise ValueError(
            f"ImageGridDisplay shows images, and this {type(found).__name__} was fitted on features (2-D); fit it on "
            "images."
        )
    return found


def _thawed(estimator):
    """What stands in `FrozenEstimator`, of whose class that is not, whatever it passes on."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def _sample(generator, cells, codes, rng):
    """A generated image of the cell of every code, (n, height, width, 3)."""
    y, magnification = (None if names[0] is None else np.array(names)[codes] for names in zip(*cells, strict=True))
    # a seed of its own: however much of it the generator takes, the same real images are drawn after it
    return generator.sample(len(codes), y, magnification=magnification, random_state=rng.randint(MAX_SEED))[0]


def _read(X, size=None):
    """Images of X (n, height, width, 3), brought to `size` as the estimators do."""
    from sklearn_magdg.images import as_source

    source = as_source(X, image_size=size)
    if source is None or len(source.shape) == 1:
        raise ValueError("ImageGridDisplay shows images, and X holds features (2-D); give the images or their paths.")
    return source.read(np.arange(len(source)))


def _codes_in(cells, n_samples, y, magnification):
    """Position in `cells`, those of a generator, of every training image `(n_samples,)`.

    What the generator was fitted without is not looked at, even where it is given.

    Raises
    ------
    ValueError
        If what it was fitted with is missing, or names a cell that is none of them.
    """
    asked = {"y": y, "magnification": magnification}
    for name, of_cell in zip(asked, cells[0], strict=True):
        if of_cell is None:
            asked[name] = None
        elif asked[name] is None:
            raise ValueError(f"The generator was fitted with `{name}`; give that of X too, or no X.")
    cell_of_row = cells_of(read_known(n_samples, **asked))
    codes = codes_of(cell_of_row, cells)
    if (codes < 0).any():
        strangers = sort_cells(set(cell_of_row[codes < 0]))
        raise ValueError(
            f"X holds images of {name_some(map(cell_name, strangers))}, which the generator was not fitted on "
            f"({name_some(map(cell_name, cells))}); give the images that it was fitted on, and their `y` and "
            "`magnification` as they were spelled then."
        )
    return codes


def _find_nearest(generated, training, embedding):
    """Of the training image nearest to each generated one: its `row`, its `distance` and the `ratio` of that.

    The ratio is that to the distance from the training image to the next one that is no copy of it: a generator that
    has learned comes no closer to a training image than other images do, and one that has copied it does. It is nan
    where there is no such other image.

    Raises
    ------
    TypeError
        If `embedding` does not transform.
    """
    from sklearn_magdg.estimators import ImageEncoder

    if embedding is None or isinstance(embedding, ImageEncoder):  # which learns nothing, so that any fit is as good
        embedding = clone(embedding or ImageEncoder(turns=True)).fit(training)
    if not hasattr(embedding, "transform"):
        raise TypeError(f"`embedding` must be a fitted estimator with `transform`, got {embedding!r}.")
    of_training = embedding.transform(training)
    rows, distances = nearest_training_images(embedding.transform(generated), training=of_training)
    rows, distances = rows[:, 0], distances[:, 0]

    # of several copies one stays, at distance 0 to all of them, and the second nearest is then another image
    _, distinct = np.unique([hash(image.tobytes()) for image in training], return_index=True)
    spacing = np.zeros(len(rows))
    if len(distinct) > 1:
        among = nearest_training_images(of_training[rows], training=of_training[distinct], n_neighbors=2)
        spacing = among.distances[:, 1]
    ratio = np.divide(distances, spacing, out=np.full(len(rows), np.nan), where=spacing > 0)
    return {"row": rows, "distance": distances, "ratio": ratio}


def _columns(block, codes, *, row=None, distance=np.nan, ratio=np.nan, differs=""):
    """Table of a block, one row per image; `codes` are positions of cells, which `_join` turns into names."""
    row = pd.array([pd.NA] * len(codes) if row is None else row, dtype="Int64")
    numbers = {"row": row, "distance": distance, "ratio": ratio, "differs": differs}
    return pd.DataFrame({"block": block, "code": codes} | numbers)


def _join(blocks, cells):
    """Images of all blocks, and their table, band by band and in it block by block, as they stand in the picture."""
    images = np.concatenate([images for images, _ in blocks])
    table = pd.concat([columns for _, columns in blocks], ignore_index=True)
    place = table["block"].map(list(HEADINGS).index)
    order = np.lexsort([place, table["code"]])
    table = table.iloc[order].reset_index(drop=True)
    for at, name in enumerate(("class", "magnification")):
        table.insert(1 + at, name, np.array([cell[at] for cell in cells])[table["code"]])
    return images[order], table.drop(columns="code")
