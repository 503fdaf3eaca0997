"""What the displays share: matplotlib on demand, lines that differ without colour, words that fit, names."""

import textwrap
from itertools import cycle, islice

import numpy as np

# Okabe and Ito's palette in an order of falling darkness; each method also has its own marker and dash.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1, 1.5)))
LUMA = (0.299, 0.587, 0.114)  # what red, green and blue add to lightness
CHARACTER_WIDTH = 0.56  # of the font size, the mean of matplotlib's default font
# to the right of the axes, beside what they show and never upon it
BESIDE = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0, "frameon": False}


def axes_for(caller, ax, figsize):
    """Axes to draw on: `ax`, or the only ones of a new figure of `figsize` inches.

    matplotlib is imported here and nowhere before, so that numbers can be had where it is not installed.

    Raises
    ------
    ImportError
        If it is missing, also where `ax` is given; with the way to install it for `caller`.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{caller} needs matplotlib: install it with `pip install "sklearn-magdg[report]"`.'
        ) from error
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax


def method_styles(n_methods):
    """Dicts of `color`, `marker` and `linestyle`, one per method; all three repeat only together after 84.

    Colours, markers and dashes have cycles of 6, 7 and 4, so that two lines of one colour differ in print too.
    """
    looks = zip(cycle(COLOURS), cycle(MARKERS), cycle(DASHES), strict=False)
    return [{"color": color, "marker": marker, "linestyle": dash} for color, marker, dash in islice(looks, n_methods)]


def dimension_names(feature_names, n_features):
    """One str per dimension `(n_features,)`: the given names, or the indices where `feature_names` is None.

    Raises
    ------
    ValueError
        If there are more or fewer names than dimensions.
    """
    names = np.arange(n_features) if feature_names is None else np.asarray(feature_names)
    if names.shape != (n_features,):
        raise ValueError(
            f"`feature_names` must name all {n_features} dimensions, got {names.size} names; give one per dimension."
        )
    return names.astype(str)


def wrap_to_axes(ax, paragraphs, fontsize, *, indent=0):
    """Paragraphs in lines no wider than the axes are now, less `indent` characters.

    matplotlib wraps at the edge of the figure only, and too late for a layout to make room. How many characters find
    room is a guess from their mean width; 12 stand in a line however narrow the axes.
    """
    from matplotlib.font_manager import FontProperties

    character = CHARACTER_WIDTH * FontProperties(size=fontsize).get_size_in_points()  # points
    n_characters = int(width_in_inches(ax) * 72 / character) - indent
    return "\n".join(line for each in paragraphs for line in textwrap.wrap(each, max(n_characters, 12)))


def write_title(ax, words, **options):
    """`words` over the left end of the axes, in as many lines as they need there."""
    ax.set_title(wrap_to_axes(ax, [words], "medium"), fontsize="medium", loc="left", **options)


def width_in_inches(ax):
    """Width that the axes have now; a layout that is not drawn yet may still change it a little."""
    return ax.get_position().width * ax.figure.bbox.width / ax.figure.dpi


def subdivide(ax, n_rows, n_columns, **options):
    """A grid without axes yet, with the `options` of matplotlib's, in the place of `ax`, which is switched off.

    Raises
    ------
    ValueError
        If `ax` has no place in a grid, as axes at a given position have none.
    """
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("`ax` must be made by `plt.subplots` or `add_subplot`, so that it can be subdivided.")
    ax.set_axis_off()
    return place.subgridspec(n_rows, n_columns, **options)
