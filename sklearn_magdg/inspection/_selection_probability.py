"""How often resamples select every dimension, against the threshold."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg.inspection._style import COLOURS, axes_for, dimension_names, write_title
from sklearn_magdg.signature import KnockoffSignatureSelector, StableSignatureSelector

SELECTED_COLOUR = COLOURS[2]
N_LINEAR = 60  # ranks that an even axis shows apart; beyond, the axis is logarithmic
NAME_HEIGHT = 7  # points that a name takes across the axis of ranks


class SelectionProbabilityDisplay:
    """Selection probability of every dimension, the highest first, with the threshold of the stable signature.

    The selected dimensions are coloured, and named while there is room for names. A signature is clear-cut where the
    values fall steeply through the threshold.

    Parameters
    ----------
    values : ndarray of shape (n_features,)
        Selection probabilities in [0, 1], or knockoff statistics in [-1, 1].
    signature : ndarray of int
        Indices of the selected dimensions.
    threshold : float, default=None
        Drawn as a line where finite.
    value_name : str, default="selection probability"
        What `values` are.
    expected_false_positives : float, default=None
        Bound on the mean number of false positives, for the title.
    fdr : float, default=None
        Bound on the mean share of false positives, for the title.
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
    sklearn_magdg.signature.StableSignatureSelector, sklearn_magdg.signature.KnockoffSignatureSelector : The numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.inspection import SelectionProbabilityDisplay
    >>> from sklearn_magdg.signature import KnockoffSignatureSelector, StableSignatureSelector
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> y = np.where(X[:, 3] > 0, "malignant", "benign")
    >>> selector = StableSignatureSelector(max_features=1, n_resamples=20, random_state=0).fit(X, y)
    >>> display = SelectionProbabilityDisplay.from_estimator(selector)  # doctest: +SKIP
    """

    def __init__(
        self,
        values,
        *,
        signature,
        threshold=None,
        value_name="selection probability",
        expected_false_positives=None,
        fdr=None,
        feature_names=None,
    ):
        self.values = values
        self.signature = signature
        self.threshold = threshold
        self.value_name = value_name
        self.expected_false_positives = expected_false_positives
        self.fdr = fdr
        self.feature_names = feature_names

    @classmethod
    def from_estimator(cls, selector, *, feature_names=None, ax=None):
        """Picture of what a fitted selector counted on its half-samples.

        Parameters
        ----------
        selector : fitted StableSignatureSelector or KnockoffSignatureSelector
            Of knockoffs the statistics are drawn, by which they select: the selection probability of each dimension
            minus that of its knockoff.
        feature_names : array-like of n_features str, default=None
            Names of the dimensions; those seen in `fit` if None, or else their indices.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        SelectionProbabilityDisplay
            Drawn.

        Raises
        ------
        TypeError
            If `selector` is neither.
        ValueError
            If there are not as many names as dimensions.
        NotFittedError
            If the selector is not fitted.
        ImportError
            If matplotlib is missing.
        """
        if not isinstance(selector, StableSignatureSelector | KnockoffSignatureSelector):
            raise TypeError(
                "SelectionProbabilityDisplay needs a fitted StableSignatureSelector or KnockoffSignatureSelector, got "
                f"{selector!r}."
            )
        check_is_fitted(selector)
        names = getattr(selector, "feature_names_in_", None) if feature_names is None else feature_names
        known = {"signature": selector.signature_, "threshold": selector.threshold_, "feature_names": names}
        if isinstance(selector, StableSignatureSelector):
            known["expected_false_positives"] = selector.expected_false_positives_
            return cls(selector.selection_probabilities_, **known).plot(ax)
        known |= {"fdr": selector.fdr, "value_name": "selection probability\nminus that of the knockoff"}
        return cls(selector.knockoff_statistics_, **known).plot(ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            One row per dimension, the highest value first, by name; columns `rank` (from 1), `value` and `selected`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_magdg.inspection import SelectionProbabilityDisplay
        >>> display = SelectionProbabilityDisplay(np.array([0.25, 1.0]), signature=np.array([1]), threshold=0.6)
        >>> display.frame().reset_index()
          dimension  rank  value  selected
        0         1     1   1.00      True
        1         0     2   0.25     False
        """
        order = np.argsort(-self.values, kind="stable")
        columns = {"rank": np.arange(1, len(order) + 1), "value": self.values[order]}
        columns["selected"] = np.isin(order, self.signature)
        return pd.DataFrame(columns, index=pd.Index(self._names()[order], name="dimension"))

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        SelectionProbabilityDisplay
            Itself.
        """
        table = self.frame()
        ax = axes_for("SelectionProbabilityDisplay", ax, (6.4, 4.0))
        self.ax_, self.figure_ = ax, ax.figure
        looks = {
            "not selected": ({"color": "0.6", "markersize": 3.0}, ~table["selected"]),
            "selected": ({"color": SELECTED_COLOUR, "markersize": 5.0}, table["selected"]),
        }
        for words, (look, rows) in looks.items():
            part, look = table[rows], look | {"marker": "o", "linestyle": "none", "markeredgewidth": 0}
            # points at 0 and 1 stay whole
            ax.plot(part["rank"], part["value"], **look, label=f"{len(part):,} {words}", clip_on=False)
        if self.threshold is not None and np.isfinite(self.threshold):
            words = f"threshold {self.threshold:.2g}"
            ax.axhline(self.threshold, color="black", linewidth=1.0, linestyle="--", label=words, zorder=0)
        self._label_axes(len(table))
        self._name_selected(table[table["selected"]])
        return self

    def _names(self):
        return dimension_names(self.feature_names, len(self.values))

    def _label_axes(self, n_features):
        """Of many dimensions the first ranks matter, to which a logarithmic axis gives the room."""
        logarithmic = n_features > N_LINEAR
        self.ax_.set(xlabel="rank of the dimension", ylabel=self.value_name, ylim=(min(0, self.values.min()), 1))
        self.ax_.set(xscale="log" if logarithmic else "linear", xlim=(0.8 if logarithmic else 0.3, n_features + 0.7))
        self.ax_.xaxis.set_major_formatter("{x:,.0f}")
        self.ax_.legend(loc="upper right", facecolor="white", framealpha=0.9, edgecolor="none", fontsize="small")
        write_title(self.ax_, self._title(), pad=10)
        self.ax_.spines[["top", "right"]].set_visible(False)

    def _name_selected(self, selected):
        """Names beneath the points, if all find room; upright ones, unless they are short beside the distances.

        It must come after the scale and the limits of the axes are set, from which the distances in points follow.
        """
        x = self.ax_.transData.transform(np.column_stack([selected["rank"], selected["rank"]]))[:, 0]
        room = np.diff(x).min(initial=np.inf) * 72 / self.figure_.dpi
        if room < NAME_HEIGHT:
            return
        fits_upright = max(map(len, selected.index), default=0) * NAME_HEIGHT < min(room, 3 * NAME_HEIGHT)
        place = {"xytext": (0, -6), "textcoords": "offset points", "ha": "center", "va": "top"}
        look = {"rotation": 0 if fits_upright else 90, "fontsize": "x-small"}
        white = {"facecolor": "white", "linewidth": 0, "pad": 0.5}  # the threshold must not strike a name through
        for name, row in selected.iterrows():
            self.ax_.annotate(name, (row["rank"], row["value"]), **place, **look, bbox=white)

    def _title(self):
        """Size of the signature, and what bounds the false positives in it."""
        words = f"{len(self.signature):,} of {len(self.values):,} dimensions"
        if self.fdr is not None:
            return f"{words}; false discovery rate at most {self.fdr:.2g}"
        if self.expected_false_positives is not None:
            return f"{words}; on average at most {self.expected_false_positives:.2g} are false"
        return words
