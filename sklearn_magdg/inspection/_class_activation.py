"""Where in an image the evidence for a class is."""

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg.cohort import as_column
from sklearn_magdg.inspection._shown import check_n_images, draw_varied, read_known
from sklearn_magdg.inspection._style import LUMA, axes_for, subdivide, wrap_to_axes

MAX_COLUMNS = 6  # of images side by side
PANEL, TITLE = 1.55, 0.42  # width of an image and height of two lines, in inches
# Of colours that stains do not have and that the colour-blind tell apart, light where the evidence is; on an image in
# greys, since its own colours would mix with them.
COLOUR_MAP, OPACITY = "cividis", 0.65
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
        if normalize not in SCALES:
            raise ValueError(f"`normalize` must be 'all' or 'image', got {normalize!r}.")
        known = {"y": y, "patient": patient, "magnification": magnification}
        cohort = read_known(_num_samples(X), **known)
        rows = draw_varied(cohort, n_images, check_random_state(random_state))
        # of image paths only those drawn are opened
        net, images = _read(estimator, _safe_indexing(X, rows))
        class_names, probabilities, activations, heatmaps, layer = _explain(net, images, target, layer)
        strongest = heatmaps.max(axis=(1, 2) if normalize == "image" else None, keepdims=True)
        return cls(
            images,
            activations,
            np.divide(heatmaps, strongest, out=np.zeros_like(heatmaps), where=strongest > 0),  # zeros stay zeros
            class_names=class_names,
            probabilities=probabilities,
            rows=rows,
            normalize=normalize,
            layer=layer,
            # as they were given: codes and names would not keep the dtype
            **{name: as_column(values, name)[rows] for name, values in known.items() if values is not None},
        ).plot(ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            Columns `row` (in X), `class` (whose evidence is shown), its `probability`, `strongest` (evidence at the
            strongest place, in logits) and, where they are known, `y`, `patient` and `magnification`, one row per
            image.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_magdg.inspection import ClassActivationDisplay
        >>> maps = np.array([[[0.0, 0.5], [0.0, 2.0]]])
        >>> display = ClassActivationDisplay(
        ...     np.zeros((1, 2, 2, 3), np.uint8),
        ...     maps,
        ...     maps / 2,
        ...     class_names=np.array(["malignant"]),
        ...     probabilities=np.array([0.9]),
        ...     rows=np.array([7]),
        ... )
        >>> display.frame()
           row      class  probability  strongest
        0    7  malignant          0.9        2.0
        """
        numbers = {
            "row": self.rows,
            "class": self.class_names,
            "probability": self.probabilities,
            "strongest": self.activations.max(axis=(1, 2)),
        }
        return pd.DataFrame(numbers | self._known())

    def _known(self):
        """What is known of the images, by name, and nothing of what is not."""
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
        n_bands = -(-len(self.images) // MAX_COLUMNS)
        n_columns = -(-len(self.images) // n_bands)
        height, width = self.images.shape[1:3]
        size = PANEL * n_columns + 0.9, 2 * (PANEL * height / width + TITLE) * n_bands
        ax = axes_for("ClassActivationDisplay", ax, size)
        self.figure_ = ax.figure
        grid = subdivide(ax, 2 * n_bands, n_columns)
        self.axes_ = np.full((2 * n_bands, n_columns), None)
        for each in range(len(self.images)):
            band, column = divmod(each, n_columns)
            pair = [self.figure_.add_subplot(grid[row, column]) for row in (2 * band, 2 * band + 1)]
            self.axes_[2 * band : 2 * band + 2, column] = pair
            overlay = self._plot_pair(each, *pair)
        self._add_colorbar(overlay)
        return self

    def _plot_pair(self, each, above, below):
        """An image with what is known of it, and below it in greys with the evidence, whose colours are returned."""
        known = {name: values[each] for name, values in self._known().items()}
        if "magnification" in known:
            known["magnification"] = magnification_text(known["magnification"])
        # the class has a line of its own, as the answer below has one for the class that it speaks of
        lines = [known.pop("y", ""), ", ".join(map(str, known.values()))]
        origin = [str(line) for line in lines if line != ""] or [f"row {self.rows[each]}"]
        found = "" if self.activations[each].any() else ": none"
        answer = [f"for {self.class_names[each]}{found}", f"p = {self.probabilities[each]:.2f}"]
        above.imshow(self.images[each])
        below.imshow(self.images[each] @ LUMA, cmap="gray", vmin=0, vmax=255)
        for ax, words in ((above, origin), (below, answer)):
            ax.set_axis_off()
            ax.set_title(wrap_to_axes(ax, words, "small"), fontsize="small")
        return below.imshow(self.heatmaps[each], cmap=COLOUR_MAP, vmin=0, vmax=1, alpha=OPACITY)

    def _add_colorbar(self, overlay):
        """One for all maps, beside them; it takes its width from every column alike."""
        drawn = [ax for ax in self.axes_.flat if ax is not None]
        self.colorbar_ = self.figure_.colorbar(overlay, ax=drawn, fraction=0.05, aspect=30)
        self.colorbar_.outline.set_visible(False)
        self.colorbar_.set_label(f"evidence for the class (1: most {SCALES[self.normalize]})")


def _read(estimator, X):
    """The classifier that holds the net, and the images (n, height, width, 3) as that sees them.

    Raises
    ------
    TypeError
        If `estimator` holds no such net.
    ValueError
        If X holds features.
    """
    from sklearn_magdg.estimators import (
        CNNClassifier,
        GANAugmentedClassifier,
        GradientReversalClassifier,
        seen_by_net,
    )

    if not isinstance(estimator, CNNClassifier | GradientReversalClassifier | GANAugmentedClassifier):
        raise TypeError(
            "ClassActivationDisplay looks into a CNNClassifier, GradientReversalClassifier or GANAugmentedClassifier, "
            f"got {type(estimator).__name__}; of a Pipeline or a search give the fitted classifier inside."
        )
    check_is_fitted(estimator)
    net, source = seen_by_net(estimator, X)
    if len(source.shape) == 1:
        raise ValueError(
            "ClassActivationDisplay shows places in images, and X holds features (2-D), which have none; give images "
            "and a classifier fitted on images."
        )
    return net, source.read(np.arange(len(source)))


def _explain(net, images, target, layer):
    """Class shown of every image, its probability, its evidence at the layer's resolution and at that of the images.

    The name of the layer comes last. The net is asked batch by batch, as in `predict`: maps and gradients of a layer
    take far more memory than images.

    Raises
    ------
    ValueError
        If `target` is neither None, which takes the most probable class of each image, nor a class of the net, or as
        in `grad_cam`.
    """
    import torch

    from sklearn_magdg.modules import grad_cam, last_map_layer, upsample
    from sklearn_magdg.training import threads

    proba = net.predict_proba(images)
    codes = proba.argmax(axis=1)
    if target is not None:
        found = np.flatnonzero(net.classes_ == target) if np.ndim(target) == 0 else []
        if not len(found):
            raise ValueError(f"`target` must be None or one of the classes {net.classes_.tolist()}, got {target!r}.")
        codes = np.repeat(found, len(images))

    device = next(net.module_.parameters()).device
    batches, targets = (torch.from_numpy(values).split(net.batch_size) for values in (images, codes))
    with threads(net.n_jobs):
        layer = last_map_layer(net.module_, batches[0].to(device)) if layer is None else layer
        maps = [
            # in single precision also of a net that computes in bfloat16, which NumPy does not know
            grad_cam(net.module_, batch.to(device), of_batch.to(device), layer).float().cpu()
            for batch, of_batch in zip(batches, targets, strict=True)
        ]
    activations = torch.cat(maps)
    heatmaps = upsample(activations, images.shape[1:3])
    return net.classes_[codes], proba[np.arange(len(images)), codes], activations.numpy(), heatmaps.numpy(), layer
