import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier, load_model, save_model
from sklearn_magdg.metrics import magnification_leakage
from sklearn_magdg.modules import ramp


def _fit(tissue, **parameters):
    model = GradientReversalClassifier(**{"max_epochs": 3, "random_state": 0} | parameters)
    return model.fit(tissue.data, tissue.target, magnification=tissue.magnification)


def test_history_shows_the_game_and_its_chance_level(tissue):
    history = _fit(tissue).history_
    expected = {"class_loss", "domain_loss", "domain_accuracy", "domain_chance", "reversal_strength"}
    expected |= {"reversal_progress", "reversal_gradient"}
    assert expected <= set(history[-1])
    assert history[0]["domain_chance"] == pytest.approx(1 / 3)
    assert 0 <= history[-1]["domain_accuracy"] <= 1
    for row in history:
        assert row["train_loss"] == pytest.approx(row["class_loss"] + row["domain_loss"], rel=1e-4)


def test_strength_follows_the_ramp_over_all_steps(tissue):
    history = _fit(tissue, reversal_strength=2.0, reversal_gamma=5.0, batch_size=9).history_
    n_steps = 3 * 6  # 54 images in balanced batches of 3 x 3
    last_steps = [5, 11, 17]
    assert [row["reversal_strength"] for row in history] == pytest.approx(
        [2.0 * ramp(step / n_steps, 5.0) for step in last_steps]
    )


def test_constant_schedule_is_constant(tissue):
    history = _fit(tissue, reversal_schedule="constant", reversal_strength=0.3).history_
    assert {row["reversal_strength"] for row in history} == {0.3}


def test_unbalanced_chance_is_the_share_of_the_largest_magnification(tissue):
    rows = np.flatnonzero((tissue.magnification == 40) | (np.arange(54) % 3 == 0))
    model = GradientReversalClassifier(max_epochs=1, balance_magnifications=False, random_state=0)
    model.fit(tissue.data[rows], tissue.target[rows], magnification=tissue.magnification[rows])
    assert model.history_[0]["domain_chance"] == pytest.approx(np.mean(tissue.magnification[rows] == 40))


def test_at_strength_zero_the_class_loss_alone_moves_the_encoder(tissue):
    """The same batches without any domain loss give the same weights."""
    silent = _fit(tissue, reversal_strength=0.0)
    unweighted = _fit(tissue, reversal_strength=1.0, domain_weight=0.0)
    for (name, a), b in zip(
        silent.module_.encoder.state_dict().items(), unweighted.module_.encoder.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, msg=name)


@pytest.mark.parametrize("magnification", [None, [40] * 54])
def test_without_two_magnifications_it_warns_and_is_the_baseline(tissue, magnification):
    model = GradientReversalClassifier(max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="needs at least 2 magnifications to hide"):
        model.fit(tissue.data, tissue.target, magnification=magnification)
    plain = CNNClassifier(max_epochs=1, random_state=0).fit(tissue.data, tissue.target)
    np.testing.assert_array_equal(model.predict_proba(tissue.data), plain.predict_proba(tissue.data))


def _magnification_of_those_aside(tissue, aside, others):
    """Of every image: `aside` where early stopping sets its patient aside, else one of the `others` in turn."""
    stopping = CNNClassifier(**_STOPPING).fit(tissue.data, tissue.target, patient=tissue.patient)
    is_aside = np.isin(tissue.patient, stopping.validation_patients_)
    return stopping, np.where(is_aside, aside, np.resize(others, len(is_aside)))


_STOPPING = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 1, "random_state": 0}


@pytest.mark.parametrize("alone", [40, 400])
def test_one_magnification_left_by_early_stopping_warns_and_is_the_baseline(tissue, alone, tmp_path):
    plain, magnification = _magnification_of_those_aside(tissue, 100, [alone])
    model = GradientReversalClassifier(**_STOPPING)
    with pytest.warns(UserWarning, match="at least 2 magnifications to hide, got 1.*lower `validation_fraction`"):
        model.fit(tissue.data, tissue.target, patient=tissue.patient, magnification=magnification)
    assert model.magnifications_ == [alone]
    save_model(model, tmp_path / "model")
    for each in (model, load_model(tmp_path / "model")):
        np.testing.assert_array_equal(each.predict_proba(tissue.data), plain.predict_proba(tissue.data))


