"""What a signature promises when it is chosen on the encoder's own training patients, and what it then does.

Run with ``OMP_NUM_THREADS=1 python benchmarks/measure_honest.py``; prints a Markdown table, in about four minutes on
one core.

Rendered tissue of three groups of 20 patients. The encoder is trained on the first. A signature is chosen on the
embeddings of that group and another on those of the second, which the encoder did not see: `C="cv"` by the Brier score
over patient-disjoint folds. The sparse model at that C is scored twice: inside the group it was chosen on, by the same
folds (inner), and on the third group, new to encoder and signature alike. Mean over seeds, in brackets its standard
error; the optimism is how much better the inner score is than the new one of the same study. The inner AUC of the
second row is on the low side: at a penalty of one or two dimensions some folds keep none, and have an AUC of 0.5. The
last column counts the studies where `SparseSignatureSelector` warned that the loss was lowest at the end of the grid.
"""

import warnings

import numpy as np
from scipy.special import expit
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier
from sklearn_magdg.signature import SparseSignatureSelector, signature_path

SEEDS = range(12)
GROUPS = ("the encoder's training patients", "patients kept from the encoder", "new")
N_FOLDS = 5
COLUMNS = ("inner AUC", "new AUC", "optimism", "inner Brier", "new Brier", "optimism", "dimensions", "warned")


def split_into_groups(tissue):
    """Group -> mask of its images, with as many patients of each class."""
    patient = np.unique(tissue.patient, return_inverse=True)[1]  # benign and malignant take turns
    return {name: patient // 2 % len(GROUPS) == k for k, name in enumerate(GROUPS)}


def predict(X, y, new_X, C):
    """Probabilities under the sparse model at C, fitted on X."""
    scaler = StandardScaler().fit(X)
    path = signature_path(scaler.transform(X), y, Cs=[C])
    return expit(scaler.transform(new_X) @ path.coefs[0, 0] + path.intercepts[0, 0])


def inner_scores(X, y, patient, C):
    """Cross-validated AUC and Brier over the folds on which C was chosen, as the selector computes them."""
    scores = []
    for train, test in StratifiedGroupKFold(N_FOLDS).split(X, y, patient):
        proba = predict(X[train], y[train], X[test], C * len(y) / len(train))
        scores.append((roc_auc_score(y[test], proba), brier_score_loss(y[test], proba)))
    return np.mean(scores, axis=0)


def study(seed):
    """Scores by group on which the signature was chosen."""
    tissue = make_histology(60, images_per_cell=3, image_size=32, class_sep=0.7, random_state=seed)
    groups = split_into_groups(tissue)
    first, new = groups[GROUPS[0]], groups["new"]
    encoder = CNNClassifier(max_epochs=30, batch_size=16, n_jobs=1, random_state=seed)
    encoder.fit(tissue.data[first], tissue.target[first], patient=tissue.patient[first])
    embedding, y = encoder.transform(tissue.data), tissue.target
    return {name: scores(embedding, y, tissue.patient, groups[name], new) for name in GROUPS[:2]}


def scores(X, y, patient, chosen_on, new):
    """Inner and new AUC and their difference, the same of Brier, size of the signature, number of warnings."""
    known = X[chosen_on], y[chosen_on]
    selector = SparseSignatureSelector(cv=N_FOLDS, scoring="neg_brier_score")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        selector.fit(*known, patient=patient[chosen_on])
    proba = predict(*known, X[new], selector.C_)
    auc, brier = roc_auc_score(y[new], proba), brier_score_loss(y[new], proba)
    inner_auc, inner_brier = inner_scores(*known, patient[chosen_on], selector.C_)
    optimism = inner_auc - auc, brier - inner_brier
    return inner_auc, auc, optimism[0], inner_brier, brier, optimism[1], selector.n_signature_, len(caught)


def cell(values, digits=3):
    return f"{values.mean():.{digits}f} ({values.std(ddof=1) / np.sqrt(len(values)):.{digits}f})"


if __name__ == "__main__":
    studies = [study(seed) for seed in SEEDS]
    print(f"| signature chosen on | {' | '.join(COLUMNS)} |\n{'|---' * (len(COLUMNS) + 1)}|")
    for name in GROUPS[:2]:
        *columns, size, warned = np.array([rows[name] for rows in studies]).T
        cells = [*map(cell, columns), cell(size, digits=1), f"{np.count_nonzero(warned)} of {len(warned)}"]
        print(f"| {name} | {' | '.join(cells)} |")
