"""One fold of one method: fit, predict, find the signatures, score.

A method is fitted up to twice per fold. The first fit, on all training rows, is the one that is scored. Its embedding
also gives the paper's signature, *in sample*. The second fit leaves a part of the training patients out, and the honest
signature is chosen on these, whom that encoder has never seen.
"""

import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.signature import SparseSignatureSelector
from sklearn_magdg.study._protocol import enough_patients
from sklearn_magdg.study._scores import score

_NO_SIGNATURE = {"dimensions": [], "scores": dict.fromkeys(("size", "auc", "f1", "brier"), np.nan)}


def run_fold(model, data, fold, config):
    """Everything the study wants of one method on one fold.

    The honest signature comes from a second encoder, fitted without a part of the training patients: on
    patients that a net was trained on, its embedding separates the classes better than it ever will again.

    Parameters
    ----------
    model : estimator
        Unfitted; clones of it are fitted.
    data : StudyData
    fold : Fold
    config : StudyConfig
        `seed` is read, for the choice of the signatures.

    Returns
    -------
    result : dict
        As plain JSON, so that one from a file is like one just made:

        - ``n_train``, ``n_test``: images;
        - ``scores``: those of `score`, then ``signature_`` and ``in_sample_signature_`` with ``size``, ``auc``, ``f1``
          and ``brier`` of a classifier on these dimensions alone, and the ``seconds`` that all of it took;
        - ``test``: row numbers; ``proba``: their probabilities, a list per row with a number for every class;
        - ``embedding_dim``, and ``signatures`` by kind (``unseen_patients``, ``in_sample``): lists of dimensions;
        - ``history``: one dict per epoch of the scored fit; ``warnings``: their texts, sorted, each once.
    """
    started = time.perf_counter()
    train, test = fold.train, fold.test
    # "always": Python shows a warning of a line once per process, and the second fold would seem to have none
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = fit_method(model, data, train)
        proba = _align(fitted.predict_proba(data.images[test]), fitted.classes_, data)
        in_sample = _signature(fitted, data, train, test, config)
        honest = _NO_SIGNATURE
        if len(fold.signature):
            honest = _signature(fit_method(model, data, fold.encoder), data, fold.signature, test, config)

    scores = score(data.label.codes[test], proba, patient=data.patient.take(test).values())
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


def fit_method(model, data, rows):
    """A clone of the classifier `model`, fitted to `rows` of the `StudyData`.

    It learns codes, not names, of the classes. Patients and magnifications go in as the collection spells them: its
    warnings then name them so.
    """
    part = data.take(rows)
    return clone(model).fit(
        part.images, part.label.codes, patient=part.patient.values(), magnification=part.magnification.values()
    )


def _align(proba, classes, data):
    """Columns `(n, n_classes)` for every class of the study, 0 for one that the training fold did not hold."""
    aligned = np.zeros((len(proba), len(data.label.names)))
    aligned[:, classes] = proba  # the classifier learned codes, so its classes are columns
    return aligned


def _signature(encoder, data, rows, test, config):
    """Signature chosen on `rows`, and how a classifier on these dimensions alone does on `test`.

    The classifier is a logistic regression of its own, fitted on `rows` as well: it tells what the dimensions are
    worth, apart from the head of the net, which uses all of them. `_NO_SIGNATURE` where patients do not suffice.
    """
    if not enough_patients(data, rows):
        return _NO_SIGNATURE
    embedding = encoder.transform(data.images[rows])
    selector = choose_signature(embedding, data, rows, config)
    # standardised: the penalty of the regression would else weigh dimensions by their unit
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(selector.transform(embedding), data.label.codes[rows])
    proba = classifier.predict_proba(selector.transform(encoder.transform(data.images[test])))
    proba = _align(proba, classifier.classes_, data)
    scores = score(data.label.codes[test], proba, patient=data.patient.take(test).values())
    return {
        "dimensions": selector.signature_.tolist(),
        "scores": {"size": selector.n_signature_} | {name: scores[name] for name in ("auc", "f1", "brier")},
    }


def choose_signature(embedding, data, rows, config):
    """`SparseSignatureSelector` fitted to the embedding `(len(rows), embedding_dim)` of `rows`.

    Its own folds, by which it finds the strength of its penalty, are folds of patients.
    """
    selector = SparseSignatureSelector(random_state=config.seed)
    return selector.fit(embedding, data.label.codes[rows], patient=data.patient.take(rows).values())
