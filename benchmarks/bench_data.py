"""Time of rendering tissue and of splitting a million rows, one core each.

Run with ``python benchmarks/bench_data.py``; prints the median and quartiles of the repetitions.
"""

import time

import numpy as np

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.model_selection import LeaveOneMagnificationOut


def render():
    """1,008 images of 64 pixels."""
    make_histology(42, images_per_cell=6, image_size=64, random_state=0)


def split():
    """1,000,000 rows of 50,000 patients at 4 magnifications into 20 folds."""
    rng = np.random.default_rng(0)
    patient, magnification = rng.integers(0, 50_000, 1_000_000), rng.choice([40, 100, 200, 400], 1_000_000)
    label = patient % 2
    for _ in LeaveOneMagnificationOut(5).split(label, label, patient=patient, magnification=magnification):
        pass


def seconds(function, n_repetitions=5):
    times = []
    for _ in range(n_repetitions):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return np.quantile(times, [0.25, 0.5, 0.75])


if __name__ == "__main__":
    for function in (render, split):
        low, median, high = seconds(function)
        print(f"{function.__doc__} {median:.1f} s (quartiles {low:.1f} to {high:.1f})")
