import os
import re
from pathlib import Path

import pandas as pd
import pytest

ABSENT = "the real BreaKHis images are absent: set MAGDG_BREAKHIS"
IMAGE_NAME = re.compile(r"^SOB_([BM])_([A-Z]+)-(\d\d)-([0-9A-Z]+)-(40|100|200|400)-(\d{3})\.png$")


@pytest.fixture(scope="session")
def breakhis_root():
    """Folder of the real BreaKHis images."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "BreaKHis_v1"
    root = Path(os.environ.get("MAGDG_BREAKHIS", beside))
    if not root.is_dir():
        pytest.skip(ABSENT)
    return root


@pytest.fixture(scope="session")
def breakhis_tree(breakhis_root):
    """A row per real image, as its name alone says and without the loader, which is held against it."""
    files = sorted(breakhis_root.rglob("*.png"), key=lambda file: file.name)
    return pd.DataFrame([_read_name(file) for file in files])


def _read_name(file):
    letter, subtype, year, number, magnification, _ = IMAGE_NAME.match(file.name).groups()
    return {
        "file": str(file),
        "class": {"B": "benign", "M": "malignant"}[letter],
        "subtype": subtype,
        "slide": f"{year}-{number}",
        "accession": f"{year}-{re.sub('[A-Z]+$', '', number)}",
        "magnification": int(magnification),
    }


@pytest.fixture(scope="session")
def mobilenet_weights():
    """File of torchvision's ImageNet weights of MobileNetV2."""
    beside = Path(__file__).resolve().parents[1] / "weights" / "mobilenet_v2-b0353104.pth"
    file = Path(os.environ.get("MAGDG_WEIGHTS", beside))
    if not file.is_file():
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent("the weights of MobileNetV2 are absent: `make weights`, or set MAGDG_WEIGHTS")
    return file


@pytest.fixture(scope="session")
def tissue():
    """Rendered images of six patients at three magnifications."""
    from sklearn_magdg.datasets import make_histology

    return make_histology(6, images_per_cell=3, magnifications=(40, 100, 200), image_size=32, random_state=0)


@pytest.fixture(scope="session")
def inputs(tissue, tmp_path_factory):
    """The same images as each kind of X."""
    from tests.estimators.kinds import make_inputs

    return make_inputs(tissue, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Folder and summary of a tiny run."""
    from sklearn_magdg.study import run_study
    from tests.study.tiny import TINY

    out = tmp_path_factory.mktemp("study") / "run"
    return out, run_study(TINY, out)


def pytest_terminal_summary(terminalreporter):
    """Say how many tests had to do without the real images."""
    skipped = [report for report in terminalreporter.getreports("skipped") if ABSENT in str(report.longrepr)]
    terminalreporter.write_line(f"{len(skipped)} tests skipped because the real BreaKHis images are absent")
