"""The library's parts inside scikit-learn's tools, as the README shows them."""

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier
from sklearn_magdg.metrics import neg_brier_scorer
from sklearn_magdg.model_selection import LeaveOneMagnificationOut, audit_splits, make_groups
from sklearn_magdg.signature import SparseSignatureSelector


@pytest.fixture(scope="module")
def tissue():
    return make_histology(8, images_per_cell=2, magnifications=(40, 100, 200), image_size=32, random_state=0)


@pytest.fixture
def routed():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def _metadata(tissue):
    return {"patient": tissue.patient, "magnification": tissue.magnification}


CV = LeaveOneMagnificationOut(2)


class _Recording(GradientReversalClassifier):
    fits = []

    def fit(self, X, y, *, patient=None, magnification=None, sample_weight=None):
        type(self).fits.append((patient, magnification))
        return super().fit(X, y, patient=patient, magnification=magnification, sample_weight=sample_weight)


@pytest.mark.parametrize(
    "model",
    [
        CNNClassifier(max_epochs=1),
        GradientReversalClassifier(max_epochs=1),
        GANAugmentedClassifier(CNNClassifier(max_epochs=1), generator=DCGAN(32, width=2, max_epochs=1)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_cross_validate_routes_metadata_without_any_request(model, tissue, routed):
    scores = cross_validate(
        model,
        tissue.data,
        tissue.target,
        cv=CV,
        scoring=neg_brier_scorer,
        params=_metadata(tissue),
        error_score="raise",
    )
    assert scores["test_score"].shape == (6,)
    assert ((scores["test_score"] <= 0) & (scores["test_score"] >= -1)).all()


def test_each_fit_gets_its_own_training_rows_metadata(tissue, routed):
    _Recording.fits.clear()
    cross_validate(_Recording(max_epochs=1), tissue.data, tissue.target, cv=CV, params=_metadata(tissue))
    splits = list(CV.split(tissue.data, tissue.target, **_metadata(tissue)))
    for (train, _), (patient, magnification) in zip(splits, _Recording.fits, strict=True):
        np.testing.assert_array_equal(patient, tissue.patient[train])
        np.testing.assert_array_equal(magnification, tissue.magnification[train])


def test_pipeline_of_embedding_signature_and_classifier(tissue, routed):
    pipeline = make_pipeline(
        GradientReversalClassifier(max_epochs=1, random_state=0), SparseSignatureSelector(C=3.0), LogisticRegression()
    )
    scores = cross_validate(
        pipeline,
        tissue.data,
        tissue.target,
        cv=CV,
        params=_metadata(tissue),
        return_estimator=True,
        error_score="raise",
    )
    assert np.isfinite(scores["test_score"]).all()
    for fitted in scores["estimator"]:
        selector = fitted[1]
        assert 1 <= selector.n_signature_ <= selector.n_features_in_ == 128
        names = fitted[:-1].get_feature_names_out()
        assert list(names) == [f"gradientreversalclassifier{k}" for k in selector.signature_]


def test_nested_grid_search_over_the_whole_pipeline(tissue, routed):
    pipeline = make_pipeline(
        CNNClassifier(max_epochs=1, random_state=0), SparseSignatureSelector(C=3.0), LogisticRegression()
    )
    search = GridSearchCV(
        pipeline, {"sparsesignatureselector__C": [3.0, 10.0]}, cv=LeaveOneMagnificationOut(2), scoring=neg_brier_scorer
    )
    scores = cross_validate(
        search,
        tissue.data,
        tissue.target,
        cv=CV,
        scoring=neg_brier_scorer,
        params=_metadata(tissue),
        return_estimator=True,
        error_score="raise",
    )
    assert np.isfinite(scores["test_score"]).all()
    for fitted in scores["estimator"]:
        assert np.isfinite(fitted.cv_results_["mean_test_score"]).all()
        assert fitted.n_splits_ == 4  # two magnifications are left to hold out, two patient folds each


def test_without_routing_groups_and_params_do_the_same(tissue):
    model = GradientReversalClassifier(max_epochs=1, random_state=0)
    arguments = {"X": tissue.data, "y": tissue.target, "cv": CV, "params": _metadata(tissue)}
    plain = cross_validate(model, groups=make_groups(tissue.patient, tissue.magnification), **arguments)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_validate(model, **arguments)
    np.testing.assert_array_equal(plain["test_score"], routed["test_score"])


def test_the_splitter_of_the_compositions_leaks_nothing(tissue):
    audit_splits(CV, tissue.data, tissue.target, **_metadata(tissue)).raise_if_leaky(magnifications=True)


@pytest.mark.slow
def test_real_paths_go_through_cross_validate(breakhis_root, routed):
    from sklearn_magdg.datasets import load_breakhis

    bunch = load_breakhis(breakhis_root)
    cv = LeaveOneMagnificationOut(2, magnifications=[200])
    scores = cross_validate(
        CNNClassifier(image_size=24, max_epochs=1, random_state=0),
        bunch.data,
        bunch.target,
        cv=cv,
        scoring=neg_brier_scorer,
        params={"patient": bunch.patient, "magnification": bunch.magnification},
        error_score="raise",
    )
    assert (scores["test_score"] > -1).all()
