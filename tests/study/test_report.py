import numpy as np
import pandas as pd
import pytest

from sklearn_magdg.study._report import _draw_scores


@pytest.mark.parametrize(("auc", "n_drawn"), [([0.8, np.nan], 2), ([np.nan, np.nan], 1)], ids=["one", "all"])
def test_folds_of_one_class_leave_the_figure_of_scores_whole(auc, n_drawn):
    results = pd.DataFrame({"method": "baseline", "held_out": 100, "fold": [1, 2], "auc": auc, "brier": [0.2, 0.3]})
    assert len(_draw_scores(results).axes) == n_drawn
