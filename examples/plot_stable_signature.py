"""
Would other patients have chosen the same signature?
====================================================

Half of the patients choose a signature, then the other half, and again for other halves. Dimensions that most halves
agree on are stable, and how many of them are there by luck is bounded. Simulated embeddings have a truth to compare
with.
"""

# %%
# Data: 120 patients with four images each and embeddings of 200 dimensions. Ten know the class, each a
# little; the others are noise, but noise that the images of a patient share.
import numpy as np
import pandas as pd

from sklearn_magdg.inspection import SelectionProbabilityDisplay
from sklearn_magdg.signature import KnockoffSignatureSelector, SparseSignatureSelector, StableSignatureSelector

TRUE = np.arange(10)
patient = np.repeat(np.arange(120), 4)
y = np.where(patient % 2, "malignant", "benign")


def embed(seed):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(120, 200))[patient] + rng.normal(size=(480, 200))) / np.sqrt(2)
    X[:, TRUE] += 0.75 * (patient % 2)[:, None]
    return X


# %%
# The signature with the lowest cross-validated loss finds them, and others with them: its C is chosen to predict well,
# not to be right about dimensions.
X = embed(0)
sparse = SparseSignatureSelector(one_se=False, n_Cs=15, random_state=0).fit(X, y, patient=patient)
sparse.signature_

# %%
# Stability selection on 50 halves of the patients. The selected dimensions stand above the threshold; the title bounds
# how many of them are false on average, here where all noise is alike.
stable = StableSignatureSelector(n_resamples=50, random_state=0).fit(X, y, patient=patient)
_ = SelectionProbabilityDisplay.from_estimator(stable)

# %%
# Is that so on average? Five other studies: the fewer false dimensions are allowed, the more true ones are missed.
# KnockoffSignatureSelector allows a share of the signature instead of a number, by decoys (knockoffs) that every
# dimension has to beat; these resemble the dimensions as far as their covariance is known, so that the share is only
# about right.
selectors = {
    "lowest cross-validated loss": sparse,
    "stable, 1 false dimension allowed": stable,
    "stable, 5 false dimensions allowed": StableSignatureSelector(
        n_resamples=50, max_false_positives=5, random_state=0
    ),
    "knockoffs, a share of 0.2 allowed": KnockoffSignatureSelector(fdr=0.2, n_resamples=50, random_state=0),
}
counts = {}
for name, selector in selectors.items():
    found = [np.isin(selector.fit(embed(seed), y, patient=patient).signature_, TRUE) for seed in range(1, 6)]
    counts[name] = [np.mean([each.sum() for each in found]), np.mean([(~each).sum() for each in found])]
table = pd.DataFrame.from_dict(counts, orient="index", columns=["true dimensions (of 10)", "false dimensions"])
table

# %%
# A net repeats itself: now each of the ten has four near copies, as informative as itself. Halves take turns among
# them and none is chosen often. What is stable here is not a dimension but a group of them, and the bound, which takes
# all dimensions that are not true for alike, has lost its ground.
copies = X[:, TRUE, None] + 0.3 * np.random.default_rng(0).normal(size=(480, 10, 4))
X_repeating = np.hstack([X, copies.reshape(480, 40)])
_ = SelectionProbabilityDisplay.from_estimator(stable.fit(X_repeating, y, patient=patient))
