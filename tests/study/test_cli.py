import re
import shutil

import pytest
from typer.testing import CliRunner

import sklearn_magdg
from sklearn_magdg.study import _main
from sklearn_magdg.study._cli import app
from tests.study.conftest import TINY

SMALL = ["--synthetic", "--n-patients", "16", "--images-per-cell", "1", "--held-out", "100", "--folds", "2"]
SMALL += ["--image-size", "32", "--epochs", "1", "--gan-epochs", "1", "--gan-width", "2"]


def _magdg(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_run_prints_its_settings_its_progress_and_tables_beside_the_paper(tmp_path):
    result = _magdg("run", *SMALL, "--methods", "baseline", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    for printed in ("folds = 2", "epochs = 1", "image_size = 32", "[2/2] baseline, 100X held out, fold 2", "min left"):
        assert printed in result.output
    assert re.search(r"\| method +\| 100X +\| all +\| paper, BreaKHis \|", result.output)
    assert "0.089" in result.output
    written = {file.name for file in (tmp_path / "run").iterdir()}
    assert {"results.csv", "predictions.csv", "signatures.json", "summary.json", "figures", "report.html"} <= written
    assert not list((tmp_path / "run").rglob("*.unfinished"))


def test_report_is_one_self_contained_page(finished, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    result = _magdg("report", out)
    assert result.exit_code == 0, result.output
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert 'src="http' not in page
    assert "href" not in page
    for method in TINY.methods:
        assert f"<td>{method}</td>" in page
    assert {file.name for file in (out / "figures").iterdir()} == {
        "scores.png",
        "reliability.png",
        "signature_overlap.png",
    }


def test_report_of_an_unfinished_run_is_refused(finished, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    (out / "summary.json").unlink()
    result = _magdg("report", out)
    assert result.exit_code == 2
    assert "holds no finished run (summary.json missing)" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--data", "."], "BreaKHis"),
        (["--synthetic", "--methods", "basline"], "did you mean 'baseline'"),
        (["--synthetic", "--backbone", "resnet81"], "did you mean"),
        (["--synthetic", "--n-patients", "4"], "lower --folds to at most 4"),
    ],
)
def test_bad_input_is_one_sentence_and_a_non_zero_exit(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = _magdg("run", *arguments, "--out", "run")
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert len(result.output.strip().splitlines()) == 1
    assert message in result.output
    assert not (tmp_path / "run").exists()


def test_one_source_of_images_must_be_named(tmp_path):
    for arguments in ([], ["--synthetic", "--data", "x"]):
        result = _magdg("run", *arguments, "--out", tmp_path / "run")
        assert result.exit_code == 2
        assert "either --data PATH or --synthetic" in result.output


def test_interrupt_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_magdg.study._run.run_fold", interrupted)
    result = _magdg("run", *SMALL, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "the same command goes on" in result.output


def test_version():
    assert _magdg("--version").output.strip() == sklearn_magdg.__version__


def test_missing_extra_is_one_sentence(monkeypatch):
    monkeypatch.setattr(_main.importlib.util, "find_spec", lambda name: None if name == "typer" else object())
    with pytest.raises(SystemExit, match=r"magdg needs typer: install .*sklearn-magdg\[report\]"):
        _main.main()
