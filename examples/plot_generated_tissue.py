"""
Did the generator learn tissue, or its training images?
=======================================================

A generator of few images can copy them, or repeat one image of its own, and its losses show neither. We train one on
some patients and judge its samples by the images of others.
"""

# %%
# Rendered tissue of 16 patients at two magnifications; four patients are kept from the generator.
import numpy as np
import pandas as pd

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, ImageEncoder
from sklearn_magdg.inspection import ImageGridDisplay
from sklearn_magdg.metrics import generative_precision_recall, kernel_inception_distance, memorisation_test

tissue = make_histology(16, images_per_cell=6, magnifications=(100, 200), image_size=32, random_state=0)
labels = tissue.target_names[tissue.target]
new = np.isin(tissue.patient, np.unique(tissue.patient)[-4:])
X, y, magnification = tissue.data[~new], labels[~new], tissue.magnification[~new]

# %%
# Small, so that this page is built soon; a default generator of 500 images of 64 pixels takes minutes.
gan = DCGAN(32, max_epochs=250, random_state=0)
gan.fit(X, y, magnification=magnification)
f"samples of a class are {gan.spread_:.2f} times as far apart as its training images"

# %%
# Real images, generated ones, and the training image that each of these is nearest to. The numbers below say how near,
# relative to the distance from that training image to the next one.
display = ImageGridDisplay.from_estimator(gan, X, y, magnification=magnification, random_state=0)

# %%
# A copy machine for comparison: training images, turned and with a little noise.
rng = np.random.default_rng(0)
samples, _ = gan.sample(300, random_state=0)
copied = np.rot90(X[rng.integers(0, len(X), 300)], axes=(1, 2))
copies = np.clip(copied + rng.normal(0, 2, copied.shape), 0, 255).astype(np.uint8)

encoder = ImageEncoder(turns=True).fit(X)  # which does not see how an image is turned
training, held_out = encoder.transform(X), encoder.transform(tissue.data[new])
rows = {}
for name, images in {"generated": samples, "copies": copies, "noise": rng.integers(0, 256, copies.shape)}.items():
    embedded = encoder.transform(images.astype(np.uint8))
    kid = kernel_inception_distance(held_out, embedded, patient=tissue.patient[new])
    kind = generative_precision_recall(held_out, embedded)
    test = memorisation_test(embedded, training=training, held_out=held_out, patient=tissue.patient[new])
    rows[name] = kid._asdict() | {"coverage": kind.coverage} | test._asdict()
pd.DataFrame(rows).T.round(3)

# %%
# The kernel distance to new patients (``estimate``) cannot tell learning from copying: copies are as close, being real
# images. The last columns can. Copies lie closer to the training images than any new patient's image does, and none is
# authentic; generated images are. Nor does it see all that a person does: by this random net, whose eye is for colours
# and textures, the samples are as good as real images, and they have hardly a nucleus. Look at the pictures, and
# measure by a pretrained net where you have one.
