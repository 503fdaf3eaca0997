import sys
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from torch import nn

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier
from sklearn_magdg.images import ImageReader
from sklearn_magdg.inspection import ClassActivationDisplay
from sklearn_magdg.modules import grad_cam, upsample
from tests.modules.test_grad_cam import state_of


def two_convolutions():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return net, 16


@pytest.fixture(scope="module")
def tissue():
    return make_histology(6, images_per_cell=2, magnifications=(40, 100, 200), image_size=32, random_state=0)


@pytest.fixture(scope="module")
def fitted(tissue):
    labels = tissue.target_names[tissue.target]
    return CNNClassifier(two_convolutions, max_epochs=2, random_state=0).fit(tissue.data, labels)


def show(estimator, X, y=None, **options):
    return ClassActivationDisplay.from_estimator(estimator, X, y, **({"random_state": 0} | options))


def planted_patches(n, rng):
    """Dim noise, every second image with a bright square of 8 pixels; masks of the squares."""
    images = rng.integers(60, 120, (n, 32, 32, 3), dtype=np.uint8)
    masks = np.zeros((n, 32, 32), dtype=bool)
    for mask, (row, column) in zip(masks[1::2], rng.integers(0, 25, (n // 2, 2)), strict=True):
        mask[row : row + 8, column : column + 8] = True
    images[masks] = 230
    return images, masks


def test_a_patch_that_decides_the_class_lights_up_and_nothing_else_does():
    rng = np.random.default_rng(0)
    (images, masks), (unseen, unseen_masks) = planted_patches(96, rng), planted_patches(12, rng)
    y = np.where(masks.any(axis=(1, 2)), "patch", "plain")
    model = CNNClassifier(two_convolutions, max_epochs=12, lr=1e-2, random_state=0).fit(images, y)
    display = show(model, unseen, target="patch", n_images=12)
    has_patch = unseen_masks.any(axis=(1, 2))
    np.testing.assert_array_equal(display.probabilities > 0.5, has_patch)
    inside = display.heatmaps[unseen_masks].mean()
    outside = display.heatmaps[has_patch][~unseen_masks[has_patch]].mean()
    assert inside > 8 * outside
    for heatmap, mask in zip(display.heatmaps[has_patch], unseen_masks[has_patch], strict=True):
        assert mask[np.unravel_index(heatmap.argmax(), heatmap.shape)]
    # one scale for all tells images with evidence from those without; image by image they look alike
    assert display.heatmaps[~has_patch].max() < 0.2
    each = show(model, unseen, target="patch", n_images=12, normalize="image").heatmaps.max(axis=(1, 2))
    assert ((each == 0) | (each == 1)).all()


def test_the_numbers_are_those_of_the_net(fitted, tissue):
    display = show(fitted, tissue.data, n_images=7)
    assert display.layer == "1.3"
    X, proba = tissue.data[display.rows], fitted.predict_proba(tissue.data[display.rows])
    np.testing.assert_array_equal(display.images, X)
    np.testing.assert_array_equal(display.class_names, fitted.predict(X))
    np.testing.assert_array_equal(display.probabilities, proba.max(axis=1))
    maps = grad_cam(fitted.module_, torch.from_numpy(X), torch.from_numpy(proba.argmax(axis=1)), "1.3")
    np.testing.assert_allclose(display.activations, maps, rtol=1e-5, atol=1e-8)
    large = upsample(maps, (32, 32)).numpy()
    np.testing.assert_allclose(display.heatmaps, large / large.max(), atol=1e-5)
    each = show(fitted, tissue.data, n_images=7, normalize="image")
    np.testing.assert_allclose(each.heatmaps, large / large.max(axis=(1, 2), keepdims=True), atol=1e-5)
    frame = display.frame()
    assert list(frame.columns) == ["row", "class", "probability", "strongest"]
    np.testing.assert_array_equal(frame["strongest"], display.activations.max(axis=(1, 2)))


def test_a_target_is_shown_of_every_image(fitted, tissue):
    display = show(fitted, tissue.data, target="benign")
    assert set(display.class_names) == {"benign"}
    np.testing.assert_allclose(display.probabilities, fitted.predict_proba(tissue.data[display.rows])[:, 0])


def test_an_image_without_evidence_has_a_map_of_zeros_and_says_so(tissue):
    model = CNNClassifier(two_convolutions, max_epochs=1, random_state=0).fit(tissue.data, tissue.target)
    with torch.no_grad():
        model.module_.class_head.weight[0] = -1.0  # against maps that are nowhere negative
    for normalize in ("all", "image"):
        display = show(model, tissue.data, target=0, normalize=normalize)
        assert (display.heatmaps == 0).all()
        assert display.axes_[1, 0].get_title() == f"for 0: none\np = {display.probabilities[0]:.2f}"
    display = show(model, tissue.data, target=1)
    assert not any("none" in ax.get_title() for ax in display.axes_[1])


def test_images_are_drawn_in_the_order_of_x_with_cells_and_patients_in_turn(fitted, tissue):
    y, magnification = tissue.target_names[tissue.target], tissue.magnification
    for seed in range(5):
        known = {"magnification": magnification, "patient": tissue.patient}
        display = show(fitted, tissue.data, y, **known, random_state=seed)
        assert (np.diff(display.rows) > 0).all()
        frame = display.frame()
        assert len(frame[["y", "magnification"]].drop_duplicates()) == 6
        assert frame["patient"].nunique() >= 4
        np.testing.assert_array_equal(frame["y"], y[display.rows])
        np.testing.assert_array_equal(frame["magnification"], magnification[display.rows])
        np.testing.assert_array_equal(frame["patient"], tissue.patient[display.rows])
        for k, ax in enumerate(display.axes_[0]):
            np.testing.assert_array_equal(ax.images[0].get_array(), tissue.data[display.rows[k]])
    again = show(fitted, tissue.data, y, **known, random_state=seed)
    np.testing.assert_array_equal(again.rows, display.rows)


def test_patients_take_turns_where_nothing_else_is_known(fitted, tissue):
    patient = np.array(["A"] * 31 + ["B", "C", "D", "E", "F"])
    display = show(fitted, tissue.data, patient=patient)
    assert sorted(patient[display.rows]) == ["A", "B", "C", "D", "E", "F"]


def test_all_are_drawn_where_there_are_few(fitted, tissue):
    display = show(fitted, tissue.data[:7], n_images=50)
    np.testing.assert_array_equal(display.rows, np.arange(7))
    assert display.axes_.shape == (4, 4)
    assert [ax is None for ax in display.axes_.flat].count(True) == 2


@pytest.mark.parametrize("batch_size", [2, 5])
def test_batches_do_not_matter(fitted, tissue, batch_size):
    whole = show(fitted, tissue.data, n_images=11)
    try:
        parts = show(fitted.set_params(batch_size=batch_size), tissue.data, n_images=11)
    finally:
        fitted.set_params(batch_size=32)
    np.testing.assert_allclose(parts.activations, whole.activations, rtol=1e-4, atol=1e-7)


def test_paths_are_shown_as_the_net_sees_them(tmp_path, tissue):
    paths = [tmp_path / f"{k}.png" for k in range(4)]
    for path, image in zip(paths, tissue.data, strict=False):
        Image.fromarray(image[:17]).save(path)
    images, y = ImageReader(24).transform(paths), [0, 1, 0, 1]
    model = CNNClassifier(two_convolutions, image_size=24, max_epochs=1, random_state=0).fit(paths, y)
    from_paths, from_images = show(model, paths), show(model, images)
    np.testing.assert_array_equal(from_paths.images, images)
    np.testing.assert_array_equal(from_paths.heatmaps, from_images.heatmaps)


def augmented(classifier):
    return GANAugmentedClassifier(classifier, generator=DCGAN(32, width=4, max_epochs=1), ratio=0.2)


@pytest.mark.parametrize(
    ("model", "layer", "size"),
    [
        (CNNClassifier(two_convolutions, trainable="head"), "1.module.3", 32),
        (CNNClassifier(two_convolutions, trainable="head", penalty="coral"), "1.module.3", 32),
        (CNNClassifier(two_convolutions, precision="bfloat16"), "1.3", 32),
        (GradientReversalClassifier(two_convolutions), "1.3", 32),
        (GradientReversalClassifier(two_convolutions, conditional=True, trainable="head"), "1.module.3", 32),
        (augmented(CNNClassifier(two_convolutions)), "1.3", 32),
        (augmented(CNNClassifier(two_convolutions, image_size=27)), "1.3", 27),
    ],
    ids=[
        "head",
        "head with projection",
        "bfloat16",
        "reversal",
        "conditional reversal of a frozen net",
        "generated",
        "generated, resized",
    ],
)
def test_all_classifiers_show_their_evidence(tissue, model, layer, size):
    epochs = "estimator__max_epochs" if isinstance(model, GANAugmentedClassifier) else "max_epochs"
    model = model.set_params(**{epochs: 2, "random_state": 0})
    model.fit(tissue.data, tissue.target, magnification=tissue.magnification)
    net = getattr(model, "estimator_", model)
    before = state_of(net.module_)
    display = show(model, tissue.data)
    assert display.layer == layer
    assert display.images.shape == (6, size, size, 3)
    assert display.heatmaps.shape == (6, size, size)
    assert display.heatmaps.min() >= 0
    assert display.heatmaps.max() == 1
    np.testing.assert_array_equal(display.class_names, model.predict(tissue.data[display.rows]))
    assert state_of(net.module_) == before


def test_titles_say_what_is_known_and_what_the_net_says(fitted, tissue):
    known = {"magnification": tissue.magnification, "patient": tissue.patient}
    display = show(fitted, tissue.data, tissue.target, **known)
    for k, (row, above, below) in enumerate(zip(display.rows, *display.axes_, strict=True)):
        expected = f"{tissue.target[row]}\n{tissue.patient[row]}, {tissue.magnification[row]}X"
        assert above.get_title() == expected
        assert below.get_title() == f"for {display.class_names[k]}\np = {display.probabilities[k]:.2f}"
    assert "most of all images" in display.colorbar_.ax.get_ylabel()
    assert "most of each image" in show(fitted, tissue.data, normalize="image").colorbar_.ax.get_ylabel()
    bare = show(fitted, tissue.data)
    assert [ax.get_title() for ax in bare.axes_[0]] == [f"row {row}" for row in bare.rows]


def test_numbers_alone_make_the_same_picture(fitted, tissue):
    first = show(fitted, tissue.data, tissue.target)
    names = ("images", "activations", "heatmaps", "class_names", "probabilities", "rows", "y")
    second = ClassActivationDisplay(**{name: getattr(first, name) for name in names}).plot()
    pictures = []
    for display in (first, second):
        display.figure_.canvas.draw()
        pictures.append(np.asarray(display.figure_.canvas.buffer_rgba()))
    np.testing.assert_array_equal(*pictures)


def test_titles_do_not_run_into_each_other(fitted, tissue):
    names = np.array(["lobular carcinoma in situ", "tubular adenoma"])[tissue.target]
    display = show(fitted, tissue.data, names, magnification=tissue.magnification, patient=tissue.patient)
    display.figure_.draw_without_rendering()
    boxes = [ax.title.get_window_extent() for ax in display.axes_[0]]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_given_axes_are_used_and_the_picture_can_be_drawn_again(fitted, tissue):
    figure, (left, right) = plt.subplots(ncols=2, layout="constrained")
    display = show(fitted, tissue.data, ax=left)
    assert display.figure_ is figure
    figure.draw_without_rendering()
    assert display.axes_[0, -1].get_position().x1 < right.get_position().x0
    assert display.plot(right) is display
    with pytest.raises(ValueError, match=r"made by `plt.subplots`"):
        display.plot(figure.add_axes([0, 0, 1, 1]))


def test_errors_say_what_came(fitted, tissue, monkeypatch):
    X = tissue.data
    with pytest.raises(TypeError, match=r"looks into a CNNClassifier.*got LogisticRegression; of a Pipeline"):
        show(LogisticRegression(), X)
    with pytest.raises(NotFittedError):
        show(CNNClassifier(), X)
    with pytest.raises(NotFittedError):
        show(GANAugmentedClassifier(), X)
    with pytest.raises(ValueError, match=r"X holds features \(2-D\)"):
        show(fitted, X.mean(axis=(1, 2)))
    with pytest.raises(ValueError, match=r"one of the classes \['benign', 'malignant'\], got 'cancer'"):
        show(fitted, X, target="cancer")
    with pytest.raises(ValueError, match=r"one of the classes \['benign', 'malignant'\], got \['benign'\]"):
        show(fitted, X, target=["benign"])
    with pytest.raises(ValueError, match=r"no `layer` '1.9'; did you mean '1"):
        show(fitted, X, layer="1.9")
    with pytest.raises(ValueError, match=r"'1.5' gives \(6, 16\); name an earlier one"):
        show(fitted, X, layer="1.5")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        show(fitted, X, n_images=0)
    with pytest.raises(ValueError, match="'all' or 'image', got 'max'"):
        show(fitted, X, normalize="max")
    with pytest.raises(ValueError, match="`y` has 35 values for 36 samples"):
        show(fitted, X, tissue.target[1:])
    with pytest.raises(ValueError, match="spells one magnification in several ways"):
        show(fitted, X, magnification=["40X", "40x"] * 18)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"ClassActivationDisplay needs matplotlib: .*sklearn-magdg\[report\]"):
        show(fitted, X)
