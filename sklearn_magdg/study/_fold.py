"""One fold of one method: fit, predict, find the signatures, score."""

import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.metrics import expected_calibration_error, patient_recognition_rate
from sklearn_magdg.signature import SparseSignatureSelector

_NO_SIGNATURE = {"dimensions": [], "scores": dict.fromkeys(("size", "auc", "f1", "brier"), np.nan)}


def fewest_patients(data, rows):
    """Number of patients of the class that has the fewest among `rows`, of the classes there."""
    patients, y = data.patient[rows], data.y[rows]
    return min((len(np.unique(patients[y == label])) for label in np.unique(y)), default=0)


def enough_patients(data, rows):
    """Whether a signature can be chosen on `rows`: two classes of two patients, which the selector's folds need."""
    return len(np.unique(data.y[rows])) > 1 and fewest_patients(data, rows) > 1


def run_fold(model, data, fold, config):
    """Everything the study wants of one fold, as plain JSON.

    The honest signature comes from a second encoder, fitted without a part of the training patients: on
    patients that a net was trained on, its embedding separates the classes better than it ever will again.
    """
    started = time.perf_counter()
    train, test = fold.train, fold.test
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = fit_method(model, data, train)
        proba = _align(fitted.predict_proba(data.images[test]), fitted.classes_, len(data.class_names))
        in_sample = _signature(fitted, data, train, test, config)
        honest = _honest_signature(model, data, fold, config)
    scores = score(data.y[test], proba, patient=data.patient[test])
    scores |= {f"signature_{name}": value for name, value in honest["scores"].items()}
    scores |= {f"in_sample_signature_{name}": value for name, value in in_sample["scores"].items()}
    return {
        "n_train": len(train),
        "n_test": len(test),
        "scores": {name: float(value) for name, value in scores.items()} | {"seconds": time.perf_counter() - started},
        "test": test.tolist(),
        "proba": proba.tolist(),
        "embedding_dim": int(fitted.embedding_dim_),
        "signatures": {"unseen_patients": honest["dimensions"], "in_sample": in_sample["dimensions"]},
        "history": fitted.history_,
        "warnings": sorted({str(w.message) for w in caught}),
    }


def score(y_true, proba, *, patient):
    """Scores of class probabilities `(n, n_classes)`; the last class is the positive one of two.

    AUC, F1 and balanced accuracy are nan where the test cell holds one class.
    """
    binary = proba.shape[1] == 2
    labels = np.arange(proba.shape[1])
    y_pred = proba.argmax(axis=1)
    y_score = proba[:, 1] if binary else proba
    present = np.unique(y_true)
    rankable = len(present) == len(labels)
    return {
        "auc": roc_auc_score(y_true, y_score, multi_class="ovr", labels=labels) if rankable else np.nan,
        "f1": f1_score(y_true, y_pred, average="binary" if binary else "macro") if len(present) > 1 else np.nan,
        "balanced_accuracy": balanced_accuracy_score(y_true, y_pred) if len(present) > 1 else np.nan,
        "brier": brier_score_loss(y_true, y_score, labels=labels),
        "ece": expected_calibration_error(y_true, y_score, labels=labels),
        "patient_recognition_rate": patient_recognition_rate(y_true, y_pred, patient=patient),
    }


def fit_method(model, data, rows):
    """A method's classifier, fitted to `rows`."""
    return clone(model).fit(
        data.images[rows], data.y[rows], patient=data.patient[rows], magnification=data.magnification[rows]
    )


def _align(proba, classes, n_classes):
    """Columns for every class of the study, 0 for one that the training fold did not hold."""
    aligned = np.zeros((len(proba), n_classes))
    aligned[:, classes] = proba
    return aligned


def _honest_signature(model, data, fold, config):
    if not len(fold.signature):
        return _NO_SIGNATURE
    return _signature(fit_method(model, data, fold.encoder), data, fold.signature, fold.test, config)


def _signature(encoder, data, rows, test, config):
    """Signature chosen on `rows`, and how a classifier on these dimensions alone does on `test`."""
    if not enough_patients(data, rows):
        return _NO_SIGNATURE
    embedding, y = encoder.transform(data.images[rows]), data.y[rows]
    selector = choose_signature(embedding, data, rows, config)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(selector.transform(embedding), y)
    proba = classifier.predict_proba(selector.transform(encoder.transform(data.images[test])))
    proba = _align(proba, classifier.classes_, len(data.class_names))
    scores = score(data.y[test], proba, patient=data.patient[test])
    return {
        "dimensions": selector.signature_.tolist(),
        "scores": {
            "size": selector.n_signature_,
            "auc": scores["auc"],
            "f1": scores["f1"],
            "brier": scores["brier"],
        },
    }


def choose_signature(embedding, data, rows, config):
    """Selector fitted to the embedding of `rows`."""
    selector = SparseSignatureSelector(random_state=config.seed)
    return selector.fit(embedding, data.y[rows], patient=data.patient[rows])
