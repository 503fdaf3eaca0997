import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sklearn_magdg.estimators import GradientReversalClassifier, _gradient_reversal
from sklearn_magdg.modules import DomainHead, ramp
from sklearn_magdg.training._domain_adversary import AdversaryHealth, rows_to_probe


@pytest.fixture
def features():
    """Nine patients at three magnifications, both plain to see in the features."""
    rng = np.random.default_rng(0)
    magnification, patient = np.tile([40, 100, 200], 33), np.repeat(np.arange(9), 11)
    y = patient % 2
    X = rng.normal(size=(99, 7))
    X[:, 0] += 4 * y
    X[:, 1:4] += 3 * (magnification[:, None] == [40, 100, 200])
    return X, y, {"patient": patient, "magnification": magnification}


def _fit(features, **parameters):
    X, y, metadata = features
    defaults = {"max_epochs": 4, "batch_size": 30, "random_state": 0}
    return GradientReversalClassifier(**defaults | parameters).fit(X, y, **metadata)


def _strengths(history):
    return [row["reversal_strength"] for row in history]


class _Strengths(Callback):
    """The strength in use at every training step."""

    def __init__(self):
        self.seen = []

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.seen.append(net.module_.domain_head.reversal.strength)


class _InterruptAfter(Callback):
    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > self.n_epochs:
            raise KeyboardInterrupt


# The schedule: 99 rows in batches of 30 are 4 steps an epoch, 16 in all.


@pytest.mark.parametrize("schedule", ["ramp", "constant"])
def test_the_schedule_runs_over_what_the_warmup_leaves(features, schedule):
    steps = _Strengths()
    _fit(features, reversal_strength=0.5, reversal_schedule=schedule, reversal_warmup=0.25, callbacks=[steps])
    left = np.arange(12) / 12
    shares = [ramp(p) for p in left] if schedule == "ramp" else np.ones(12)
    assert steps.seen == pytest.approx([0.0] * 4 + [0.5 * share for share in shares])


