"""A fit that was cut off and goes on."""

import os
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier, _classifier
from sklearn_magdg.modules import HistologyAugment
from sklearn_magdg.training._checkpoint import restore_callback, text_of


class InterruptIn(Callback):
    """A keyboard interrupt in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


class CountEpochs(Callback):
    def __init__(self):
        self.n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


def _without_durations(history):
    return [{name: value for name, value in epoch.items() if name != "dur"} for epoch in history]


def _cut_off(model, tissue, metadata):
    model.set_params(callbacks=[InterruptIn(3)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(tissue.data, tissue.target, **metadata)
    assert len(model.history_) == 2


@pytest.mark.filterwarnings("ignore:The adversary hardly acted")  # in five epochs
@pytest.mark.parametrize(
    "model",
    [
        CNNClassifier(lr_schedule="cosine", max_grad_norm=1.0, augment="histology", random_state=0),
        CNNClassifier(penalty="group_dro", random_state=0),
        CNNClassifier("resnet18", trainable="head", image_size=32, random_state=0),
        GradientReversalClassifier(early_stopping=True, validation_fraction=0.3, patience=3, random_state=0),
    ],
    ids=["schedule", "state of the objective", "frozen", "early stopping"],
)
def test_a_fit_cut_off_and_started_again_ends_as_an_uninterrupted_one(model, tissue, tmp_path):
    metadata = {"patient": tissue.patient, "magnification": tissue.magnification}
    model.set_params(max_epochs=5, callbacks=None, checkpoint=None)
    whole = model.fit(tissue.data, tissue.target, **metadata)
    expected, history = whole.transform(tissue.data), _without_durations(whole.history_)
    _cut_off(model.set_params(checkpoint=tmp_path / "run"), tissue, metadata)
    assert len(list((tmp_path / "run").iterdir())) == 1

    model.set_params(callbacks=None).fit(tissue.data, tissue.target, **metadata)
    np.testing.assert_array_equal(model.transform(tissue.data), expected)
    assert _without_durations(model.history_) == history
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    "change", [{"lr": 2e-3}, {"random_state": 1}, {"max_epochs": 6}, {"data": True}, {"target": True}]
)
def test_another_fit_does_not_take_up_the_state(change, tissue, tmp_path):
    model = CNNClassifier(max_epochs=4, checkpoint=tmp_path, random_state=0)
    _cut_off(model, tissue, {})
    (path,) = tmp_path.iterdir()
    state = path.read_bytes()
    X, y = tissue.data.copy(), tissue.target.copy()
    if change.pop("data", False):
        X[-1, 0, 0, 0] ^= 1
    if change.pop("target", False):
        y[0] = 1 - y[0]
    model.set_params(callbacks=None, **change).fit(X, y)
    fresh = CNNClassifier(**{"max_epochs": 4, "random_state": 0} | change).fit(X, y)
    np.testing.assert_array_equal(model.transform(X), fresh.transform(X))
    assert path.read_bytes() == state


def test_threads_and_verbosity_may_change_before_it_goes_on(tissue, tmp_path, capsys):
    model = CNNClassifier(max_epochs=4, checkpoint=tmp_path, random_state=0)
    _cut_off(model, tissue, {})
    model.set_params(callbacks=None, n_jobs=1, verbose=2).fit(tissue.data, tissue.target)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed if line.split()[0].isdigit()] == ["3", "4"]


def _linear_backbone():
    return nn.Sequential(nn.Flatten(), nn.Linear(32 * 32 * 3, 5)), 5


def test_a_frozen_net_goes_on_where_its_features_differ_in_the_last_bits(tissue, tmp_path, monkeypatch):
    model = CNNClassifier(_linear_backbone, trainable="head", max_epochs=4, n_jobs=1, random_state=0)
    _cut_off(model.set_params(checkpoint=tmp_path), tissue, {})
    plain = _classifier.infer
    monkeypatch.setattr(_classifier, "infer", lambda *args, **more: np.nextafter(plain(*args, **more), np.float32(9)))
    epochs = CountEpochs()
    model.set_params(n_jobs=2, callbacks=[epochs]).fit(tissue.data, tissue.target)
    assert epochs.n_epochs == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [lambda data: data + b"0", lambda data: data], ids=["length", "time"])
def test_a_fit_on_a_file_written_anew_starts_afresh(change, inputs, tissue, tmp_path):
    path = tmp_path / "0.png"
    path.write_bytes(inputs["paths"][0].read_bytes())
    paths = [path, *inputs["paths"][1:]]
    os.utime(path, ns=(10**18, 10**18))
    model = CNNClassifier(image_size=16, max_epochs=4, checkpoint=tmp_path / "run", random_state=0)
    model.set_params(callbacks=[InterruptIn(3)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(paths, tissue.target)
    data = change(path.read_bytes())
    path.write_bytes(data)
    os.utime(path, ns=(10**18, 10**18 + 1000 * (data == inputs["paths"][0].read_bytes())))
    epochs = CountEpochs()
    model.set_params(callbacks=[epochs]).fit(paths, tissue.target)
    assert epochs.n_epochs == 4


# --- parameters told apart ---


def _turned(images):
    return images.flip(1)


def _closure(axis):
    return lambda images: images.flip(axis)


def _local_class():
    class Backbone:
        pass

    return Backbone


class Opaque:
    def __call__(self, images):
        return images


class Telling(Opaque):
    def __init__(self, axis):
        self.axis = axis

    def __repr__(self):
        return f"Telling(axis={self.axis})"


class Bare(nn.Module):
    def __init__(self, axis):
        super().__init__()
        self.axis = axis


@dataclass
class Chain:
    steps: list
    drawn: object = field(default_factory=object, repr=False)


@pytest.mark.parametrize(
    "value",
    [
        _closure(1),
        lambda images: images,
        Opaque(),
        Opaque().__call__,
        Bare(1),
        _local_class(),
        partial(_closure(1), 3),
        Chain([_turned, Opaque()]),
        {"before": [Opaque()]},
        nn.Sequential(nn.ReLU(), Bare(1)),
        [Bare(1)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_callable_that_passes_for_another_is_refused(value):
    with pytest.raises(ValueError, match=r"(?s)`checkpoint` cannot tell augment=.*a repr that shows its settings"):
        text_of("augment", value)


@pytest.mark.parametrize(
    "values",
    [
        (_turned, Opaque, nn.ReLU),
        (Telling(1), Telling(2)),
        (partial(_turned, 1), partial(_turned, 2), partial(Opaque, 1)),
        (Chain([_turned]), Chain([_turned, Telling(1)]), Chain([])),
        (HistologyAugment(), HistologyAugment(flips=False)),
        ({"a": 1}, {"a": 2}, None, "balanced"),
        (nn.Sequential(nn.Dropout(0.1)), nn.Sequential(nn.Dropout(0.2))),
    ],
)
def test_what_shows_its_settings_or_can_be_imported_is_told_apart_in_every_process(values):
    texts = [text_of("augment", value) for value in values]
    assert len(set(texts)) == len(values)
    assert not any(" at 0x" in text for text in texts)


def test_a_fit_whose_augmentation_cannot_be_told_apart_is_refused(tissue, tmp_path):
    model = CNNClassifier(augment=_closure(1), max_epochs=1, checkpoint=tmp_path, random_state=0)
    with pytest.raises(ValueError, match="or leave `checkpoint` None"):
        model.fit(tissue.data, tissue.target)
    assert not list(tmp_path.iterdir())
    model.set_params(augment=_turned).fit(tissue.data, tissue.target)


# --- files that are no checkpoint ---


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, I am a text file\n", b"\x80\x02", {"weights": torch.ones(2)}, [1, 2], torch.ones(3), {"module": {}}],
    ids=["empty", "text", "bytes", "dict", "list", "tensor", "another module"],
)
def test_a_file_that_is_no_checkpoint_is_named_and_so_is_the_way_out(content, tissue, tmp_path):
    model = CNNClassifier(max_epochs=4, checkpoint=tmp_path, random_state=0)
    _cut_off(model, tissue, {})
    (path,) = tmp_path.iterdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=rf"{path.name} is damaged or no checkpoint: delete it, and the fit starts"):
        model.set_params(callbacks=None).fit(tissue.data, tissue.target)


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tissue, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError("not yours")

    model = CNNClassifier(max_epochs=4, checkpoint=tmp_path, random_state=0)
    _cut_off(model, tissue, {})
    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(PermissionError, match="not yours"):
        model.set_params(callbacks=None).fit(tissue.data, tissue.target)


def test_only_what_a_callback_has_learned_is_taken_from_the_file():
    callback = CountEpochs()
    callback.best_ = 0.0
    restore_callback(callback, {"best_": 3.0, "n_epochs": 7, "on_epoch_end": 1, "other_": 2, "__class__": Opaque})
    assert vars(callback) == {"best_": 3.0, "n_epochs": 0}
    assert type(callback) is CountEpochs


def test_a_damaged_checkpoint_is_named_and_nothing_is_lost(tissue, tmp_path):
    model = CNNClassifier(max_epochs=4, checkpoint=tmp_path, random_state=0)
    _cut_off(model, tissue, {})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="delete it, and the fit starts afresh"):
        model.set_params(callbacks=None).fit(tissue.data, tissue.target)
    torch.save(CNNClassifier(), path)  # which only pickle could read
    with pytest.raises(ValueError, match="delete it, and the fit starts afresh"):
        model.fit(tissue.data, tissue.target)
    assert len(model.history_) == 2


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_a_checkpoint_needs_a_seed(random_state, tissue, tmp_path):
    with pytest.raises(ValueError, match="`checkpoint` needs an int as `random_state`"):
        CNNClassifier(checkpoint=tmp_path, random_state=random_state).fit(tissue.data, tissue.target)
