"""Images tiled in blocks side by side and bands below each other, with notes, headings and labels."""

import textwrap

import numpy as np

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg.inspection._style import CHARACTER_WIDTH, subdivide, wrap_to_axes

# Blocks in the order in which they stand side by side.
HEADINGS = {"images": "", "real": "real", "generated": "generated", "nearest": "nearest training image"}
MAX_COLUMNS = 12  # of images side by side, all blocks together
TILE, NARROWEST = 0.85, 1.6  # widths of an image, and of a block that its heading fits over, in inches
GAP = 0.05  # white between images, of the width of one
BLOCK_GAP, BAND_GAP = 0.04, 0.05  # between blocks, of the width of one, and between bands, of the height of one
NOTE_SIZE, SMALLEST = 7, 4  # of the letters below an image, in points
LABEL_SIZE, LABEL_LENGTH = 10, 16  # of the letters beside a band, in points, and of their lines, in characters
FREE = 0.85  # share of given axes that labels, headings and caption leave to images, about
LINE = 1.25  # of the letters' size, from line to line
CAPTION = (
    "Below a training image: its distance to the generated one over that to the next training image (0: a copy; bold, "
    "below 1: closer than any other training image), and its class or magnification where that is another."
)


class ImageSheet:
    """Where everything stands: blocks side by side, bands below each other, in each rows and columns of images.

    A block of a band is one picture, an array of pixels in which the images are tiles: hundreds of axes, one for every
    image, would make the layout slow. Below each row of tiles a white strip leaves room for the notes.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), dtype uint8
        All of one size.
    table : DataFrame of n rows
        As `ImageGridDisplay.frame` gives it; the order of its cells is that of the bands.
    """

    def __init__(self, images, table):
        self.images = images
        self.table = table
        pairs = list(zip(table["class"], table["magnification"], strict=True))
        self.cells = list(dict.fromkeys(pairs))
        self.codes = np.array([self.cells.index(pair) for pair in pairs])
        self.blocks = [block for block in HEADINGS if (table["block"] == block).any()]
        self.height, self.width = images.shape[1:3]
        self.gap = max(1, round(GAP * self.width))
        n_images = table.groupby(["block", self.codes]).size().max()
        self.n_rows = -(-n_images // (MAX_COLUMNS // len(self.blocks)))
        self.n_columns = -(-n_images // self.n_rows)
        self._write(max(TILE, NARROWEST / self.n_columns))

    @property
    def figure_size(self):
        """Width and height in inches of a figure around images of the size that they have now, with all words."""
        inch = self.tile / self.width
        labels = [len(line) for cell in self.cells for line in _band_label(cell).split("\n")]
        width = len(self.blocks) * (self._sheet_shape[1] * inch * (1 + BLOCK_GAP) + 0.09)
        width += max(labels) * CHARACTER_WIDTH * LABEL_SIZE / 72 + 0.1
        height = len(self.cells) * (self._sheet_shape[0] * inch * (1 + BAND_GAP) + 0.09) + 0.3
        if "nearest" in self.blocks:
            height += (len(CAPTION) * CHARACTER_WIDTH * NOTE_SIZE // (72 * width) + 2) * NOTE_SIZE * LINE / 72 + 0.1
        return width, height

    def fit_into(self, ax):
        """Give images the size that they get in the place of `ax`, about: labels take what their words need."""
        place = ax.get_position()
        width, height = np.array([place.width, place.height]) * ax.figure.bbox.size / ax.figure.dpi
        across, down = len(self.blocks) * self._sheet_shape[1], len(self.cells) * self._sheet_shape[0]
        self._write(FREE * min(width / across, height / down) * self.width)

    def _write(self, tile):
        """Set the notes in lines no wider than an image of `tile` inches, and the room that they take in pixels.

        The letters shrink with the images, but not below what can be read: then more lines are needed.
        """
        self.tile = tile
        self.font_size = np.clip(72 * tile * 0.11, SMALLEST, NOTE_SIZE)
        n_characters = max(5, int(72 * tile / (CHARACTER_WIDTH * self.font_size)))
        columns = self.table[["block", "ratio", "differs"]].itertuples(index=False)
        self.notes = [_note(*row, n_characters) if block == "nearest" else "" for block, *row in columns]
        n_lines = max(note.count("\n") + bool(note) for note in self.notes)
        self.strip = int(np.ceil(n_lines * LINE * self.font_size / 72 / tile * self.width))

    @property
    def _pitch(self):
        """Pixels from one image to the next, down and across."""
        return self.height + self.strip + self.gap, self.width + self.gap

    @property
    def _sheet_shape(self):
        """Pixels of a block of a band, down and across; there is no gap after the last image."""
        return np.array(self._pitch) * [self.n_rows, self.n_columns] - self.gap

    def divide(self, ax):
        """Places of bands and blocks in that of `ax`; below them stands the caption."""
        gaps = {"wspace": BLOCK_GAP, "hspace": BAND_GAP}
        if "nearest" not in self.blocks:
            return subdivide(ax, len(self.cells), len(self.blocks), **gaps)
        caption = wrap_to_axes(ax, [CAPTION], NOTE_SIZE)
        share = (caption.count("\n") + 1) * LINE * NOTE_SIZE / 72 / (self._sheet_shape[0] * self.tile / self.width)
        ratios = [1] * len(self.cells) + [share]
        places = subdivide(ax, len(ratios), len(self.blocks), height_ratios=ratios, **gaps)
        below = ax.figure.add_subplot(places[-1, :])
        below.set_axis_off()
        below.text(0, 1, caption, va="top", fontsize=NOTE_SIZE)
        return places

    def plot(self, ax, band, block):
        """Images of a band and block, row by row, white where there is none, and their notes."""
        shown = np.flatnonzero((self.codes == band) & (self.table["block"] == self.blocks[block]))
        down, across = self._pitch
        tiles = np.full((self.n_rows * self.n_columns, down, across, 3), 255, dtype=np.uint8)
        tiles[: len(shown), : self.height, : self.width] = self.images[shown]
        tiles = tiles.reshape(self.n_rows, self.n_columns, down, across, 3)
        sheet = tiles.swapaxes(1, 2).reshape(self.n_rows * down, self.n_columns * across, 3)
        ax.imshow(sheet[: -self.gap, : -self.gap], interpolation="antialiased")
        # at the upper left the labels keep their place however much of it a square leaves free
        ax.set(xticks=[], yticks=[], anchor="NW")
        ax.spines[:].set_visible(False)

        for place, each in enumerate(shown):
            row, column = divmod(place, self.n_columns)
            at = column * across + (self.width - 1) / 2, row * down + self.height  # pixels count from their centres
            weight = "bold" if self.table["ratio"].iloc[each] < 1 else "normal"
            style = {"ha": "center", "va": "top", "fontsize": self.font_size, "weight": weight}
            ax.text(*at, self.notes[each], **style)

    def label(self, axes):
        """Headings over the blocks and names beside the bands."""
        for ax, block in zip(axes[0], self.blocks, strict=True):
            ax.set_title(wrap_to_axes(ax, [HEADINGS[block]], "medium"), fontsize="medium")
        for ax, cell in zip(axes[:, 0], self.cells, strict=True):
            ax.set_ylabel(_band_label(cell), rotation=0, ha="right", va="center", fontsize=LABEL_SIZE)


def _note(ratio, differs, n_characters):
    """Ratio, where there is one, and below it what differs."""
    return "\n".join([f"{ratio:.2f}" if ratio >= 0 else "", *textwrap.wrap(differs, n_characters)])


def _band_label(cell):
    """Name of a cell in lines of some letters, longer only where a word is."""
    return textwrap.fill(cell_name(cell), LABEL_LENGTH, break_long_words=False)


def cell_name(cell, unlike=(None, None)):
    """Class and magnification in words; only what is known, and of that what is not so in the cell `unlike`."""
    label, magnification = (name if name != other else None for name, other in zip(cell, unlike, strict=True))
    words = [] if label is None else [str(label)]
    return " ".join(words if magnification is None else [*words, magnification_text(magnification)])
