"""The three classifiers, tiny, and the three kinds of X that each takes."""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

from sklearn_magdg.cohort import read_training_cohort
from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier

TINY = {"max_epochs": 2, "image_size": 16, "random_state": 0}
KINDS = ["images", "paths", "features"]
CLASSIFIERS = [
    CNNClassifier(**TINY),
    GradientReversalClassifier(**TINY),
    GANAugmentedClassifier(
        CNNClassifier(max_epochs=2),
        generator=DCGAN(32, width=2, latent_dim=4, max_epochs=1),
        ratio=0.5,
        random_state=0,
    ),
]

every_kind = pytest.mark.parametrize("kind", KINDS)
every_classifier = pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: type(model).__name__)


def make_inputs(tissue, folder):
    """The images of `tissue` as each kind of X: an array, the paths of files, and a few features."""
    paths = [folder / f"{row}.png" for row in range(len(tissue.data))]
    for path, image in zip(paths, tissue.data, strict=True):
        Image.fromarray(image).save(path)
    features = tissue.data.reshape(len(paths), -1)[:, :5].astype(np.float64)
    return dict(zip(KINDS, [tissue.data, paths, features], strict=True))


def fit(model, X, tissue, **changed):
    """A fitted clone of `model`; `changed` takes the place of labels or metadata."""
    arguments = {"y": tissue.target, "patient": tissue.patient, "magnification": tissue.magnification} | changed
    return clone(model).fit(X, **arguments)


def net_parameters(model, **parameters):
    """`parameters` of the net, under the names that `model` has for them."""
    is_wrapped = isinstance(model, GANAugmentedClassifier)
    return {f"estimator__{name}" if is_wrapped else name: value for name, value in parameters.items()}


def with_parameters(model, **parameters):
    return clone(model).set_params(**net_parameters(model, **parameters))


def rows_set_aside(model, y, patient):
    """Mask of the rows that early stopping of `model` sets aside."""
    return model._rows_to_set_aside(read_training_cohort(y, len(y), patient=patient, asker="test"))
