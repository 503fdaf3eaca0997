"""
Does a net's embedding still tell the magnification?
====================================================

A classifier that is to work at any magnification has no need to know it. Two small nets, one plain and one with
gradient reversal, embed images of patients that they did not train on.
"""

# %%
# Data: 40 patients at four magnifications; every second pair of patients is kept from training.
import numpy as np
import pandas as pd

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier
from sklearn_magdg.inspection import EmbeddingDisplay
from sklearn_magdg.metrics import magnification_leakage

tissue = make_histology(40, images_per_cell=4, image_size=32, random_state=0)
y = tissue.target_names[tissue.target]
unseen = np.isin(tissue.patient, np.unique(tissue.patient)[np.arange(40) // 2 % 2 == 1])
train = {"patient": tissue.patient[~unseen], "magnification": tissue.magnification[~unseen]}
known = {"y": y[unseen], "magnification": tissue.magnification[unseen], "patient": tissue.patient[unseen]}

# %%
# The second net has a head that guesses the magnification, whose gradient reaches the encoder with the sign reversed.
models = {
    "plain": CNNClassifier(max_epochs=20, random_state=0),
    "gradient reversal": GradientReversalClassifier(max_epochs=20, random_state=0),
}
for model in models.values():
    model.fit(tissue.data[~unseen], y[~unseen], **train)

# %%
# Before any net: the mean and spread of each colour. Marker and hue are the class, dark is a high magnification. The
# title says how well a linear probe, fitted on other patients, reads the magnification from all dimensions.
pixels = tissue.data[unseen] / 255
colours = np.hstack([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))])
_ = EmbeddingDisplay.from_embedding(colours, **known, random_state=0)

# %%
# The plain net drops a part of that on its way to the class, but not all: the probe still beats chance.
_ = EmbeddingDisplay.from_estimator(models["plain"], tissue.data[unseen], **known, random_state=0)

# %%
# The net with gradient reversal. A cloud without clusters is no proof: the title reads dimensions that are not shown.
_ = EmbeddingDisplay.from_estimator(models["gradient reversal"], tissue.data[unseen], **known, random_state=0)

# %%
# Side by side, with the accuracy on the classes of the same unseen patients. Where the intervals of the two nets
# overlap, 20 patients and one training of each do not tell them apart, however different the pictures look.
embeddings = {name: model.transform(tissue.data[unseen]) for name, model in models.items()}
rows = {
    name: magnification_leakage(embedding, known["magnification"], patient=known["patient"], random_state=0)._asdict()
    for name, embedding in {"colours": colours, **embeddings}.items()
}
table = pd.DataFrame(rows).T
table["class accuracy"] = {name: model.score(tissue.data[unseen], y[unseen]) for name, model in models.items()}
table.round(2)
