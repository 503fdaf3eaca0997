import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def breakhis_root():
    """Folder of the real BreaKHis images."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "BreaKHis_v1"
    root = Path(os.environ.get("MAGDG_BREAKHIS", beside))
    if not root.is_dir():
        pytest.skip("the real BreaKHis images are absent: set MAGDG_BREAKHIS")
    return root
