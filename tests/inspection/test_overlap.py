import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_magdg.inspection import SignatureOverlapDisplay
from sklearn_magdg.signature import expected_jaccard, jaccard_matrix, signature_stability

SIGNATURES = [[0, 1, 2], [1, 2, 3], [0, 2]]
LABELS = ["40X", "100X", "200X"]


def test_frame_and_cells_are_the_jaccard_matrix():
    display = SignatureOverlapDisplay.from_signatures(SIGNATURES, LABELS, n_features=16)
    np.testing.assert_array_equal(display.frame(), jaccard_matrix(SIGNATURES))
    assert display.frame().loc["40X", "100X"] == 0.5
    texts = {text.get_position(): text.get_text() for text in display.ax_.texts}
    assert texts[1, 0] == texts[0, 1] == "0.50"
    assert texts[2, 1] == "0.25"


def test_chance_and_stability_are_named():
    alike = [[0, 1, 2], [1, 2, 3], [0, 2, 9]]
    display = SignatureOverlapDisplay.from_signatures(alike, LABELS, n_features=16)
    result = signature_stability(alike, 16)
    assert f"chance, {result.jaccard_chance:.2f}" in display.colorbar_.ax.get_ylabel()
    assert f"Stability {result.stability:.2f}" in display.ax_.get_title()
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["40X\n(3)", "100X\n(3)", "200X\n(3)"]


def test_values_stay_readable_on_dark_cells():
    texts = SignatureOverlapDisplay.from_signatures(SIGNATURES, LABELS, n_features=16).ax_.texts
    assert {text.get_text(): text.get_color() for text in texts}["1.00"] == "white"
    assert {text.get_text(): text.get_color() for text in texts}["0.25"] == "black"


@pytest.mark.parametrize("signatures", [[[]], [[], []], [[1, 2]]])
def test_undefined_values_are_drawn_as_such(signatures):
    display = SignatureOverlapDisplay.from_signatures(signatures, range(len(signatures)), n_features=5)
    assert display.ax_.get_title() == "Stability undefined"
    assert display.colorbar_.ax.get_ylabel() == "Jaccard overlap"
    display.figure_.canvas.draw()


def test_given_axes_are_used():
    figure, ax = plt.subplots()
    display = SignatureOverlapDisplay.from_signatures(SIGNATURES, LABELS, 16, ax=ax)
    assert (display.ax_, display.figure_) == (ax, figure)


def test_errors_say_what_came(monkeypatch):
    with pytest.raises(ValueError, match="got 2 for 3 signatures"):
        SignatureOverlapDisplay.from_signatures(SIGNATURES, LABELS[:2], 16)
    with pytest.raises(ValueError, match="holds index 3"):
        SignatureOverlapDisplay.from_signatures(SIGNATURES, LABELS, 3)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"SignatureOverlapDisplay needs matplotlib: .*sklearn-magdg\[report\]"):
        SignatureOverlapDisplay.from_signatures(SIGNATURES, LABELS, 16)


def test_unequal_sizes_have_their_own_chance_in_every_cell():
    signatures = [[0, 1], range(6), range(4, 16)]
    display = SignatureOverlapDisplay.from_signatures(signatures, LABELS, 16)
    small = {text.get_position(): text.get_text() for text in display.ax_.texts if text.get_fontsize() < 7}
    expected = {
        (a, b): expected_jaccard(len(signatures[a]), len(signatures[b]), 16) for a in range(3) for b in range(3)
    }
    assert small == {(a, b + 0.3): f"{chance:.2f}" for (a, b), chance in expected.items() if a != b}
    low, high = (f"{each:.2f}" for each in (expected[0, 1], expected[1, 2]))
    assert f"chance, {low} to {high}" in display.colorbar_.ax.get_ylabel()
    [box] = [patch for patch in display.colorbar_.ax.patches if patch.get_height() < 0.9]
    assert (box.get_y(), box.get_y() + box.get_height()) == pytest.approx((expected[0, 1], expected[1, 2]))


def test_the_title_calls_the_interval_the_least_uncertainty():
    display = SignatureOverlapDisplay.from_signatures(SIGNATURES, LABELS, 16)
    assert display.ax_.get_title().endswith("or wider)")
