"""Who every row is: label, patient, magnification and weight, encoded once and carried from there.

A room for the other rooms: nothing here is public.
"""

from sklearn_magdg.cohort._cells import cells_of as cells_of
from sklearn_magdg.cohort._cells import cells_to_learn as cells_to_learn
from sklearn_magdg.cohort._cells import codes_of as codes_of
from sklearn_magdg.cohort._cells import draw_cells as draw_cells
from sklearn_magdg.cohort._cells import parts_of as parts_of
from sklearn_magdg.cohort._cells import read_generator_cohort as read_generator_cohort
from sklearn_magdg.cohort._cohort import Cohort as Cohort
from sklearn_magdg.cohort._cohort import as_positions as as_positions
from sklearn_magdg.cohort._cohort import read_cohort as read_cohort
from sklearn_magdg.cohort._encoding import Encoded as Encoded
from sklearn_magdg.cohort._encoding import as_column as as_column
from sklearn_magdg.cohort._encoding import encode as encode
from sklearn_magdg.cohort._encoding import encode_magnification as encode_magnification
from sklearn_magdg.cohort._encoding import spelled_alike as spelled_alike
from sklearn_magdg.cohort._folds import deal_into_folds as deal_into_folds
from sklearn_magdg.cohort._holdout import patient_holdout as patient_holdout
from sklearn_magdg.cohort._holdout import validation_rows as validation_rows
from sklearn_magdg.cohort._labels import as_target as as_target
from sklearn_magdg.cohort._labels import class_codes as class_codes
from sklearn_magdg.cohort._labels import encode_classes as encode_classes
from sklearn_magdg.cohort._labels import majority_class as majority_class
from sklearn_magdg.cohort._routing import split_with_metadata as split_with_metadata
from sklearn_magdg.cohort._training import read_training_cohort as read_training_cohort
from sklearn_magdg.cohort._training import with_patients as with_patients

__all__ = []
