import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.inspection import SignaturePathDisplay
from sklearn_magdg.signature import SparseSignatureSelector, signature_path

# 83 samples, 11 dimensions, of which 2 and 7 know the class
X = np.random.default_rng(0).normal(size=(83, 11)) * np.arange(1, 12)
NOISE = np.random.default_rng(1).normal(size=83)
Y = np.where(X[:, 2] / 3 - X[:, 7] / 8 + 0.7 * NOISE > 0, "malignant", "benign")
CS = np.geomspace(0.03, 3, 6)


def path():
    return signature_path(StandardScaler().fit_transform(X), Y, Cs=CS)


def drawn(ax):
    """Curves (n_Cs, 2) with their label, those of a collection one by one."""
    lines = [(line.get_label(), line.get_xydata()) for line in ax.lines if len(line.get_xdata()) > 2]
    groups = [each for each in ax.collections if isinstance(each, LineCollection)]
    return lines + [(group.get_label(), segment) for group in groups for segment in group.get_segments()]


def upright(ax):
    """Where vertical lines stand, and their labels."""
    return {line.get_xdata()[0]: line.get_label() for line in ax.lines if np.ptp(line.get_xdata()) == 0}


def test_every_dimension_in_use_is_drawn_once_with_its_weights_on_a_log_axis():
    display = SignaturePathDisplay.from_path(path(), chosen_C=CS[4])
    used = np.flatnonzero(path().coefs.any(axis=(0, 1)))
    curves = [curve for _, curve in drawn(display.ax_)]
    assert display.ax_.get_xscale() == "log"
    assert all(np.array_equal(curve[:, 0], CS) for curve in curves)
    found = sorted(tuple(curve[:, 1]) for curve in curves)
    assert found == sorted(map(tuple, path().coefs[:, 0, used].T))


def test_the_strongest_of_the_signature_are_named_and_the_others_counted():
    coef = path().coefs[4, 0]
    display = SignaturePathDisplay.from_path(path(), chosen_C=CS[4], feature_names=[f"d{i}" for i in range(11)])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    strongest = np.argsort(-np.abs(coef))[:6]
    by_end = strongest[np.argsort(-path().coefs[-1, 0, strongest])]
    assert labels[:6] == [f"d{i}" for i in by_end]  # in the order in which the lines end
    n_signature = np.count_nonzero(coef)
    n_used = path().coefs.any(axis=(0, 1)).sum()
    assert n_signature > 6
    assert n_used > n_signature
    assert labels[6:8] == [
        f"{n_signature - 6} others of the signature",
        f"{n_used - n_signature} outside the signature",
    ]
    greys = [to_rgb(group.get_colors()[0])[0] for group in display.ax_.collections]
    assert greys[0] < greys[1] - 0.2  # the signature is the darker
    for (label, curve), dimension in zip(drawn(display.ax_), by_end, strict=False):
        assert label == f"d{dimension}"
        np.testing.assert_array_equal(curve[:, 1], path().coefs[:, 0, dimension])


def test_the_numbers_above_count_the_dimensions_in_use():
    display = SignaturePathDisplay.from_path(path())
    [counts] = display.ax_.child_axes
    expected = (path().coefs[:, 0] != 0).sum(axis=1)
    at = [int(np.flatnonzero(tick == CS)[0]) for tick in counts.get_xticks()]
    assert [label.get_text() for label in counts.get_xticklabels()] == [str(n) for n in expected[at]]
    assert {0, 5} <= set(at)
    assert display.frame()["n_dimensions"].tolist() == expected.tolist()


def test_numbers_above_keep_their_distance_on_a_crowded_grid():
    Cs = [0.1, 0.101, 0.102, 0.5, 1.0]
    [counts] = SignaturePathDisplay.from_path(signature_path(X, Y, Cs=Cs)).ax_.child_axes
    assert counts.get_xticks().tolist() == [0.1, 0.5, 1.0]


def test_the_chosen_c_has_a_line_and_its_number_of_dimensions():
    n_dimensions = np.count_nonzero(path().coefs[4])
    [(at, label)] = upright(SignaturePathDisplay.from_path(path(), chosen_C=CS[4]).ax_).items()
    assert at == CS[4]
    assert label == f"chosen: C = {CS[4]:.3g}\n({n_dimensions} dimensions)"
    assert not upright(SignaturePathDisplay.from_path(path()).ax_)


