"""The methods a study compares, by their name on the command line.

All share backbone, optimiser and budget of epochs, so that a difference of scores is one of the methods.
"""

import difflib

from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier
from sklearn_magdg.modules import EMBEDDING_PENALTIES


def _baseline(config, **extra):
    return CNNClassifier(**config.arguments_of(CNNClassifier), **extra)


def _gradient_reversal(config, **extra):
    return GradientReversalClassifier(**config.arguments_of(GradientReversalClassifier), **extra)


METHODS = {
    "baseline": _baseline,
    "gan": lambda config: GANAugmentedClassifier(
        _baseline(config),
        generator=DCGAN(**config.arguments_of(DCGAN)),
        **config.arguments_of(GANAugmentedClassifier),
    ),
    "gradient-reversal": _gradient_reversal,
    "conditional": lambda config: _gradient_reversal(config, conditional=True),
    "coral": lambda config: _baseline(config, penalty="coral"),
    "mmd": lambda config: _baseline(config, penalty="mmd"),
    "vrex": lambda config: _baseline(config, penalty="vrex"),
    "group_dro": lambda config: _baseline(config, penalty="group_dro"),
}


def build_method(name, config):
    """The unfitted estimator of a method.

    Parameters
    ----------
    name : str
        A key of `METHODS`:

        - ``"baseline"``: a `CNNClassifier`, which knows nothing of magnifications;
        - ``"gan"``: the baseline, trained on `gan_ratio` generated images per real one as well;
        - ``"gradient-reversal"``: an embedding from which a second head cannot tell the magnification;
        - ``"conditional"``: the same within every class, for classes that are more frequent at one magnification;
        - ``"coral"``, ``"mmd"``: a penalty on differences of the embedding's covariance, or of its distribution;
        - ``"vrex"``, ``"group_dro"``: a penalty on the spread of the losses, or the worst loss, over magnifications.
    config : StudyConfig

    Returns
    -------
    model : estimator

    Raises
    ------
    ValueError
        For an unknown name; it lists the known ones.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"There is no method {name!r}; {hint}Choose from {', '.join(METHODS)}.")
    return METHODS[name](config)


def has_frozen_encoder(model):
    """Whether a method's embedding has the axes of its frozen backbone, whatever it is fitted on.

    Only then can signatures of encoders that were fitted apart be compared dimension by dimension. `model` is an
    unfitted estimator of `build_method`.
    """
    model = getattr(model, "estimator", model)
    if isinstance(model, GradientReversalClassifier) or model.penalty in EMBEDDING_PENALTIES:
        return False  # they train a projection behind the backbone
    return model.trainable == "head"
