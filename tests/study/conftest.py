import pytest

from sklearn_magdg.study import StudyConfig, run_study

TINY = StudyConfig(
    n_patients=16,
    images_per_cell=1,
    held_out=(100,),
    folds=2,
    image_size=32,
    epochs=1,
    gan_epochs=1,
    gan_width=2,
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Folder and summary of a tiny run."""
    out = tmp_path_factory.mktemp("study") / "run"
    return out, run_study(TINY, out)
