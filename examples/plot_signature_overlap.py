"""
Is the signature the same at every magnification, and in every net?
===================================================================

Two random signatures overlap too, the more the larger they are: an overlap says something beside its chance level only.
And a dimension has a meaning within its net: nets trained apart number theirs differently. Simulated embeddings show
both.
"""

# %%
# Data: 240 patients with an image at each of four magnifications, which two nets embed in 80 dimensions. Both see the
# same properties of the tissue, in an order of their own and with noise of their own. Ten properties know the class
# at every magnification, another ten at 400X alone.
import numpy as np
import pandas as pd

from sklearn_magdg.inspection import SignatureOverlapDisplay
from sklearn_magdg.signature import SparseSignatureSelector, match_dimensions, signature_overlap_test

rng = np.random.default_rng(0)
patient, magnification = np.repeat(np.arange(240), 4), np.tile([40, 100, 200, 400], 240)
malignant = patient % 2
tissue = rng.normal(size=(960, 80))
tissue[:, :10] += malignant[:, None]
tissue[:, 10:20] += (malignant * (magnification == 400))[:, None]
nets = {name: tissue[:, rng.permutation(80)] + 0.4 * rng.normal(size=(960, 80)) for name in "AB"}


# %%
# One signature per net and magnification, all chosen by the same half of the patients; the others are kept for later.
def signature_at(name, at):
    rows = (magnification == at) & (patient < 120)
    return SparseSignatureSelector(C=0.12).fit(nets[name][rows], malignant[rows]).signature_


labels = [f"{name}, {at}X" for name in nets for at in (40, 100, 200, 400)]
signatures = [signature_at(name, at) for name in nets for at in (40, 100, 200, 400)]

# %%
# Within a net (the squares upper left and lower right) the signatures agree, except with that at 400X, which has
# dimensions of its own. Between the nets they overlap as chance would have it, although both see the same tissue.
_ = SignatureOverlapDisplay.from_signatures(signatures, labels, n_features=80)

# %%
# Images that both nets embed tell which dimension of A follows which of B. They need no labels, and should be other
# images than those that chose the signatures. How closely the pairs follow each other is to be read first: a match at a
# correlation of 0.3 would name another dimension, not the same one.
common = patient >= 120
matched, correlation = match_dimensions(nets["B"][common], nets["A"][common])
carried_over = signatures[:4] + [matched[signature] for signature in signatures[4:]]
pd.Series(np.abs(correlation)).describe().round(2)

# %%
# In the numbering of A the signatures of both nets are alike.
_ = SignatureOverlapDisplay.from_signatures(carried_over, labels, n_features=80)

# %%
# More than chance? The test permutes the dimensions of every signature. It speaks of these patients, whose images
# chose all signatures: other patients may choose others.
rows = {
    "A, four magnifications": signatures[:4],
    "A and B at 100X": [signatures[1], signatures[5]],
    "A and B at 100X, matched": [carried_over[1], carried_over[5]],
}
tests = {name: signature_overlap_test(each, 80, random_state=0) for name, each in rows.items()}
pd.DataFrame.from_dict(tests, orient="index", columns=["overlap", "by chance", "p-value"]).round(4)
