"""Scores of class probabilities: of one fold, and of the predictions of several folds together.

Probabilities are squared and binned on the scale of scikit-learn: with two classes the Brier score is that of the
positive class alone (0 to 1), with more it sums over the classes (0 to 2).
"""

import numpy as np
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score, roc_auc_score

from sklearn_magdg.metrics import expected_calibration_error, patient_recognition_rate


def score(y_true, proba, *, patient):
    """Scores of the class probabilities of one test cell.

    Parameters
    ----------
    y_true : ndarray of shape (n,)
        Codes of the classes, from 0.
    proba : ndarray of shape (n, n_classes)
        Probabilities; the last class is the positive one of two.
    patient : ndarray of shape (n,)
        Patient of every image, for the patient recognition rate.

    Returns
    -------
    scores : dict
        ``auc`` (of more classes the mean of each against the rest), ``f1`` (of more classes macro),
        ``balanced_accuracy``, ``brier``, ``ece`` and ``patient_recognition_rate``. F1 and balanced accuracy are nan
        where the cell holds one class, AUC where it lacks any.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.study._scores import score
    >>> proba = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> scores = score(np.array([0, 0, 1]), proba, patient=np.array(["a", "b", "c"]))
    >>> {name: round(float(value), 3) for name, value in scores.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'auc': 1.0, 'f1': 0.667, 'balanced_accuracy': 0.75, 'brier': 0.137, 'ece': 0.3,
     'patient_recognition_rate': 0.667}
    """
    binary = proba.shape[1] == 2
    labels = np.arange(proba.shape[1])  # named everywhere, for a test cell may lack a class
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


def read_probabilities(predictions):
    """Labels and probabilities of rows of ``predictions.csv``.

    Parameters
    ----------
    predictions : DataFrame
        With the columns ``y_true`` and either ``y_proba``, of the second of two classes, or one ``y_proba_<class>``
        for each class.

    Returns
    -------
    y_true : ndarray of shape (n,)
    y_proba : ndarray of shape (n,) or (n, n_classes)
    labels : ndarray of shape (n_classes,)
        All codes, for the rows at hand may lack a class.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_magdg.study._scores import read_probabilities
    >>> read_probabilities(pd.DataFrame({"y_true": [1, 1], "y_proba": [0.5, 0.75]}))
    (array([1, 1]), array([0.5 , 0.75]), array([0, 1]))
    """
    columns = [name for name in predictions if name.startswith("y_proba")]
    y_true, y_proba = predictions["y_true"].to_numpy(), predictions[columns].to_numpy()
    if len(columns) == 1:
        return y_true, y_proba[:, 0], np.arange(2)
    return y_true, y_proba, np.arange(len(columns))


def pooled_scores(predictions):
    """Brier score and expected calibration error over rows of ``predictions.csv``, of one fold or of several together.

    A mean over images pools without more ado, and frequencies in bins want many of them. AUC does not pool: nets of
    two folds need not give the same scale to their scores.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_magdg.study._scores import pooled_scores
    >>> pooled_scores(pd.DataFrame({"y_true": [0, 1], "y_proba": [0.5, 1.0]}))["brier"]
    0.125
    """
    y_true, y_proba, labels = read_probabilities(predictions)
    return {
        "brier": brier_score_loss(y_true, y_proba, labels=labels),
        "ece": expected_calibration_error(y_true, y_proba, labels=labels),
    }
