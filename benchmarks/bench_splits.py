"""Time of `LeaveOneMagnificationOut(5)`, 20 splits, as the data grow, beside scikit-learn's `StratifiedGroupKFold(5)`.

Run with ``python benchmarks/bench_splits.py``; prints a Markdown table of medians and quartiles. Rows are samples, 20
per patient, in random order, of 4 magnifications and 3 classes. `StratifiedGroupKFold` makes 5 splits by patient and
is timed at the smallest size only: there it already takes seconds.
"""

from functools import partial

import numpy as np
from _timing import seconds
from sklearn.model_selection import StratifiedGroupKFold

from sklearn_magdg.model_selection import LeaveOneMagnificationOut

SIZES = (125_000, 250_000, 500_000, 1_000_000)
N_REPETITIONS = 5


def design(n_rows):
    rng = np.random.default_rng(0)
    patient = rng.integers(0, n_rows // 20, n_rows)
    return patient, rng.choice([40, 100, 200, 400], n_rows), patient % 3


def split_by_magnification(patient, magnification, label):
    splits = LeaveOneMagnificationOut(5).split(label, label, patient=patient, magnification=magnification)
    return sum(len(test) for _, test in splits)


def split_by_patient(patient, _, label):
    return sum(len(test) for _, test in StratifiedGroupKFold(5).split(label, label, patient))


def cell(quartiles):
    low, median, high = quartiles
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def compare():
    print("| rows | patients | LeaveOneMagnificationOut, s | times the row above | StratifiedGroupKFold, s |")
    print("|---|---|---|---|---|")
    before = None
    for n_rows in SIZES:
        data = design(n_rows)
        ours = seconds(partial(split_by_magnification, *data), N_REPETITIONS)
        growth = "" if before is None else f"{ours[1] / before:.2f}"
        theirs = "" if before is not None else cell(seconds(partial(split_by_patient, *data), n_repetitions=3))
        print(f"| {n_rows:,} | {n_rows // 20:,} | {cell(ours)} | {growth} | {theirs} |")
        before = ours[1]


if __name__ == "__main__":
    print(f"Median (quartiles) of {N_REPETITIONS} repetitions, 3 for StratifiedGroupKFold; one core.\n")
    compare()