def test_several_classes_are_drawn_by_their_norm():
    three = signature_path(X, np.digitize(X[:, 2] / 3 + 0.3 * NOISE, [-0.5, 0.5]), n_Cs=3)
    display = SignaturePathDisplay.from_path(three)
    np.testing.assert_allclose(display.weights, np.sqrt(np.sum(three.coefs**2, axis=1)))
    assert display.ax_.get_ylabel() == "weight (norm over 3 classes)"


@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score"])
def test_the_cross_validated_loss_is_drawn_with_its_standard_error_and_both_choices(scoring):
    selector = SparseSignatureSelector(n_Cs=7, cv=4, scoring=scoring).fit(X, Y)
    display = SignaturePathDisplay.from_estimator(selector, X, Y)
    mean, error = selector.cv_losses_.mean(axis=1), selector.cv_losses_.std(axis=1, ddof=1) / 2
    line = display.loss_ax_.lines[0]
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([selector.Cs_, mean]))
    [bars] = display.loss_ax_.collections
    np.testing.assert_allclose(np.array(bars.get_segments())[:, :, 1], np.transpose([mean - error, mean + error]))
    best = selector.Cs_[np.argmin(mean)]
    assert best > selector.C_
    assert {C: label.split(":")[0] for C, label in upright(display.ax_).items()} == {
        selector.C_: "chosen",
        best: "lowest loss",
    }
    assert upright(display.ax_) == upright(display.loss_ax_)
    assert {"neg_log_loss": "log loss", "neg_brier_score": "Brier score"}[scoring] in display.loss_ax_.get_ylabel()
    np.testing.assert_allclose(display.frame()["standard_error"], error)


@pytest.mark.parametrize("parameters", [{}, {"standardize": False}, {"class_weight": "balanced"}, {"one_se": False}])
def test_the_path_passes_through_the_weights_of_the_selector(parameters):
    weight = np.random.default_rng(2).uniform(0.2, 2, size=83)
    for C in ("cv", 0.2):
        selector = SparseSignatureSelector(C, n_Cs=5, **parameters).fit(X, Y, sample_weight=weight)
        display = SignaturePathDisplay.from_estimator(selector, X, Y, sample_weight=weight)
        found = display.weights[np.flatnonzero(display.Cs == selector.C_)]
        np.testing.assert_allclose(found, selector.coef_, atol=1e-4)
        np.testing.assert_array_equal(display.signature, selector.signature_)
        assert display.ax_.get_ylabel() == "weight (above 0: malignant)"


def test_a_fixed_c_beyond_the_default_grid_is_on_the_path():
    selector = SparseSignatureSelector(50.0, n_Cs=4).fit(X, Y)
    display = SignaturePathDisplay.from_estimator(selector, X, Y)
    np.testing.assert_allclose(display.Cs, np.geomspace(display.Cs[0], 50, 4))
    assert list(upright(display.ax_)) == [50.0]
    assert display.loss_ax_ is None


def test_one_value_of_c_is_a_path_too():
    selector = SparseSignatureSelector(n_Cs=1).fit(X, Y)
    display = SignaturePathDisplay.from_estimator(selector, X, Y)
    assert len(display.frame()) == 1
    assert list(upright(display.loss_ax_).values())[-1].startswith("chosen")


def test_a_refit_with_a_number_draws_no_loss_of_the_fit_before():
    selector = SparseSignatureSelector(n_Cs=3).fit(X, Y)
    display = SignaturePathDisplay.from_estimator(selector.set_params(C=0.1).fit(X, Y), X, Y)
    assert display.loss_ax_ is display.cv_losses is None


def test_other_data_than_in_fit_are_noticed():
    selector = SparseSignatureSelector(0.2, n_Cs=3).fit(X, Y)
    with pytest.warns(UserWarning, match="does not pass through the weights of the selector at C=0.2"):
        SignaturePathDisplay.from_estimator(selector, X[::2], Y[::2])
    with pytest.warns(UserWarning, match="sample_weight"):
        SignaturePathDisplay.from_estimator(selector, X, Y, sample_weight=np.arange(1, 84))
    with pytest.raises(ValueError, match=r"of the classes \['benign'\], where `fit` saw \['benign', 'malignant'\]"):
        SignaturePathDisplay.from_estimator(selector, X[Y == "benign"], Y[Y == "benign"])
    with pytest.raises(ValueError, match="got 83 rows and 82 labels"):
        SignaturePathDisplay.from_estimator(selector, X, Y[1:])
    with pytest.raises(ValueError, match="Negative values"):
        SignaturePathDisplay.from_estimator(selector, X, Y, sample_weight=np.linspace(-1, 1, 83))
    with pytest.raises(ValueError, match="10 features"):
        SignaturePathDisplay.from_estimator(selector, X[:, 1:], Y)


