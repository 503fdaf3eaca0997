import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier
from sklearn_magdg.modules import EMBEDDING_PENALTIES, PENALTIES, vrex


@pytest.fixture(scope="module")
def colours():
    """Means and spreads of the colours of tissue whose magnifications differ much; rows of half of the patients."""
    tissue = make_histology(
        12, images_per_cell=3, magnifications=(40, 100, 400), image_size=16, shift=2, random_state=0
    )
    X = np.hstack([tissue.data.mean((1, 2)), tissue.data.std((1, 2))])  # (108, 6)
    return X, tissue.target, tissue.magnification, np.isin(tissue.patient, np.unique(tissue.patient)[:6])


def _fit(X, y, magnification, **parameters):
    defaults = {"max_epochs": 40, "batch_size": 27, "lr": 3e-3, "random_state": 0}
    return CNNClassifier(**defaults | parameters).fit(X, y, magnification=magnification)


@pytest.mark.parametrize("name", EMBEDDING_PENALTIES)
def test_an_embedding_penalty_brings_the_magnifications_of_new_patients_together(colours, name):
    X, y, magnification, seen = colours

    def distance(weight):
        model = _fit(X[seen], y[seen], magnification[seen], penalty=name, penalty_weight=weight)
        embedding = torch.from_numpy(model.transform(X[~seen]))
        embedding = embedding / embedding.std()  # a smaller embedding is no more alike
        return EMBEDDING_PENALTIES[name](embedding, torch.from_numpy(magnification[~seen]))

    assert distance(1.0) < 0.7 * distance(0.0)


def _risks(colours, **parameters):
    """Mean log-loss per magnification in training where two fifths of the labels at 400 are wrong."""
    X, y, magnification, _ = colours
    wrong = (magnification == 400) & (np.random.default_rng(0).random(len(y)) < 0.4)
    y = np.where(wrong, 1 - y, y)
    proba = _fit(X, y, magnification, max_epochs=60, **parameters).predict_proba(X)
    losses = F.nll_loss(torch.from_numpy(proba).log(), torch.from_numpy(y), reduction="none")
    return torch.stack([losses[magnification == m].mean() for m in (40, 100, 400)])


@pytest.mark.slow
def test_vrex_makes_the_risks_of_the_magnifications_alike(colours):
    plain = _risks(colours, penalty="vrex", penalty_weight=0.0)
    assert vrex(_risks(colours, penalty="vrex", penalty_weight=30.0)) < 0.1 * vrex(plain)


@pytest.mark.slow
def test_group_dro_lowers_the_risk_of_the_hardest_magnification(colours):
    plain, weighted = _risks(colours), _risks(colours, penalty="group_dro")
    assert plain.argmax() == 2
    assert weighted[2] < plain[2] - 0.02
    assert weighted[0] > plain[0]  # it pays with the others


@pytest.mark.parametrize("alone", [40, 400])
def test_a_penalty_warns_where_early_stopping_leaves_one_magnification_to_train_on(colours, alone):
    X, y, _, _ = colours
    patient = np.repeat(np.arange(12), 9)
    stopping = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 2, "random_state": 0}
    plain = CNNClassifier(**stopping).fit(X, y, patient=patient)
    magnification = np.where(np.isin(patient, plain.validation_patients_), 100, alone)
    model = CNNClassifier(penalty="vrex", **stopping)
    with pytest.warns(UserWarning, match="penalty='vrex' compares magnifications, got 1.*`validation_fraction`"):
        model.fit(X, y, patient=patient, magnification=magnification)
    assert model.magnifications_ == [alone]
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


def test_the_docstring_names_every_penalty():
    for name in PENALTIES:
        assert f'"{name}"' in CNNClassifier.__doc__


def test_an_unknown_penalty_is_refused(colours):
    with pytest.raises(ValueError, match=r"'penalty'.*must be.*'deep_coral'"):
        _fit(*colours[:3], penalty="deep_coral")
