import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.datasets import _tissue
from sklearn_magdg.datasets._histology import FIELDS, _draw_patient, _optics, _seed, make_histology

MAGNIFICATIONS = (40, 100, 200, 400)


def small(**parameters):
    return make_histology(**{"n_patients": 3, "images_per_cell": 1, "image_size": 17, "random_state": 0} | parameters)


def optical_density(images):
    return -np.log(np.maximum(images / 255, 0.02))


def features(images):
    """Quantiles of the optical density and of its gradient, per channel."""
    density = optical_density(images)
    gradient = np.abs(np.diff(density, axis=1))
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    quantiles = [np.quantile(field, levels, axis=(1, 2)) for field in (density, gradient)]
    return np.concatenate(quantiles).transpose(1, 0, 2).reshape(len(images), -1)


def score_new_patients(histology, label, method):
    """What a linear model trained on half of the patients gives for the others, and the label of those."""
    number = np.unique(histology.patient, return_inverse=True)[1]
    train = number % 4 < 2  # the classes take turns, so both halves have both
    X = features(histology.data)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=500)).fit(X[train], label[train])
    return label[~train], getattr(model, method)(X[~train]), ~train


def mean_chord(field):
    """Mean length in pixels of horizontal runs inside nuclei, before the camera: proportional to the scale."""
    chords = edges = 0
    for image in range(12):
        traits = _draw_patient(image % 2, 1.0, _seed(0, image))
        rng = np.random.default_rng(image)
        glands = _tissue.draw_glands(traits, field, rng)
        nuclei = [_tissue.draw_epithelial_nuclei(traits, glands, rng)]
        inside = _tissue.stain_tissue(traits, glands, nuclei, field, 129, rng)[..., 0] > 0.5
        chords += inside.sum()
        edges += np.count_nonzero(inside[:, 1:] != inside[:, :-1]) / 2
    return chords / edges


@pytest.fixture(scope="module")
def as_in_a_microscope():
    return make_histology(60, images_per_cell=1, image_size=33, random_state=1)


@pytest.fixture(scope="module")
def all_alike():
    return make_histology(60, images_per_cell=1, image_size=33, shift=0, random_state=1)


def test_has_the_fields_of_the_loader():
    histology = small(magnifications=(100, 40), images_per_cell=2)
    assert histology.data.shape == (12, 17, 17, 3)
    assert histology.data.dtype == np.uint8
    assert histology.target.tolist() == [0] * 4 + [1] * 4 + [0] * 4
    assert histology.subtype.tolist() == histology.target_names[histology.target].tolist()
    assert histology.patient.tolist() == ["P01"] * 4 + ["P02"] * 4 + ["P03"] * 4
    assert histology.slide[-1] == "P03-A"
    assert histology.magnification.tolist() == [100, 100, 40, 40] * 3
    assert histology.frame is None
    assert "haematoxylin" in histology.DESCR.lower()


def test_one_seed_gives_one_dataset():
    np.testing.assert_array_equal(small().data, small().data)
    assert np.any(small().data != small(random_state=1).data)


def test_a_generator_moves_on_between_calls():
    generator = np.random.RandomState(0)
    first, second = small(random_state=generator), small(random_state=generator)
    np.testing.assert_array_equal(first.data, small().data)
    assert np.any(first.data != second.data)


def test_no_two_images_are_the_same():
    images = small(images_per_cell=3).data
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


@pytest.mark.parametrize(
    "more", [{"n_patients": 5}, {"images_per_cell": 3}, {"magnifications": (30, 400, 200, 100, 40)}]
)
def test_more_images_leave_the_others_as_they_are(more):
    few, many = small(), small(**more)
    kept = {image.tobytes() for image in many.data}
    assert all(image.tobytes() in kept for image in few.data)


def test_the_reference_magnification_does_not_feel_the_shift():
    shifted = small(magnifications=(100,), shift=1.7)
    np.testing.assert_array_equal(shifted.data, small(magnifications=(100,), shift=0).data)


