import numpy as np
import pytest

from sklearn_magdg.inspection._shown import draw_of_each, draw_varied, read_known, turns


def test_turns_count_the_earlier_rows_of_the_same_group():
    assert turns(np.array([3, 1, 3, 3, 1, 0])).tolist() == [0, 0, 1, 2, 1, 0]


def test_real_valued_classes_are_names():
    assert read_known(3, y=[0.5, 1.5, 0.5]).label.names == [0.5, 1.5]
    assert read_known(3).label.names == [None]


@pytest.mark.parametrize("seed", range(5))
def test_every_cell_is_shown_before_any_is_shown_twice_and_with_new_patients_first(seed):
    rng = np.random.default_rng(seed)
    y, magnification, patient = rng.integers(0, 2, 90), rng.choice([40, 100, 200], 90), rng.integers(0, 11, 90)
    cohort = read_known(90, y=y, patient=patient, magnification=magnification)
    rows = draw_varied(cohort, 6, np.random.RandomState(seed))
    assert (np.diff(rows) > 0).all()
    assert len(set(zip(y[rows], magnification[rows], strict=True))) == 6
    alone = read_known(90, patient=patient)
    assert len(set(patient[draw_varied(alone, 11, np.random.RandomState(seed))])) == 11


def test_of_each_code_so_many_rows_are_drawn_or_all():
    codes = np.array([2, 0, 2, 2, 0, 1, 2])
    rows = draw_of_each(codes, 2, np.random.RandomState(0))
    assert codes[rows].tolist() == [0, 0, 1, 2, 2]
    assert rows[:3].tolist() == [1, 4, 5]
    assert rows[3] < rows[4]
