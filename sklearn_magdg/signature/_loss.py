"""The loss of two classes (sigmoid, k = 1 column of scores) and of more (softmax, k = classes) in one notation.

Scores and indicators have shape (n, k). `TrainingRows.indicators` says which class the one column of two classes is.
"""

import numpy as np


def log_partition(scores):
    """Log of the normaliser (n, 1): log(1 + e^s), or log sum_k e^(s_k); all that tells sigmoid from softmax."""
    if scores.shape[1] == 1:
        return np.logaddexp(0, scores)
    # SciPy's logsumexp takes two to four times as long on few columns. The largest goes out first, lest exp overflow.
    largest = scores.max(axis=1, keepdims=True)
    return largest + np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))


def probabilities(scores):
    """Probability of the class of every column (n, k)."""
    return np.exp(scores - log_partition(scores))


def log_losses(scores, indicators):
    """Negative log-likelihood of every sample (n,): log Z - sum_k y_k s_k."""
    return log_partition(scores)[:, 0] - np.sum(indicators * scores, axis=1)


def squared_errors(scores, indicators):
    """Squared distance of probabilities to outcome (n,), Brier's; two classes count one of them, in [0, 1]."""
    return np.sum((probabilities(scores) - indicators) ** 2, axis=1)


# By scikit-learn's names of the scores, of which these are the negatives.
LOSSES = {"neg_log_loss": log_losses, "neg_brier_score": squared_errors}
