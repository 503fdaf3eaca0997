"""What holds for every classifier, on images."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from sklearn_magdg.estimators import DCGAN, CNNClassifier, GANAugmentedClassifier, GradientReversalClassifier
from tests.estimators.kinds import fit, rows_set_aside

CLASSIFIERS = [
    CNNClassifier(max_epochs=2, random_state=0),
    CNNClassifier(max_epochs=2, penalty="coral", random_state=0),
    GradientReversalClassifier(max_epochs=2, random_state=0),
    GANAugmentedClassifier(
        CNNClassifier(max_epochs=2), generator=DCGAN(32, width=2, max_epochs=1), ratio=0.5, random_state=0
    ),
]
every_classifier = pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)


@every_classifier
def test_probabilities_embeddings_and_names_fit_together(model, tissue):
    fitted = fit(model, tissue.data, tissue)
    proba, embedding = fitted.predict_proba(tissue.data), fitted.transform(tissue.data)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(fitted.predict(tissue.data), fitted.classes_[proba.argmax(1)])
    assert embedding.shape == (len(tissue.data), fitted.embedding_dim_)
    assert embedding.dtype == np.float32
    assert len(fitted.get_feature_names_out()) == fitted.embedding_dim_
    assert [row["epoch"] for row in fitted.history_] == [1, 2]


@every_classifier
def test_class_head_on_the_embedding_gives_the_probabilities(model, tissue):
    fitted = fit(model, tissue.data, tissue)
    net = getattr(fitted, "estimator_", fitted).module_
    with torch.inference_mode():
        logits = net.class_head(torch.from_numpy(fitted.transform(tissue.data))).numpy()
    odds = np.exp(logits.astype(float))
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), fitted.predict_proba(tissue.data), atol=1e-5)


@pytest.mark.parametrize("model", CLASSIFIERS[:3], ids=lambda m: type(m).__name__)
def test_spelling_of_the_magnification_does_not_matter(model, tissue):
    spelled = np.array([f"{m}X" for m in tissue.magnification])
    numbers, names = fit(model, tissue.data, tissue), fit(model, tissue.data, tissue, magnification=spelled)
    assert names.magnifications_ == ["40X", "100X", "200X"]
    np.testing.assert_array_equal(numbers.predict_proba(tissue.data), names.predict_proba(tissue.data))


@every_classifier
def test_images_of_another_size_are_refused_at_predict(model, tissue):
    fitted = fit(model, tissue.data, tissue)
    if isinstance(model, GANAugmentedClassifier):  # which brings every image to its generator's size
        larger = tissue.data[:3].repeat(2, axis=1).repeat(2, axis=2)
        assert fitted.predict(larger).shape == (3,)
        return
    with pytest.raises(ValueError, match=r"fitted on inputs of shape \(32, 32, 3\), got \(8, 8, 3\)"):
        fitted.predict(tissue.data[:3, :8, :8])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_epochs": 0}, "'max_epochs' parameter"),
        ({"penalty": "corral"}, "'penalty' parameter"),
        ({"augment": "histo"}, "'augment' parameter"),
        ({"backbone": "resnet81"}, "did you mean"),
        ({"weights": "imagenet"}, "`weights` needs a torchvision `backbone`"),
        ({"backbone": lambda: None, "weights": "x"}, "a callable loads its weights itself"),
        ({"backbone": "alexnet"}, r"cannot take images of shape \(32, 32, 3\)"),
    ],
)
def test_bad_parameters_are_refused(parameters, message, tissue):
    with pytest.raises(ValueError, match=message):
        CNNClassifier(**parameters).fit(tissue.data, tissue.target)


def test_warm_start_goes_on_where_the_last_fit_ended(tissue):
    model = CNNClassifier(max_epochs=2, warm_start=True, random_state=0).fit(tissue.data, tissue.target)
    first = model.history_[-1]["class_loss"]
    model.fit(tissue.data, tissue.target)
    assert model.history_[0]["class_loss"] < first
    before = model.predict_proba(tissue.data)
    with pytest.raises(ValueError, match=r"goes on with the classes \[0, 1\]"):
        model.fit(tissue.data, np.arange(54) % 3)
    with pytest.raises(ValueError, match="goes on with the magnifications None"):
        model.fit(tissue.data, tissue.target, magnification=tissue.magnification)
    with pytest.raises(ValueError, match=r"goes on with the input shape \(32, 32, 3\)"):
        model.fit(tissue.data[:, :8, :8], tissue.target)
    with pytest.raises(ValueError, match="lower `lr`"):
        model.set_params(lr=1e30, max_epochs=30).fit(tissue.data, tissue.target)
    np.testing.assert_array_equal(model.predict_proba(tissue.data), before)


def test_early_stopping_keeps_patients_whole_and_the_best_weights(tissue):
    model = CNNClassifier(max_epochs=8, early_stopping=True, validation_fraction=0.3, patience=2, random_state=0)
    held_back = rows_set_aside(model, tissue.target, tissue.patient)
    assert not set(tissue.patient[held_back]) & set(tissue.patient[~held_back])
    assert set(tissue.target[held_back]) == {0, 1}
    model.fit(tissue.data, tissue.target, patient=tissue.patient)
    proba = model.predict_proba(tissue.data[held_back])
    loss = -np.log(proba[np.arange(held_back.sum()), tissue.target[held_back]]).mean()
    assert loss == pytest.approx(min(row["valid_loss"] for row in model.history_), rel=1e-4)
    assert loss == pytest.approx(model.history_[model.best_epoch_ - 1]["valid_loss"], rel=1e-4)


def test_rows_without_a_patient_never_stand_in_the_validation_part(tissue):
    model = CNNClassifier(early_stopping=True, validation_fraction=0.3, random_state=0)
    patient = tissue.patient.astype(object)
    held_back = rows_set_aside(model, tissue.target, patient)
    joined = rows_set_aside(model, np.append(tissue.target, [0, 1, 1]), np.append(patient, [None, None, None]))
    np.testing.assert_array_equal(joined, np.append(held_back, [False] * 3))


def test_a_warm_start_validates_on_patients_that_were_never_trained_on(tissue):
    model = CNNClassifier(max_epochs=1, early_stopping=True, validation_fraction=0.3, warm_start=True)
    parts = []
    for _ in range(4):  # without a seed: a new draw would be another one in 4 out of 5 fits
        model.fit(tissue.data, tissue.target, patient=tissue.patient)
        parts.append(model.validation_patients_)
    assert parts == [parts[0]] * 4
    assert all(type(name) is str for name in parts[0])
    model.set_params(early_stopping=False).fit(tissue.data, tissue.target, patient=tissue.patient)
    assert not hasattr(model, "validation_patients_")


def test_a_warm_start_that_may_validate_on_trained_patients_warns(tissue):
    model = CNNClassifier(max_epochs=1, warm_start=True, random_state=0).fit(tissue.data, tissue.target)
    model.set_params(early_stopping=True, validation_fraction=0.5)
    with pytest.warns(UserWarning, match="a fit that set 0 patients aside"):
        model.fit(tissue.data, tissue.target, patient=tissue.patient)
    first, second, *_ = model.validation_patients_
    rows = tissue.patient != first
    with pytest.warns(UserWarning, match=r"set \d patients aside, \d of whom are in"):
        model.fit(tissue.data[rows], tissue.target[rows], patient=tissue.patient[rows])
    assert second in model.validation_patients_
    rows = np.isin(tissue.patient, model.validation_patients_)
    with pytest.raises(ValueError, match="No patient of some class is left to train on"):
        model.fit(tissue.data[rows], tissue.target[rows], patient=tissue.patient[rows])


def test_early_stopping_without_patients_is_named_a_leak(tissue):
    with pytest.warns(UserWarning, match="early_stopping=True without `patient`"):
        CNNClassifier(max_epochs=1, early_stopping=True, random_state=0).fit(tissue.data, tissue.target)


def test_keyboard_interrupt_leaves_the_finished_epochs(tissue):
    class Interrupt(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    model = CNNClassifier(max_epochs=9, callbacks=[Interrupt()], random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(tissue.data, tissue.target)
    assert len(model.history_) == 2
    assert model.predict(tissue.data).shape == (54,)


def test_bfloat16_predicts_nearly_the_same(tissue):
    full = CNNClassifier(max_epochs=2, random_state=0).fit(tissue.data, tissue.target)
    half = CNNClassifier(max_epochs=2, precision="bfloat16", random_state=0).fit(tissue.data, tissue.target)
    np.testing.assert_allclose(full.predict_proba(tissue.data), half.predict_proba(tissue.data), atol=0.1)
    assert not np.array_equal(full.transform(tissue.data), half.transform(tissue.data))


@pytest.mark.slow
@pytest.mark.parametrize("cls", [CNNClassifier, GradientReversalClassifier])
def test_frozen_backbone_stays_as_it_was_and_its_embeddings_are_computed_once(cls, tissue):
    calls = []

    def backbone():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32 * 32 * 3, 5), torch.nn.BatchNorm1d(5))
        net.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
        return net, 5

    model = cls(backbone, trainable="head", max_epochs=4, random_state=0)
    model.fit(tissue.data, tissue.target, magnification=tissue.magnification)
    assert sum(calls) == 1 + 54  # the trial at the start, then every image once, whatever the number of epochs
    frozen = model.module_.encoder[1].module
    fresh = backbone()[0]
    assert all(
        torch.equal(a, b) for a, b in zip(frozen.state_dict().values(), fresh.state_dict().values(), strict=True)
    )
    assert model.embedding_dim_ == (128 if cls is GradientReversalClassifier else 5)


@pytest.mark.parametrize("trainable", ["all", "last_block", "head"])
def test_augmentation_sees_every_training_batch_whatever_trains(trainable, tissue):
    seen = []

    def augment(images):
        seen.append(len(images))
        return images

    model = CNNClassifier(augment=augment, trainable=trainable, max_epochs=3, random_state=0)
    model.fit(tissue.data, tissue.target)
    assert sum(seen) == 3 * 54


def test_risks_are_weighed_within_a_magnification(tissue):
    """A weight that differs by magnification alone must not pass for a risk that does."""
    weight = np.where(tissue.magnification == 40, 3.0, 1.0)
    model = CNNClassifier(penalty="vrex", max_epochs=1, random_state=0)
    metadata = {"magnification": tissue.magnification}
    weighted = clone(model).fit(tissue.data, tissue.target, sample_weight=weight, **metadata)
    plain = clone(model).fit(tissue.data, tissue.target, **metadata)
    np.testing.assert_allclose(weighted.predict_proba(tissue.data), plain.predict_proba(tissue.data), atol=1e-5)


def test_last_block_alone_trains(tissue):
    model = CNNClassifier("resnet18", trainable="last_block", image_size=32, max_epochs=1, random_state=0)
    model.fit(tissue.data, tissue.target)
    training = {name.split(".")[2] for name, p in model.module_.encoder.named_parameters() if p.requires_grad}
    assert training == {"layer4"}


def test_penalty_without_magnifications_warns_and_trains_as_the_baseline(tissue):
    model = CNNClassifier(max_epochs=1, penalty="mmd", random_state=0)
    with pytest.warns(UserWarning, match="penalty='mmd' compares magnifications, got 0"):
        model.fit(tissue.data, tissue.target)
    plain = CNNClassifier(max_epochs=1, random_state=0).fit(tissue.data, tissue.target)
    np.testing.assert_array_equal(model.predict_proba(tissue.data), plain.predict_proba(tissue.data))


def test_an_interrupt_at_the_end_of_an_epoch_is_no_early_stop(tissue):
    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    model = CNNClassifier(callbacks=[Interrupt()], random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(tissue.data, tissue.target)


def test_features_refuse_what_only_images_have(tissue):
    features = tissue.data.reshape(54, -1)[:, :4]
    for parameter in ({"backbone": "resnet18"}, {"augment": "histology"}, {"trainable": "head"}):
        with pytest.raises(ValueError, match=rf"leave \['{next(iter(parameter))}'\] at the default"):
            CNNClassifier(**parameter).fit(features, tissue.target)


def test_an_interrupt_after_the_last_epoch_is_passed_on_and_nothing_is_lost(tissue):
    class Interrupt(Callback):
        def on_train_end(self, net, **kwargs):
            raise KeyboardInterrupt

    model = CNNClassifier(callbacks=[Interrupt()], max_epochs=2, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(tissue.data, tissue.target)
    assert len(model.history_) == 2
