import pytest

from sklearn_magdg.datasets._histology import make_histology
from tests.estimators.kinds import make_inputs


@pytest.fixture(scope="session")
def tissue():
    return make_histology(6, images_per_cell=3, magnifications=(40, 100, 200), image_size=32, random_state=0)


@pytest.fixture(scope="session")
def inputs(tissue, tmp_path_factory):
    """The same images as each kind of X."""
    return make_inputs(tissue, tmp_path_factory.mktemp("images"))
