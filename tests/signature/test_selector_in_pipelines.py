"""SparseSignatureSelector between the library's classifiers and scikit-learn's."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier
from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from sklearn_magdg.signature import SparseSignatureSelector

CLASSIFIERS = {
    "cnnclassifier": CNNClassifier(max_epochs=1, random_state=0),
    "gradientreversalclassifier": GradientReversalClassifier(max_epochs=1, random_state=0),
    "ganaugmentedclassifier": GANAugmentedClassifier(
        CNNClassifier(max_epochs=1, random_state=0), generator=DCGAN(32, width=2, max_epochs=1), random_state=0
    ),
}


@pytest.fixture(scope="module")
def tissue():
    return make_histology(8, images_per_cell=2, magnifications=(40, 100), image_size=32, random_state=0)


def metadata(tissue):
    return {"patient": tissue.patient, "magnification": tissue.magnification}


def embeddings(seed=0):
    """Three informative columns of 9, patients of one class each, two magnifications."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(14), 10)
    y = np.where(patient % 2, "malignant", "benign")
    X = rng.normal(size=(140, 9))
    X[:, [1, 4, 8]] += 0.8 * (y == "malignant")[:, None]
    return X, y, {"patient": patient, "magnification": np.where(np.arange(140) % 3, "40X", "200X")}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_names_of_the_embedding_arrive_behind_every_classifier(name, tissue):
    pipeline = make_pipeline(CLASSIFIERS[name], SparseSignatureSelector(C=1.0), LogisticRegression())
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.fit(tissue.data, tissue.target, **metadata(tissue))
    signature = pipeline[1].signature_
    assert pipeline[:-1].get_feature_names_out().tolist() == [f"{name}{dimension}" for dimension in signature]
    np.testing.assert_array_equal(
        pipeline[:-1].transform(tissue.data), pipeline[0].transform(tissue.data)[:, signature]
    )


def test_frames_of_a_pipeline_have_the_names_of_the_embedding(tissue):
    pipeline = make_pipeline(CLASSIFIERS["cnnclassifier"], SparseSignatureSelector(C=1.0)).set_output(
        transform="pandas"
    )
    frame = pipeline.fit_transform(tissue.data, tissue.target)
    assert frame.columns.tolist() == [f"cnnclassifier{dimension}" for dimension in pipeline[1].signature_]
    assert (frame.dtypes == np.float32).all()


@pytest.mark.parametrize(
    "classifier", [LogisticRegression(), SVC(random_state=0), RandomForestClassifier(9, random_state=0)], ids=str
)
def test_a_classifier_behind_it_sees_the_signature_alone(classifier):
    X, y, params = embeddings()
    pipeline = make_pipeline(SparseSignatureSelector(), classifier)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.fit(X, y, **params)
    signature = pipeline[0].signature_
    assert pipeline[1].n_features_in_ == len(signature) < X.shape[1]
    elsewhere = X.copy()
    elsewhere[:, ~pipeline[0].get_support()] = 99.0
    np.testing.assert_array_equal(pipeline.predict(X), pipeline.predict(elsewhere))


def test_metadata_reaches_it_with_routing_and_by_the_name_of_the_step():
    X, y, params = embeddings()
    pipeline = make_pipeline(SparseSignatureSelector(per_magnification=True, n_Cs=6), LogisticRegression())
    by_name = pipeline.fit(X, y, **{f"sparsesignatureselector__{key}": values for key, values in params.items()})
    cv_losses = by_name[0].cv_losses_
    alone = SparseSignatureSelector(per_magnification=True, n_Cs=6).fit(X, y, **params)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = pipeline.fit(X, y, **params)
    np.testing.assert_array_equal(cv_losses, alone.cv_losses_)
    np.testing.assert_array_equal(routed[0].cv_losses_, alone.cv_losses_)


@pytest.mark.parametrize("routing", [False, True])
def test_a_search_over_its_penalty_finds_the_best_of_the_folds(routing):
    X, y, params = embeddings()
    splits = list(GroupKFold(3).split(X, y, params["patient"]))
    pipeline = make_pipeline(SparseSignatureSelector(), LogisticRegression())
    grid = {"sparsesignatureselector__C": [0.1, 0.3, 10.0]}
    search = GridSearchCV(pipeline, grid, cv=splits, scoring="neg_log_loss", error_score="raise")
    with sklearn.config_context(enable_metadata_routing=routing):
        search.fit(X, y, **(params if routing else {}))
    losses = []
    for C in grid["sparsesignatureselector__C"]:
        model = clone(pipeline).set_params(sparsesignatureselector__C=C)
        fold_losses = [log_loss(y[b], model.fit(X[a], y[a]).predict_proba(X[b])) for a, b in splits]
        losses.append(np.mean(fold_losses))
    np.testing.assert_allclose(-search.cv_results_["mean_test_score"], losses)
    assert grid["sparsesignatureselector__C"][np.argmin(losses)] == search.best_estimator_[0].C_


def test_a_search_around_an_encoder_and_it_gets_folds_by_metadata(tissue):
    pipeline = make_pipeline(CLASSIFIERS["cnnclassifier"], SparseSignatureSelector(C=1.0), LogisticRegression())
    search = GridSearchCV(
        pipeline,
        {"sparsesignatureselector__C": [1.0, 3.0]},
        cv=LeaveOneMagnificationOut(2),
        scoring=lambda model, X, y: -brier_score_loss(y, model.predict_proba(X)[:, 1]),
        error_score="raise",
    )
    with sklearn.config_context(enable_metadata_routing=True):
        search.fit(tissue.data, tissue.target, **metadata(tissue))
    assert search.n_splits_ == 4
    assert 1 <= search.best_estimator_[1].n_signature_ <= 128
