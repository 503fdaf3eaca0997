import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier
from sklearn_magdg.modules import ramp


def _fit(tissue, **parameters):
    model = GradientReversalClassifier(**{"max_epochs": 3, "random_state": 0} | parameters)
    return model.fit(tissue.data, tissue.target, magnification=tissue.magnification)


def test_history_shows_the_game_and_its_chance_level(tissue):
    history = _fit(tissue).history_
    expected = {"class_loss", "domain_loss", "domain_accuracy", "domain_chance", "reversal_strength"}
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


def test_magnification_is_not_needed_to_predict_and_unseen_ones_are_fine(tissue):
    rows = tissue.magnification != 200
    model = GradientReversalClassifier(max_epochs=1, random_state=0)
    model.fit(tissue.data[rows], tissue.target[rows], magnification=tissue.magnification[rows])
    assert np.isfinite(model.predict_proba(tissue.data)).all()


@pytest.mark.slow
def test_reversal_hides_the_magnification_from_a_fresh_probe_on_new_patients():
    tissue = make_histology(32, images_per_cell=6, image_size=48, shift=1.5, random_state=0)
    patients = np.unique(tissue.patient)
    seen, probed = np.isin(tissue.patient, patients[:12]), np.isin(tissue.patient, patients[12:22])
    tested = ~(seen | probed)

    def leakage(strength, seed):
        model = GradientReversalClassifier(max_epochs=30, reversal_strength=strength, random_state=seed)
        model.fit(tissue.data[seen], tissue.target[seen], magnification=tissue.magnification[seen])
        embedding = model.transform(tissue.data)
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        probe.fit(embedding[probed], tissue.magnification[probed])
        return balanced_accuracy_score(tissue.magnification[tested], probe.predict(embedding[tested]))

    open_, hidden = (np.mean([leakage(strength, seed) for seed in (0, 1)]) for strength in (0.0, 2.0))
    assert open_ > 0.5  # chance is 0.25
    assert hidden < open_ - 0.05
