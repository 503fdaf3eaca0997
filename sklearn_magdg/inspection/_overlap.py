"""Heat map of the overlap of signatures."""

import numpy as np
import pandas as pd

from sklearn_magdg.inspection._style import axes_for
from sklearn_magdg.signature import expected_jaccard, jaccard_matrix, signature_stability

UNEQUAL = 0.01  # spread of the chance level over pairs of sizes beyond which one number misleads


class SignatureOverlapDisplay:
    """Jaccard overlap of every pair of signatures, beside what chance alone would give.

    Chance depends on the sizes: where they differ, it stands beneath every overlap, and the colour bar shows from
    where to where it goes. The interval of the title treats signatures as independent; folds that share patients are
    not, hence its "or wider".

    Parameters
    ----------
    overlap : ndarray of shape (k, k)
        As from `jaccard_matrix`; `nan` where undefined.
    labels : list of k str
        Names of the signatures.
    sizes : ndarray of shape (k,)
        Numbers of dimensions.
    stability : NamedTuple
        As from `signature_stability`.
    chance : ndarray of shape (k, k)
        Mean overlap of random signatures of the sizes of every pair, as from `expected_jaccard`.

    Attributes
    ----------
    ax_ : Axes
        The heat map.
    figure_ : Figure
        Its figure.
    colorbar_ : Colorbar
        With the chance level as a line, or as a band where sizes differ.

    See Also
    --------
    sklearn_magdg.signature.signature_stability : The numbers of the title.

    Examples
    --------
    >>> from sklearn_magdg.inspection import SignatureOverlapDisplay
    >>> display = SignatureOverlapDisplay.from_signatures(  # doctest: +SKIP
    ...     [[0, 1, 2], [1, 2, 3], [0, 2]], ["40X", "100X", "200X"], n_features=16
    ... )
    """

    def __init__(self, overlap, labels, *, sizes, stability, chance):
        self.overlap = overlap
        self.labels = labels
        self.sizes = sizes
        self.stability = stability
        self.chance = chance

    @classmethod
    def from_signatures(cls, signatures, labels, n_features, *, ax=None):
        """Heat map of given signatures.

        Parameters
        ----------
        signatures : list of k array-likes of int
            Indices of each signature's dimensions.
        labels : list of k str
            Names of the signatures (fold, held-out magnification).
        n_features : int
            Dimensions of the embedding.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        SignatureOverlapDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are not as many labels as signatures, or an index is not below `n_features`.
        ImportError
            If matplotlib is missing.
        """
        signatures, labels = list(signatures), [str(label) for label in labels]
        if len(signatures) != len(labels) or not labels:
            raise ValueError(
                f"Give one label per signature and at least one, got {len(labels)} for {len(signatures)} signatures."
            )
        stability = signature_stability(signatures, n_features)
        sizes = np.array([len(np.unique(signature)) for signature in signatures])
        chance = np.array([[expected_jaccard(a, b, n_features) for b in sizes] for a in sizes])
        return cls(jaccard_matrix(signatures), labels, sizes=sizes, stability=stability, chance=chance).plot(ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame of shape (k, k)
            Overlap by label and label.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_magdg.inspection import SignatureOverlapDisplay
        >>> from sklearn_magdg.signature import jaccard_matrix, signature_stability
        >>> signatures = [[0, 1, 2], [1, 2, 3]]
        >>> display = SignatureOverlapDisplay(
        ...     jaccard_matrix(signatures),
        ...     ["40X", "100X"],
        ...     sizes=np.array([3, 3]),
        ...     stability=signature_stability(signatures, 16),
        ...     chance=np.ones((2, 2)),
        ... )
        >>> display.frame()
              40X  100X
        40X   1.0   0.5
        100X  0.5   1.0
        """
        return pd.DataFrame(self.overlap, index=self.labels, columns=self.labels)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; a new figure, growing with the number of signatures, if None.

        Returns
        -------
        SignatureOverlapDisplay
            Itself.
        """
        side = 2.2 + 0.62 * len(self.labels)
        ax = axes_for("SignatureOverlapDisplay", ax, (max(side + 1.4, 5.4), max(side, 4.2)))
        self.ax_, self.figure_ = ax, ax.figure
        # dark means alike: one hue of falling lightness, the same in greyscale
        image = ax.imshow(np.ma.masked_invalid(self.overlap), vmin=0, vmax=1, cmap="Blues")
        ax.set_facecolor("0.85")  # shows where the overlap is undefined
        for (row, column), value in np.ndenumerate(self.overlap):
            text, size = ("undefined", "x-small") if np.isnan(value) else (f"{value:.2f}", "medium")
            centred = {"ha": "center", "va": "center", "color": "white" if value > 0.55 else "black"}
            ax.text(column, row, text, fontsize=size, **centred)
            if self._chance_differs() and row != column and not np.isnan(value):
                ax.text(column, row + 0.3, f"{self.chance[row, column]:.2f}", fontsize="x-small", **centred)
        self._label_axes()
        self._add_colorbar(image)
        return self

    def _chance_of_pairs(self):
        """Chance levels (n_pairs,) of the pairs of different signatures for which it is defined."""
        of_pairs = self.chance[np.triu_indices(len(self.labels), k=1)]
        return of_pairs[~np.isnan(of_pairs)]

    def _chance_differs(self):
        """Whether one number for the chance level of all pairs would mislead."""
        of_pairs = self._chance_of_pairs()
        return of_pairs.size > 0 and np.ptp(of_pairs) > UNEQUAL

    def _label_axes(self):
        """Names of the signatures, on the left with their sizes, and the stability as title."""
        ticks = np.arange(len(self.labels))
        named = [f"{label}\n({size})" for label, size in zip(self.labels, self.sizes, strict=True)]
        slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        self.ax_.set_xticks(ticks, self.labels, **(slanted if max(map(len, self.labels)) > 6 else {}))
        self.ax_.set_yticks(ticks, named)
        self.ax_.tick_params(length=0)
        self.ax_.set_ylabel("signature (number of dimensions)")
        self.ax_.set_title(self._title(), fontsize="medium")
        self.ax_.spines[:].set_visible(False)

    def _title(self):
        """Stability of all signatures with its interval, which two at least have."""
        if np.isnan(self.stability.stability):
            return "Stability undefined"
        _, _, stability, low, high = self.stability
        return f"Stability {stability:.2f} (95 % interval {low:.2f} to {high:.2f} or wider)"

    def _add_colorbar(self, image):
        """With what chance alone would give: a line, or a box where it differs from pair to pair."""
        self.colorbar_ = self.figure_.colorbar(image, ax=self.ax_, shrink=0.85)
        self.colorbar_.outline.set_visible(False)
        chance = self._chance_of_pairs()
        if not chance.size:
            self.colorbar_.set_label("Jaccard overlap")
        elif self._chance_differs():
            self.colorbar_.ax.axhspan(chance.min(), chance.max(), facecolor="none", edgecolor="black", linewidth=1.5)
            words = f"box, and small in cells: chance, {chance.min():.2f} to {chance.max():.2f}"
            self.colorbar_.set_label(f"Jaccard overlap\n({words})")
        else:
            self.colorbar_.ax.axhline(self.stability.jaccard_chance, color="black", linewidth=2)
            self.colorbar_.set_label(f"Jaccard overlap (line: chance, {self.stability.jaccard_chance:.2f})")
