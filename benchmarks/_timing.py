"""Time and memory of calls, for the scripts beside this file."""

import time
from pathlib import Path

import numpy as np


def seconds(function, n_repetitions):
    """Quartiles of the time, after one call that is not counted."""
    function()
    return np.quantile([_once(function) for _ in range(n_repetitions)], [0.25, 0.5, 0.75])


def alternate(first, second, n_pairs):
    """Times `(n_pairs, 2)` of both in turn, after one call of each that is not counted.

    A shared machine's speed drifts by more than what is looked for: only neighbours compare.
    """
    first(), second()
    return np.array([(_once(first), _once(second)) for _ in range(n_pairs)])


def _once(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def ratio(numerator, denominator):
    """Median of the ratios with its quartiles, as text."""
    low, median, high = np.quantile(numerator / denominator, [0.25, 0.5, 0.75])
    return f"{median:.3g} ({low:.3g} to {high:.3g})"


def peak_memory():
    """Of this process, in MB, by Linux; `resource.getrusage` would count the parent process too."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def forget_peak_memory():
    """Count `peak_memory` from now on."""
    Path("/proc/self/clear_refs").write_text("5")
