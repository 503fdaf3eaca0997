"""Who trains and who is tested in every fold, patient by patient and magnification by magnification."""

import numpy as np
import pandas as pd
from sklearn.model_selection import check_cv
from sklearn.utils.validation import _num_samples

from sklearn_magdg._metadata import magnification_text, sort_names
from sklearn_magdg.cohort import Encoded, split_with_metadata
from sklearn_magdg.inspection._shown import read_known
from sklearn_magdg.inspection._style import axes_for
from sklearn_magdg.model_selection import audit_splits

# Past these a cell is less than a millimetre of a page.
MAX_PATIENTS, MAX_ROWS = 120, 200
MAX_NAMED_PATIENTS = 60

# Lightness tells the parts apart in print; the leaks have shapes of their own.
COLOURS = {"train": "#9CC3E0", "test": "#0B2E59", "left out": "#ECECEC"}
LEAK_COLOUR = "#D55E00"
LEAKS = {
    "shared_patients": "patients",
    "shared_magnifications": "magnifications",
    "shared_accessions": "accession numbers",
    "duplicates": "identical samples",
    "near_duplicates": "near samples",
}

MARGIN = 0.06  # of white around a cell, in cells
WHOLE, LEFT, RIGHT = (MARGIN, 1 - MARGIN), (MARGIN, 0.5), (0.5, 1 - MARGIN)
CLASS_GAP = 0.8  # between the patients of two classes, in cells
FOLD_GAP = 1  # between two folds, in cells: room for the marks of shared patients


