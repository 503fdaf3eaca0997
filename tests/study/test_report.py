from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sklearn_magdg.study import overlap_table, overlap_warning, run_study, write_report
from sklearn_magdg.study._figures import draw_scores
from tests.study.tiny import TINY


@pytest.mark.parametrize(("auc", "n_drawn"), [([0.8, np.nan], 2), ([np.nan, np.nan], 1)], ids=["one", "all"])
def test_folds_of_one_class_leave_the_figure_of_scores_whole(auc, n_drawn):
    results = pd.DataFrame({"method": "baseline", "held_out": 100, "fold": [1, 2], "auc": auc, "brier": [0.2, 0.3]})
    assert len(draw_scores(results).axes) == n_drawn


def test_overlap_names_the_encoders_of_every_kind_of_signature(finished):
    overlap = overlap_table(finished[1])
    assert [row[:3] for row in overlap.rows[:3]] == [
        ["baseline", "unseen patients", "one per fold"],
        ["baseline", "in sample", "one per fold"],
        ["baseline", "shared encoder", "one"],
    ]
    assert len(overlap.rows) == 3 * len(TINY.methods)
    assert all(len(row) == len(overlap.header) for row in overlap.rows)


def test_encoders_trained_apart_are_warned_of_and_frozen_ones_are_not(tmp_path):
    config = replace(TINY, methods=("baseline", "gradient-reversal"), trainable="head")
    summary = run_study(config, tmp_path / "run")
    assert summary["frozen"] == ["baseline"]
    assert {row[2] for row in overlap_table(summary).rows if row[0] == "baseline"} == {"one, frozen"}
    assert overlap_warning(summary).startswith("The encoders of gradient-reversal are trained apart")
    assert overlap_warning(summary) in write_report(tmp_path / "run").read_text()
    assert overlap_warning(summary | {"methods": ["baseline"]}) is None
