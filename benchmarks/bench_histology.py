"""Time of rendering tissue on one core.

Run with ``python benchmarks/bench_histology.py``; prints the median and quartiles of the repetitions.
"""

import time

import numpy as np

from sklearn_magdg.datasets import make_histology


def render():
    """1,008 images of 64 pixels."""
    make_histology(42, images_per_cell=6, image_size=64, random_state=0)


def seconds(function, n_repetitions=5):
    times = []
    for _ in range(n_repetitions):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return np.quantile(times, [0.25, 0.5, 0.75])


if __name__ == "__main__":
    low, median, high = seconds(render)
    print(f"{render.__doc__} {median:.1f} s (quartiles {low:.1f} to {high:.1f})")