def test_the_strongest_dimension_kept_alone_is_no_sign_of_other_data():
    factor = np.random.default_rng(0).normal(size=(83, 1))
    correlated = factor + np.random.default_rng(11).normal(size=(83, 6))
    labels = factor[:, 0] + NOISE > 0
    with pytest.warns(UserWarning, match="C=0.0001 selects no dimension"):
        selector = SparseSignatureSelector(1e-4, n_Cs=4).fit(correlated, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = SignaturePathDisplay.from_estimator(selector, correlated, labels)
    assert display.signature.size == 1
    assert np.count_nonzero(display.weights[display.Cs == selector.C_]) > 1  # the path does not pass through it


def test_the_picture_is_that_of_the_fit_whatever_parameters_are_set_since():
    chosen = SparseSignatureSelector(n_Cs=3).fit(X, Y).set_params(C=0.2, per_magnification=True)
    display = SignaturePathDisplay.from_estimator(chosen, X, Y)
    np.testing.assert_array_equal(display.Cs, chosen.Cs_)
    assert display.loss_ax_ is not None
    with pytest.warns(UserWarning, match="does not pass through the weights"):
        SignaturePathDisplay.from_estimator(chosen, X[::2], Y[::2])
    given = SparseSignatureSelector(0.2, n_Cs=3).fit(X, Y).set_params(C="cv")
    assert SignaturePathDisplay.from_estimator(given, X, Y).loss_ax_ is None


def test_the_invariant_signature_is_brought_out_on_the_path_of_all_magnifications():
    magnification = np.arange(83) % 2 * 100 + 100
    selector = SparseSignatureSelector(0.3, n_Cs=4, per_magnification=True)
    selector.fit(X, Y, magnification=magnification)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # means over magnifications lie on no path
        display = SignaturePathDisplay.from_estimator(selector, X, Y)
    pooled = display.weights[np.flatnonzero(display.Cs == selector.C_)[0]]
    np.testing.assert_array_equal(np.flatnonzero(pooled), selector.pooled_signature_)
    np.testing.assert_array_equal(display.signature, selector.signature_)


def test_the_table_has_the_names_seen_in_fit():
    frame = pd.DataFrame(X, columns=[f"embedding{i}" for i in range(11)])
    selector = SparseSignatureSelector(0.1, n_Cs=3).fit(frame, Y)
    table = SignaturePathDisplay.from_estimator(selector, frame, Y).frame()
    assert table.index.name == "C"
    assert table.columns[0] == "n_dimensions"
    assert set(table.columns[1:]) <= set(frame.columns)
    np.testing.assert_allclose(table.loc[0.1, "embedding2"], selector.coef_[0, 2], atol=1e-4)


def test_path_and_loss_share_the_place_of_given_axes():
    figure, (ax, _) = plt.subplots(2)
    place = ax.get_window_extent().frozen()
    selector = SparseSignatureSelector(n_Cs=4).fit(X, Y)
    display = SignaturePathDisplay.from_estimator(selector, X, Y, ax=ax)
    figure.canvas.draw()
    assert (display.ax_, display.figure_) == (ax, figure)
    path_box, loss_box = ax.get_window_extent(), display.loss_ax_.get_window_extent()
    assert path_box.y1 == pytest.approx(place.y1)
    assert path_box.y0 > loss_box.y1
    assert loss_box.y0 == pytest.approx(place.y0)


def test_errors_say_what_came(monkeypatch):
    with pytest.raises(ValueError, match=r"`chosen_C=0\.2` is not on the path, which has 6 values from 0.03 to 3"):
        SignaturePathDisplay.from_path(path(), chosen_C=0.2)
    with pytest.raises(ValueError, match="must name all 11 dimensions, got 3 names"):
        SignaturePathDisplay.from_path(path(), feature_names=["a", "b", "c"])
    with pytest.raises(TypeError, match="needs a fitted SparseSignatureSelector, got LogisticRegression"):
        SignaturePathDisplay.from_estimator(LogisticRegression().fit(X, Y), X, Y)
    with pytest.raises(NotFittedError):
        SignaturePathDisplay.from_estimator(SparseSignatureSelector(), X, Y)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"SignaturePathDisplay needs matplotlib: .*sklearn-magdg\[report\]"):
        SignaturePathDisplay.from_path(path())
