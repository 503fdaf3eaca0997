"""What the displays share: matplotlib on demand, lines that differ without colour, names of magnifications, checks."""

import textwrap
from itertools import cycle, islice
from numbers import Integral, Number

import numpy as np

from sklearn_magdg.cohort import as_column, encode, encode_magnification

# Okabe and Ito's palette in an order of falling darkness; each method also has its own marker and dash.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1, 1.5)))
CHARACTER_WIDTH = 0.56  # of the font size, the mean of matplotlib's default font


def method_styles(n_methods):
    """Dicts of `color`, `marker` and `linestyle`, one per method; all three repeat only together after 84."""
    return list(
        islice(
            (
                {"color": color, "marker": marker, "linestyle": dash}
                for color, marker, dash in zip(cycle(COLOURS), cycle(MARKERS), cycle(DASHES), strict=False)
            ),
            n_methods,
        )
    )


def magnification_label(name):
    """A magnification as people write it: 100 and 100.0 as "100X", text as it is."""
    return f"{name:g}X" if isinstance(name, Number) else str(name)


def dimension_names(feature_names, n_features):
    """One str per dimension: the given names, or the indices."""
    names = np.arange(n_features) if feature_names is None else np.asarray(feature_names)
    if names.shape != (n_features,):
        raise ValueError(f"`feature_names` must name all {n_features} dimensions, got {names.size} names.")
    return names.astype(str)


def wrap_to_axes(ax, paragraphs, fontsize, *, indent=0):
    """Paragraphs in lines no wider than the axes are now, less `indent` characters."""
    from matplotlib.font_manager import FontProperties

    character = CHARACTER_WIDTH * FontProperties(size=fontsize).get_size_in_points()  # points
    n_characters = int(width_in_inches(ax) * 72 / character) - indent
    return "\n".join(line for each in paragraphs for line in textwrap.wrap(each, max(n_characters, 12)))


def width_in_inches(ax):
    return ax.get_position().width * ax.figure.bbox.width / ax.figure.dpi


def subdivide(ax, n_rows, n_columns, **options):
    """A grid without axes yet, with the `options` of matplotlib's, in the place of `ax`."""
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("`ax` must be made by `plt.subplots` or `add_subplot`, so that it can be subdivided.")
    ax.set_axis_off()
    return place.subgridspec(n_rows, n_columns, **options)


def check_n_images(n_images):
    if not isinstance(n_images, Integral) or n_images < 1:
        raise ValueError(f"`n_images` must be a whole number of at least 1, got {n_images!r}.")


def check_known(n_samples, **known):
    """What is given of the images as checked columns, by name."""
    known = {name: values for name, values in known.items() if values is not None}
    for name, values in known.items():
        if name == "magnification":
            encode_magnification(values, n_samples)
        else:
            encode(values, name, n_samples)
    return {name: as_column(values, name) for name, values in known.items()}


def require_matplotlib(caller):
    """`matplotlib.pyplot`, or one sentence on how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{caller} needs matplotlib: install it with `pip install "sklearn-magdg[report]"`.'
        ) from error
    return plt