class SplitDisplay:
    """Folds of any splitter: a column per patient, a band per fold, in it a row per magnification.

    A cell is one patient at one magnification. It is light where its samples train, dark where they are tested,
    half and half where some train and some are tested, and pale where none is used. A triangle under a column
    marks a patient on both sides of the fold, one beside a row a tested magnification that is in training too.

    Parameters
    ----------
    cells : DataFrame
        Columns `fold`, `class`, `patient`, `magnification`, `n_train`, `n_test`, `n_left_out`, one row per fold and
        cell that has samples; patients stand in the order of their first row.
    leaks : DataFrame
        Columns `shared_patients`, `shared_magnifications`, `shared_accessions` and, where samples were compared,
        `duplicates` and `near_duplicates`, one row per fold: the counts of
        `sklearn_magdg.model_selection.audit_splits`.

    Attributes
    ----------
    ax_ : Axes
        The picture.
    figure_ : Figure
        Its figure.

    See Also
    --------
    sklearn_magdg.model_selection.audit_splits : The counts of the title, fold by fold, with names.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.inspection import SplitDisplay
    >>> from sklearn_magdg.model_selection import LeaveOneMagnificationOut
    >>> tissue = make_histology(8, images_per_cell=1, image_size=8, random_state=0)
    >>> display = SplitDisplay.from_splits(  # doctest: +SKIP
    ...     LeaveOneMagnificationOut(2),
    ...     tissue.data,
    ...     tissue.target,
    ...     patient=tissue.patient,
    ...     magnification=tissue.magnification,
    ... )
    """

    def __init__(self, cells, leaks):
        self.cells = cells
        self.leaks = leaks

    @classmethod
    def from_splits(cls, cv, X, y, *, patient, magnification, duplicates="identical", ax=None):
        """Picture of the folds of a splitter.

        Parameters
        ----------
        cv : splitter, int or iterable of (train, test)
            As in `sklearn_magdg.model_selection.audit_splits`: a splitter by `groups` gets the patients; to group
            by something else pass `splitter.split(X, y, groups)`.
        X : array-like of shape (n_samples, ...)
            Samples, among which the audit looks for identical ones.
        y : array-like of shape (n_samples,)
            Classes. A patient stands with the class of most of its samples.
        patient : array-like of shape (n_samples,)
            Patient of every sample, at most 120 of them.
        magnification : array-like of shape (n_samples,)
            Magnification of every sample; folds times magnifications are at most 200.
        duplicates : {"identical", "near"} or None, default="identical"
            As in `audit_splits`; with None images on disk stay unopened, and the title says so.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        SplitDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are more patients or folds than a page can show, and as in `audit_splits`.
        ImportError
            If matplotlib is missing.
        """
        cohort = read_known(_num_samples(X), y=y, patient=patient, magnification=magnification)
        # a list, since a random splitter would give the audit other folds than the picture
        splits = list(split_with_metadata(check_cv(cv, y, classifier=True), X, y, patient, magnification))
        n_patients, n_magnifications = len(cohort.patient.names), len(cohort.magnification.names)
        if n_patients > MAX_PATIENTS or len(splits) * n_magnifications > MAX_ROWS:
            raise ValueError(
                f"SplitDisplay draws at most {MAX_PATIENTS} patients and {MAX_ROWS // n_magnifications} folds of "
                f"{n_magnifications} magnifications, got {n_patients} patients and {len(splits)} folds: draw the "
                "samples of some patients, or read the table of `audit_splits`."
            )
        audit = audit_splits(splits, X, y, patient=patient, magnification=magnification, duplicates=duplicates)
        leaks = audit.frame[[column for column in LEAKS if column in audit.frame]]
        return cls(_count_cells(splits, cohort), leaks).plot(ax)

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            Columns `fold`, `class`, `patient`, `magnification`, `n_train`, `n_test`, `n_left_out` and `part`: "train",
            "test", "both" or "left out", what the cell shows. A cell with some samples left out shows the others.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_magdg.inspection import SplitDisplay
        >>> columns = ["fold", "class", "patient", "magnification", "n_train", "n_test", "n_left_out"]
        >>> rows = [(0, "benign", "A", 40, 3, 0, 0), (0, "benign", "B", 40, 0, 2, 1)]
        >>> display = SplitDisplay(pd.DataFrame(rows, columns=columns), leaks=pd.DataFrame({"shared_patients": [0]}))
        >>> display.frame()[["patient", "n_train", "n_test", "part"]]
          patient  n_train  n_test   part
        0       A        3       0  train
        1       B        0       2   test
        """
        trains, tested = self.cells["n_train"] > 0, self.cells["n_test"] > 0
        parts = np.select([trains & tested, tested, trains], ["both", "test", "train"], "left out")
        return self.cells.assign(part=parts)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on, in a figure of `layout="constrained"` for the legend above and the names below it; a new
            figure, growing with the numbers of patients and folds, if None.

        Returns
        -------
        SplitDisplay
            Itself.
        """
        table = self.frame()
        columns = table[["class", "patient"]].drop_duplicates()
        columns["column"] = np.arange(len(columns)) + CLASS_GAP * pd.factorize(columns["class"])[0]
        # every fold has a row for every magnification, also where it has no sample there
        magnifications = pd.Series(sort_names(pd.unique(table["magnification"])), name="magnification")
        rows = table[["fold"]].drop_duplicates().merge(magnifications, how="cross")
        rows["row"] = np.arange(len(rows)) + FOLD_GAP * pd.factorize(rows["fold"])[0]
        table = table.merge(columns).merge(rows)

        size = np.clip(2.2 + 0.16 * len(columns), 5.6, 9.0), 1.9 + 0.105 * rows["row"].max()
        ax = axes_for("SplitDisplay", ax, size)
        self.ax_, self.figure_ = ax, ax.figure
        self._plot_cells(table)
        self._label_axes(columns, rows)
        self._add_legend(set(table["part"]))
        return self

    def _plot_cells(self, table):
        """The cells by their parts, and marks of the leaks: beneath the columns of patients, right of the rows."""
        halves = table[table["part"] == "both"]
        for part, half in (("train", LEFT), ("test", RIGHT), ("left out", None)):
            self._fill(table[table["part"] == part], WHOLE, COLOURS[part])
            if half:
                self._fill(halves, half, COLOURS[part])
        self.ax_.set(xlim=(-0.3, table["column"].max() + 1.9), ylim=(table["row"].max() + 2, -0.1))

        look = {"color": LEAK_COLOUR, "linestyle": "none", "markersize": 5}
        patients = _on_both_sides(table, ["fold", "patient", "column"])
        bottoms = patients["fold"].map(table.groupby("fold")["row"].max())
        self.ax_.plot(patients["column"] + 0.5, bottoms + 1.45, marker="^", **look, label="shared patient")
        magnifications = _on_both_sides(table, ["fold", "magnification", "row"])
        beside = np.full(len(magnifications), table["column"].max() + 1.45)
        self.ax_.plot(beside, magnifications["row"] + 0.5, marker="<", **look, label="shared magnification")

    def _fill(self, cells, extent, colour):
        """All `cells` of one colour at once, from left to right as far as `extent` says, in cells."""
        from matplotlib.collections import PolyCollection

        (left, right), (top, bottom) = extent, WHOLE
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        origins = cells[["column", "row"]].to_numpy(dtype=float)
        self.ax_.add_collection(PolyCollection(origins[:, None] + corners, facecolors=colour))

    def _label_axes(self, columns, rows):
        """Patients beneath, by name while there is room, classes above, folds on the left, magnifications right."""
        few = len(columns) <= MAX_NAMED_PATIENTS
        names = [str(name) for name in columns["patient"]] if few else []
        upright = len(columns) * max(map(len, names), default=0) > 60
        look = {"fontsize": "x-small", "rotation": 90 if upright else 0}
        self.ax_.set_xticks(columns["column"] + 0.5 if few else [], names, **look)
        self.ax_.set_xlabel(f"{len(columns)} patients")
        for name, block in columns.groupby("class", sort=False)["column"]:
            self.ax_.text((block.min() + block.max() + 1) / 2, -0.45, f"class {name}", ha="center", va="bottom")

        middles = rows.groupby("fold", sort=False)["row"].mean() + 0.5
        self.ax_.set_yticks(middles, [str(fold) for fold in middles.index])
        # on the right, as minor ticks, also where a fold's number stands at the same height
        self.ax_.yaxis.remove_overlapping_locs = False
        names = [magnification_text(name) for name in rows["magnification"]]
        self.ax_.set_yticks(rows["row"] + 0.5, names, minor=True, fontsize="xx-small")
        self.ax_.tick_params(axis="y", which="minor", labelleft=False, labelright=True)
        self.ax_.tick_params(which="both", length=0)
        self.ax_.set_ylabel("fold (rows: magnification)")
        self.ax_.spines[:].set_visible(False)

    def _add_legend(self, drawn):
        """Keys of the parts that are `drawn` and of the leaks that there are, above the names of the classes."""
        from matplotlib.lines import Line2D
        from matplotlib.transforms import offset_copy

        look = {"marker": "s", "linestyle": "none", "markersize": 8, "markeredgecolor": "none"}
        looks = {part: look | {"markerfacecolor": colour} for part, colour in COLOURS.items()}
        looks["both"] = looks["train"] | {"markerfacecoloralt": COLOURS["test"], "fillstyle": "left"}
        parts = [Line2D([], [], **look, label=part) for part, look in looks.items() if part in drawn]
        leaks = [line for line in self.ax_.lines if len(line.get_xdata())]
        above_class_names = offset_copy(self.ax_.transAxes, self.figure_, y=20, units="points")
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "bbox_transform": above_class_names}
        layout = {"ncols": 3, "alignment": "left", "borderpad": 0, "borderaxespad": 0, "frameon": False}
        self.ax_.legend(handles=[*parts, *leaks], title=self._title(), **place, **layout)

    def _title(self):
        """Number of folds, and of those that leak what."""
        leaking = (self.leaks > 0).sum()
        counts = [f"{n} share {LEAKS[column]}" for column, n in leaking.items() if n]
        unseen = "" if "duplicates" in self.leaks else " (images not compared)"
        return f"{len(self.leaks)} folds: {', '.join(counts) or 'nothing stands on both sides'}{unseen}"


