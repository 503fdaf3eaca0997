"""Weights along the path of an l1-penalised logistic regression, and the point that was chosen on it."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg._words import counted
from sklearn_magdg.inspection._style import BESIDE, COLOURS, axes_for, dimension_names
from sklearn_magdg.signature import SparseSignatureSelector, follow_anew, position_of

N_NAMED = len(COLOURS)  # lines that differ by colour
N_COUNTS = 7  # numbers of dimensions above the picture
LOSS_NAMES = {"neg_log_loss": "log loss", "neg_brier_score": "Brier score"}
LOSS_PANEL = (0, -0.58, 1, 0.5)  # left, bottom, width and height in those of the path


class SignaturePathDisplay:
    """Weight of every dimension along `C`, the chosen `C`, and the cross-validated loss where it is known.

    The strongest dimensions of the signature have names and colours, its others are dark grey, those outside light
    grey. The numbers above count the dimensions in use.

    Parameters
    ----------
    Cs : ndarray of shape (n_Cs,)
        Inverse penalties, ascending.
    weights : ndarray of shape (n_Cs, n_features)
        Coefficients of two classes; of more classes their Euclidean norm.
    signature : ndarray of int
        Indices of the dimensions to bring out.
    chosen_C : float, default=None
        Drawn as a vertical line.
    feature_names : array-like of n_features str, default=None
        Names of the dimensions; their indices if None.
    cv_losses : ndarray of shape (n_Cs, n_folds), default=None
        Loss of every `C` in every fold, drawn beneath as mean and standard error.
    loss_name : str, default="loss"
        What `cv_losses` are.
    weight_name : str, default="weight"
        Label of the vertical axis.

    Attributes
    ----------
    ax_ : Axes
        The path.
    loss_ax_ : Axes or None
        The cross-validated loss.
    figure_ : Figure
        Their figure.

    See Also
    --------
    sklearn_magdg.signature.signature_path : The numbers.
    SignatureWeightsDisplay : The weights at the chosen `C`, by name.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.inspection import SignaturePathDisplay
    >>> from sklearn_magdg.signature import SparseSignatureSelector
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> y = np.where(X[:, 3] > 0, "malignant", "benign")
    >>> selector = SparseSignatureSelector(C=0.1).fit(X, y)
    >>> display = SignaturePathDisplay.from_estimator(selector, X, y)  # doctest: +SKIP
    """

    def __init__(
        self,
        Cs,
        weights,
        *,
        signature,
        chosen_C=None,
        feature_names=None,
        cv_losses=None,
        loss_name="loss",
        weight_name="weight",
    ):
        self.Cs = Cs
        self.weights = weights
        self.signature = signature
        self.chosen_C = chosen_C
        self.feature_names = feature_names
        self.cv_losses = cv_losses
        self.loss_name = loss_name
        self.weight_name = weight_name

    @classmethod
    def from_path(cls, path, *, chosen_C=None, feature_names=None, ax=None):
        """Picture of a given path.

        Parameters
        ----------
        path : SignaturePath
            As from `sklearn_magdg.signature.signature_path`.
        chosen_C : float, default=None
            One of the path's `Cs`, whose non-zero dimensions are brought out; None brings out those at the end of the
            path and draws no line.
        feature_names : array-like of n_features str, default=None
            Names of the dimensions; their indices if None.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        SignaturePathDisplay
            Drawn.

        Raises
        ------
        ValueError
            If `chosen_C` is not on the path, or there are not as many names as dimensions.
        ImportError
            If matplotlib is missing.
        """
        Cs, coefs, _ = path
        at = -1 if chosen_C is None else position_of(Cs, chosen_C)
        weights = _weights(coefs)
        options = {"chosen_C": chosen_C, "feature_names": feature_names, "weight_name": _weight_name(coefs)}
        return cls(Cs, weights, signature=np.flatnonzero(weights[at]), **options).plot(ax)

    @classmethod
    def from_estimator(cls, selector, X, y, *, sample_weight=None, feature_names=None, ax=None):
        """Picture of the path on which a fitted selector chose its signature, which is followed anew.

        Parameters
        ----------
        selector : fitted SparseSignatureSelector
            With `C="cv"` the loss is drawn beneath the path. With `per_magnification=True` the path is that of all
            magnifications together; the dimensions that they share are brought out.
        X : array-like of shape (n_samples, n_features)
            What the selector was fitted on.
        y : array-like of shape (n_samples,)
            Labels that it was fitted on.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights that it was fitted with.
        feature_names : array-like of n_features str, default=None
            Names of the dimensions; those seen in `fit` if None, or else their indices.
        ax : Axes, default=None
            Path and loss share its place in the figure. A new figure if None.

        Returns
        -------
        SignaturePathDisplay
            Drawn.

        Raises
        ------
        TypeError
            If `selector` is no `SparseSignatureSelector`.
        ValueError
            If `X` has other features or `y` other labels than in `fit`, or if there are not as many names as
            dimensions.
        NotFittedError
            If the selector is not fitted.
        ImportError
            If matplotlib is missing.

        Warns
        -----
        UserWarning
            If the path does not pass through the weights of the selector: the data are others than in `fit`.
        """
        if not isinstance(selector, SparseSignatureSelector):
            raise TypeError(
                f"SignaturePathDisplay needs a fitted SparseSignatureSelector, got {selector!r}; draw the path of "
                f"other models with `from_path`."
            )
        check_is_fitted(selector)
        path = follow_anew(selector, X, y, sample_weight)
        return cls(
            path.Cs,
            _weights(path.coefs),
            signature=selector.signature_,
            chosen_C=selector.C_,
            feature_names=getattr(selector, "feature_names_in_", None) if feature_names is None else feature_names,
            cv_losses=getattr(selector, "cv_losses_", None),
            loss_name=LOSS_NAMES[selector.scoring],
            weight_name=_weight_name(path.coefs, selector.classes_),
        ).plot(ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            One row per `C`, the index. Columns `n_dimensions`, where the loss is known `loss` and `standard_error`,
            and the weight of every dimension that the path uses, under its name.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_magdg.inspection import SignaturePathDisplay
        >>> weights = np.array([[0.0, 0.0, 0.5], [0.0, -0.25, 1.0]])
        >>> SignaturePathDisplay(np.array([0.1, 1.0]), weights, signature=np.array([1, 2])).frame().reset_index()
             C  n_dimensions     1    2
        0  0.1             1  0.00  0.5
        1  1.0             2 -0.25  1.0
        """
        columns = {"n_dimensions": self._n_dimensions()}
        if self.cv_losses is not None:
            columns["loss"], columns["standard_error"] = _mean_and_error(self.cv_losses)
        summary = pd.DataFrame(columns, index=pd.Index(self.Cs, name="C"))
        used, names = self.weights.any(axis=0), self._names()
        return summary.join(pd.DataFrame(self.weights[:, used], index=summary.index, columns=names[used]))

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Path and loss share its place in the figure. A new figure if None.

        Returns
        -------
        SignaturePathDisplay
            Itself.
        """
        from matplotlib.collections import LineCollection

        names, own_figure = self._names(), ax is None
        ax = axes_for("SignaturePathDisplay", ax, (7.2, 4.2 if self.cv_losses is None else 5.6))
        self.ax_, self.figure_, self.loss_ax_ = ax, ax.figure, None

        # the strongest of the signature by name, in the order in which their lines end beside the legend
        at = -1 if self.chosen_C is None else self._nearest(self.chosen_C)
        by_weight = self.signature[np.argsort(-np.abs(self.weights[at, self.signature]), kind="stable")]
        strongest = by_weight[:N_NAMED]
        strongest = strongest[np.argsort(-self.weights[-1, strongest], kind="stable")]
        for dimension, colour in zip(strongest, COLOURS, strict=False):
            self.ax_.plot(self.Cs, self.weights[:, dimension], color=colour, linewidth=1.6, label=names[dimension])

        used = np.flatnonzero(self.weights.any(axis=0))
        within, outside = np.setdiff1d(self.signature, strongest), np.setdiff1d(used, self.signature)
        groups = {"others of the signature": (within, "0.5", 1.2), "outside the signature": (outside, "0.85", 1.1)}
        for words, (dimensions, colour, layer) in groups.items():
            if dimensions.size:
                # one collection draws thousands of lines at once, where as many plots would be slow
                lines = [np.column_stack([self.Cs, self.weights[:, each]]) for each in dimensions]
                look = {"colors": colour, "linewidths": 0.8, "zorder": layer}
                self.ax_.add_collection(LineCollection(lines, **look, label=f"{dimensions.size:,} {words}"))

        self._label_axes()
        self._plot_choice()
        ax.legend(**BESIDE, fontsize="small", title="dimension", alignment="left")  # beside the lines' ends
        if own_figure:
            self.figure_.draw_without_rendering()  # one pass of the layout would cut the labels beneath
        return self

    def _names(self):
        return dimension_names(self.feature_names, self.weights.shape[1])

    def _n_dimensions(self):
        """Number of dimensions in use at every `C` `(n_Cs,)`."""
        return (self.weights != 0).sum(axis=1)

    def _nearest(self, C):
        """Position of `C` on the path, which a rounding must not lose."""
        return np.argmin(np.abs(self.Cs - C))

    def _label_axes(self):
        """Names of the axes, and along the top the number of dimensions in use, at about `N_COUNTS` of the `C`."""
        self.ax_.axhline(0, color="0.3", linewidth=0.8, zorder=0)
        self.ax_.set(xscale="log", xlabel="C (inverse penalty)", ylabel=self.weight_name)
        self.ax_.autoscale_view()  # collections of lines do not do it themselves
        self.ax_.margins(x=0.01)
        self.ax_.spines[["top", "right"]].set_visible(False)

        wanted, step = np.linspace(*np.log(self.Cs[[0, -1]]), N_COUNTS, retstep=True)
        distance = np.abs(np.log(self.Cs)[:, None] - wanted)  # (n_Cs, n_counts)
        near = distance.min(axis=0) <= step / 3  # else two numbers could overlap
        at = np.unique(distance.argmin(axis=0)[near])
        counts = self.ax_.secondary_xaxis("top")
        counts.set_xticks(self.Cs[at], [f"{n:,}" for n in self._n_dimensions()[at]], fontsize="small")
        counts.set_xticks([], minor=True)
        counts.set_xlabel("number of dimensions", fontsize="small")
        counts.tick_params(length=0)
        counts.spines[:].set_visible(False)

    def _plot_choice(self):
        """The loss beneath the path, where it is known, and through both lines at the chosen `C` and the best one."""
        marked, panels = {} if self.chosen_C is None else {self.chosen_C: ("chosen", "--")}, [self.ax_]
        if self.cv_losses is not None:
            mean, error = _mean_and_error(self.cv_losses)
            self.loss_ax_ = self.ax_.inset_axes(LOSS_PANEL, sharex=self.ax_)
            self.ax_.set_axes_locator(_AboveLoss(self.ax_))
            self.ax_.set_xlabel("")
            self.ax_.tick_params(labelbottom=False)
            look = {"color": "0.3", "marker": "o", "markersize": 3.5, "linewidth": 1.0, "elinewidth": 0.8}
            self.loss_ax_.errorbar(self.Cs, mean, yerr=error, **look)
            self.loss_ax_.set(xlabel="C (inverse penalty)", ylabel=f"cross-validated\n{self.loss_name}")
            self.loss_ax_.spines[["top", "right"]].set_visible(False)
            panels.append(self.loss_ax_)
            # where both are one it stays the chosen one
            marked.setdefault(self.Cs[np.argmin(mean)], ("lowest loss", ":"))

        for C, (words, dash) in marked.items():
            n_dimensions = self._n_dimensions()[self._nearest(C)]
            label = f"{words}: C = {C:.3g}\n({counted(n_dimensions, 'dimension')})"
            for ax in panels:
                ax.axvline(C, color="black", linewidth=1.2, linestyle=dash, label=label)


class _AboveLoss:
    """Locator: the part of the place of the axes that the loss beneath leaves to the path.

    A locator is asked at every drawing, so that the part follows when the figure or its layout changes.
    """

    def __init__(self, ax):
        self.get_subplotspec = ax.get_subplotspec  # asked for by tight layouts

    def __call__(self, ax, renderer):
        place = ax.get_position(original=True)
        height = place.height / (1 - LOSS_PANEL[1])
        return type(place).from_bounds(place.x0, place.y1 - height, place.width, height)


def _weights(coefs):
    """(n_Cs, n_features) of (n_Cs, 1 or n_classes, n_features): as it is, or its norm over classes."""
    return coefs[:, 0] if coefs.shape[1] == 1 else np.linalg.norm(coefs, axis=1)


def _weight_name(coefs, classes=None):
    """Label of the axis of the `_weights`; of two classes it says for which one those above 0 speak."""
    if coefs.shape[1] > 1:
        return f"weight (norm over {coefs.shape[1]} classes)"
    return "weight" if classes is None else f"weight (above 0: {classes[-1]})"


def _mean_and_error(losses):
    """Mean over folds of (n_Cs, n_folds), and its standard error, 0 for one fold."""
    n_folds = losses.shape[1]
    return losses.mean(axis=1), losses.std(axis=1, ddof=min(n_folds - 1, 1)) / np.sqrt(n_folds)
