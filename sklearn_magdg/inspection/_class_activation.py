"""Where in an image the evidence for a class is."""

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklearn_magdg.inspection._style import (
    check_known,
    check_n_images,
    magnification_label,
    require_matplotlib,
    subdivide,
    wrap_to_axes,
)

MAX_COLUMNS = 6  # of images side by side
PANEL, TITLE = 1.55, 0.42  # width of an image and height of two lines, in inches
# Of colours that stains do not have and that the colour-blind tell apart, light where the evidence is; on an image in
# greys, since its own colours would mix with them.
COLOUR_MAP, OPACITY = "cividis", 0.65
LUMA = (0.299, 0.587, 0.114)  # what red, green and blue add to lightness
SCALES = {"all": "of all images", "image": "of each image"}


class ClassActivationDisplay:
    """Images, and below each the evidence for a class that a net finds in it, place by place (Grad-CAM).

    The map says where the net finds what raises the class's logit. It says neither that this is right nor what it
    would do without it, and what speaks against the class is not shown. It is as coarse as the layer: a place is a
    cell of its maps, and padded strides can show it up to half a cell too far to the lower right.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), dtype uint8
        As the net saw them.
    activations : ndarray of shape (n, h, w)
        Evidence at the resolution of the layer, at least 0, in logits.
    heatmaps : ndarray of shape (n, height, width)
        `activations` at the resolution of the images, relative to the strongest place, in [0, 1].
    class_names : ndarray of shape (n,)
        Class whose evidence is shown.
    probabilities : ndarray of shape (n,)
        Of that class, in [0, 1].
    rows : ndarray of shape (n,)
        Where in X each image stands.
    normalize : {"all", "image"}, default="all"
        What the heat maps are relative to, for the colour bar.
    layer : str, default=None
        Where the evidence was read.
    y, patient, magnification : ndarray of shape (n,), default=None
        What is known of each image.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (2 * n_bands, n_columns)
        Images, and below them their maps; None where there is no image.
    figure_ : Figure
        Its figure.
    colorbar_ : Colorbar
        Of the maps.

    References
    ----------
    R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV
    2017, eq. 1 and 2.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.estimators import CNNClassifier
    >>> from sklearn_magdg.inspection import ClassActivationDisplay
    >>> tissue = make_histology(4, images_per_cell=1, image_size=32, random_state=0)
    >>> model = CNNClassifier(max_epochs=1, random_state=0).fit(tissue.data, tissue.target)
    >>> display = ClassActivationDisplay.from_estimator(  # doctest: +SKIP
    ...     model, tissue.data, tissue.target, magnification=tissue.magnification, random_state=0
    ... )
    """

    def __init__(
        self,
        images,
        activations,
        heatmaps,
        *,
        class_names,
        probabilities,
        rows,
        normalize="all",
        layer=None,
        y=None,
        patient=None,
        magnification=None,
    ):
        self.images = images
        self.activations = activations
        self.heatmaps = heatmaps
        self.class_names = class_names
        self.probabilities = probabilities
        self.rows = rows
        self.normalize = normalize
        self.layer = layer
        self.y = y
        self.patient = patient
        self.magnification = magnification

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        target=None,
        layer=None,
        patient=None,
        magnification=None,
        n_images=6,
        normalize="all",
        random_state=None,
        ax=None,
    ):
        """Picture of the evidence that a fitted classifier finds in some of the images.

        Parameters
        ----------
        estimator : CNNClassifier, GradientReversalClassifier or GANAugmentedClassifier
            Fitted on images.
        X : array-like of shape (n_samples, height, width, 3) or (n_samples,)
            Images or image paths, as the estimator takes them; best of patients that it did not see.
        y : array-like of shape (n_samples,), default=None
            True classes.
        target : label, default=None
            Class whose evidence is shown, one of ``estimator.classes_``. None is the predicted class of each image.
        layer : str, default=None
            Layer whose maps are read, by its name within ``estimator.module_.encoder``. None is the last one that
            tells places apart, which knows most and is coarsest; an earlier one is finer and knows less.
        patient, magnification : array-like of shape (n_samples,), default=None
            Of every image.
        n_images : int, default=6
            Images shown, at least 1, in the order of X. Of more they are drawn at random, classes and magnifications
            in turn and, as far as that goes, each of another patient.
        normalize : {"all", "image"}, default="all"
            Whether 1 is the strongest place of all images shown or of each one. Image by image, as Grad-CAM is
            mostly shown, noise where nothing is found looks like firm evidence.
        random_state : int, RandomState or None, default=None
            Seed of the draw.
        ax : Axes, default=None
            Axes, made by `plt.subplots` or its like, whose place the picture takes; a new figure if None.

        Returns
        -------
        ClassActivationDisplay
            Drawn. An image without evidence for the class has a map of zeros, and its title says "none".

        Raises
        ------
        TypeError
            If `estimator` is none of the three.
        ValueError
            If X holds features, if lengths differ, if `target`, `n_images` or `normalize` is none of the above, if
            there is no such `layer`, or if the net has no maps, as a vision transformer.
        NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is missing.
        """
        check_n_images(n_images)
        _check_normalize(normalize)
        known = check_known(_num_samples(X), y=y, patient=patient, magnification=magnification)
        rows = _choose(n_images, _num_samples(X), known, check_random_state(random_state))
        net, images = _read(estimator, _safe_indexing(X, rows))
        proba = net.predict_proba(images)
        codes = _target_codes(target, net.classes_, proba)
        activations, heatmaps, layer = _maps(net, images, codes, layer)
        return cls(
            images,
            activations,
            _relative(heatmaps, normalize),
            class_names=net.classes_[codes],
            probabilities=proba[np.arange(len(rows)), codes],
            rows=rows,
            normalize=normalize,
            layer=layer,
            **{name: values[rows] for name, values in known.items()},
        ).plot(ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            Columns `row` (in X), `class` (whose evidence is shown), its `probability`, `strongest` (evidence at the
            strongest place, in logits) and, where they are known, `y`, `patient` and `magnification`, one row per
            image.
        """
        numbers = {
            "row": self.rows,
            "class": self.class_names,
            "probability": self.probabilities,
            "strongest": self.activations.max(axis=(1, 2)),
        }
        return pd.DataFrame(numbers | self._known())

    def _known(self):
        known = {"y": self.y, "patient": self.patient, "magnification": self.magnification}
        return {name: values for name, values in known.items() if values is not None}

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Axes, made by `plt.subplots` or its like, whose place the picture takes; best in a figure of
            `layout="constrained"`. A new figure, growing with the number of images, if None.

        Returns
        -------
        ClassActivationDisplay
            Itself.
        """
        plt = require_matplotlib("ClassActivationDisplay")
        n_bands = -(-len(self.images) // MAX_COLUMNS)
        n_columns = -(-len(self.images) // n_bands)
        if ax is None:
            height, width = self.images.shape[1:3]
            size = PANEL * n_columns + 0.9, 2 * (PANEL * height / width + TITLE) * n_bands
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.figure_ = ax.figure
        grid = subdivide(ax, 2 * n_bands, n_columns)
        self.axes_ = np.full((2 * n_bands, n_columns), None)
        for each in range(len(self.images)):
            band, column = divmod(each, n_columns)
            for row in (2 * band, 2 * band + 1):
                self.axes_[row, column] = self.figure_.add_subplot(grid[row, column])
            self._plot_image(self.axes_[2 * band, column], each)
            overlay = self._plot_evidence(self.axes_[2 * band + 1, column], each)
        self._add_colorbar(overlay)
        return self

    def _plot_image(self, ax, each):
        ax.imshow(self.images[each])
        _write_title(ax, self._origin(each))

    def _plot_evidence(self, ax, each):
        ax.imshow(self.images[each] @ LUMA, cmap="gray", vmin=0, vmax=255)
        found = "" if self.activations[each].any() else ": none"
        _write_title(ax, [f"for {self.class_names[each]}{found}", f"p = {self.probabilities[each]:.2f}"])
        return ax.imshow(self.heatmaps[each], cmap=COLOUR_MAP, vmin=0, vmax=1, alpha=OPACITY)

    def _origin(self, each):
        """What is known of an image, the class in a line of its own."""
        known = {name: values[each] for name, values in self._known().items()}
        if "magnification" in known:
            known["magnification"] = magnification_label(known["magnification"])
        lines = [known.pop("y", ""), ", ".join(map(str, known.values()))]
        return [str(line) for line in lines if line != ""] or [f"row {self.rows[each]}"]

    def _add_colorbar(self, overlay):
        drawn = [ax for ax in self.axes_.flat if ax is not None]
        self.colorbar_ = self.figure_.colorbar(overlay, ax=drawn, fraction=0.05, aspect=30)
        self.colorbar_.outline.set_visible(False)
        self.colorbar_.set_label(f"evidence for the class (1: most {SCALES[self.normalize]})")


def _check_normalize(normalize):
    if normalize not in SCALES:
        raise ValueError(f"`normalize` must be 'all' or 'image', got {normalize!r}.")


def _choose(n_images, n_samples, known, rng):
    """Rows of `n_images` at most, ascending: patients take turns, and cells of class and magnification do so first."""
    rows = rng.permutation(n_samples)
    for names in (["patient"], ["y", "magnification"]):
        group = np.zeros(n_samples, dtype=int)
        for name in names:
            group = group * n_samples + pd.factorize(known.get(name, np.zeros(n_samples)))[0]
        turn = pd.Series(rows).groupby(group[rows]).cumcount()
        rows = rows[np.argsort(turn, kind="stable")]
    return np.sort(rows[:n_images])


def _read(estimator, X):
    """The classifier that holds the net, and the images as that sees them."""
    from sklearn_magdg.estimators import CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier

    if not isinstance(estimator, CNNClassifier | GradientReversalClassifier | GANAugmentedClassifier):
        raise TypeError(
            "ClassActivationDisplay looks into a CNNClassifier, GradientReversalClassifier or GANAugmentedClassifier, "
            f"got {type(estimator).__name__}; of a Pipeline or a search give the fitted classifier inside."
        )
    check_is_fitted(estimator)
    augmented = isinstance(estimator, GANAugmentedClassifier)
    net = estimator.estimator_ if augmented else estimator
    source = net._as_source(estimator._read(X) if augmented else X, reset=False)
    if len(source.shape) == 1:
        raise ValueError(
            "ClassActivationDisplay shows places in images, and X holds features (2-D), which have none; give images "
            "and a classifier fitted on images."
        )
    return net, source.read(np.arange(len(source)))


def _target_codes(target, classes, proba):
    """Column of the class shown of every image."""
    if target is None:
        return proba.argmax(axis=1)
    found = np.flatnonzero(classes == target) if np.ndim(target) == 0 else []
    if not len(found):
        raise ValueError(f"`target` must be None or one of the classes {classes.tolist()}, got {target!r}.")
    return np.repeat(found, len(proba))


def _maps(net, images, codes, layer):
    """Activations at the layer's resolution and at that of the images, and the name of the layer."""
    import torch

    from sklearn_magdg.modules import grad_cam, last_map_layer, upsample
    from sklearn_magdg.training import threads

    device = next(net.module_.parameters()).device
    images, codes = (torch.from_numpy(values).split(net.batch_size) for values in (images, codes))
    with threads(net.n_jobs):
        layer = last_map_layer(net.module_, images[0].to(device)) if layer is None else layer
        activations = torch.cat(
            [
                grad_cam(net.module_, batch.to(device), target.to(device), layer).float().cpu()
                for batch, target in zip(images, codes, strict=True)
            ]
        )
    return activations.numpy(), upsample(activations, images[0].shape[1:3]).numpy(), layer


def _relative(maps, normalize):
    """Maps over their strongest place; zeros stay zeros."""
    strongest = maps.max(axis=(1, 2) if normalize == "image" else None, keepdims=True)
    return np.divide(maps, strongest, out=np.zeros_like(maps), where=strongest > 0)


def _write_title(ax, paragraphs):
    ax.set_axis_off()
    ax.set_title(wrap_to_axes(ax, paragraphs, "small"), fontsize="small")
