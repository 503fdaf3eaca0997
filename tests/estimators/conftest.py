import pytest

from sklearn_magdg.datasets._histology import make_histology


@pytest.fixture(scope="session")
def tissue():
    return make_histology(6, images_per_cell=3, magnifications=(40, 100, 200), image_size=16, random_state=0)
