"""How a reliability diagram is drawn: curves, bands, histogram and legend in the place of given axes."""

import numpy as np

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg.inspection._style import method_styles, width_in_inches, wrap_to_axes

HISTOGRAM_BINS = 20
LEGEND_BOTTOM = 1.01  # in heights of the diagram
HISTOGRAM = (0, -0.26, 1, 0.2)  # left, bottom, width and height in those of the diagram
LIMITS = (-0.02, 1.02)  # leaves whole the markers at 0 and 1
BAND_DARKNESS = 0.14  # where all bands overlap
TRACE_WIDTH = 7  # points
TRACE = {"linewidth": TRACE_WIDTH, "alpha": 0.3, "solid_capstyle": "butt", "zorder": 1}  # of a curve outside its band
WIDE = 4  # inches; the legend of narrower axes is smaller
KEY_WIDTH = 6  # characters that the key of a legend takes beside its words


class ReliabilityDiagram:
    """Draws the numbers of a `ReliabilityDisplay` on axes, and the histogram beneath them on axes of its own.

    The histogram is an inset of the diagram, so that both move together when the legend above takes room.

    Parameters
    ----------
    display : ReliabilityDisplay
        Of which the numbers are read.
    ax : Axes
        Whose place legend, diagram and histogram share.

    Attributes
    ----------
    histogram_ax : Axes
        Beneath `ax`.
    """

    def __init__(self, display, ax):
        self.curves, self.bands, self.decompositions = display.curves, display.bands, display.decompositions
        self.pos_label, self.confidence_level = display.pos_label, display.confidence_level
        self.ax, self.histogram_ax = ax, ax.inset_axes(HISTOGRAM)

    def draw(self):
        """Everything, the legend last, since its words are wrapped to the width of the axes."""
        self.ax.plot([0, 1], [0, 1], color="0.65", linewidth=1, zorder=1)
        styles = dict(zip(self.curves, method_styles(len(self.curves)), strict=True))
        lines = {method: self._plot_method(method, style) for method, style in styles.items()}
        if self.bands:
            for method, style in styles.items():
                self._plot_band(method, style)
        self._label_axes()
        self._add_legend(lines)

    def _plot_method(self, method, style):
        """The curve, of which the line is returned, and its histogram."""
        predicted, recalibrated, weight = self.curves[method]
        marked = len(self.curves) > 1 or len(predicted) == 1
        # markers at equal distances along the line, and not one at each of a thousand forecasts
        marks = {"marker": style["marker"] if marked else "", "markevery": 0.12 if len(predicted) > 1 else None}
        line = {each: style[each] for each in ("color", "linestyle")}
        [drawn] = self.ax.plot(predicted, recalibrated, **line, **marks, markersize=5, linewidth=1.6)
        bins = np.linspace(0, 1, HISTOGRAM_BINS + 1)
        share = weight / weight.sum()
        self.histogram_ax.hist(predicted, bins=bins, weights=share, histtype="step", **line, linewidth=1.4)
        return drawn

    def _plot_band(self, method, style):
        """The band, and a broad trace where the curve leaves it, which is a dot where it does so at one forecast only.

        The band is grey for one method; of several each has the colour and dash of its curve.
        """
        (predicted, recalibrated, _), (low, high) = self.curves[method], self.bands[method]
        look = {"color": "black", "alpha": 1 - (1 - BAND_DARKNESS) ** (1 / len(self.curves)), "zorder": 0}
        if len(self.curves) > 1:
            look["color"] = style["color"]
            line = {each: style[each] for each in ("color", "linestyle")}
            self.ax.plot(predicted, np.transpose([low, high]), **line, linewidth=0.7, alpha=0.7, zorder=0)
        if len(predicted) == 1:
            self.ax.vlines(predicted, low, high, linewidth=TRACE_WIDTH, **look)
        else:
            self.ax.fill_between(predicted, low, high, linewidth=0, **look)

        outside = outside_band(self.curves[method], self.bands[method])
        self.ax.plot(predicted, np.where(outside, recalibrated, np.nan), color=style["color"], **TRACE)
        beside = np.concatenate([[False], outside, [False]])
        lonely = outside & ~beside[:-2] & ~beside[2:]  # of which a line would show nothing
        dot = {"marker": "o", "linestyle": "none", "markersize": 1.5 * TRACE_WIDTH, "markeredgewidth": 0}
        if lonely.any():
            self.ax.plot(predicted[lonely], recalibrated[lonely], color=style["color"], **TRACE, **dot)

    def _label_axes(self):
        """Both share the axis of the forecasts, whose numbers stand beneath the histogram alone."""
        self.ax.set(xlim=LIMITS, ylim=LIMITS, ylabel=f"observed frequency of {self.pos_label}")
        self.ax.tick_params(labelbottom=False)
        self.histogram_ax.set(xlim=LIMITS, xlabel=f"predicted probability of {self.pos_label}", ylabel="share")
        for ax in (self.ax, self.histogram_ax):
            ax.spines[["top", "right"]].set_visible(False)

    def _add_legend(self, lines):
        """Above the square, where no curve can hide it; square and histogram take what it leaves of the axes.

        Band and trace have keys that look as they do in the diagram; no trace where no curve leaves its band.
        """
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        size = "small" if width_in_inches(self.ax) >= WIDE else "x-small"
        keys = []
        for method, line in lines.items():
            score, miscalibration, discrimination, uncertainty = self.decompositions[method]
            parts = f"MCB {miscalibration:.3f} − DSC {discrimination:.3f} + UNC {uncertainty:.3f}"
            name, words = f"{magnification_text(method)}:", f"Brier {score:.3f} = {parts}"
            label = wrap_to_axes(self.ax, [f"{name} {words}"], size, indent=KEY_WIDTH)
            if "\n" in label:  # then the name has lines of its own
                label = wrap_to_axes(self.ax, [name, words], size, indent=KEY_WIDTH)
            keys.append((line, label))
        if self.bands:
            words = f"{100 * self.confidence_level:g} % consistency band"
            edged = ", edged like its curve" if len(self.curves) > 1 else ""
            keys.append((Patch(color="black", alpha=BAND_DARKNESS, linewidth=0), words + edged))
            if any(outside_band(self.curves[method], band).any() for method, band in self.bands.items()):
                trace = Line2D([], [], color="black", **TRACE), Line2D([], [], color="black", linewidth=1.6)
                keys.append((trace, "curve outside its band"))
        place = {"loc": "lower left", "bbox_to_anchor": (0, LEGEND_BOTTOM), "borderaxespad": 0}
        self.ax.legend(*zip(*keys, strict=True), **place, frameon=False, fontsize=size)
        self.ax.set_axes_locator(_BeneathLegend(self.ax))


def outside_band(curve, band):
    """Mask of the predictions (n_distinct,) at which the curve leaves its band."""
    low, high = band
    # the small term: a mean of ones may be a hair below 1
    return np.maximum(low - curve[1], curve[1] - high) > 1e-9


class _BeneathLegend:
    """Locator: of the place of the axes, the box that legend and histogram leave to the diagram.

    A locator is asked at every drawing, so that the box follows when the figure, its layout or the legend changes.
    """

    def __init__(self, ax):
        self.get_subplotspec = ax.get_subplotspec  # asked for by tight layouts

    def __call__(self, ax, renderer):
        place = ax.get_position(original=True)
        legend = ax.get_legend()  # None once the caller removed it
        taken = legend.get_window_extent(renderer).height / ax.figure.bbox.height if legend else 0
        room = max(place.height - taken, place.height / 3)  # however long the legend
        height = room / (LEGEND_BOTTOM - HISTOGRAM[1])
        return type(place).from_bounds(place.x0, place.y0 - HISTOGRAM[1] * height, place.width, height)
