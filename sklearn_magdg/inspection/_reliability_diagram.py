"""How a reliability diagram is drawn: curves, bands, histogram and legend in the place of given axes."""

import numpy as np

from sklearn_magdg.inspection._style import magnification_label, method_styles, width_in_inches, wrap_to_axes
from sklearn_magdg.metrics import BrierDecomposition

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
    """Draws the numbers of a `ReliabilityDisplay` on axes, and the histogram beneath them on axes of its own."""

    def __init__(self, display, ax):
        self.curves, self.bands, self.decompositions = display.curves, display.bands, display.decompositions
        self.pos_label, self.confidence_level = display.pos_label, display.confidence_level
        self.ax, self.histogram_ax = ax, ax.inset_axes(HISTOGRAM)

    def draw(self):
        self.ax.plot([0, 1], [0, 1], color="0.65", linewidth=1, zorder=1)
        styles = dict(zip(self.curves, method_styles(len(self.curves)), strict=True))
        lines = {method: self._plot_method(method, style) for method, style in styles.items()}
        if self.bands:
            for method, style in styles.items():
                self._plot_band(method, style)
                self._plot_trace(method, style)
        self._label_axes()
        self._add_legend(lines)

    def _plot_method(self, method, style):
        """The curve, of which the line is returned, and its histogram."""
        predicted, recalibrated, weight = self.curves[method]
        marked = len(self.curves) > 1 or len(predicted) == 1
        marks = {"marker": style["marker"] if marked else "", "markevery": 0.12 if len(predicted) > 1 else None}
        line = {each: style[each] for each in ("color", "linestyle")}
        [drawn] = self.ax.plot(predicted, recalibrated, **line, **marks, markersize=5, linewidth=1.6)
        bins = np.linspace(0, 1, HISTOGRAM_BINS + 1)
        share = weight / weight.sum()
        self.histogram_ax.hist(predicted, bins=bins, weights=share, histtype="step", **line, linewidth=1.4)
        return drawn

    def _plot_band(self, method, style):
        """In grey for one method; of several each in the colour and dash of its curve."""
        predicted, (low, high) = self.curves[method][0], self.bands[method]
        look = {"color": "black", "alpha": 1 - (1 - BAND_DARKNESS) ** (1 / len(self.curves)), "zorder": 0}
        if len(self.curves) > 1:
            look["color"] = style["color"]
            line = {each: style[each] for each in ("color", "linestyle")}
            self.ax.plot(predicted, np.transpose([low, high]), **line, linewidth=0.7, alpha=0.7, zorder=0)
        if len(predicted) == 1:
            self.ax.vlines(predicted, low, high, linewidth=TRACE_WIDTH, **look)
        else:
            self.ax.fill_between(predicted, low, high, linewidth=0, **look)

    def _plot_trace(self, method, style):
        """A broad trace where the curve leaves its band, a dot where it does so at one forecast only."""
        predicted, recalibrated, _ = self.curves[method]
        outside = outside_band(self.curves[method], self.bands[method])
        self.ax.plot(predicted, np.where(outside, recalibrated, np.nan), color=style["color"], **TRACE)
        beside = np.concatenate([[False], outside, [False]])
        lonely = outside & ~beside[:-2] & ~beside[2:]
        dot = {"marker": "o", "linestyle": "none", "markersize": 1.5 * TRACE_WIDTH, "markeredgewidth": 0}
        if lonely.any():
            self.ax.plot(predicted[lonely], recalibrated[lonely], color=style["color"], **TRACE, **dot)

    def _label_axes(self):
        self.ax.set(xlim=LIMITS, ylim=LIMITS, ylabel=f"observed frequency of {self.pos_label}")
        self.ax.tick_params(labelbottom=False)
        self.histogram_ax.set(xlim=LIMITS, xlabel=f"predicted probability of {self.pos_label}", ylabel="share")
        for ax in (self.ax, self.histogram_ax):
            ax.spines[["top", "right"]].set_visible(False)

    def _add_legend(self, lines):
        """Above the square, where no curve can hide it; square and histogram take what it leaves of the axes."""
        size = "small" if width_in_inches(self.ax) >= WIDE else "x-small"
        keys = [(line, self._legend_entry(method, size)) for method, line in lines.items()]
        handles, words = zip(*keys, *(self._band_keys() if self.bands else []), strict=True)
        place = {"loc": "lower left", "bbox_to_anchor": (0, LEGEND_BOTTOM), "borderaxespad": 0}
        self.ax.legend(handles, words, **place, frameon=False, fontsize=size)
        self.ax.set_axes_locator(_BeneathLegend(self.ax))

    def _legend_entry(self, method, size):
        name, words = f"{magnification_label(method)}:", _in_words(self.decompositions[method])
        in_one_line = wrap_to_axes(self.ax, [f"{name} {words}"], size, indent=KEY_WIDTH)
        return wrap_to_axes(self.ax, [name, words], size, indent=KEY_WIDTH) if "\n" in in_one_line else in_one_line

    def _band_keys(self):
        """Keys and words of band and trace, which look as they do in the diagram."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        words = f"{100 * self.confidence_level:g} % consistency band"
        if len(self.curves) > 1:
            words += ", edged like its curve"
        band = Patch(color="black", alpha=BAND_DARKNESS, linewidth=0)
        if not any(outside_band(self.curves[method], self.bands[method]).any() for method in self.bands):
            return [(band, words)]
        trace = Line2D([], [], color="black", **TRACE), Line2D([], [], color="black", linewidth=1.6)
        return [(band, words), (trace, "curve outside its band")]


def outside_band(curve, band):
    """Mask of the predictions (n_distinct,) at which the curve leaves its band."""
    low, high = band
    # the small term: a mean of ones may be a hair below 1
    return np.maximum(low - curve[1], curve[1] - high) > 1e-9


class _BeneathLegend:
    """Locator: of the place of the axes, the box that legend and histogram leave to the diagram."""

    def __init__(self, ax):
        self.get_subplotspec = ax.get_subplotspec  # asked for by tight layouts

    def __call__(self, ax, renderer):
        place = ax.get_position(original=True)
        legend = ax.get_legend()  # None once the caller removed it
        taken = legend.get_window_extent(renderer).height / ax.figure.bbox.height if legend else 0
        room = max(place.height - taken, place.height / 3)  # however long the legend
        height = room / (LEGEND_BOTTOM - HISTOGRAM[1])
        return type(place).from_bounds(place.x0, place.y0 - HISTOGRAM[1] * height, place.width, height)


def _in_words(decomposition):
    score, miscalibration, discrimination, uncertainty = BrierDecomposition(*decomposition)
    return f"Brier {score:.3f} = MCB {miscalibration:.3f} − DSC {discrimination:.3f} + UNC {uncertainty:.3f}"
