import re
import shutil
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import sklearn_magdg
from sklearn_magdg.cli import _main
from sklearn_magdg.cli._app import app
from sklearn_magdg.datasets import load_breakhis
from tests.datasets.server import Fault, serving
from tests.datasets.tiny_breakhis import ARCHIVE, N_IMAGES, stand_in
from tests.study.tiny import TINY

SMALL = ["--synthetic", "--n-patients", "16", "--images-per-cell", "1", "--held-out", "100", "--folds", "2"]
SMALL += ["--image-size", "32", "--epochs", "1", "--gan-epochs", "1", "--gan-width", "2"]


def _magdg(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_run_prints_its_settings_its_progress_and_tables_beside_the_paper(tmp_path):
    result = _magdg("run", *SMALL, "--methods", "baseline", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    for printed in ("folds = 2", "epochs = 1", "image_size = 32", "[2/3] baseline, 100X held out, fold 2", "min left"):
        assert printed in result.output
    assert "2 folds x 1 methods and a shared encoder each = 3 runs" in result.output
    assert "[3/3] baseline, shared encoder: 2 signatures (" in result.output
    assert "The encoders of baseline are trained apart" in result.output
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
    assert page.count("data:image/png;base64,") == 5
    assert 'src="http' not in page
    assert "href" not in page
    for method in TINY.methods:
        assert f"<td>{method}</td>" in page
    assert {file.name for file in (out / "figures").iterdir()} == {
        "scores.png",
        "reliability.png",
        "signature_overlap_in_sample.png",
        "signature_overlap_shared_encoder.png",
        "signature_overlap_unseen_patients.png",
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


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(ARCHIVE) as server:
        stand_in(server, monkeypatch.setattr)
        yield server


def test_fetch_says_where_the_images_are_and_how_to_go_on(server, tmp_path):
    result = _magdg("fetch", "--data-home", tmp_path / "my data")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "my data/breakhis/BreaKHis_v1"
    assert f"{N_IMAGES} images in {folder}\nNext: magdg run --data '{folder}'\n" in result.output
    assert len(load_breakhis(folder).data) == N_IMAGES


def test_fetch_that_fails_is_one_sentence_and_goes_on_with_what_came(server, tmp_path):
    server.faults = {"/a": [Fault(cut=20_011), Fault(status=404)], "/b": [Fault(status=404)]}
    result = _magdg("fetch", "--data-home", tmp_path, "--retries", "1")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: BreaKHis_v1.tar.gz could not be downloaded")
    assert len(result.stderr.splitlines()) == 1
    assert _magdg("fetch", "--data-home", tmp_path).exit_code == 0
    assert server.ranges[-1] == "bytes=20011-"


def test_fetch_without_room_names_the_option(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=7))
    result = _magdg("fetch", "--data-home", tmp_path)
    assert result.exit_code == 2
    assert "make room or choose another --data-home." in result.stderr


def test_an_interrupted_fetch_says_how_to_go_on(server, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_magdg.datasets._fetch.download", interrupted)
    result = _magdg("fetch", "--data-home", tmp_path)
    assert result.exit_code == 130
    assert "what came so far is kept; the same command goes on" in result.stderr


def test_version():
    assert _magdg("--version").output.strip() == sklearn_magdg.__version__


def test_missing_extra_is_one_sentence(monkeypatch):
    monkeypatch.setattr(_main.importlib.util, "find_spec", lambda name: None if name == "typer" else object())
    with pytest.raises(SystemExit, match=r"magdg needs typer: install .*sklearn-magdg\[report\]"):
        _main.main()
