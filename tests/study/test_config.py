"""The settings, each declared once."""

import re
from dataclasses import fields
from inspect import signature

import pytest

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier
from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from sklearn_magdg.study import METHODS, StudyConfig

# in the order of run.json, which runs of earlier versions hold
IDENTITY = [
    "data",
    "target",
    "patient_by",
    "skip_damaged",
    "n_patients",
    "images_per_cell",
    "shift",
    "class_sep",
    "methods",
    "held_out",
    "folds",
    "image_size",
    "backbone",
    "weights",
    "trainable",
    "augment",
    "epochs",
    "batch_size",
    "lr",
    "weight_decay",
    "reversal_strength",
    "domain_weight",
    "gan_epochs",
    "gan_width",
    "gan_ratio",
    "signature_fraction",
    "seed",
]


def test_the_identity_of_a_run_is_every_setting_but_the_threads():
    identity = StudyConfig(held_out=(100, "b"), threads=3).identity()
    assert list(identity) == IDENTITY
    assert identity["methods"] == ["baseline", "gan", "gradient-reversal"]
    assert identity["held_out"] == [100, "b"]


@pytest.mark.parametrize(
    ("data", "other"),
    [
        (None, {"data", "target", "patient_by", "skip_damaged"}),
        ("x", {"n_patients", "images_per_cell", "shift", "class_sep"}),
    ],
)
def test_people_read_the_settings_of_their_source_of_images_alone(data, other):
    assert list(StudyConfig(data=data).settings()) == [name for name in IDENTITY if name not in other]


def test_every_setting_is_in_the_docstring_with_its_type_and_default():
    for each in fields(StudyConfig):
        assert f"\n{each.name} : " in StudyConfig.__doc__
    assert "\ntrainable : {'all', 'last_block', 'head'}, default='all'\n" in StudyConfig.__doc__
    assert "\nfolds : int, at least 1, default=5\n" in StudyConfig.__doc__
    assert "\nheld_out : tuple of int or str or None, default=None\n" in StudyConfig.__doc__


@pytest.mark.parametrize(
    "receiver",
    [
        CNNClassifier,
        GradientReversalClassifier,
        DCGAN,
        GANAugmentedClassifier,
        LeaveOneMagnificationOut,
        make_histology,
    ],
)
def test_what_is_given_to_whom_are_parameters_that_it_has(receiver):
    given = StudyConfig().arguments_of(receiver)
    assert given
    if receiver is make_histology:
        assert len(make_histology(**given | {"n_patients": 4, "images_per_cell": 1}).data) == 16
    else:
        assert set(given) <= set(signature(receiver).parameters)


def test_parameters_are_called_as_the_receiver_calls_them():
    config = StudyConfig(epochs=3, gan_epochs=7, gan_width=2, seed=5)
    assert config.arguments_of(CNNClassifier)["max_epochs"] == 3
    generator = {"image_size": 64, "max_epochs": 7, "width": 2, "n_jobs": None}
    assert config.arguments_of(DCGAN) == generator
    assert config.arguments_of(GANAugmentedClassifier) == {"ratio": 1.0, "random_state": 5}
    assert config.arguments_of(dict) == {}


def test_the_help_of_methods_names_every_one_of_them():
    told = {each.name: each.metadata["text"] for each in fields(StudyConfig)}["methods"]
    assert set(StudyConfig().methods) | set(re.findall(r"[a-z_-]+", told.split("also ")[1])) == set(METHODS)