def test_the_domain_head_knows_the_magnifications_that_early_stopping_leaves(tissue):
    _, magnification = _magnification_of_those_aside(tissue, 40, [100, 200])
    model = GradientReversalClassifier(**_STOPPING)
    model.fit(tissue.data, tissue.target, patient=tissue.patient, magnification=magnification)
    assert model.magnifications_ == [100, 200]
    assert model.module_.domain_head.layers[-1].out_features == 2


def test_magnification_is_not_needed_to_predict_and_unseen_ones_are_fine(tissue):
    rows = tissue.magnification != 200
    model = GradientReversalClassifier(max_epochs=1, random_state=0)
    model.fit(tissue.data[rows], tissue.target[rows], magnification=tissue.magnification[rows])
    assert np.isfinite(model.predict_proba(tissue.data)).all()


@pytest.mark.parametrize("missing", [None, np.nan, "", " "])
@pytest.mark.parametrize("container", [list, np.array, pd.Series, pd.DataFrame])
def test_a_missing_magnification_is_refused_with_its_position(tissue, missing, container):
    magnification = np.array([f"{m}X" for m in tissue.magnification], dtype=object)
    magnification[7] = missing
    with pytest.raises(ValueError, match=r"`magnification` is (missing|blank text) for 1 samples .*position 7.*drop"):
        GradientReversalClassifier().fit(tissue.data, tissue.target, magnification=container(magnification))


@pytest.fixture(scope="module")
def many_patients():
    """Tissue whose three magnifications differ much."""
    wide = {"magnifications": (40, 100, 400), "shift": 2}
    return make_histology(48, images_per_cell=2, image_size=16, random_state=0, **wide)


def _leakage(X, tissue, strength, *, n_seeds, **training):
    """What a fresh probe reads from embeddings of patients whom the encoder has not seen; the mean over seeds."""
    seen = np.isin(tissue.patient, np.unique(tissue.patient)[:32])
    accuracies = []
    for seed in range(n_seeds):
        model = GradientReversalClassifier(reversal_strength=strength, random_state=seed, **training)
        model.fit(X[seen], tissue.target[seen], patient=tissue.patient[seen], magnification=tissue.magnification[seen])
        probing = {"patient": tissue.patient[~seen], "n_resamples": 39, "random_state": 0}
        leakage = magnification_leakage(model.transform(X[~seen]), tissue.magnification[~seen], **probing)
        accuracies.append(leakage.balanced_accuracy)
    return np.mean(accuracies)


@pytest.mark.slow
def test_reversal_hides_the_magnification_of_colours_from_a_fresh_probe_on_new_patients(many_patients):
    colours = np.hstack([many_patients.data.mean((1, 2)), many_patients.data.std((1, 2))])  # (288, 6)
    training = {"n_seeds": 2, "max_epochs": 80, "batch_size": 24, "lr": 2e-3}
    open_, hidden = (_leakage(colours, many_patients, strength, **training) for strength in (0.0, 2.0))
    assert open_ > 0.8  # chance is 0.33
    assert hidden < open_ - 0.25


# One seed in several ends a game half won, which the net may say, and which seed it is differs between processors: over
# five seeds the means are 0.79 and 0.60.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The domain head reads nothing:sklearn.exceptions.ConvergenceWarning")
def test_reversal_hides_the_magnification_of_images_from_a_fresh_probe_on_new_patients(many_patients):
    training = {"n_seeds": 5, "max_epochs": 60, "batch_size": 12, "lr": 1e-3}
    open_, hidden = (_leakage(many_patients.data, many_patients, strength, **training) for strength in (0.0, 2.0))
    assert open_ > 0.65
    assert hidden < open_ - 0.05
