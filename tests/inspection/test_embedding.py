import sys
from inspect import signature
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import MDS
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.inspection import EmbeddingDisplay
from sklearn_magdg.metrics import magnification_leakage

# 7 patients, 3 magnifications, 2 images per cell
PATIENT, MAGNIFICATION = np.repeat(np.arange(7), 6), np.tile([200, 40, 100], 14)
Y = np.where(PATIENT % 2, "malignant", "benign")


def embedding(shift=1.5, n_dimensions=5):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(len(Y), n_dimensions)) * np.arange(1, n_dimensions + 1)
    points[:, 0] += shift * np.log2(MAGNIFICATION)
    return points


def lightness(colour):
    return np.dot(to_rgb(colour), [0.299, 0.587, 0.114])


def test_points_are_the_principal_components_and_the_axes_say_their_share():
    display = EmbeddingDisplay.from_embedding(embedding(), y=Y, magnification=MAGNIFICATION)
    pca = PCA(2).fit(embedding())
    frame = display.frame()
    np.testing.assert_allclose(frame[["x", "y"]], pca.transform(embedding()))
    np.testing.assert_array_equal(frame["class"], Y)
    np.testing.assert_array_equal(frame["magnification"], MAGNIFICATION)
    share = f"{pca.explained_variance_ratio_[1]:.0%}"
    assert display.ax_.get_ylabel() == f"principal component 2 ({share} of the variance)"


def test_every_sample_is_drawn_once_with_the_marker_of_its_class_and_the_shade_of_its_magnification():
    display = EmbeddingDisplay.from_embedding(embedding(), y=Y, magnification=MAGNIFICATION)
    drawn = np.concatenate([points.get_offsets() for points in display.ax_.collections])
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(display.points, axis=0))
    cells = [(label, magnification) for label in ("benign", "malignant") for magnification in (40, 100, 200)]
    for (label, magnification), points in zip(cells, display.ax_.collections, strict=True):
        rows = (label == Y) & (magnification == MAGNIFICATION)
        np.testing.assert_array_equal(points.get_offsets(), display.points[rows])
    shapes = [tuple(map(tuple, points.get_paths()[0].vertices)) for points in display.ax_.collections]
    assert len(set(shapes[:3])) == len(set(shapes[3:])) == 1
    assert shapes[0] != shapes[3]
    for of_class in (display.ax_.collections[:3], display.ax_.collections[3:]):
        shades = [lightness(points.get_facecolor()[0][:3]) for points in of_class]
        assert np.diff(shades).max() < -0.15  # the higher the magnification the darker


def test_the_legend_names_classes_and_magnifications():
    def names(**known):
        legend = EmbeddingDisplay.from_embedding(embedding(), **known).ax_.get_legend()
        return None if legend is None else [text.get_text() for text in legend.get_texts()]

    assert names(y=Y, magnification=MAGNIFICATION) == ["benign", "malignant", "40X", "100X", "200X"]
    assert names(y=Y) == ["benign", "malignant"]
    assert names(magnification=MAGNIFICATION) == ["40X", "100X", "200X"]
    assert names() is None


def test_eight_classes_have_markers_of_their_own():
    legend = EmbeddingDisplay.from_embedding(embedding(), y=np.arange(len(Y)) % 8).ax_.get_legend()
    assert len({handle.get_marker() for handle in legend.legend_handles}) == 8


def test_the_title_says_the_leakage_of_all_dimensions():
    options = {"magnification": MAGNIFICATION, "patient": PATIENT, "random_state": 2}
    display = EmbeddingDisplay.from_embedding(embedding(4.0), n_splits=3, **options)
    leakage = magnification_leakage(embedding(4.0), n_splits=3, **options)
    assert display.leakage == leakage
    accuracy, chance, low, high = leakage
    interval = f"95 % interval {low:.2f} to {high:.2f}, 7 patients"
    words = f"balanced accuracy {accuracy:.2f} ({interval}), chance {chance:.2f}"
    assert display.ax_.get_title(loc="left").replace("\n", " ").endswith(words)
    assert EmbeddingDisplay.from_embedding(embedding(), magnification=MAGNIFICATION).ax_.get_title(loc="left") == ""


def test_the_title_stays_within_narrow_axes():
    _, axes = plt.subplots(ncols=2, figsize=(9, 4.5))
    options = {"magnification": MAGNIFICATION, "patient": PATIENT, "n_splits": 3, "random_state": 0}
    display = EmbeddingDisplay.from_embedding(embedding(), ax=axes[0], **options)
    title = next(text for text in display.ax_.get_children() if getattr(text, "get_text", str)().startswith("magnif"))
    assert title.get_window_extent().x1 <= display.ax_.get_window_extent().x1


