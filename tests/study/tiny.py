"""The smallest study."""

from sklearn_magdg.study import StudyConfig

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
