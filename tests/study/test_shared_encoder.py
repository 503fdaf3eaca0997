import json
from dataclasses import replace

import numpy as np
import pytest

from sklearn_magdg.estimators import CNNClassifier
from sklearn_magdg.study import load_study_data
from sklearn_magdg.study._fold import fit_method
from sklearn_magdg.study._methods import METHODS, build_method, has_frozen_encoder
from sklearn_magdg.study._protocol import list_folds
from sklearn_magdg.study._shared_encoder import plan_shared_encoder, run_shared_encoder
from tests.study.tiny import TINY

CONFIG = replace(TINY, n_patients=20, held_out=None)


@pytest.fixture(scope="module")
def data():
    return load_study_data(CONFIG)


@pytest.fixture(scope="module")
def plan(data):
    return plan_shared_encoder(data, list_folds(data, CONFIG), CONFIG)


def test_the_encoder_sees_all_magnifications_and_no_patient_that_signatures_are_chosen_on(data, plan):
    assert set(data.magnification.values()[plan.encoder]) == {40, 100, 200, 400}
    for choice in plan.choices:
        assert not set(data.patient.values()[plan.encoder]) & set(data.patient.values()[choice.rows])


def test_a_signature_knows_neither_its_held_out_magnification_nor_one_part_of_the_patients(data, plan):
    kept = set(data.patient.values()) - set(data.patient.values()[plan.encoder])
    assert [choice[:2] for choice in plan.choices] == [(m, part) for m in (40, 100, 200, 400) for part in (1, 2)]
    for first, second in zip(plan.choices[::2], plan.choices[1::2], strict=True):
        assert set(data.magnification.values()[first.rows]) == {40, 100, 200, 400} - {first.held_out}
        patients = [set(data.patient.values()[choice.rows]) for choice in (first, second)]
        assert patients[0] | patients[1] == kept
        assert not patients[0] & patients[1]  # with two parts, either is what the other leaves out


def test_parts_of_the_patients_are_the_same_at_every_magnification(data, plan):
    for part in (1, 2):
        patients = [set(data.patient.values()[choice.rows]) for choice in plan.choices if choice.fold == part]
        assert all(each == patients[0] for each in patients)


def test_the_plan_depends_on_the_seed_alone(data, plan):
    again = plan_shared_encoder(data, list_folds(data, CONFIG), CONFIG)
    np.testing.assert_array_equal(again.encoder, plan.encoder)
    for one, other in zip(again.choices, plan.choices, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
    other_seed = replace(CONFIG, seed=1)
    assert set(plan_shared_encoder(data, list_folds(data, other_seed), other_seed).encoder) != set(plan.encoder)


@pytest.mark.parametrize("change", [{"folds": 11}, {"signature_fraction": 0.1}], ids=["ten kept", "two kept"])
def test_too_few_patients_leave_the_shared_encoder_out_with_a_warning(data, change):
    with pytest.warns(UserWarning, match="signatures of a shared encoder, which are left out: use more patients"):
        assert plan_shared_encoder(data, list_folds(data, CONFIG), replace(CONFIG, **change)) is None


def test_one_encoder_is_fitted_to_its_rows_alone(data, plan, monkeypatch):
    fitted = []
    real = CNNClassifier.fit

    def fit(self, X, y, **metadata):
        fitted.append((X, metadata["patient"]))
        return real(self, X, y, **metadata)

    monkeypatch.setattr(CNNClassifier, "fit", fit)
    result = run_shared_encoder(build_method("baseline", CONFIG), data, plan, CONFIG)
    ((images, patient),) = fitted
    np.testing.assert_array_equal(images, data.images[plan.encoder])
    np.testing.assert_array_equal(patient, data.patient.values()[plan.encoder])
    assert [(each["held_out"], each["fold"]) for each in result["signatures"]] == [c[:2] for c in plan.choices]
    assert all(each["dimensions"] for each in result["signatures"])
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize("trainable", ["all", "head"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_methods_whose_axes_do_not_depend_on_the_training_images_are_known(method, trainable, data):
    model = build_method(method, replace(CONFIG, trainable=trainable))
    halves = np.arange(0, 40), np.arange(40, 80)
    first, second = (fit_method(model, data, rows).transform(data.images).astype(float) for rows in halves)
    alive = (np.ptp(first, axis=0) > 0) & (np.ptp(second, axis=0) > 0)
    pairs = zip(first[:, alive].T, second[:, alive].T, strict=True)
    correlation = [np.corrcoef(*pair)[0, 1] for pair in pairs]  # each fit brings features to a unit of its own
    assert has_frozen_encoder(model) == np.allclose(correlation, 1)
