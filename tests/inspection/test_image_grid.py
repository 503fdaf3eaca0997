import pickle
import sys
import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, ImageEncoder
from sklearn_magdg.images import ImageReader
from sklearn_magdg.inspection import ImageGridDisplay

SIZE, GAP = 32, 2
CELLS = [(label, magnification) for label in ("benign", "malignant") for magnification in (40, 100, 200)]


@pytest.fixture(scope="module")
def tissue():
    bunch = make_histology(6, images_per_cell=3, magnifications=(40, 100, 200), image_size=SIZE, random_state=0)
    bunch.label = bunch.target_names[bunch.target]
    return bunch


def fit(model, *args, **metadata):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # after one epoch nothing has converged
        return model.fit(*args, **metadata)


def small_gan(**options):
    return DCGAN(SIZE, **({"width": 2, "latent_dim": 4, "max_epochs": 1, "random_state": 0} | options))


@pytest.fixture(scope="module")
def gan(tissue):
    return fit(small_gan(), tissue.data, tissue.label, magnification=tissue.magnification)


class Copier(BaseEstimator):
    """The interface of a DCGAN that gives back its training images, every second one changed by `change`."""

    def __init__(self, change=None):
        self.change = change

    def fit(self, X, y=None, magnification=None):
        unknown = [None] * len(X)
        y = unknown if y is None else np.asarray(y).tolist()
        magnification = unknown if magnification is None else np.asarray(magnification).tolist()
        self.X_, self.pairs_ = X, list(zip(y, magnification, strict=True))
        self.cells_, self.input_shape_ = sorted(set(self.pairs_)), X.shape[1:]
        return self

    def sample(self, n, y=None, *, magnification=None, random_state=None):
        rng = np.random.RandomState(random_state)
        y = [None] * n if y is None else y
        magnification = [None] * n if magnification is None else magnification
        wanted = zip(y, magnification, strict=True)
        self.rows_ = np.array([rng.choice([k for k, own in enumerate(self.pairs_) if own == cell]) for cell in wanted])
        images = self.X_[self.rows_]
        if self.change is not None:
            images[1::2] = self.change(images[1::2])
        return images, y


@pytest.fixture(scope="module")
def one_band(tissue):
    return Copier(change=darkened).fit(tissue.data)


def darkened(images):
    return (images * 0.98).astype(np.uint8)


def show(generator, *args, **options):
    return ImageGridDisplay.from_estimator(generator, *args, **({"random_state": 0} | options))


def known(tissue):
    return tissue.data, tissue.label, {"magnification": tissue.magnification}


def show_all(generator, tissue, **options):
    X, y, metadata = known(tissue)
    return show(generator, X, y, **metadata, **options)


def block(display, name):
    frame = display.frame()
    return frame[frame["block"] == name]


def images_of(display, name):
    return display.images[(display.frame()["block"] == name).to_numpy()]


