"""Time of a call, for the scripts beside this file."""

import time

import numpy as np


def seconds(function, n_repetitions):
    """Quartiles of the time, after one call that is not counted."""
    function()
    times = []
    for _ in range(n_repetitions):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return np.quantile(times, [0.25, 0.5, 0.75])