def test_another_shift_shows_the_same_tissue():
    close = small(magnifications=(200,), image_size=32, shift=1).data.mean(axis=-1)
    wide = small(magnifications=(200,), image_size=64, shift=0).data.mean(axis=-1)
    for zoomed, whole in zip(close, wide, strict=True):  # 46 micrometres in 32 pixels are the middle of 92 in 64
        assert np.corrcoef(zoomed.ravel(), whole[16:-16, 16:-16].ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("magnification", "micrometres"), [(40, 225.4), (100, 92), (200, 46), (400, 23), (10, 920)])
def test_field_of_view_is_that_of_the_microscope(magnification, micrometres):
    assert _optics(magnification, shift=1).field == pytest.approx(micrometres)
    assert _optics(magnification, shift=0) == _optics(100, shift=1)


def test_nuclei_look_larger_at_higher_magnification_unless_the_shift_is_off():
    shifted = [mean_chord(_optics(magnification, shift=1).field) for magnification in MAGNIFICATIONS]
    assert np.divide(shifted[1:], shifted[:-1]) == pytest.approx([2.45, 2, 2], rel=0.2)
    alike = [mean_chord(_optics(magnification, shift=0).field) for magnification in MAGNIFICATIONS]
    assert alike == pytest.approx([shifted[1]] * 4)


@pytest.mark.parametrize("magnification", MAGNIFICATIONS)
def test_a_nucleus_absorbs_in_proportion_to_its_area_at_any_scale(magnification):
    rng = np.random.default_rng(0)
    radius, aspect = 3.0, 1.5
    n, pixel = 200, FIELDS[magnification] / 65
    round_outline = np.zeros((n, _tissue.N_HARMONICS), dtype=complex)
    centre = pixel * (rng.uniform(-1, 1, n) + 1j * rng.uniform(-1, 1, n))
    axis = np.exp(1j * rng.uniform(0, 7, n))
    nuclei = _tissue.Nuclei(
        centre, np.full(n, radius), np.full(n, aspect), axis, round_outline, np.ones(n), np.zeros(n)
    )
    absorbed = _tissue._stamp(nuclei, pixel, 65).sum() / n * pixel**2
    body = 0.8 + 0.4 / 3  # mean of 0.8 + 0.4 t^4 over the unit disc
    assert absorbed == pytest.approx(body * np.pi * radius**2, rel=0.1)


def test_nuclei_stay_apart_and_inside_their_gland():
    traits = _draw_patient(False, 1.0, _seed(0, 1))
    glands = _tissue.draw_glands(traits, 92.0, np.random.default_rng(0))
    nuclei = _tissue.draw_epithelial_nuclei(traits | {"disorder": 0.0}, glands, np.random.default_rng(0))
    distance = np.abs(nuclei.centre[:, None] - nuclei.centre) + np.eye(len(nuclei.centre)) * 99
    assert distance.min() >= 0.55 * traits["spacing"] * traits["nuclear_radius"]
    nearest, depth = _tissue._locate(nuclei.centre, glands)
    assert np.all((glands.lumen[nearest] < depth) & (depth < 1))


def test_nearest_gland_agrees_with_the_distances_one_by_one():
    rng = np.random.default_rng(0)
    points = rng.normal(size=31) + 1j * rng.normal(size=31)
    centre = rng.normal(size=7) + 1j * rng.normal(size=7)
    radius = rng.uniform(1, 2, 7)
    expected = (np.abs(points[:, None] - centre) / radius).argmin(axis=1)
    glands = _tissue.Glands(centre, radius, np.zeros(7), np.zeros((7, _tissue.N_HARMONICS), dtype=complex))
    np.testing.assert_array_equal(_tissue._locate(points, glands)[0], expected)


def test_twice_the_stain_squares_the_light():
    traits = _draw_patient(True, 1.0, _seed(0, 1))
    twice = traits | {name: 2 * traits[name] for name in ("haematoxylin", "eosin")}

    def light(patient):
        rng = np.random.default_rng(0)
        glands = _tissue.draw_glands(patient, 92.0, rng)
        nuclei = [_tissue.draw_epithelial_nuclei(patient, glands, rng)]
        concentrations = _tissue.stain_tissue(patient, glands, nuclei, 92.0, 17, rng)
        assert concentrations.min() >= 0
        return np.exp(-concentrations @ patient["stains"])

    np.testing.assert_allclose(light(twice), light(traits) ** 2)