def test_early_stopping_leaves_every_epoch_complete_and_counts_the_steps_of_the_training_part(features):
    with pytest.warns(ConvergenceWarning, match="of 4 epochs early stopping kept epoch 3"):
        model = _fit(features, early_stopping=True, patience=1, max_epochs=40, lr=0.05, validation_fraction=0.4)
    assert len(model.history_) < 40
    n_batches = -(-11 * (9 - len(model.validation_patients_)) // 30)
    last_steps = n_batches * np.arange(1, len(model.history_) + 1) - 1
    assert _strengths(model.history_) == pytest.approx([ramp(step / (40 * n_batches)) for step in last_steps])
    assert {frozenset(row) for row in model.history_} == {frozenset(model.history_[0])}


def test_a_warm_start_after_a_finished_fit_goes_on_at_full_strength(features):
    model = _fit(features, warm_start=True, reversal_strength=0.7)
    X, y, metadata = features
    assert set(_strengths(model.fit(X, y, **metadata).history_)) == {0.7 * ramp(1.0)}


def test_a_warm_start_after_an_interrupt_takes_the_schedule_up(features):
    X, y, metadata = features
    model = GradientReversalClassifier(batch_size=30, max_epochs=4, warm_start=True, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callbacks=[_InterruptAfter(1)]).fit(X, y, **metadata)
    assert model.history_[-1]["reversal_progress"] == 0.25
    model.set_params(callbacks=None).fit(X, y, **metadata)
    last_steps = np.array([3, 7, 11, 15])
    assert _strengths(model.history_) == pytest.approx([ramp(0.25 + 0.75 * step / 16) for step in last_steps])


def test_a_checkpoint_takes_the_schedule_up_at_the_epoch_that_is_next(features, tmp_path):
    whole = _fit(features)
    with pytest.raises(KeyboardInterrupt):
        _fit(features, checkpoint=tmp_path, callbacks=[_InterruptAfter(2)])
    resumed = _fit(features, checkpoint=tmp_path)
    for name in ("reversal_strength", "reversal_progress", "reversal_gradient", "domain_loss"):
        assert [row[name] for row in resumed.history_] == [row[name] for row in whole.history_]


# The gradient in the history


def test_reversal_gradient_is_what_arrives_and_not_what_is_passed_on(features):
    def first_gradient(**parameters):
        model = _fit(features, max_epochs=1, batch_size=99, reversal_schedule="constant", **parameters)
        return model.history_[0]["reversal_gradient"]

    plain = first_gradient()
    assert plain > 0.01
    assert first_gradient(reversal_strength=3.0) == plain
    assert first_gradient(domain_weight=2.0) == pytest.approx(2 * plain)


def test_reversal_gradient_is_the_mean_over_the_batches_of_the_epoch(features):
    class Norms(Callback):
        def on_train_begin(self, net, **kwargs):
            self.seen = []
            net.module_.domain_head.reversal.register_forward_hook(self.listen)

        def listen(self, layer, inputs, output):
            output.register_hook(lambda gradient: self.seen.append(gradient.norm().item()))

    norms = Norms()
    history = _fit(features, max_epochs=3, callbacks=[norms]).history_
    expected = np.reshape(norms.seen, (3, 4)).mean(1)
    assert [row["reversal_gradient"] for row in history] == pytest.approx(expected)


# Health


def test_a_healthy_fit_gives_no_warning(features):  # for any would be an error
    last = _fit(features, max_epochs=40).history_[-1]
    assert last["domain_loss"] > 0.3  # it hides something
    assert last["class_loss"] < 0.6


def _plant(monkeypatch, *layers):
    """A domain head with these `layers`."""

    def build(*arguments):
        head = DomainHead(*arguments)
        head.layers = nn.Sequential(*layers)
        return head

    monkeypatch.setattr(_gradient_reversal, "DomainHead", build)


def test_a_softmax_over_one_unit_is_reported_as_a_dead_adversary(features, monkeypatch):
    _plant(monkeypatch, nn.Linear(32, 1), nn.Softmax(1), nn.Linear(1, 3))
    with pytest.warns(ConvergenceWarning, match="adversary is dead.*softmax over one unit") as caught:
        model = _fit(features, max_epochs=1)
    assert len(caught) == 1
    assert model.history_[0]["reversal_gradient"] == 0


def test_a_domain_head_that_is_sure_of_everything_is_reported_with_another_remedy(features, monkeypatch):
    X, y, metadata = features
    X = X + 1e4 * (metadata["magnification"][:, None] == 40)  # far apart in the standardised features
    metadata["magnification"] = np.where(metadata["magnification"] == 40, 40, 200)

    class Amplified(nn.Module):
        def forward(self, z):
            return 1e6 * (z - z.mean(0))

    _plant(monkeypatch, Amplified(), nn.Linear(32, 2))
    with pytest.warns(ConvergenceWarning, match="sure of every magnification: raise `reversal_strength`"):
        _fit((X, y, metadata), max_epochs=10, reversal_strength=1e-9)


def test_a_domain_head_that_does_not_learn_is_reported_with_what_a_probe_reads(features, monkeypatch):
    monkeypatch.setattr(_gradient_reversal, "_HEAD_LR_FACTOR", 0.0)
    with pytest.warns(ConvergenceWarning, match=r"domain head reads nothing.*accuracy of 0\.[6-9]\d \(chance 0\.33\)"):
        _fit(features, max_epochs=15, reversal_strength=0.1)


def test_nothing_is_reported_where_the_probe_reads_nothing_either(features, monkeypatch):
    monkeypatch.setattr(_gradient_reversal, "_HEAD_LR_FACTOR", 0.0)
    X, y, metadata = features
    X[:, 1:4] = np.random.default_rng(1).normal(size=(99, 3))
    assert _fit((X, y, metadata), max_epochs=15, reversal_strength=0.1).history_[-1]["domain_loss"] > 0.95 * np.log(3)


def test_a_collapsed_class_loss_is_reported(features):
    X, _, metadata = features
    y = metadata["magnification"] == 200  # who hides the magnification hides the class
    with pytest.warns(ConvergenceWarning, match="class loss collapsed.*lower these or raise `reversal_warmup`"):
        _fit((X[:, 1:4], y, metadata), max_epochs=15, domain_weight=1000.0)


def test_a_training_that_ends_within_the_warmup_is_reported(features):
    with pytest.warns(ConvergenceWarning, match="never acted: the training ended at .*% of its steps") as caught:
        _fit(features, early_stopping=True, patience=1, max_epochs=40, lr=0.05, reversal_warmup=0.99)
    assert len(caught) == 1


# Which weights early stopping keeps


class _Blank(Callback):
    """From some epoch on, `part` of the module has weights of 0."""

    def __init__(self, part, n_epochs):
        self.part, self.n_epochs = part, n_epochs

    def on_batch_begin(self, net, **kwargs):
        if len(net.history) > self.n_epochs:
            for weight in getattr(net.module_, self.part).parameters():
                nn.init.zeros_(weight)


_KEEPS_AN_EARLY_ONE = {"early_stopping": True, "patience": 8, "max_epochs": 40, "lr": 0.01, "reversal_strength": 0.5}


@pytest.mark.parametrize("warmup", [0.0, 0.15])
def test_an_adversary_that_early_stopping_throws_away_is_reported_once(features, warmup):
    with pytest.warns(ConvergenceWarning, match="stopping kept epoch [12], .* of 0.5: raise `patience`") as caught:
        _fit(features, callbacks=[_Blank("class_head", 2)], reversal_warmup=warmup, **_KEEPS_AN_EARLY_ONE)
    assert len(caught) == 1


def test_an_early_epoch_at_full_strength_is_no_reason_to_warn(features):
    early = _KEEPS_AN_EARLY_ONE | {"reversal_schedule": "constant"}
    assert len(_fit(features, callbacks=[_Blank("class_head", 2)], **early).history_) <= 2 + 8


def test_a_class_loss_that_collapsed_after_the_epoch_that_is_kept_is_none_of_its_faults(features):
    constant = {"reversal_schedule": "constant", "reversal_strength": 0.1, "max_epochs": 40}
    with pytest.warns(ConvergenceWarning, match="class loss collapsed"):
        _fit(features, callbacks=[_Blank("class_head", 20)], **constant)
    model = _fit(features, callbacks=[_Blank("class_head", 20)], early_stopping=True, patience=3, **constant)
    assert model.history_[-1]["class_loss"] == pytest.approx(np.log(2), rel=1e-3)


@pytest.mark.parametrize(
    "stopping", [{"early_stopping": True}, {"callbacks": [EarlyStopping("class_loss", load_best=True)]}]
)
def test_the_probe_reads_the_weights_that_are_kept(features, monkeypatch, stopping):
    monkeypatch.setattr(_gradient_reversal, "_HEAD_LR_FACTOR", 0.0)
    blank = {"callbacks": [_Blank("encoder", 20), *stopping.get("callbacks", [])]}
    with pytest.warns(ConvergenceWarning, match="domain head reads nothing"):
        _fit(features, max_epochs=40, reversal_strength=0.1, reversal_schedule="constant", **stopping | blank)


def test_guessing_is_the_best_constant_answer_under_balanced_weighted_batches():
    rng = np.random.default_rng(0)
    magnification, label, weight = np.repeat([0, 1], [5, 12]), rng.integers(3, size=17), rng.random(17)
    health = AdversaryHealth(magnification, strength=1.0, n_batches=1, domain_weight=1.0, warmup=0.0)
    expected = np.zeros(17)
    for m in (0, 1):  # each magnification is half of every batch, its weights have mean 1
        members = magnification == m
        expected[members] = 0.5 * weight[members] / weight[members].sum()

    def loss(logits):
        return -(expected * (logits - np.log(np.exp(logits).sum()))[label]).sum()

    assert health.guessing_loss(label, weight) == pytest.approx(minimize(loss, np.zeros(3)).fun)
    assert health.guessing_loss(magnification, weight) == pytest.approx(np.log(2))


def test_the_probe_reads_rows_of_known_patients_alike_from_all_magnifications():
    magnification = np.repeat([0, 1, 2], [900, 300, 10])
    patient = np.where(np.arange(1210) % 5 == 0, -1, np.arange(1210) % 7)
    chosen = rows_to_probe(magnification, patient)
    assert np.bincount(magnification[chosen]).tolist() == [133, 133, 8]
    assert (patient[chosen] >= 0).all()
    assert len(set(chosen)) == len(chosen)


@pytest.mark.parametrize("patient", [None, np.zeros(99, dtype=int)])
def test_the_verdict_copes_with_unknown_patients_and_with_a_single_one(features, monkeypatch, recwarn, patient):
    monkeypatch.setattr(_gradient_reversal, "_HEAD_LR_FACTOR", 0.0)
    X, y, metadata = features
    _fit((X, y, metadata | {"patient": patient}), max_epochs=15, reversal_strength=0.1)
    assert len(recwarn) == (patient is None)  # without patients unseen images are the test, one patient is none
