import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.inspection import SignatureWeightsDisplay
from sklearn_magdg.signature import SparseSignatureSelector

TWO = np.array([[0.0, -0.5, 0.2, 0.0, 0.9, -0.1, 0.05]])
THREE = np.array([[0.0, -0.5, 0.0], [0.3, 0.0, 0.0], [0.0, 0.2, 0.0]])


def bars(display):
    """Lengths from the top down."""
    middles = {patch.get_y() + patch.get_height() / 2: patch.get_width() for patch in display.ax_.patches}
    return [middles[at] for at in sorted(middles, key=lambda at: -display.ax_.transData.transform((0, at))[1])]


def names(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def test_bars_are_the_weights_the_strongest_above():
    display = SignatureWeightsDisplay(TWO, ["benign", "malignant"]).plot()
    assert bars(display) == pytest.approx([0.9, -0.5, 0.2, -0.1, 0.05])
    assert names(display) == ["4", "1", "2", "5", "6"]
    assert display.ax_.get_title(loc="left") == "all 5 dimensions with a weight"


def test_the_sides_are_named_and_coloured_by_class():
    display = SignatureWeightsDisplay(TWO, ["benign", "malignant"]).plot()
    label = display.ax_.get_xlabel()
    assert label.index("benign") < label.index("weight") < label.index("malignant")
    colours = {np.sign(patch.get_width()): set() for patch in display.ax_.patches}
    for patch in display.ax_.patches:
        colours[np.sign(patch.get_width())].add(patch.get_facecolor())
    assert [len(each) for each in colours.values()] == [1, 1]
    assert colours[1.0] != colours[-1.0]


def test_dimensions_that_are_not_shown_are_counted():
    display = SignatureWeightsDisplay(TWO, ["benign", "malignant"], max_dimensions=2).plot()
    assert bars(display) == pytest.approx([0.9, -0.5])
    assert display.ax_.get_title(loc="left") == "2 of 5 dimensions; the others weigh at most 0.2"
    assert len(display.frame()) == 5


def test_several_classes_have_points_of_their_own_at_their_weights():
    display = SignatureWeightsDisplay(THREE, ["a", "b", "c"], feature_names=["x", "y", "z"]).plot()
    points = {line.get_label(): line.get_xydata().tolist() for line in display.ax_.lines[:3]}
    assert points == {"a": [[-0.5, 0]], "b": [[0.3, 1]], "c": [[0.2, 0]]}  # rows: y, then x
    assert names(display) == ["y", "x"]
    assert len({line.get_marker() for line in display.ax_.lines[:3]}) == 3
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["a", "b", "c"]
    pd.testing.assert_frame_equal(
        display.frame(), pd.DataFrame({"a": [-0.5, 0], "b": [0, 0.3], "c": [0.2, 0]}, index=["y", "x"])
    )


def test_a_selector_and_a_linear_classifier_give_their_own_weights():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(57, 5)), columns=[f"embedding{i}" for i in range(5)])
    y = np.where(X["embedding3"] - X["embedding1"] > 0, "malignant", "benign")
    selector = SparseSignatureSelector(C=0.2).fit(X, y)
    scaled = StandardScaler().set_output(transform="pandas").fit_transform(X)
    for estimator in (selector, LogisticRegression(C=0.2).fit(scaled, y)):
        frame = SignatureWeightsDisplay.from_estimator(estimator).frame()
        assert frame.columns.tolist() == ["malignant"]
        np.testing.assert_array_equal(frame["malignant"], estimator.coef_[0, [int(name[-1]) for name in frame.index]])
        assert frame.loc["embedding3", "malignant"] > 0 > frame.loc["embedding1", "malignant"]
    assert len(SignatureWeightsDisplay.from_estimator(selector).frame()) == selector.n_signature_


def test_no_weight_at_all_is_drawn_as_such():
    display = SignatureWeightsDisplay(np.zeros((1, 3)), ["a", "b"]).plot()
    assert display.ax_.get_title(loc="left") == "all 0 dimensions with a weight"
    display.figure_.canvas.draw()


def test_given_axes_are_used():
    figure, ax = plt.subplots()
    display = SignatureWeightsDisplay(TWO, ["a", "b"]).plot(ax)
    assert (display.ax_, display.figure_) == (ax, figure)


def test_errors_say_what_came(monkeypatch):
    X, y = np.random.default_rng(0).normal(size=(19, 3)), np.arange(19) % 2
    fitted = LogisticRegression().fit(X, y)
    with pytest.raises(TypeError, match=r"needs `coef_` and `classes_`, which StandardScaler\(\) lacks"):
        SignatureWeightsDisplay.from_estimator(StandardScaler().fit(X))
    with pytest.raises(ValueError, match="`max_dimensions` must be at least 1, got 0"):
        SignatureWeightsDisplay.from_estimator(fitted, max_dimensions=0)
    with pytest.raises(ValueError, match="must name all 3 dimensions, got 2 names"):
        SignatureWeightsDisplay.from_estimator(fitted, feature_names=["a", "b"])
    with pytest.raises(NotFittedError):
        SignatureWeightsDisplay.from_estimator(SparseSignatureSelector())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"SignatureWeightsDisplay needs matplotlib: .*sklearn-magdg\[report\]"):
        SignatureWeightsDisplay.from_estimator(fitted)
