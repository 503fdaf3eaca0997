"""Reliability diagrams without bins."""

import numpy as np
import pandas as pd

from sklearn_magdg.inspection._style import method_styles, require_matplotlib
from sklearn_magdg.metrics._brier import BrierDecomposition, brier_decomposition, recalibrate
from sklearn_magdg.metrics._probabilities import check_probabilities

HISTOGRAM_BINS = 20
LIMITS = (-0.02, 1.02)  # leaves whole the markers at 0 and 1


class ReliabilityDisplay:
    """CORP reliability diagram of one or several methods, over a histogram of their predictions.

    The curve is the isotonic regression of the outcome on the predicted probability; on the diagonal a forecast
    means what it says. The legend takes the Brier score apart into miscalibration (MCB), discrimination (DSC) and
    uncertainty (UNC).

    Parameters
    ----------
    curves : dict
        Method -> `(predicted, recalibrated, weight)`, arrays of shape (n_distinct_predictions,), ascending.
    decompositions : dict
        Method -> `(score, miscalibration, discrimination, uncertainty)`.
    pos_label : label
        The class of which the probabilities speak.

    Attributes
    ----------
    ax_ : Axes
        The diagram.
    histogram_ax_ : Axes
        The histogram beneath it.
    figure_ : Figure
        Both.

    See Also
    --------
    sklearn_magdg.metrics.brier_decomposition : The numbers of the legend.

    References
    ----------
    .. [1] T. Dimitriadis, T. Gneiting, A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers",
       PNAS 118(8), 2021, figure 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.inspection import ReliabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(100)
    >>> display = ReliabilityDisplay.from_predictions(rng.random(100) < p, p, name="CNN")  # doctest: +SKIP
    """

    def __init__(self, curves, decompositions, *, pos_label):
        self.curves = curves
        self.decompositions = decompositions
        self.pos_label = pos_label

    @classmethod
    def from_predictions(
        cls, y_true, y_proba, *, name=None, groups=None, sample_weight=None, pos_label=None, labels=None, ax=None
    ):
        """Diagram of predicted probabilities, two classes.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels; numbers or strings.
        y_proba : array-like of shape (n_samples,) or (n_samples, 2), or dict
            Probabilities of `pos_label`, or of both sorted labels. A dict maps each method's name to its
            probabilities of the same samples.
        name : str, default=None
            Name of the one method; "predictions" if None.
        groups : array-like of shape (n_samples,), default=None
            Draws one curve per value instead (the method or the held-out magnification of every row of a table of
            predictions), in the order of first appearance.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of at least 0.
        pos_label : label, default=None
            The positive class. `None` is the last of the sorted labels.
        labels : array-like of 2 labels, default=None
            Both labels, where `y_true` lacks one.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        ReliabilityDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are more than two classes, `groups` and a dict are both given, and as in
            `sklearn_magdg.metrics.brier_decomposition`.
        ImportError
            If matplotlib is missing.
        """
        labels = np.unique(y_true) if labels is None else np.unique(labels)
        if len(labels) > 2:
            raise ValueError(
                f"ReliabilityDisplay draws 2 classes, got {len(labels)}: {labels.tolist()}; give the indicator of one "
                f"class as `y_true` and its column as `y_proba`."
            )
        # one label alone is explained by the check of the probabilities, unless it is 0 or 1
        options = {"pos_label": pos_label, "labels": labels if len(labels) == 2 else None}
        curves, decompositions = {}, {}
        for method, (y, p, weight) in _methods(y_true, y_proba, name, groups, sample_weight).items():
            p = _positive_column(p, labels, pos_label)
            indicator, p, weight = check_probabilities(y, p, sample_weight=weight, **options)
            curves[method] = _curve(indicator[:, 0], p[:, 0], weight)
            decompositions[method] = brier_decomposition(y, p, sample_weight=weight, **options)
        return cls(curves, decompositions, pos_label=labels[-1] if pos_label is None else pos_label).plot(ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            Columns `method`, `predicted`, `recalibrated`, `weight`: one row per method and distinct prediction.
        """
        tables = [
            pd.DataFrame({"method": method, "predicted": p, "recalibrated": r, "weight": w})
            for method, (p, r, w) in self.curves.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            The histogram hangs beneath it, in a quarter of its height: leave room. A new figure if None.

        Returns
        -------
        ReliabilityDisplay
            Itself.
        """
        plt = require_matplotlib("ReliabilityDisplay")
        if ax is None:
            # nearly square; a fixed aspect would be applied after the layout and push the legend out of the figure
            _, ax = plt.subplots(figsize=(5.4, 6.8), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.histogram_ax_ = ax.inset_axes([0, -0.26, 1, 0.2])
        ax.plot([0, 1], [0, 1], color="0.65", linewidth=1, zorder=1)
        for (method, curve), style in zip(self.curves.items(), method_styles(len(self.curves)), strict=True):
            self._plot_method(method, curve, style)
        self._label_axes()
        return self

    def _plot_method(self, method, curve, style):
        predicted, recalibrated, weight = curve
        label = f"{method}: {_in_words(self.decompositions[method])}"
        self.ax_.plot(predicted, recalibrated, **style, label=label, linewidth=1.6, markersize=5, markevery=0.12)
        self.histogram_ax_.hist(
            predicted,
            bins=np.linspace(0, 1, HISTOGRAM_BINS + 1),
            weights=weight / weight.sum(),
            histtype="step",
            color=style["color"],
            linestyle=style["linestyle"],
            linewidth=1.4,
        )

    def _label_axes(self):
        self.ax_.set(xlim=LIMITS, ylim=LIMITS, ylabel=f"observed frequency of {self.pos_label}")
        self.ax_.tick_params(labelbottom=False)
        # above the square, where no curve can hide it
        self.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1.01), borderaxespad=0, frameon=False, fontsize="small")
        self.histogram_ax_.set(xlim=LIMITS, xlabel=f"predicted probability of {self.pos_label}", ylabel="share")
        for ax in (self.ax_, self.histogram_ax_):
            ax.spines[["top", "right"]].set_visible(False)


