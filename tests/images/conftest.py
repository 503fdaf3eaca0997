import numpy as np
import pytest
from PIL import Image

from sklearn_magdg.images import _decode


@pytest.fixture
def paths(tmp_path):
    """Seven images of odd sizes."""
    rng = np.random.default_rng(0)
    files = [tmp_path / f"image {i}.png" for i in range(7)]
    for i, file in enumerate(files):
        Image.fromarray(rng.integers(0, 256, (7 + i, 23 - i, 3), dtype=np.uint8)).save(file)
    return files


@pytest.fixture
def count_decoding(monkeypatch):
    """The paths decoded so far."""
    decoded = []
    monkeypatch.setattr(_decode, "decode", lambda path, real=_decode.decode: (decoded.append(path), real(path))[1])
    return decoded
