"""Settings as options, and parameters in messages as options."""

import subprocess
import sys
from dataclasses import fields
from inspect import signature

import pytest
from typer.testing import CliRunner

from sklearn_magdg.cli import _app
from sklearn_magdg.cli._options import as_options, option_names
from sklearn_magdg.generation import GenerateConfig
from sklearn_magdg.study import StudyConfig


@pytest.mark.parametrize(("command", "config"), [(_app.run, StudyConfig), (_app.generate, GenerateConfig)])
def test_every_setting_is_an_option_with_its_own_default(command, config):
    options = signature(command).parameters
    assert set(options) == {each.name for each in fields(config)} | {"synthetic", "out", "fresh"}
    for each in fields(config):
        default = options[each.name].default
        assert default == (",".join(each.default) if isinstance(each.default, tuple) else each.default)


def test_help_needs_neither_torch_nor_matplotlib():
    code = "import sys; import sklearn_magdg.cli._app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "skorch", "matplotlib"} & set(loaded)


@pytest.mark.parametrize("command", ["run", "audit", "generate"])
def test_help_shows_what_settings_mean(command):
    printed = CliRunner().invoke(_app.app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert "label|subtype" in printed
    assert "Leave images out that cannot be read." in printed
    assert ("Data" in printed) == (command != "audit")


def test_settings_come_as_they_were_given(monkeypatch, tmp_path):
    seen = []

    def run_study(config, out, **more):
        seen.append((config, out, more["fresh"]))
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_magdg.study._run.run_study", run_study)
    arguments = ["--data", "x", "--methods", "gan, coral,gan", "--held-out", "100,2.5,40X,100", "--threads", "2"]
    result = CliRunner().invoke(_app.app, ["run", *arguments, "--fresh", "--out", str(tmp_path)])
    assert result.exit_code == 130
    expected = StudyConfig("x", methods=("gan", "coral"), held_out=(100, "2.5", "40X", 100), threads=2)
    assert seen == [(expected, tmp_path, True)]
    assert result.stderr == f"Interrupted: the finished folds are kept in {tmp_path}; the same command goes on.\n"


@pytest.mark.parametrize(
    ("config", "message", "expected"),
    [
        (StudyConfig, "lower `n_patient_folds`, or `n_splits`.", "lower --folds, or `n_splits`."),
        (StudyConfig, "raise `max_epochs` (now 3)", "raise --epochs (now 3)"),
        (StudyConfig, "`ratio`=2 asks for much", "--gan-ratio=2 asks for much"),
        (StudyConfig, '`on_damaged="skip"` leaves out all', "--skip-damaged leaves out all"),
        (StudyConfig, "replace them with `fresh`.", "replace them with --fresh."),
        (StudyConfig, "replace them with `fresh=True`.", "replace them with --fresh."),
        (StudyConfig, "another `random_state`", "another --seed"),
        (
            StudyConfig,
            "The 'max_epochs' parameter of CNNClassifier must be an int in the range [1, inf). Got 0 instead.",
            "The --epochs option of CNNClassifier must be an int in the range [1, inf). Got 0 instead.",
        ),
        (StudyConfig, "The 'max_epochs' parameter of DCGAN must", "The --gan-epochs option of DCGAN must"),
        (StudyConfig, "The 'patience' parameter of DCGAN must", "The 'patience' parameter of DCGAN must"),
        (StudyConfig, "The 'lr' parameter of DCGAN must", "The 'lr' parameter of DCGAN must"),
        (GenerateConfig, "The 'max_epochs' parameter of DCGAN must", "The --epochs option of DCGAN must"),
        (GenerateConfig, "raise `held_back`, `magnifications` stay", "raise --held-back, `magnifications` stay"),
        (None, "choose another `data_home`; `weights` stay", "choose another --data-home; `weights` stay"),
    ],
)
def test_messages_name_the_option_that_sets_a_parameter(config, message, expected):
    assert as_options(message, option_names(config, "fresh", "data_home")) == expected