def _methods(y_true, y_proba, name, groups, sample_weight):
    """Method -> (labels, probabilities, weights or None)."""
    y_true = np.asarray(y_true)
    if isinstance(y_proba, dict):
        if groups is not None or name is not None:
            raise ValueError("A dict of `y_proba` names its methods itself; drop `name` and `groups`.")
        return {method: (y_true, np.asarray(p), sample_weight) for method, p in y_proba.items()}
    y_proba = np.asarray(y_proba)
    if groups is None:
        return {"predictions" if name is None else name: (y_true, y_proba, sample_weight)}
    weight = np.ones(len(y_true)) if sample_weight is None else np.asarray(sample_weight)
    groups = np.asarray(groups)
    if not len(y_true) == len(y_proba) == len(groups):
        raise ValueError(
            f"`y_true`, `y_proba` and `groups` have {len(y_true)}, {len(y_proba)} and {len(groups)} rows; give one "
            f"each per sample."
        )
    rows = {method: groups == method for method in pd.unique(groups)}
    return {method: (y_true[each], y_proba[each], weight[each]) for method, each in rows.items()}


def _positive_column(y_proba, labels, pos_label):
    """The column of the positive class of (n, 2) probabilities; anything else as it is."""
    if y_proba.ndim == 2 and y_proba.shape[1] == 2:
        check_probabilities(np.full(len(y_proba), labels[0]), y_proba, labels=labels if len(labels) == 2 else None)
        return y_proba[:, 0 if len(labels) == 2 and pos_label == labels[0] else 1]
    return y_proba


def _curve(indicator, probability, weight):
    """Distinct predictions, ascending, their recalibration and weight."""
    recalibrated = recalibrate(indicator, probability, weight)
    predicted, first, group = np.unique(probability, return_index=True, return_inverse=True)
    return predicted, recalibrated[first], np.bincount(group, weights=weight)


def _in_words(decomposition):
    score, miscalibration, discrimination, uncertainty = BrierDecomposition(*decomposition)
    return f"Brier {score:.3f} = MCB {miscalibration:.3f} − DSC {discrimination:.3f} + UNC {uncertainty:.3f}"
