import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression

from sklearn_magdg.inspection import ReliabilityDisplay
from sklearn_magdg.metrics import brier_decomposition


def predictions(n_samples=37, seed=0):
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(n_samples), 2)
    return np.where(rng.random(n_samples) < p, "malignant", "benign"), p


def test_curve_is_the_isotonic_regression_over_distinct_predictions():
    y, p = predictions()
    frame = ReliabilityDisplay.from_predictions(y, p, name="CNN").frame()
    values = np.unique(p)
    means = [np.mean(y[p == value] == "malignant") for value in values]
    counts = [np.sum(p == value) for value in values]
    np.testing.assert_array_equal(frame["predicted"], values)
    np.testing.assert_allclose(frame["recalibrated"], isotonic_regression(means, sample_weight=counts))
    np.testing.assert_array_equal(frame["weight"], counts)
    assert set(frame["method"]) == {"CNN"}


def test_drawn_numbers_are_those_of_the_frame():
    y, p = predictions()
    display = ReliabilityDisplay.from_predictions(y, {"CNN": p, "GAN": p**2})
    for line, (method, table) in zip(display.ax_.lines[1:], display.frame().groupby("method"), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), table["predicted"])
        np.testing.assert_array_equal(line.get_ydata(), table["recalibrated"])
        assert line.get_label().startswith(
            f"{method}: Brier {brier_decomposition(y, p ** (1 + (method == 'GAN')))[0]:.3f}"
        )


def test_legend_takes_the_score_apart():
    display = ReliabilityDisplay.from_predictions(["a", "a", "b", "b"], [0.25, 0.75, 0.75, 0.75], name="CNN")
    text = display.ax_.get_legend().get_texts()[0].get_text()
    assert text == "CNN: Brier 0.188 = MCB 0.021 − DSC 0.083 + UNC 0.250"
    assert display.decompositions["CNN"] == brier_decomposition(["a", "a", "b", "b"], [0.25, 0.75, 0.75, 0.75])


def test_methods_differ_without_colour():
    y, p = predictions()
    display = ReliabilityDisplay.from_predictions(y, {str(k): p for k in range(5)})
    looks = {(line.get_marker(), line.get_color()) for line in display.ax_.lines[1:]}
    assert len(looks) == len({marker for marker, _ in looks}) == 5


def test_groups_draw_one_curve_each_in_order_of_appearance():
    y, p = predictions()
    groups = np.array(["200X", "40X"])[np.arange(len(y)) % 2]
    display = ReliabilityDisplay.from_predictions(y, p, groups=groups)
    assert list(display.curves) == ["200X", "40X"]
    alone = ReliabilityDisplay.from_predictions(y[groups == "40X"], p[groups == "40X"])
    np.testing.assert_array_equal(display.curves["40X"], alone.curves["predictions"])


def test_two_columns_and_a_positive_label():
    y, p = predictions()
    one = ReliabilityDisplay.from_predictions(y, p).frame()
    both = ReliabilityDisplay.from_predictions(y, np.column_stack([1 - p, p]))
    np.testing.assert_allclose(one["recalibrated"], both.frame()["recalibrated"])
    assert both.ax_.get_ylabel() == "observed frequency of malignant"
    other = ReliabilityDisplay.from_predictions(y, np.column_stack([1 - p, p]), pos_label="benign")
    np.testing.assert_allclose(np.sort(1 - one["recalibrated"]), np.sort(other.frame()["recalibrated"]), atol=1e-12)
    assert other.histogram_ax_.get_xlabel() == "predicted probability of benign"


def test_weights_are_repetitions():
    y, p = predictions()
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    weighted = ReliabilityDisplay.from_predictions(y, p, sample_weight=weight).frame()
    repeated = ReliabilityDisplay.from_predictions(y.repeat(weight), p.repeat(weight)).frame()
    np.testing.assert_allclose(weighted.iloc[:, 1:], repeated.iloc[:, 1:])


def test_given_axes_are_used_and_can_be_used_again():
    y, p = predictions()
    figure, (left, right) = plt.subplots(ncols=2)
    display = ReliabilityDisplay.from_predictions(y, p, ax=left)
    assert (display.ax_, display.figure_) == (left, figure)
    assert display.plot(right).ax_ is right


def test_errors_say_what_came():
    y, p = predictions()
    with pytest.raises(ValueError, match="draws 2 classes, got 3"):
        ReliabilityDisplay.from_predictions(["a", "b", "c"], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="drop `name` and `groups`"):
        ReliabilityDisplay.from_predictions(y, {"CNN": p}, name="CNN")
    with pytest.raises(ValueError, match="have 37, 37 and 2 rows"):
        ReliabilityDisplay.from_predictions(y, p, groups=["a", "b"])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        ReliabilityDisplay.from_predictions(y, p * 2)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-magdg\[report\]"):
        ReliabilityDisplay.from_predictions(*predictions())
