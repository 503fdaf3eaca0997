import sys
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from sklearn_magdg.inspection import SelectionProbabilityDisplay
from sklearn_magdg.signature import KnockoffSignatureSelector, SparseSignatureSelector, StableSignatureSelector

VALUES = np.array([0.1, 0.95, 0.0, 0.7, 0.3, 0.7, 0.05])
SIGNATURE = np.array([1, 3, 5])


def display(values=VALUES, signature=SIGNATURE, **known):
    return SelectionProbabilityDisplay(values, signature=signature, **known).plot()


def points(drawn):
    """Positions (n, 2) of the selected and of the other dimensions."""
    lines = {line.get_label().split(" ", 1)[-1]: line.get_xydata().tolist() for line in drawn.ax_.lines}
    return lines["selected"], lines["not selected"]


def names(drawn):
    return [text.get_text() for text in drawn.ax_.texts]


def height_of_threshold(drawn):
    return [line.get_ydata()[0] for line in drawn.ax_.lines if line.get_label().startswith("threshold")]


def test_dimensions_stand_in_falling_order_and_the_selected_apart():
    selected, others = points(display(threshold=0.6))
    assert selected == [[1, 0.95], [2, 0.7], [3, 0.7]]
    assert others == [[4, 0.3], [5, 0.1], [6, 0.05], [7, 0.0]]
    assert height_of_threshold(display(threshold=0.6)) == [0.6]


def test_the_selected_are_named_at_their_points():
    drawn = display(feature_names=list("abcdefg"))
    assert {text.get_text(): text.xy for text in drawn.ax_.texts} == {"b": (1, 0.95), "d": (2, 0.7), "f": (3, 0.7)}
    assert names(display()) == ["1", "3", "5"]
    assert display(feature_names=list("abcdefg")).frame().index[0] == "b"


def test_many_dimensions_stand_on_a_log_axis_and_names_that_would_overlap_are_left_out():
    values = np.r_[np.linspace(1, 0.7, 30), np.linspace(0.5, 0, 2018)]
    drawn = display(values, np.arange(30))
    assert drawn.ax_.get_xscale() == "log"
    assert names(drawn) == []
    assert names(display(values, np.arange(5))) == list("01234")
    assert len(drawn.ax_.lines[0].get_xdata()) == 2018
    assert display().ax_.get_xscale() == "linear"


def test_names_leave_each_other_room():
    drawn = display(np.linspace(1, 0, 2048), np.arange(7))
    drawn.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in drawn.ax_.texts]
    assert len(boxes) == 7
    assert display(feature_names=list("abcdefg")).ax_.texts[0].get_rotation() == 0
    assert display(feature_names=["embedding"] * 7).ax_.texts[0].get_rotation() == 90
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


@pytest.mark.parametrize(
    ("known", "promise"),
    [
        ({}, ""),
        ({"expected_false_positives": 0.834}, "; on average at most 0.83 are false"),
        ({"fdr": 0.2}, "; false discovery rate at most 0.2"),
    ],
)
def test_the_title_counts_and_says_what_is_promised(known, promise):
    title = display(**known).ax_.get_title(loc="left").replace("\n", " ")
    assert title == "3 of 7 dimensions" + promise


def test_nothing_selected_is_drawn_without_a_threshold_at_infinity():
    drawn = display(signature=np.array([], dtype=int), threshold=np.inf)
    assert points(drawn)[0] == []
    assert height_of_threshold(drawn) == []
    drawn.figure_.canvas.draw()


def data():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 12))).add_prefix("embedding")
    return X, np.where(X["embedding3"] + X["embedding8"] > 0, "malignant", "benign")


def test_a_selector_gives_probabilities_threshold_and_names():
    selector = StableSignatureSelector(0.7, n_resamples=10, max_features=3, random_state=0).fit(*data())
    drawn = SelectionProbabilityDisplay.from_estimator(selector)
    frame = drawn.frame()
    order = [int(name.removeprefix("embedding")) for name in frame.index]
    np.testing.assert_array_equal(frame["value"], selector.selection_probabilities_[order])
    assert frame.index[frame["selected"]].tolist() == ["embedding3", "embedding8"]
    assert height_of_threshold(drawn) == [0.7]
    assert f"at most {selector.expected_false_positives_:.2g} are false" in drawn.ax_.get_title(loc="left")


def test_with_knockoffs_their_statistics_are_drawn():
    selector = KnockoffSignatureSelector(fdr=0.5, n_resamples=10, max_features=3, random_state=0).fit(*data())
    drawn = SelectionProbabilityDisplay.from_estimator(selector)
    np.testing.assert_array_equal(drawn.frame()["value"], np.sort(selector.knockoff_statistics_)[::-1])
    assert drawn.frame()["selected"].sum() == selector.n_signature_ > 0
    assert "knockoff" in drawn.ax_.get_ylabel()
    assert drawn.ax_.get_ylim()[0] == selector.knockoff_statistics_.min() < 0
    assert height_of_threshold(drawn) == [selector.threshold_]
    assert "rate at most 0.5" in drawn.ax_.get_title(loc="left")


def test_given_axes_are_used():
    figure, ax = plt.subplots()
    drawn = SelectionProbabilityDisplay(VALUES, signature=SIGNATURE).plot(ax)
    assert (drawn.ax_, drawn.figure_) == (ax, figure)


def test_errors_say_what_came(monkeypatch):
    with pytest.raises(ValueError, match="must name all 7 dimensions, got 2 names"):
        display(feature_names=["a", "b"])
    with pytest.raises(TypeError, match="or KnockoffSignatureSelector, got SparseSignatureSelector"):
        SelectionProbabilityDisplay.from_estimator(SparseSignatureSelector())
    with pytest.raises(NotFittedError):
        SelectionProbabilityDisplay.from_estimator(StableSignatureSelector())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"SelectionProbabilityDisplay needs matplotlib: .*sklearn-magdg\[report\]"):
        display()
