import sys
from inspect import signature
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy.special import expit
from scipy.stats import binom
from sklearn.exceptions import NotFittedError
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate

from sklearn_magdg.inspection import ReliabilityDisplay
from sklearn_magdg.inspection._corp import consistency_band
from sklearn_magdg.inspection._reliability_diagram import outside_band
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
    texts = display.ax_.get_legend().get_texts()
    for line, text, (method, table) in zip(
        display.ax_.lines[1:], texts, display.frame().groupby("method"), strict=True
    ):
        np.testing.assert_array_equal(line.get_xdata(), table["predicted"])
        np.testing.assert_array_equal(line.get_ydata(), table["recalibrated"])
        score = brier_decomposition(y, p ** (1 + (method == "GAN")))[0]
        assert text.get_text().startswith(f"{method}: Brier {score:.3f}")


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


def of_patients(n_patients=24, n_images=12, seed=0, confidence=1.0):
    """Labels, forecasts and patients: images of one patient resemble each other; calibrated at `confidence` 1."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), n_images)
    y = rng.integers(0, 2, n_patients)[patient]
    evidence = 0.8 * (2 * y - 1) + rng.normal(size=n_patients)[patient]
    evidence += 0.01 * rng.normal(size=len(y))  # so that few forecasts are equal
    return y, expit(confidence * 2 * 0.8 * evidence), patient


def share_inside(display):
    """Of 5 places between 0.1 and 0.9, those where the curve is inside its band."""
    table, places = display.frame(), np.linspace(0.1, 0.9, 5)
    curve, low, high = (np.interp(places, table["predicted"], table[each]) for each in ("recalibrated", "low", "high"))
    return np.mean((low <= curve) & (curve <= high))


@pytest.mark.slow
def test_calibrated_forecasts_stay_inside_the_band_of_patients_and_leave_that_of_images():
    inside = {"patients": [], "images": []}
    for seed in range(40):
        y, p, patient = of_patients(seed=seed)
        for unit, group in (("patients", patient), ("images", np.arange(len(y)))):
            with mock.patch.object(ReliabilityDisplay, "plot", lambda display, ax: display):
                display = ReliabilityDisplay.from_predictions(y, p, patient=group, n_resamples=100, random_state=seed)
            inside[unit].append(share_inside(display))
    assert 0.92 < np.mean(inside["patients"]) < 1  # nominal 0.95
    assert np.mean(inside["images"]) < 0.7


def test_overconfident_forecasts_leave_the_band():
    y, p, patient = of_patients(200, 2, confidence=4)
    assert share_inside(ReliabilityDisplay.from_predictions(y, p, patient=patient, random_state=0)) < 0.5


def test_the_band_of_one_forecast_is_the_binomial_of_patients():
    patient = np.repeat(np.arange(10), 7)
    display = ReliabilityDisplay.from_predictions(
        patient % 2, np.full(70, 0.3), patient=patient, n_resamples=4000, confidence_level=0.9, random_state=0
    )
    [(low, high)] = [np.concatenate(display.bands["predictions"])]
    np.testing.assert_allclose([low, high], binom(10, 0.3).ppf([0.05, 0.95]) / 10)


def test_rows_without_weight_and_the_order_of_rows_change_nothing():
    y, p, patient = of_patients(9, 3)
    weight = np.arange(len(y)) % 3
    options = {"n_resamples": 99, "random_state": 0}
    frame = ReliabilityDisplay.from_predictions(y, p, patient=patient, sample_weight=weight, **options).frame()
    kept = np.flatnonzero(weight)[::-1]
    other = ReliabilityDisplay.from_predictions(
        y[kept], p[kept], patient=patient[kept], sample_weight=weight[kept], **options
    )
    np.testing.assert_allclose(frame.iloc[:, 1:], other.frame().iloc[:, 1:])


def test_a_band_and_the_trace_outside_it_are_drawn_and_named():
    y, p, patient = of_patients(60, 5, confidence=4)
    methods = {"calibrated": of_patients(60, 5)[1], "overconfident": p}
    display = ReliabilityDisplay.from_predictions(y, methods, patient=patient, random_state=0)
    table = display.frame().query("method == 'overconfident'")
    trace = display.ax_.lines[-1]
    outside = (table["recalibrated"] < table["low"]) | (table["recalibrated"] > table["high"])
    np.testing.assert_array_equal(np.isnan(trace.get_ydata()), ~outside)
    assert len(display.ax_.collections) == 2
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[2:] == ["95 % consistency band, edged like its curve", "curve outside its band"]
    fills = {to_hex(fill.get_facecolor()[0]) for fill in display.ax_.collections}
    edges = [line for line in display.ax_.lines if line.get_linewidth() == 0.7]
    assert fills == {to_hex(line.get_color()) for line in edges} == {"#000000", "#0072b2"}
    assert len({line.get_linestyle() for line in edges}) == 2
    np.testing.assert_array_equal(np.transpose([line.get_ydata() for line in edges[2:]]), table[["low", "high"]])


def test_bands_where_all_overlap_are_as_dark_as_one():
    y, p, patient = of_patients(9, 3)
    for n_methods in (1, 3):
        display = ReliabilityDisplay.from_predictions(y, {str(k): p for k in range(n_methods)}, patient=patient)
        alphas = [fill.get_alpha() for fill in display.ax_.collections]
        assert 1 - np.prod(1 - np.array(alphas)) == pytest.approx(0.14)
        assert len(alphas) == n_methods


def test_the_legend_is_silent_of_a_trace_where_no_curve_leaves_its_band():
    y, p, patient = of_patients(9, 3)
    display = ReliabilityDisplay.from_predictions(y, p, patient=patient, random_state=0)
    assert not outside_band(display.curves["predictions"], display.bands["predictions"]).any()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[1:] == ["95 % consistency band"]


def test_one_forecast_shows_its_point_its_band_and_that_it_is_outside():
    patient = np.repeat(np.arange(11), 3)
    display = ReliabilityDisplay.from_predictions(
        np.array(["b", "m"])[patient % 2], np.full(33, 0.1), patient=patient, random_state=0
    )
    _, curve, _, dot = display.ax_.lines
    assert (curve.get_marker(), curve.get_markevery()) == ("o", None)
    assert (dot.get_marker(), dot.get_ydata().tolist()) == ("o", curve.get_ydata().tolist())
    [[bar]] = [collection.get_segments() for collection in display.ax_.collections]
    np.testing.assert_array_equal(bar[:, 1], np.ravel(display.bands["predictions"]))


def test_a_lonely_point_outside_the_band_has_a_dot_and_neighbours_have_a_line():
    predicted, recalibrated = np.linspace(0.1, 0.7, 7), np.array([0.0, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9])
    bands = {"net": (np.array([0, 0, 0, 0, 0.0, 0, 0]), np.array([1, 0.2, 1, 1, 0.3, 0.3, 1]))}
    curves = {"net": (predicted, recalibrated, np.ones(7))}
    display = ReliabilityDisplay(curves, {"net": (0.1, 0.1, 0.1, 0.1)}, pos_label="m", bands=bands).plot()
    trace, dot = display.ax_.lines[-2:]
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(trace.get_ydata())), [1, 4, 5])
    np.testing.assert_allclose(dot.get_xdata(), [0.2])


def test_one_curve_has_no_markers_and_several_have():
    y, p = predictions()
    assert ReliabilityDisplay.from_predictions(y, p).ax_.lines[1].get_marker() == ""
    assert ReliabilityDisplay.from_predictions(y, {"a": p, "b": p}).ax_.lines[1].get_marker() == "o"


def test_without_patients_there_is_no_band():
    display = ReliabilityDisplay.from_predictions(*predictions())
    assert display.bands is None
    assert not display.ax_.collections
    assert list(display.frame().columns) == ["method", "predicted", "recalibrated", "weight"]


def test_nothing_is_cut_off_however_many_the_methods():
    y, p = predictions()
    names = [f"method {k}" + " of a long name" * (k % 2) for k in range(6)]
    display = ReliabilityDisplay.from_predictions(y, dict.fromkeys(names, p), patient=np.arange(len(y)) // 3)
    display.figure_.canvas.draw()
    page = display.figure_.bbox
    for artist in (display.histogram_ax_.xaxis.label, display.ax_.get_legend(), display.ax_.yaxis.label):
        box = artist.get_window_extent()
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 <= page.y1


def cross_validated(C=1.0, n_folds=3):
    """Results over part of the samples: every test part is one patient in three of one magnification in turn."""
    y, p, patient = of_patients(18, 4)
    magnification = np.tile([40, 100, 200, 400], 18)
    X = np.log(p / (1 - p))[:, None]
    splits = [
        (np.flatnonzero((patient % 3 != 0) & (magnification != held_out)),
         np.flatnonzero((patient % 3 == 0) & (magnification == held_out)))
        for held_out in (40, 100, 200)[:n_folds]
    ]  # fmt: skip
    options = {"return_estimator": True, "return_indices": True}
    results = cross_validate(LogisticRegression(C=C), X, np.array(["b", "m"])[y], cv=splits, **options)
    return results, X, np.array(["b", "m"])[y], patient, magnification


def test_folds_are_pooled_drawn_each_or_by_held_out_magnification():
    results, X, y, patient, magnification = cross_validated()
    tests = results["indices"]["test"]
    p = [model.predict_proba(X[rows])[:, 1] for model, rows in zip(results["estimator"], tests, strict=True)]
    rows = np.concatenate(tests)
    expected = ReliabilityDisplay.from_predictions(y[rows], np.concatenate(p), patient=patient[rows], random_state=0)
    pooled = ReliabilityDisplay.from_cv_results(results, X, y, patient=patient, random_state=0)
    np.testing.assert_array_equal(pooled.frame().iloc[:, 1:], expected.frame().iloc[:, 1:])
    by_fold = ReliabilityDisplay.from_cv_results(results, X, y, groups="fold")
    assert list(by_fold.curves) == ["fold 0", "fold 1", "fold 2"]
    by_magnification = ReliabilityDisplay.from_cv_results(results, X, y, groups=magnification)
    for fold, held_out in enumerate((40, 100, 200)):
        assert by_fold.decompositions[f"fold {fold}"] == brier_decomposition(y[tests[fold]], p[fold])
        assert by_magnification.decompositions[held_out] == brier_decomposition(y[tests[fold]], p[fold])
    texts = [text.get_text() for text in by_magnification.ax_.get_legend().get_texts()]
    assert [text.split(":")[0] for text in texts] == ["40X", "100X", "200X"]


def test_several_methods_have_a_curve_each_over_their_own_test_parts():
    (results, X, y, patient, _), (other, *_) = cross_validated(), cross_validated(C=0.01, n_folds=2)
    display = ReliabilityDisplay.from_cv_results({"plain": results, "shrunk": other}, X, y, patient=patient)
    for name, each in (("plain", results), ("shrunk", other)):
        alone = ReliabilityDisplay.from_cv_results(each, X, y)
        np.testing.assert_array_equal(display.curves[name], alone.curves["predictions"])
    with pytest.raises(ValueError, match=r"one method, got \['plain', 'shrunk'\]"):
        ReliabilityDisplay.from_cv_results({"plain": results, "shrunk": other}, X, y, groups="fold")
    with pytest.raises(ValueError, match="`name` is for one method, got 'net'"):
        ReliabilityDisplay.from_cv_results({"plain": results, "shrunk": other}, X, y, name="net")
    with pytest.raises(ValueError, match="got `name='net'` too"):
        ReliabilityDisplay.from_cv_results(results, X, y, groups="fold", name="net")


def test_a_fitted_estimator_is_asked_for_its_probabilities():
    results, X, y, patient, _ = cross_validated()
    model = results["estimator"][0]
    display = ReliabilityDisplay.from_estimator(model, X, y, pos_label="b")
    expected = ReliabilityDisplay.from_predictions(y, model.predict_proba(X), pos_label="b", name="LogisticRegression")
    assert display.decompositions == expected.decompositions
    assert display.ax_.get_ylabel() == "observed frequency of b"
    of_one_class = ReliabilityDisplay.from_estimator(model, X[y == "m"], y[y == "m"], patient=patient[y == "m"])
    assert of_one_class.decompositions["LogisticRegression"].uncertainty == 0
    with pytest.raises(NotFittedError):
        ReliabilityDisplay.from_estimator(LogisticRegression(), X, y)


def test_incomplete_cv_results_are_refused():
    results, X, y, *_ = cross_validated()
    for missing, way_out in (("estimator", "return_estimator=True"), ("indices", "return_indices=True")):
        with pytest.raises(ValueError, match=way_out):
            ReliabilityDisplay.from_cv_results({k: v for k, v in results.items() if k != missing}, X, y)
    results["estimator"][1] = LogisticRegression().fit(X, y == "m")
    with pytest.raises(ValueError, match="folds 0 and 1 know the classes"):
        ReliabilityDisplay.from_cv_results(results, X, y)


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_everything_fits_into_given_axes_of_ordinary_size(layout):
    y, p = predictions()
    figure, axes = plt.subplots(ncols=2, figsize=(9, 4.5), layout=layout)
    methods = {"CNN": p, "GAN": p**2, "GAN, averaged over all folds of one magnification": p**0.5}
    for ax in axes:
        ReliabilityDisplay.from_predictions(y, methods, patient=np.arange(len(y)) // 3, ax=ax)
    figure.canvas.draw()
    legends = [ax.get_legend().get_window_extent() for ax in axes]
    boxes = [each.get_window_extent() for ax in axes for each in (ax.yaxis.label, ax.child_axes[0].xaxis.label)]
    for box in (*legends, *boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
    assert legends[0].x1 < legends[1].x0
    for ax, legend in zip(axes, legends, strict=True):
        place = ax.get_position(original=True).transformed(figure.transFigure)
        assert ax.child_axes[0].get_window_extent().y0 == pytest.approx(place.y0, abs=1)
        assert ax.get_window_extent().height > 0.3 * place.height
        assert ax.get_window_extent().y1 <= legend.y0


def test_without_its_legend_the_diagram_takes_the_room():
    display = ReliabilityDisplay.from_predictions(*predictions(), ax=plt.subplots()[1])
    display.figure_.canvas.draw()
    before = display.ax_.get_position().height
    display.ax_.get_legend().remove()
    display.figure_.canvas.draw()
    assert display.ax_.get_position().height > before


OPTIONS = ("patient", "groups", "sample_weight", "pos_label", "n_resamples", "confidence_level", "random_state", "ax")


def test_every_option_of_an_estimator_reaches_its_predictions():
    results, X, y, *_ = cross_validated()
    model, given = results["estimator"][0], {name: object() for name in (*OPTIONS, "name")}
    with mock.patch.object(ReliabilityDisplay, "from_predictions") as called:
        ReliabilityDisplay.from_estimator(model, X, y, **given)
    passed = called.call_args.kwargs
    assert {name: passed[name] for name in given} == given
    assert passed.keys() - given.keys() == {"labels"}
    assert passed["labels"] is model.classes_
    assert passed.keys() == signature(ReliabilityDisplay.from_predictions).parameters.keys() - {"y_true", "y_proba"}


def test_every_option_of_cross_validation_reaches_its_predictions_for_the_tested_rows():
    results, X, y, patient, magnification = cross_validated()
    rows = np.concatenate(results["indices"]["test"])
    columns = {"patient": patient, "groups": magnification, "sample_weight": np.arange(len(y)) / 7}
    given = {name: object() for name in OPTIONS if name not in columns}
    with mock.patch.object(ReliabilityDisplay, "from_predictions") as called:
        ReliabilityDisplay.from_cv_results(results, X, y, **columns, **given)
    passed = called.call_args.kwargs
    assert {name: passed[name] for name in given} == given
    for name, column in columns.items():
        np.testing.assert_array_equal(passed[name], column[rows])
    np.testing.assert_array_equal(called.call_args.args[0], y[rows])
    np.testing.assert_array_equal(passed["labels"], ["b", "m"])


def test_a_column_of_another_length_than_the_samples_is_refused():
    results, X, y, patient, magnification = cross_validated()
    columns = {"y": y, "patient": patient, "groups": magnification, "sample_weight": np.ones(len(y))}
    for name in columns:
        longer = columns | {name: np.append(columns[name], columns[name][0])}
        with pytest.raises(ValueError, match=rf"`{name}` has {len(y) + 1} values for {len(y)} samples"):
            ReliabilityDisplay.from_cv_results(results, X, **longer)


def test_a_missing_patient_or_group_is_refused_in_lists_too():
    results, X, y, patient, _ = cross_validated()
    tested = results["indices"]["test"][0][0]
    named = [f"p{each}" for each in patient]
    named[tested] = np.nan
    for column in ("patient", "groups"):
        with pytest.raises(ValueError, match=f"`{column}` is missing for 1 samples"):
            ReliabilityDisplay.from_cv_results(results, X, y, **{column: named})
    with pytest.raises(ValueError, match=r"`groups` is missing for 1 samples \(the first at position 1\)"):
        ReliabilityDisplay.from_predictions([0, 1, 1], [0.1, 0.2, 0.3], groups=["a", np.nan, "b"])


def test_the_histogram_shows_shares_of_the_weight():
    y, p = ["a", "b", "b"], [0.11, 0.52, 0.53]
    display = ReliabilityDisplay.from_predictions(y, p, sample_weight=[3, 1, 4])
    heights = display.histogram_ax_.patches[0].get_xy()[:, 1]
    assert set(heights) == {0, 3 / 8, 5 / 8}


def test_the_band_of_weighted_images_is_that_of_weighted_means():
    probability, weight, patient = np.array([0.5, 0.5, 0.51]), np.array([1.0, 3.0, 2.0]), np.arange(3)
    options = {"n_resamples": 4000, "confidence_level": 0.6, "random_state": np.random.RandomState(0)}
    low, high = consistency_band(probability, patient, weight, **options)
    drawn = np.random.RandomState(0).uniform(size=(4000, 3)) < probability
    first, second = (drawn[:, 0] + 3 * drawn[:, 1]) / 4, drawn[:, 2].astype(float)
    pooled = (4 * first + 2 * second) / 6  # where the first frequency would exceed the second
    curves = np.where((first > second)[:, None], pooled[:, None], np.column_stack([first, second]))
    np.testing.assert_allclose([low, high], np.quantile(curves, [0.2, 0.8], axis=0))


def test_the_notes_say_what_the_simulation_measured():
    table = Path(__file__).parents[2].joinpath("docs/measured/bands.md").read_text().splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    notes = " ".join(ReliabilityDisplay.__doc__.split())
    bands = ["consistency, by patient", "consistency, image by image", "bootstrap of patients"]
    for band, words in zip(bands, ["stayed inside at", "image by image gave", "does not support [2]_,"], strict=True):
        held = [float(row[3]) for row in rows if row[2] == band]
        assert f"{words} {min(held):.2f} to {max(held):.2f}" in notes


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
    with pytest.raises(ValueError, match="`y_proba` is an empty dict"):
        ReliabilityDisplay.from_predictions(y, {})
    with pytest.raises(ValueError, match="got `name='CNN'` too; drop one of the two"):
        ReliabilityDisplay.from_predictions(y, p, name="CNN", groups=y)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[37, 36\]"):
        ReliabilityDisplay.from_predictions(y, p[1:], groups=y)
    with pytest.raises(ValueError, match="`groups` has 2 values for 37 samples"):
        ReliabilityDisplay.from_predictions(y, p, groups=["a", "b"])
    with pytest.raises(ValueError, match="`patient` has 3 values for 37 samples"):
        ReliabilityDisplay.from_predictions(y, p, patient=[1, 2, 3])
    with pytest.raises(ValueError, match="`confidence_level` must lie between 0 and 1"):
        ReliabilityDisplay.from_predictions(y, p, confidence_level=95)
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        ReliabilityDisplay.from_predictions(y, p * 2)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-magdg\[report\]"):
        ReliabilityDisplay.from_predictions(*predictions())


def test_two_columns_are_read_by_the_positive_class_where_one_class_is_there():
    display = ReliabilityDisplay.from_predictions([0, 0], [[0.9, 0.1], [0.7, 0.3]], pos_label=0)
    curve = display.curves["predictions"]
    np.testing.assert_allclose(curve.predicted, [0.7, 0.9])
    np.testing.assert_array_equal(curve.recalibrated, [1, 1])