def test_a_rare_magnification_is_drawn_above_the_others():
    magnification = np.repeat([100, 40, 200], [30, 2, 10])
    display = EmbeddingDisplay.from_embedding(embedding(), magnification=magnification)
    of_40, of_100, of_200 = (points.get_zorder() for points in display.ax_.collections)
    assert of_100 < of_200 < of_40


def test_marks_and_legend_are_equally_light_at_every_magnification():
    display = EmbeddingDisplay.from_embedding(embedding(), y=np.arange(len(Y)) % 5, magnification=MAGNIFICATION)
    marks = np.reshape([lightness(points.get_facecolor()[0][:3]) for points in display.ax_.collections], (5, 3))
    keys = [lightness(handle.get_color()[:3]) for handle in display.ax_.get_legend().legend_handles[5:]]
    np.testing.assert_allclose(marks, np.tile(keys, (5, 1)), atol=0.015)
    assert {handle.get_alpha() for handle in display.ax_.get_legend().legend_handles} == {
        points.get_alpha() for points in display.ax_.collections
    }


def test_every_option_of_an_estimator_reaches_its_embedding():
    given = {name: object() for name in ("y", "magnification", "patient", "reducer", "n_splits", "random_state", "ax")}
    scaler = StandardScaler().fit(embedding())
    with mock.patch.object(EmbeddingDisplay, "from_embedding") as called:
        EmbeddingDisplay.from_estimator(scaler, embedding(), **given)
    assert called.call_args.kwargs == given
    assert given.keys() == signature(EmbeddingDisplay.from_embedding).parameters.keys() - {"embedding"}


def test_an_estimator_is_asked_for_its_embedding():
    scaler = StandardScaler().fit(embedding())
    display = EmbeddingDisplay.from_estimator(scaler, embedding(), y=Y)
    expected = EmbeddingDisplay.from_embedding(scaler.transform(embedding()), y=Y)
    np.testing.assert_array_equal(display.points, expected.points)
    with pytest.raises(NotFittedError):
        EmbeddingDisplay.from_estimator(StandardScaler(), embedding())


def test_another_reducer_is_cloned_and_names_the_axes():
    reducer = MDS(n_init=1, init="random", random_state=0)
    display = EmbeddingDisplay.from_embedding(embedding(), reducer=reducer)
    np.testing.assert_allclose(display.points, reducer.fit_transform(embedding()))
    assert display.ax_.get_xlabel() == "MDS 1"
    pipeline = make_pipeline(StandardScaler(), PCA(2))
    display = EmbeddingDisplay.from_embedding(embedding(), reducer=pipeline)
    assert display.ax_.get_xlabel().startswith("principal component 1")
    assert not hasattr(pipeline[-1], "components_")


def test_given_axes_are_used_and_the_picture_can_be_drawn_again():
    figure, (left, right) = plt.subplots(ncols=2)
    display = EmbeddingDisplay.from_embedding(embedding(), y=Y, ax=left)
    assert (display.ax_, display.figure_) == (left, figure)
    assert display.plot(right).ax_ is right


def test_errors_say_what_came(monkeypatch):
    with pytest.raises(ValueError, match=r"2 columns for 42 samples, PCA\(n_components=3\) gave shape \(42, 3\)"):
        EmbeddingDisplay.from_embedding(embedding(), reducer=PCA(3))
    with pytest.raises(TypeError, match=r"transformer with `fit_transform`, such as .*got 'tsne'"):
        EmbeddingDisplay.from_embedding(embedding(), reducer="tsne")
    with pytest.raises(ValueError, match="the same for all 42 samples"):
        EmbeddingDisplay.from_embedding(np.ones((42, 3)))
    with pytest.raises(ValueError, match="give `magnification` too"):
        EmbeddingDisplay.from_embedding(embedding(), patient=PATIENT)
    with pytest.raises(ValueError, match="`y` has 41 values for 42 samples"):
        EmbeddingDisplay.from_embedding(embedding(), y=Y[1:])
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        EmbeddingDisplay.from_embedding(embedding()[:, :1])
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"EmbeddingDisplay needs matplotlib: .*sklearn-magdg\[report\]"):
        EmbeddingDisplay.from_embedding(embedding())
