"""scikit-learn's own checks, in full, on 2-D input."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_magdg.estimators import (
    DCGAN,
    CNNClassifier,
    GANAugmentedClassifier,
    GradientReversalClassifier,
)


def expected_failures(estimator):
    """scikit-learn checks its own MLPClassifier for this with L-BFGS only: mini-batches of a repeated sample are
    not mini-batches of a weighted one.
    """
    if isinstance(estimator, DCGAN):
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": "mini-batch training"}


ESTIMATORS = [
    CNNClassifier(random_state=0),
    GradientReversalClassifier(random_state=0),
    DCGAN(max_epochs=2, latent_dim=8, random_state=0),
    GANAugmentedClassifier(CNNClassifier(), generator=DCGAN(max_epochs=2, latent_dim=8), ratio=0.5, random_state=0),
]


# The baseline's behaviour without magnification is announced by a warning of its own, tested elsewhere.
@pytest.mark.filterwarnings("ignore:GradientReversalClassifier needs at least 2 magnifications:UserWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)
