import json
import re
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from typer.testing import CliRunner

from sklearn_magdg.cli._app import app
from sklearn_magdg.cohort import Encoded, read_cohort
from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, ImageEncoder, load_model
from sklearn_magdg.generation import FILES, GenerateConfig, generate, quality_table, reading
from sklearn_magdg.generation._generate import part_patients
from sklearn_magdg.generation._quality import NOISE, SAMPLES, SWAPPED, TRAINING, sets_to_compare
from sklearn_magdg.metrics import generative_precision_recall, kernel_inception_distance, memorisation_test
from sklearn_magdg.study import StudyData

SMALL = ["--synthetic", "--n-patients", "12", "--images-per-cell", "1", "--magnification", "200,100"]
SMALL += ["--image-size", "32", "--width", "4", "--epochs", "2", "--held-back", "0.5", "--n-images", "2"]
N_SAMPLES = 512


def _generate(*arguments):
    return CliRunner().invoke(app, ["generate", *map(str, arguments)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder, what was printed and `quality.json` of a tiny run."""
    out = tmp_path_factory.mktemp("generate") / "run"
    result = _generate(*SMALL, "--out", out)
    assert result.exit_code == 0, result.output
    return out, result.output, json.loads((out / "quality.json").read_text())


@pytest.fixture
def few_samples(monkeypatch):
    """For tests that are not about the numbers."""
    monkeypatch.setattr("sklearn_magdg.generation._quality._N_SAMPLES", 9)


@pytest.fixture(scope="module")
def tissue():
    """The images of the tiny run."""
    tissue = make_histology(12, images_per_cell=1, image_size=32, random_state=0)
    wanted = np.isin(tissue.magnification, (100, 200))
    columns = tissue.data, np.array(tissue.target_names)[tissue.target], tissue.patient, tissue.magnification
    return [column[wanted] for column in columns]


@pytest.fixture(scope="module")
def sides(finished, tissue):
    """Images, classes, patients and magnifications of the training patients and of those held back."""
    held = np.isin(tissue[2], finished[2]["held_back"]["patients"])
    return [column[~held] for column in tissue], [column[held] for column in tissue]


def test_the_folder_holds_pictures_numbers_and_the_generator(finished):
    out, printed, quality = finished
    assert {file.name for file in out.iterdir()} == set(FILES)
    with Image.open(out / "generated.png") as alone, Image.open(out / "real_and_generated.png") as beside:
        assert beside.width > alone.width  # two more blocks
    for name in FILES:
        assert f"{out / name}: " in printed
    assert len(quality["history"]) == quality["settings"]["epochs"] == 2
    assert quality["settings"]["magnification"] == [200, 100]
    assert quality["magnifications"] == [100, 200]
    assert "data" not in quality["settings"]


def test_the_generator_of_the_file_is_that_of_a_fit_by_hand_on_the_training_patients(finished, sides):
    (images, y, patient, magnification), held_back = sides
    assert not set(patient) & set(held_back[2])
    saved = load_model(finished[0] / "generator.magdg")
    gan = DCGAN(32, width=4, max_epochs=2, random_state=0).fit(images, y, magnification=magnification)
    assert np.array_equal(saved.sample(5, random_state=1)[0], gan.sample(5, random_state=1)[0])
    assert saved.cell_counts_.tolist() == [3, 3, 3, 3]
    assert finished[2]["spread"] == pytest.approx(gan.spread_)


def test_the_held_back_patients_are_a_part_of_each_class(finished, sides):
    for name, side in zip(("training", "held_back"), sides, strict=True):
        described = finished[2][name]
        assert described["n_images"] == len(side[1]) == 12
        assert described["n_patients"] == len(set(side[2])) == 6
        assert described["n_images_by_class"] == {"benign": 6, "malignant": 6}


def test_the_distances_are_those_of_the_public_functions(finished, sides):
    training, (real, y, patient, magnification) = sides
    encoder = ImageEncoder().fit(real)
    numbers = finished[2]["compared"]
    both = {"patient": patient, "generated_patient": training[2]}
    kid = kernel_inception_distance(encoder.transform(real), encoder.transform(training[0]), **both)
    assert numbers[TRAINING]["kid"] == pytest.approx(kid._asdict())
    gan = load_model(finished[0] / "generator.magdg")
    turn = np.resize(np.random.default_rng(0).permutation(12), N_SAMPLES)
    other = {"benign": "malignant", "malignant": "benign"}
    for name, asked in ((SAMPLES, y[turn]), (SWAPPED, np.array([other[each] for each in y[turn]]))):
        samples = gan.sample(N_SAMPLES, asked, magnification=magnification[turn], random_state=0)[0]
        for label in other:
            of_class = real[y == label], samples[y[turn] == label]
            kid = kernel_inception_distance(*map(encoder.transform, of_class), patient=patient[y == label])
            assert numbers[name]["kid_by_class"][label] == pytest.approx(kid._asdict())
        mean = np.mean([kid["estimate"] for kid in numbers[name]["kid_by_class"].values()])
        assert numbers[name]["kid_within_class"]["estimate"] == pytest.approx(mean)


def test_the_shares_are_of_as_many_images_of_each_set(finished, sides):
    (training, *_), (real, *_) = sides
    quality = finished[2]
    assert quality["precision_recall"] == {"n_neighbors": 5, "n_images": 12}
    encoder = ImageEncoder().fit(real)
    by_hand = generative_precision_recall(encoder.transform(real), encoder.transform(training), n_neighbors=5)
    assert {name: quality["compared"][TRAINING][name] for name in by_hand._fields} == pytest.approx(by_hand._asdict())
    assert quality["compared"][NOISE]["precision"] == 0


def test_noise_is_far_and_training_images_are_near(finished):
    kids = {name: numbers["kid"]["estimate"] for name, numbers in finished[2]["compared"].items()}
    assert kids[TRAINING] < 0.2 < min(kids[SAMPLES], kids[NOISE])
    assert finished[2]["compared"][NOISE]["n_images"] == N_SAMPLES


def test_copies_are_told_in_the_embedding_that_does_not_see_turns(finished, sides):
    (training, *_), (real, y, patient, magnification) = sides
    turn = np.resize(np.random.default_rng(0).permutation(12), N_SAMPLES)
    gan = load_model(finished[0] / "generator.magdg")
    samples = gan.sample(N_SAMPLES, y[turn], magnification=magnification[turn], random_state=0)[0]
    encoder = ImageEncoder(turns=True).fit(real)
    samples, training, real = map(encoder.transform, (samples, training, real))
    found = memorisation_test(samples, training=training, held_out=real, patient=patient)._asdict()
    found["held_back_authenticity"] = memorisation_test(real, training=training, held_out=real).authenticity
    assert finished[2]["memorisation"] == pytest.approx(found)


def test_the_table_and_how_to_read_it_are_printed(finished):
    printed = finished[1]
    assert printed.startswith(
        "48 rendered images (make_histology), 12 patients, classes benign, malignant\n  n_patients = 12\n"
    )
    assert "The generator learns from 12 images of 6 patients at 100X, 200X; 12 images of 6 patients" in printed
    assert re.search(
        r"\| images +\| KID +\| KID within class \| precision \| recall \| density \| coverage \|", printed
    )
    rows = re.findall(r"^\| ([a-z, ]+?) +\| +-?\d\.\d{3} ± \d\.\d{3} ", printed, flags=re.MULTILINE)
    assert rows == [TRAINING, SAMPLES, SWAPPED, NOISE]
    assert printed.index("How to read it") > printed.index("| noise")
    assert "Copies: " in printed
    assert "show it only where the real ones may be shown" in printed


def test_one_magnification_is_no_condition(few_samples, tmp_path):
    result = _generate(*SMALL, "--magnification", "400", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert load_model(tmp_path / "generator.magdg").cells_ == [("benign", None), ("malignant", None)]


def test_tiles_are_the_images_and_stay_with_their_patient(few_samples, tmp_path):
    result = _generate(*SMALL, "--tiles", "2", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "classes benign, malignant; each image cut into 2 x 2 tiles\n" in result.output
    assert "The generator learns from 48 tiles of 6 patients at 100X, 200X; 48 tiles of 6" in result.output
    large = make_histology(12, images_per_cell=1, image_size=64, random_state=0)
    held = np.array(json.loads((tmp_path / "quality.json").read_text())["held_back"]["patients"])
    learned = ~np.isin(large.patient, held) & np.isin(large.magnification, (100, 200))
    quarters = large.data[learned].reshape(-1, 2, 32, 2, 32, 3).swapaxes(2, 3).reshape(-1, 32, 32, 3)
    conditions = (np.array(large.target_names)[large.target], large.magnification)
    y, magnification = (np.repeat(column[learned], 4) for column in conditions)
    gan = DCGAN(32, width=4, max_epochs=2, random_state=0).fit(quarters, y, magnification=magnification)
    saved = load_model(tmp_path / "generator.magdg")
    assert np.array_equal(saved.sample(5, random_state=1)[0], gan.sample(5, random_state=1)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--magnification", "50,100"], "--magnification names [50], but the data have [40, 100, 200, 400]"),
        (["--image-size", "40"], "--image-size must be a multiple of 16"),
        (["--held-back", "1.5"], "must lie between 0 and 1, got 1.5"),
        (["--n-patients", "3"], "at least 2 held-back patients, got 1: raise --held-back"),
        (["--backbone", "resnet81"], "--backbone"),
        (["--weights", "nowhere.pth"], "--weights"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, message, tmp_path):
    result = _generate(*SMALL, *arguments, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_is_refused_first(tmp_path):
    (tmp_path / "file").touch()
    result = _generate(*SMALL, "--out", tmp_path / "file" / "run")
    assert result.exit_code == 2
    assert "Cannot write to" in result.stderr


def test_one_source_of_images_must_be_named(tmp_path):
    result = _generate("--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "either --data PATH or --synthetic" in result.output


def test_a_folder_of_other_things_is_refused_even_when_fresh(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    (tmp_path / "quality.json").write_text("{}")
    result = _generate(*SMALL, "--out", tmp_path, "--fresh")
    assert result.exit_code == 2
    assert "holds what is not of magdg generate (thesis.tex)" in result.output
    assert (tmp_path / "quality.json").read_text() == "{}"


def test_an_earlier_generator_is_replaced_only_when_asked(finished, few_samples, tmp_path):
    earlier = (finished[0] / "quality.json").read_bytes()
    for name in FILES:
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    result = _generate(*SMALL, "--out", tmp_path)
    assert result.exit_code == 2
    assert result.output.endswith("choose another folder, or replace it with --fresh.\n")
    assert (tmp_path / "quality.json").read_bytes() == earlier
    result = _generate(*SMALL, "--seed", "1", "--fresh", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "quality.json").read_text())["settings"]["seed"] == 1


def test_warnings_of_the_fit_are_printed_and_kept(few_samples, tmp_path, monkeypatch):
    fit = DCGAN.fit

    def collapsing(self, *args, **kwargs):
        warnings.warn("The generator collapsed.", ConvergenceWarning)
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(DCGAN, "fit", collapsing)
    result = _generate(*SMALL, "--out", tmp_path)
    assert "\nWarning: The generator collapsed.\n" in result.output
    assert json.loads((tmp_path / "quality.json").read_text())["warnings"][0] == "The generator collapsed."


def test_an_interrupted_fit_leaves_an_earlier_generator_alone(finished, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    for name in FILES:
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    monkeypatch.setattr(DCGAN, "fit", interrupted)
    assert _generate(*SMALL, "--out", tmp_path, "--fresh").exit_code == 130
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (finished[0] / name).read_bytes()


def _data(cells):
    """Blank images of the given (class, patient, magnification)."""
    y, patient, magnification = map(np.array, zip(*cells, strict=True))
    who = read_cohort(len(y), patient=patient, magnification=magnification)
    facts = {"images": np.zeros((len(y), 32, 32, 3), np.uint8), "id": np.arange(len(y)), "description": "blank"}
    return StudyData(Encoded(y, ["a", "b", "c"]), who.patient, who.magnification, **facts)


def test_no_number_of_tiles_is_refused_first(tmp_path):
    for tiles, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="`tiles`"):
            generate(GenerateConfig(tiles=tiles), tmp_path)


def test_every_tile_has_an_identity_and_the_rest_from_its_image():
    cut = _data([(0, "a", 40), (1, "b", 100)]).replace(id=np.array(["x", "y"])).cut(2)
    assert cut.images.shape == (8, 16, 16, 3)
    assert cut.id.tolist() == [f"{image}#{tile}" for image in "xy" for tile in range(4)]
    columns = cut.label.codes, cut.patient.values(), cut.magnification.values()
    assert list(zip(*columns, strict=True)) == [(0, "a", 40)] * 4 + [(1, "b", 100)] * 4


def test_what_few_patients_cannot_tell_is_said_and_a_large_p_value_not_explained(finished):
    quality = json.loads(json.dumps(finished[2]))
    quality["compared"][SAMPLES]["kid_within_class"]["standard_error"] = None
    assert any(each.startswith("Classes: too few patients") for each in reading(quality))
    for p_value, is_explained in ((0.9, False), (0.01, True)):
        quality["memorisation"]["p_value"] = p_value
        (copies,) = (each for each in reading(quality) if each.startswith("Copies"))
        assert ("of its training patients may" in copies) == is_explained


def test_images_of_cells_that_were_not_learned_are_left_out():
    data = _data([(k, f"{k}-{p}", 100) for k in (0, 1) for p in range(4)] + [(1, f"1-{p}", 200 + p) for p in range(4)])
    with pytest.warns(UserWarning, match="2 held-back images left out"):
        training, held_back = part_patients(data, GenerateConfig(held_back=0.5))
    assert not set(training.patient.values()) & set(held_back.patient.values())
    assert set(held_back.magnification.values()) == {100}
    assert len(held_back) == 4
    assert len(training) == 6


class _Recorder:
    """A generator that notes what it is asked for."""

    def __init__(self, *cells):
        self.cells_, self.asked = list(cells), []

    def sample(self, n, y, *, magnification, random_state):
        self.asked.append(list(zip(y.tolist(), magnification.tolist(), strict=True)))
        return np.zeros((n, 32, 32, 3), np.uint8), y


def test_swapped_samples_are_of_the_next_class_that_was_learned_at_the_magnification():
    training = _data([(0, 1, 40), (2, 2, 40), (1, 3, 100), (2, 4, 100)])
    gan = _Recorder(("a", 40))
    sets = sets_to_compare(gan, training, training, 0)
    own, swapped = gan.asked
    pairs = {("a", 40): ("c", 40), ("c", 40): ("a", 40), ("b", 100): ("c", 100), ("c", 100): ("b", 100)}
    assert [pairs[cell] for cell in own] == swapped
    assert np.array_equal(sets[SWAPPED].label.codes, sets[SAMPLES].label.codes)
    alone = _data([(0, 1, 40), (1, 2, 40), (0, 3, 100)])
    assert SWAPPED not in sets_to_compare(gan, alone, alone, 0)


def test_what_cannot_be_measured_is_a_dash(few_samples, tmp_path):
    config = GenerateConfig(n_patients=6, images_per_cell=1, magnification=(40,), image_size=32, width=4, epochs=1)
    quality = generate(config, tmp_path, fresh=True)  # two held-back patients, one of each class, one image each
    assert quality["compared"][SAMPLES]["kid_within_class"] is None
    assert quality["compared"][SAMPLES]["kid"]["standard_error"] is None
    assert quality["precision_recall"]["n_neighbors"] == 1
    table = quality_table(quality)
    assert [row[2] for row in table.rows] == ["–"] * 4
    assert "±" not in table.rows[0][1]
    assert "within class: of none" in table.note
    del quality["compared"][SWAPPED]
    assert quality_table(quality).rows[2] == [SWAPPED, *"––––––"]


@pytest.mark.slow
def test_real_images_at_100x(breakhis_root, breakhis_tree, few_samples, tmp_path):
    arguments = ["--data", breakhis_root, "--magnification", "100X", "--epochs", "1", "--width", "4"]
    result = _generate(*arguments, "--image-size", "32", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    quality = json.loads((tmp_path / "quality.json").read_text())
    assert quality["magnifications"] == [100]
    expected = breakhis_tree[breakhis_tree["magnification"] == 100]
    assert quality["training"]["n_patients"] + quality["held_back"]["n_patients"] == expected["accession"].nunique()
    assert quality["training"]["n_images"] + quality["held_back"]["n_images"] == len(expected)
    assert f"data = {breakhis_root}" in result.output
