"""
Does the net look at nuclei or at the background?
=================================================

Pathologists tell malignant tissue by its nuclei first. A net may have found something else. Grad-CAM shows where in an
image the evidence for a class is, and rendered tissue tells where the nuclei are.
"""

# %%
# Data: 24 patients at 200X and 400X, where a nucleus is larger than a cell of the net's maps; below that, no map can
# tell it from its surroundings. A third of the patients is kept from training.
import numpy as np
import pandas as pd

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier
from sklearn_magdg.inspection import ClassActivationDisplay

tissue = make_histology(24, images_per_cell=6, magnifications=(200, 400), random_state=0)
y = tissue.target_names[tissue.target]
unseen = np.isin(tissue.patient, np.unique(tissue.patient)[np.arange(24) // 2 % 3 == 2])
images = tissue.data[unseen]
known = {"patient": tissue.patient[unseen], "magnification": tissue.magnification[unseen]}

# %%
# Two nets that differ in nothing but their random start.
models = [CNNClassifier(max_epochs=12, random_state=seed).fit(tissue.data[~unseen], y[~unseen]) for seed in (0, 1)]

# %%
# Twelve unseen images and, below each, the evidence for the class that the first net predicts. The third of its five
# convolutions has maps of 16 x 16 cells; the last one, the default, would have 4 x 4. All maps have one scale, on which
# those for benign stay dark, however sure the net is: what speaks against malignant is no part of them.
look = {"layer": "1.2", "n_images": 12, "random_state": 0, **known}
displays = [ClassActivationDisplay.from_estimator(models[0], images, y[unseen], **look)]

# %%
# The same images for the second net.
displays.append(ClassActivationDisplay.from_estimator(models[1], images, y[unseen], **look))

# %%
# Pictures invite stories, so count. Haematoxylin takes the red light that eosin lets pass: what is dark in red is
# nucleus. `area` is the nuclei's share of the image, `evidence` their share of the evidence; a net that does not care
# about nuclei has both alike.
rows = []
for net, display in enumerate(displays):
    nuclei = display.images[..., 0] < 0.55 * 255
    evidence = (display.heatmaps * nuclei).sum(axis=(1, 2)) / display.heatmaps.sum(axis=(1, 2))
    shares = {"area": nuclei.mean(axis=(1, 2)), "evidence": evidence}
    rows.append(display.frame()[["class"]].assign(net=net, **shares))
table = pd.concat(rows).groupby(["net", "class"]).mean()
table["accuracy"] = [model.score(images, y[unseen]) for model in models for _ in range(2)]
table.round(2)

# %%
# Both, then: nuclei hold more of the evidence than of the area, but most of it lies beside them, and two nets of like
# accuracy do not look at the same places.