def tiles_of(ax, n_rows, n_columns):
    """Images of an Axes, row by row, cut out of the one that it shows."""
    sheet = ax.images[0].get_array()
    height = -(-(sheet.shape[0] + GAP) // n_rows)
    corners = [(row * height, column * (SIZE + GAP)) for row in range(n_rows) for column in range(n_columns)]
    return np.array([sheet[top : top + SIZE, left : left + SIZE] for top, left in corners])


def is_white(images):
    return (images == 255).all(axis=(1, 2, 3))


# Real and generated images


def test_bands_stand_by_class_and_magnification_and_hold_images_of_their_cell(gan, tissue):
    display = show_all(gan, tissue)
    assert display.axes_.shape == (6, 3)
    assert [ax.get_title() for ax in display.axes_[0]] == ["real", "generated", "nearest training image"]
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == [f"{label} {number}X" for label, number in CELLS]
    frame = display.frame()
    assert list(dict.fromkeys(zip(frame["class"], frame["magnification"], strict=True))) == CELLS
    real = block(display, "real")
    rows = real["row"].to_numpy(int)
    np.testing.assert_array_equal(tissue.label[rows], real["class"])
    np.testing.assert_array_equal(tissue.magnification[rows], real["magnification"])
    for band, cell in enumerate(CELLS):
        of_cell = rows[4 * band : 4 * band + 4]
        assert len(set(of_cell)) == 4
        np.testing.assert_array_equal(tiles_of(display.axes_[band, 0], 1, 4), tissue.data[of_cell], err_msg=str(cell))


def test_generated_images_are_samples_of_their_cell_and_do_not_depend_on_the_training_images(tissue):
    copier = Copier().fit(tissue.data, tissue.label, tissue.magnification)
    display = show_all(copier, tissue)
    assert [copier.pairs_[row] for row in copier.rows_] == [cell for cell in CELLS for _ in range(4)]
    np.testing.assert_array_equal(images_of(display, "generated"), tissue.data[copier.rows_])
    for band in range(6):
        np.testing.assert_array_equal(
            tiles_of(display.axes_[band, 1], 1, 4), tissue.data[copier.rows_[4 * band : 4 * band + 4]]
        )
    np.testing.assert_array_equal(show(copier).images, images_of(display, "generated"))


def test_without_training_images_the_generated_ones_stand_alone(gan):
    display = show(gan, n_images=3)
    assert display.axes_.shape == (6, 1)
    assert display.axes_[0, 0].get_title() == "generated"
    assert display.images.shape == (18, SIZE, SIZE, 3)
    frame = display.frame()
    assert set(frame["block"]) == {"generated"}
    assert frame[["row", "distance", "ratio"]].isna().all(axis=None)
    assert not any(text.get_text() for ax in display.figure_.axes for text in ax.texts)


def test_a_cell_with_few_real_images_leaves_the_rest_blank(gan, tissue):
    keep = np.ones(len(tissue.data), dtype=bool)
    of_cell = np.flatnonzero((tissue.label == "benign") & (tissue.magnification == 100))
    keep[of_cell[1:]] = False
    X, y, magnification = tissue.data[keep], tissue.label[keep], tissue.magnification[keep]
    display = show(gan, X, y, magnification=magnification, n_images=11)
    counts = display.frame().groupby(["block", "class", "magnification"]).size()
    assert (counts[["generated", "nearest"]] == 11).all()
    assert counts["real"].tolist() == [9, 1, 9, 9, 9, 9]
    tiles = tiles_of(display.axes_[1, 0], 3, 4)  # no more than 12 images side by side, those of all blocks
    np.testing.assert_array_equal(tiles[0], tissue.data[of_cell[0]])
    assert is_white(tiles).tolist() == [False] + [True] * 11
    assert is_white(tiles_of(display.axes_[1, 1], 3, 4)).tolist() == [False] * 11 + [True]


def test_a_generator_knows_cells_that_the_images_shown_lack(gan, tissue):
    keep = tissue.magnification != 40
    display = show(gan, tissue.data[keep], tissue.label[keep], magnification=tissue.magnification[keep])
    assert display.axes_.shape == (6, 3)
    assert display.axes_[0, 0].get_title() == "real"
    assert (display.axes_[0, 0].images[0].get_array() == 255).all()


# The nearest training image


def test_a_copy_has_ratio_zero_and_its_source_beside_it(tissue):
    copier = Copier(change=darkened).fit(tissue.data, tissue.label, tissue.magnification)
    display = show_all(copier, tissue)
    nearest = block(display, "nearest").reset_index(drop=True)
    copies, changed = nearest[::2], nearest[1::2]
    np.testing.assert_array_equal(copies["row"], copier.rows_[::2])
    np.testing.assert_allclose(copies[["distance", "ratio"]], 0, atol=1e-4)
    assert (changed["ratio"] > 0.01).all()
    np.testing.assert_array_equal(images_of(display, "nearest"), tissue.data[nearest["row"].to_numpy(int)])
    notes = [text for ax in display.axes_[:, 2] for text in ax.texts]
    assert [note.get_text().split("\n")[0] for note in notes] == [f"{ratio:.2f}" for ratio in nearest["ratio"]]
    assert [note.get_weight() == "bold" for note in notes] == (nearest["ratio"] < 1).tolist()


def colours(images):
    return images.mean(axis=(1, 2))


def test_distances_are_those_in_the_embedding(gan, tissue):
    display = show_all(gan, tissue, embedding=FunctionTransformer(colours))
    nearest = block(display, "nearest")
    training, generated = colours(tissue.data), colours(images_of(display, "generated"))
    distances = np.linalg.norm(generated[:, None] - training, axis=2)
    among_real = np.linalg.norm(training[:, None] - training, axis=2)
    np.fill_diagonal(among_real, np.inf)
    np.testing.assert_array_equal(nearest["row"], distances.argmin(axis=1))
    np.testing.assert_allclose(nearest["distance"], distances.min(axis=1))
    expected = distances.min(axis=1) / among_real.min(axis=1)[nearest["row"].to_numpy(int)]
    np.testing.assert_allclose(nearest["ratio"], expected)


def test_the_embedding_is_that_of_a_net_which_nothing_trains(one_band, tissue):
    given = show(one_band, tissue.data, embedding=ImageEncoder(turns=True).fit(tissue.data)).frame()
    pd.testing.assert_frame_equal(show(one_band, tissue.data).frame(), given)


def test_a_copy_among_the_training_images_is_no_yardstick(one_band, tissue):
    twice = block(show(one_band, np.repeat(tissue.data, 2, axis=0)), "nearest")
    once = block(show(one_band, tissue.data), "nearest")
    np.testing.assert_array_equal(twice["row"] // 2, once["row"])
    np.testing.assert_allclose(twice["ratio"], once["ratio"], rtol=1e-4, atol=1e-4)
    assert (once["ratio"] > 0.01).any()
    alone = show(one_band, np.repeat(tissue.data[:1], 5, axis=0), n_images=1)
    assert block(alone, "nearest")["ratio"].isna().all()
    assert "nan" not in alone.axes_[0, 2].texts[0].get_text()


def test_what_of_the_nearest_image_is_of_another_cell_is_said(tissue):
    copier = Copier().fit(tissue.data, tissue.label, tissue.magnification)
    swapped = {"benign": "malignant", "malignant": "benign"}
    turned = {40: 200, 100: 100, 200: 40}
    y = np.array([swapped[label] for label in tissue.label])
    magnification = np.array([turned[number] for number in tissue.magnification])
    display = show(copier, tissue.data, y, magnification=magnification, n_images=1)
    expected = ["malignant 200X", "malignant", "malignant 40X", "benign 200X", "benign", "benign 40X"]
    assert block(display, "nearest")["differs"].tolist() == expected
    notes = [ax.texts[0].get_text() for ax in display.axes_[:, 2]]
    assert notes == [f"0.00\n{words}" for words in expected]
    assert set(block(show_all(copier, tissue), "nearest")["differs"]) == {""}


def test_the_caption_explains_the_numbers(gan, tissue):
    texts = [text.get_text() for ax in show_all(gan, tissue).figure_.axes for text in ax.texts]
    assert sum("0: a copy" in text.replace("\n", " ") for text in texts) == 1


# Generators


def test_a_generator_without_magnification(tissue):
    gan = fit(small_gan(), tissue.data, tissue.label)
    display = show(gan, tissue.data, tissue.label)
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == ["benign", "malignant"]
    frame = show(gan, tissue.data, tissue.label, magnification=tissue.magnification).frame()
    pd.testing.assert_frame_equal(frame, display.frame())
    assert set(frame["magnification"]) == {None}


def test_an_unconditional_generator_has_one_band(tissue):
    gan = fit(small_gan(conditional=False), tissue.data)
    display = show(gan, tissue.data, n_images=5)
    assert display.axes_.shape == (1, 3)
    assert display.axes_[0, 0].get_ylabel() == ""
    assert set(display.frame()["differs"]) == {""}
    assert len(set(block(display, "real")["row"])) == 5
    pd.testing.assert_frame_equal(show_all(gan, tissue, n_images=5).frame(), display.frame())


def augmented(ratio):
    return GANAugmentedClassifier(CNNClassifier(max_epochs=1), generator=small_gan(), ratio=ratio, random_state=0)


def test_the_generator_may_stand_in_another_estimator(gan, tissue):
    X, y, metadata = known(tissue)
    inside = fit(augmented(0.1), X, y, **metadata)
    expected = show(inside.generator_).images
    np.testing.assert_array_equal(show(inside).images, expected)
    np.testing.assert_array_equal(show(FrozenEstimator(gan)).images, show(gan).images)
    inside.generator_ = FrozenEstimator(inside.generator_)
    np.testing.assert_array_equal(show(inside).images, expected)


def test_images_of_another_size_are_shown_as_the_generator_saw_them(tmp_path, one_band, tissue):
    large = np.repeat(np.repeat(tissue.data, 2, axis=1), 2, axis=2)[:, :60]
    paths = [tmp_path / f"{k}.png" for k in range(len(large))]
    for path, image in zip(paths, large, strict=True):
        Image.fromarray(image).save(path)
    displays = [show(one_band, X) for X in (paths, large, large / 255)]
    for display in displays:
        pd.testing.assert_frame_equal(display.frame(), displays[0].frame())
        np.testing.assert_array_equal(display.images, displays[0].images)
    rows = block(displays[0], "real")["row"]
    np.testing.assert_array_equal(
        images_of(displays[0], "real"), ImageReader(SIZE).transform(paths)[rows.to_numpy(int)]
    )


# Contact sheets


def test_a_contact_sheet_shows_images_by_cell(tissue):
    X, y, metadata = known(tissue)
    display = ImageGridDisplay.from_images(X, y, **metadata, n_images=3, random_state=0)
    assert display.axes_.shape == (6, 1)
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == [f"{label} {number}X" for label, number in CELLS]
    frame = display.frame()
    rows = frame["row"].to_numpy(int)
    np.testing.assert_array_equal(frame["class"], y[rows])
    np.testing.assert_array_equal(frame["magnification"], tissue.magnification[rows])
    for band in range(6):
        np.testing.assert_array_equal(tiles_of(display.axes_[band, 0], 1, 3), X[rows[3 * band : 3 * band + 3]])


def test_a_contact_sheet_of_images_that_nothing_is_known_of(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 21, 13, 3), dtype=np.uint8)
    display = ImageGridDisplay.from_images(images, n_images=50)
    np.testing.assert_array_equal(display.images, images)
    assert display.axes_[0, 0].get_ylabel() == ""
    assert display.axes_[0, 0].images[0].get_array().shape == (21, 7 * 13 + 6, 3)
    by_magnification = ImageGridDisplay.from_images(images, magnification=["100X"] * 3 + ["40X"] * 4)
    assert [ax.get_ylabel() for ax in by_magnification.axes_[:, 0]] == ["40X", "100X"]
    paths = [tmp_path / f"{k}.png" for k in range(7)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    from_paths = ImageGridDisplay.from_images(paths, n_images=2, random_state=0)
    rows = from_paths.frame()["row"].to_numpy(int)
    np.testing.assert_array_equal(from_paths.images, ImageReader(224).transform(np.array(paths)[rows]))


# The picture


def test_the_seed_decides(one_band, tissue):
    first, again, other = (show(one_band, tissue.data, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.images, again.images)
    pd.testing.assert_frame_equal(first.frame(), again.frame())
    for name in ("real", "generated"):
        assert (images_of(first, name) != images_of(other, name)).any()


def test_numbers_alone_make_the_same_picture(one_band, tissue):
    first = show(one_band, tissue.data, n_images=2)
    second = pickle.loads(pickle.dumps(ImageGridDisplay(first.images, first.frame()))).plot()
    pictures = []
    for display in (first, second):
        display.figure_.canvas.draw()
        pictures.append(np.asarray(display.figure_.canvas.buffer_rgba()))
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize("n_images", [1, 2, 5])
def test_words_do_not_run_into_each_other_or_out_of_the_picture(tissue, n_images):
    names = np.array(["lobular carcinoma in situ", "adenosis"])[tissue.target]
    copier = Copier().fit(tissue.data, names, tissue.magnification)
    display = show(copier, tissue.data, names[::-1], magnification=tissue.magnification, n_images=n_images)
    display.figure_.draw_without_rendering()
    titles = [ax.title.get_window_extent() for ax in display.axes_[0]]
    assert all(left.x1 < right.x0 for left, right in pairwise(titles))
    labels = [ax.yaxis.label.get_window_extent() for ax in display.axes_[:, 0]]
    assert all(upper.y0 > lower.y1 for upper, lower in pairwise(labels))
    assert min(label.x0 for label in labels) >= 0
    notes = [[text.get_window_extent() for text in ax.texts] for ax in display.axes_[:, 2]]
    for band, ax in zip(notes, display.axes_[:, 2], strict=True):
        assert min(note.y0 for note in band) >= ax.bbox.y0 - 2  # in their strip, above the next images
    assert all(left.x1 < right.x0 for left, right in pairwise(notes[0]) if left.y1 == right.y1)
    whole = display.figure_.get_tightbbox()
    assert whole.y0 >= 0
    assert whole.x1 <= display.figure_.get_figwidth()


def test_many_bands_make_a_long_figure():
    images = np.zeros((32, SIZE, SIZE, 3), np.uint8)
    y, magnification = np.repeat(np.arange(8), 4), np.tile([40, 100, 200, 400], 8)
    display = ImageGridDisplay.from_images(images, y, magnification=magnification)
    assert display.axes_.shape == (32, 1)
    assert display.axes_[9, 0].get_ylabel() == "2 100X"
    assert display.figure_.get_figheight() > 32


def test_given_axes_are_used_and_the_picture_can_be_drawn_again(gan, tissue):
    figure, (left, right) = plt.subplots(ncols=2, layout="constrained", figsize=(12, 6))
    display = show_all(gan, tissue, ax=left)
    assert display.figure_ is figure
    figure.draw_without_rendering()
    assert display.axes_[0, -1].get_position().x1 < right.get_position().x0
    assert display.plot(right) is display
    with pytest.raises(ValueError, match=r"made by `plt.subplots`"):
        display.plot(figure.add_axes([0, 0, 1, 1]))


def test_the_frame_is_a_copy(gan):
    display = show(gan)
    frame = display.frame()
    frame["class"] = "other"
    assert set(display.frame()["class"]) == {"benign", "malignant"}


# Errors


def test_generators_that_cannot_be_shown_are_refused(tissue):
    with pytest.raises(TypeError, match=r"what a DCGAN or GANAugmentedClassifier generates, got LogisticRegression"):
        show(LogisticRegression())
    for unfitted in (DCGAN(), GANAugmentedClassifier(), FrozenEstimator(DCGAN())):
        with pytest.raises(NotFittedError):
            show(unfitted)
    features = tissue.data.mean(axis=(1, 2))
    with pytest.raises(ValueError, match=r"DCGAN was fitted on features \(2-D\)"):
        show(fit(small_gan(), features, tissue.label))
    with pytest.raises(ValueError, match=r"fitted with ratio=0 and has no generator"):
        show(augmented(0).fit(tissue.data, tissue.label))


def test_errors_say_what_came(gan, tissue, monkeypatch):
    X, y, metadata = known(tissue)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        show(gan, X, y, **metadata, n_images=0)
    with pytest.raises(ValueError, match=r"at least 1, got 2\.5"):
        ImageGridDisplay.from_images(X, n_images=2.5)
    with pytest.raises(ValueError, match="fitted with `y`; give that of X too"):
        show(gan, X, **metadata)
    with pytest.raises(ValueError, match="fitted with `magnification`; give that of X too"):
        show(gan, X, y)
    with pytest.raises(ValueError, match="for the training images; give these as X too"):
        show(gan, y=y)
    with pytest.raises(ValueError, match=r"`y` has 53 values for 54 samples"):
        show(gan, X, y[1:], **metadata)
    with pytest.raises(
        ValueError, match=r"holds images of benign 400X, which .* not fitted on \(benign 40X, benign 10"
    ):
        show(gan, X, y, magnification=[400, *tissue.magnification[1:].tolist()])
    with pytest.raises(ValueError, match=r"X holds features \(2-D\)"):
        show(gan, X.mean(axis=(1, 2)), y, **metadata)
    with pytest.raises(ValueError, match=r"X holds features \(2-D\)"):
        ImageGridDisplay.from_images(X.mean(axis=(1, 2)))
    with pytest.raises(TypeError, match=r"`embedding` must be a fitted estimator with `transform`, got LogisticRegr"):
        show(gan, X, y, **metadata, embedding=LogisticRegression())
    with pytest.raises(NotFittedError):
        show(gan, X, y, **metadata, embedding=StandardScaler())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"ImageGridDisplay needs matplotlib: .*sklearn-magdg\[report\]"):
        ImageGridDisplay.from_images(X)
