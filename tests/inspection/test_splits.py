import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit

from sklearn_magdg.inspection import SplitDisplay
from sklearn_magdg.inspection._splits import COLOURS
from sklearn_magdg.model_selection import LeaveOneMagnificationOut

# 7 patients, 3 magnifications, 2 images per cell, but for two cells that are empty; rows in no order.
PATIENT, MAGNIFICATION = np.repeat([f"p{i}" for i in range(7)], 6), np.tile(np.repeat(["40X", "200X", "100X"], 2), 7)
PRESENT = ~(((PATIENT == "p1") | (PATIENT == "p4")) & (MAGNIFICATION == "200X"))
ORDER = np.random.default_rng(0).permutation(np.flatnonzero(PRESENT))
PATIENT, MAGNIFICATION = PATIENT[ORDER], MAGNIFICATION[ORDER]
Y = np.where(np.isin(PATIENT, ["p0", "p3", "p5"]), "malignant", "benign")
X = np.arange(len(Y))[:, None]


def draw(cv, **changed):
    arguments = {"X": X, "y": Y, "patient": PATIENT, "magnification": MAGNIFICATION} | changed
    return SplitDisplay.from_splits(cv, **arguments)


def cells_of_colour(display, colour):
    """Number of polygons of a colour in the picture."""
    return sum(len(c.get_paths()) for c in display.ax_.collections if np.allclose(c.get_facecolor()[:, :3], colour))


def marks(display, label):
    """Positions of the marks of a leak, as a set of (x, y)."""
    (line,) = [line for line in display.ax_.lines if line.get_label() == label]
    return set(zip(line.get_xdata(), line.get_ydata(), strict=True))


def test_frame_counts_the_samples_of_every_cell():
    splits = [(np.array([0, 1, 2, 5]), np.array([3, 4, 5])), (np.array([6]), np.array([7, 8]))]
    frame = draw(splits).frame()
    assert len(frame) == 2 * 19
    for row in frame.itertuples():
        train, test = splits[row.fold]
        here = np.flatnonzero((row.patient == PATIENT) & (row.magnification == MAGNIFICATION))
        trains, tested = np.isin(here, train), np.isin(here, test)
        expected = trains.sum(), tested.sum(), (~trains & ~tested).sum()
        assert (row.n_train, row.n_test, row.n_left_out) == expected
        names = {(True, False): "train", (False, True): "test", (True, True): "both", (False, False): "left out"}
        assert row.part == names[trains.any(), tested.any()]


def test_columns_are_patients_by_class_and_rows_magnifications_in_numeric_order():
    display = draw(KFold(2))
    patients = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert patients == ["p1", "p2", "p4", "p6", "p0", "p3", "p5"]
    assert [text.get_text() for text in display.ax_.texts] == ["class benign", "class malignant"]
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["0", "1"]
    rows = [text.get_text() for text in display.ax_.get_yticklabels(minor=True)]
    assert rows == ["40X", "100X", "200X"] * 2
    np.testing.assert_array_equal(np.diff(display.ax_.get_yticks(minor=True)), [1, 1, 2, 1, 1])  # a gap between folds


def test_magnifications_that_are_numbers_are_written_like_names():
    numbers = np.array([int(name[:-1]) for name in MAGNIFICATION])
    rows = draw(KFold(2), magnification=numbers).ax_.get_yticklabels(minor=True)
    assert [text.get_text() for text in rows] == ["40X", "100X", "200X"] * 2


def test_a_patient_of_two_classes_stands_with_that_of_most_of_its_samples():
    y = Y.copy()
    y[np.flatnonzero(PATIENT == "p0")[0]] = "benign"
    frame = draw(KFold(2), y=y).frame()
    assert set(frame.loc[frame["patient"] == "p0", "class"]) == {"malignant"}


def test_every_cell_is_drawn_in_the_shade_of_its_part_and_empty_ones_are_not():
    display = draw(LeaveOneMagnificationOut(2))
    counts = display.frame()["part"].value_counts()
    assert counts.sum() == 6 * 19
    for part in ("train", "test", "left out"):
        assert cells_of_colour(display, to_rgb(COLOURS[part])) == counts[part]


def test_a_cell_on_both_sides_is_half_train_and_half_test():
    display = draw([(ORDER.argsort()[::2], ORDER.argsort()[1::2])])
    assert set(display.frame()["part"]) == {"both"}
    for part in ("train", "test"):
        assert cells_of_colour(display, to_rgb(COLOURS[part])) == 19


def test_a_cell_stands_in_its_patients_column_and_its_magnifications_row():
    here = (PATIENT == "p3") & (MAGNIFICATION == "100X")
    display = draw(
        [
            (np.flatnonzero(PATIENT == "p1"), np.flatnonzero(PATIENT == "p2")),
            (np.flatnonzero(PATIENT == "p1"), np.flatnonzero(here)),
        ]
    )
    tested = next(c for c in display.ax_.collections if np.allclose(c.get_facecolor()[:, :3], to_rgb(COLOURS["test"])))
    x, y = tested.get_paths()[-1].vertices[:-1].mean(axis=0)
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert x == pytest.approx(display.ax_.get_xticks()[labels.index("p3")])
    assert y == pytest.approx(display.ax_.get_yticks(minor=True)[3 + 1])  # second fold, after 40X


