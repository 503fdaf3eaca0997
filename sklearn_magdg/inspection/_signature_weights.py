"""Weights of a signature, the strongest dimensions by name."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg.inspection._style import BESIDE, COLOURS, axes_for, dimension_names, method_styles, write_title

# Blue speaks for the first of two classes, vermilion for the second; the sides of 0 say it without colour.
FIRST_COLOUR, LAST_COLOUR = COLOURS[1:3]


class SignatureWeightsDisplay:
    """Weights of the strongest dimensions: bars to the side of a class, points of a colour per class if more than two.

    Parameters
    ----------
    weights : ndarray of shape (n_classes or 1, n_features)
        Coefficients; two classes have one row, that of the last.
    classes : array-like of shape (n_classes,)
        Labels, at least two.
    max_dimensions : int, default=20
        Most dimensions drawn, those with the largest absolute weight for any class.
    feature_names : array-like of n_features str, default=None
        Names of the dimensions; their indices if None.

    Attributes
    ----------
    ax_ : Axes
        The picture.
    figure_ : Figure
        Its figure.

    See Also
    --------
    SignaturePathDisplay : The weights along `C`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.inspection import SignatureWeightsDisplay
    >>> from sklearn_magdg.signature import SparseSignatureSelector
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> y = np.where(X[:, 3] > 0, "malignant", "benign")
    >>> selector = SparseSignatureSelector(C=0.1).fit(X, y)
    >>> display = SignatureWeightsDisplay.from_estimator(selector)  # doctest: +SKIP
    """

    def __init__(self, weights, classes, *, max_dimensions=20, feature_names=None):
        self.weights = weights
        self.classes = classes
        self.max_dimensions = max_dimensions
        self.feature_names = feature_names

    @classmethod
    def from_estimator(cls, selector, *, max_dimensions=20, feature_names=None, ax=None):
        """Picture of the weights of a fitted estimator.

        Parameters
        ----------
        selector : fitted estimator
            With `coef_` and `classes_`: a `SparseSignatureSelector`, whose weights are those of standardised features,
            or any linear classifier.
        max_dimensions : int, default=20
            Most dimensions drawn, at least 1.
        feature_names : array-like of n_features str, default=None
            Names of the dimensions; those seen in `fit` if None, or else their indices.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        SignatureWeightsDisplay
            Drawn.

        Raises
        ------
        TypeError
            If the estimator has no `coef_` and `classes_`.
        ValueError
            If `max_dimensions` is below 1, or there are not as many names as dimensions.
        NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is missing.
        """
        check_is_fitted(selector)
        if not (hasattr(selector, "coef_") and hasattr(selector, "classes_")):
            raise TypeError(
                f"SignatureWeightsDisplay needs `coef_` and `classes_`, which {selector!r} lacks; give a fitted "
                "SparseSignatureSelector or linear classifier."
            )
        if max_dimensions < 1:
            raise ValueError(f"`max_dimensions` must be at least 1, got {max_dimensions!r}.")
        names = getattr(selector, "feature_names_in_", None) if feature_names is None else feature_names
        options = {"max_dimensions": max_dimensions, "feature_names": names}
        return cls(selector.coef_, selector.classes_, **options).plot(ax)

    def frame(self):
        """All weights, drawn or not, as a table.

        Returns
        -------
        DataFrame
            One row per dimension with a weight, the strongest first, by name; one column per class, or one for the
            last of two classes.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_magdg.inspection import SignatureWeightsDisplay
        >>> SignatureWeightsDisplay(np.array([[0.0, -0.5, 0.75]]), ["benign", "malignant"]).frame()
           malignant
        2       0.75
        1      -0.50
        """
        order, classes = self._order(), self.classes if len(self.weights) > 1 else self.classes[-1:]
        return pd.DataFrame(self.weights[:, order].T, index=self._names()[order], columns=list(classes))

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; a new figure, growing with the number of dimensions, if None.

        Returns
        -------
        SignatureWeightsDisplay
            Itself.
        """
        shown, names = self._order()[: self.max_dimensions], self._names()
        ax = axes_for("SignatureWeightsDisplay", ax, (5.4, 1.8 + 0.2 * len(shown)))
        self.ax_, self.figure_ = ax, ax.figure
        if len(self.weights) > 1:
            self._plot_points(shown)
        else:
            weights = self.weights[0, shown]
            colours = np.where(weights < 0, FIRST_COLOUR, LAST_COLOUR)
            ax.barh(np.arange(len(shown)), weights, height=0.7, color=colours)
            # arrows rather than a legend: the side of a bar says its class
            left, right = f"\N{LEFTWARDS ARROW} {self.classes[0]}", f"{self.classes[1]} \N{RIGHTWARDS ARROW}"
            ax.set_xlabel(f"{left}     weight     {right}")
        self._label_axes(names[shown])
        return self

    def _names(self):
        return dimension_names(self.feature_names, self.weights.shape[1])

    def _order(self):
        """Indices of the dimensions with a weight, the strongest first."""
        strength = np.abs(self.weights).max(axis=0)
        return np.argsort(-strength, kind="stable")[: np.count_nonzero(strength)]

    def _plot_points(self, shown):
        """A point per class that weighs a dimension, on a line from the smallest to the largest weight and to 0."""
        rows, weights = np.arange(len(shown)), self.weights[:, shown]
        ends = np.minimum(weights.min(axis=0), 0), np.maximum(weights.max(axis=0), 0)
        self.ax_.hlines(rows, *ends, color="0.8", linewidth=0.8, zorder=0)
        for name, of_class, style in zip(self.classes, weights, method_styles(len(self.classes)), strict=True):
            weighed = np.flatnonzero(of_class)
            look = style | {"linestyle": "none", "markersize": 6, "alpha": 0.85, "markeredgewidth": 0}
            self.ax_.plot(of_class[weighed], weighed, **look, label=str(name))
        self.ax_.legend(**BESIDE)
        self.ax_.set_xlabel("weight")

    def _label_axes(self, names):
        """Names of the dimensions, the strongest at the top."""
        self.ax_.axvline(0, color="0.3", linewidth=0.8)
        self.ax_.set_yticks(np.arange(len(names)), names, fontsize="small")
        self.ax_.set(ylim=(len(names) - 0.4, -0.6), ylabel="dimension")
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.locator_params(axis="x", nbins=6)
        write_title(self.ax_, self._title())
        self.ax_.spines[["top", "right", "left"]].set_visible(False)

    def _title(self):
        """How many dimensions are left out, and how much they could weigh at most."""
        order = self._order()
        hidden = order[self.max_dimensions :]
        if not hidden.size:
            return f"all {len(order):,} dimensions with a weight"
        largest = np.abs(self.weights[:, hidden]).max()
        return f"{self.max_dimensions:,} of {len(order):,} dimensions; the others weigh at most {largest:.2g}"