def test_lumens_are_white_nuclei_bluish_and_the_rest_pink(all_alike):
    benign = all_alike.data[all_alike.target == 0].reshape(-1, 3).astype(float)
    brightness = benign.mean(axis=1)
    white = benign[brightness >= np.quantile(brightness, 0.98)]
    dark = benign[brightness <= np.quantile(brightness, 0.05)]
    middle = benign[np.abs(brightness - np.median(brightness)) < 5]
    assert white.min(axis=1).mean() > 200
    red, green, blue = dark.mean(axis=0)
    assert blue > red > green
    red, green, blue = middle.mean(axis=0)
    assert red > green + 30
    assert blue > green + 30


def test_magnification_is_read_from_the_image_only_under_shift(as_in_a_microscope, all_alike):
    def accuracy(histology):
        truth, guess, _ = score_new_patients(histology, histology.magnification, "predict")
        return balanced_accuracy_score(truth, guess)

    assert accuracy(as_in_a_microscope) > 0.8
    assert accuracy(all_alike) == pytest.approx(0.25, abs=0.12)  # 120 test images: standard error 0.04


def test_class_is_read_on_new_patients_at_every_magnification(as_in_a_microscope):
    histology = as_in_a_microscope
    truth, score, tested = score_new_patients(histology, histology.target, "decision_function")
    for magnification in MAGNIFICATIONS:
        here = histology.magnification[tested] == magnification
        assert roc_auc_score(truth[here], score[here]) > 0.65


def test_without_class_separation_a_patient_does_not_depend_on_the_class():
    benign, malignant = (_draw_patient(label, 0.0, _seed(3, 1)) for label in (False, True))
    assert benign.keys() == malignant.keys()
    assert all(np.array_equal(benign[name], malignant[name]) for name in benign)


def test_without_class_separation_nothing_beats_chance():
    aucs = []
    for seed in range(2):
        histology = make_histology(
            80, images_per_cell=1, magnifications=(100,), image_size=17, class_sep=0, random_state=seed
        )
        aucs.append(roc_auc_score(*score_new_patients(histology, histology.target, "decision_function")[:2]))
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.2)  # 2 x 40 test patients: standard error 0.065


def test_malignant_nuclei_are_larger_and_more_irregular_and_benign_lumens_wider():
    benign, malignant = ([_draw_patient(label, 1.0, _seed(label, n)) for n in range(400)] for label in (0, 1))

    def mean(patients, name):
        return np.mean([traits[name] for traits in patients])

    names = ("nuclear_radius", "irregularity", "pleomorphism", "chromatin", "lumen", "haematoxylin")
    ratio = {name: mean(malignant, name) / mean(benign, name) for name in names}
    assert min(ratio[name] for name in ("nuclear_radius", "irregularity", "pleomorphism")) > 1.3
    assert ratio["chromatin"] > 1.05
    assert ratio["lumen"] < 0.7
    assert ratio["haematoxylin"] == pytest.approx(1, abs=0.07)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_patients": 1}, "`n_patients` must be at least 2.*got 1"),
        ({"images_per_cell": 0}, "`images_per_cell` must be at least 1"),
        ({"image_size": 7}, "`image_size` must be at least 8.*got 7"),
        ({"shift": -0.5}, "`shift` must be at least 0.*got -0.5"),
        ({"class_sep": -1}, "`class_sep` must be at least 0"),
        ({"class_sep": np.nan}, "`class_sep` must be at least 0 and finite"),
        ({"magnifications": ()}, "`magnifications` is empty: name at least one"),
        ({"magnifications": (40, 0)}, "positive whole numbers, got .40, 0."),
        ({"magnifications": ("40X",)}, "positive whole numbers.*write 40 for 40X"),
        ({"magnifications": (40, 100, 40)}, "distinct, got .40, 100, 40."),
    ],
)
def test_a_parameter_out_of_range_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        small(**wrong)