def test_parts_differ_without_colour():
    lightness = sorted(np.dot(to_rgb(colour), [0.299, 0.587, 0.114]) for colour in COLOURS.values())
    assert np.diff(lightness).min() > 0.15


@pytest.mark.parametrize(
    ("cv", "patients", "magnifications"),
    [
        (LeaveOneMagnificationOut(2), 0, 0),
        (GroupKFold(3), 0, 9),
        (LeaveOneGroupOut().split(X, Y, MAGNIFICATION), 5 + 7 + 7, 0),  # p1 and p4 are not at 200X
        ([(np.flatnonzero(PATIENT != "p1"), np.flatnonzero(PATIENT == "p1"))], 0, 2),
    ],
    ids=["ours", "by patient", "by magnification", "one patient"],
)
def test_leaks_are_marked_where_they_are(cv, patients, magnifications):
    display = draw(cv)
    at_columns, at_rows = marks(display, "shared patient"), marks(display, "shared magnification")
    assert len(at_columns) == display.leaks["shared_patients"].sum() == patients
    assert len(at_rows) == display.leaks["shared_magnifications"].sum() == magnifications
    assert {x for x, _ in at_columns} <= set(display.ax_.get_xticks())
    assert {y for _, y in at_rows} <= set(display.ax_.get_yticks(minor=True))


@pytest.mark.parametrize(
    ("cv", "words"),
    [
        (LeaveOneMagnificationOut(2), "6 folds: nothing stands on both sides"),
        (GroupKFold(3), "3 folds: 3 share magnifications"),
        (KFold(2), "2 folds: 2 share patients, 2 share magnifications"),
    ],
    ids=["ours", "by patient", "rows"],
)
def test_the_title_counts_the_leaking_folds(cv, words):
    assert draw(cv).ax_.get_legend().get_title().get_text() == words


def test_accession_numbers_under_two_ids_are_counted_in_the_title():
    display = SplitDisplay.from_splits(
        [([0], [1])], [[1], [2]], [0, 1], patient=["14-22549AB", "14-22549CD"], magnification=[40, 100]
    )
    assert display.ax_.get_legend().get_title().get_text() == "1 folds: 1 share accession numbers"


def test_identical_samples_are_counted_in_the_title():
    doubled = X.copy()
    doubled[3] = doubled[4]
    display = draw([([0, 3], [1, 4])], X=doubled)
    assert "1 share identical samples" in display.ax_.get_legend().get_title().get_text()


def test_images_on_disk_stay_unopened_where_samples_are_not_compared():
    missing = np.array([f"nowhere/{i}.png" for i in range(len(Y))])
    with pytest.raises(FileNotFoundError):
        draw(GroupKFold(3), X=missing)
    display = draw(GroupKFold(3), X=missing, duplicates=None)
    assert list(display.leaks.columns) == ["shared_patients", "shared_magnifications", "shared_accessions"]
    assert display.ax_.get_legend().get_title().get_text() == "3 folds: 3 share magnifications (images not compared)"


def test_the_legend_names_what_is_drawn_and_nothing_else():
    texts = [text.get_text() for text in draw(LeaveOneMagnificationOut(2)).ax_.get_legend().get_texts()]
    assert texts == ["train", "test", "left out"]
    texts = [text.get_text() for text in draw(KFold(2)).ax_.get_legend().get_texts()]
    assert texts[-2:] == ["shared patient", "shared magnification"]


def test_a_random_splitter_is_drawn_and_counted_on_the_same_folds():
    display = draw(ShuffleSplit(3, test_size=2, train_size=2))
    sides = display.frame().groupby(["fold", "patient"])[["n_train", "n_test"]].sum()
    shared = (sides > 0).all(axis=1).groupby("fold").sum()
    np.testing.assert_array_equal(shared, display.leaks["shared_patients"])


def test_given_axes_are_used_and_the_picture_can_be_drawn_again():
    figure, (first, second) = plt.subplots(1, 2)
    display = draw(KFold(2), ax=first)
    assert (display.ax_, display.figure_) == (first, figure)
    assert display.plot(second).ax_ is second
    assert cells_of_colour(display, to_rgb(COLOURS["test"])) > 0


@pytest.mark.parametrize(("n_patients", "named"), [(60, 60), (61, 0)])
def test_a_crowd_of_patients_has_no_names(n_patients, named):
    patient, magnification = np.arange(n_patients * 2) // 2, np.tile([40, 100], n_patients)
    display = draw(KFold(2), X=patient, y=patient % 2, patient=patient, magnification=magnification)
    assert len(display.ax_.get_xticklabels()) == named
    assert display.ax_.get_xlabel() == f"{n_patients} patients"


@pytest.mark.parametrize(("n_patients", "n_folds"), [(121, 2), (3, 101)])
def test_more_than_a_page_can_show_is_refused(n_patients, n_folds):
    patient = np.arange(2 * n_patients) // 2
    metadata = {"patient": patient, "magnification": np.tile([40, 100], n_patients)}
    with pytest.raises(ValueError, match=rf"120 patients and 100 folds of 2 .*got {n_patients} patients and {n_folds}"):
        draw([([0], [1])] * n_folds, X=patient, y=patient % 2, **metadata)


def test_errors_say_what_came(monkeypatch):
    with pytest.raises(ValueError, match="`patient` has 3 values for 38 samples"):
        draw(KFold(2), patient=[1, 2, 3])
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-magdg\[report\]"):
        draw(KFold(2))