def _count_cells(splits, cohort):
    """Table of the samples of every cell that train, are tested and are left out in every fold.

    Its rows stand fold by fold, in it class by class, patient by patient and magnification by magnification; cells
    without samples have none.
    """
    magnification, patient = cohort.magnification, cohort.patient
    cells, cell = np.unique(patient.codes * len(magnification.names) + magnification.codes, return_inverse=True)
    owner, seen_at = np.divmod(cells, len(magnification.names))
    owner_class = cohort.patient_class[owner]  # every patient stands in some row, so that codes are positions
    names = {
        "class": Encoded(owner_class, cohort.label.names).values(),
        "patient": Encoded(owner, patient.names).values(),
        "magnification": Encoded(seen_at, magnification.names).values(),
    }
    order = np.lexsort((seen_at, owner, owner_class))
    tables = []
    for fold, (train, test) in enumerate(splits):
        left_out = np.ones(len(cohort), dtype=bool)
        left_out[train] = left_out[test] = False
        parts = {"n_train": cell[train], "n_test": cell[test], "n_left_out": cell[left_out]}
        counts = {name: np.bincount(of_part, minlength=len(cells)) for name, of_part in parts.items()}
        tables.append(pd.DataFrame({"fold": fold, **names, **counts}).iloc[order])
    return pd.concat(tables, ignore_index=True)


def _on_both_sides(table, keys):
    """Distinct values of `keys`, columns of the table, with samples both in training and in test."""
    counts = table.groupby(keys, sort=False, as_index=False)[["n_train", "n_test"]].sum()
    return counts[(counts["n_train"] > 0) & (counts["n_test"] > 0)]
