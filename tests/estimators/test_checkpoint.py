"""A fit that was cut off and goes on."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier


class InterruptIn(Callback):
    """A keyboard interrupt in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


def _without_durations(history):
    return [{name: value for name, value in epoch.items() if name != "dur"} for epoch in history]


def _cut_off(model, tissue, metadata):
    model.set_params(callbacks=[InterruptIn(3)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(tissue.data, tissue.target, **metadata)
    assert len(model.history_) == 2


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
