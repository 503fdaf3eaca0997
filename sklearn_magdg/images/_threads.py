"""The same work on many files, in several threads."""

from concurrent.futures import ThreadPoolExecutor

from joblib import effective_n_jobs


def map_threads(function, items, n_jobs):
    """List of `function` of every item, in order; the first error ends it.

    Pillow lets go of the interpreter's lock while it decodes and resizes, so threads suffice; a pool of
    `concurrent.futures` costs a tenth of joblib's per item.

    Parameters
    ----------
    function : callable
        Called from several threads at once.
    items : sequence
        What it is called with, one by one.
    n_jobs : int or None
        Threads as joblib counts them: None is 1 unless a `joblib.parallel_config` says otherwise, -1 every processor.
    """
    # no pool for one thread: errors then come with the plain traceback, and nothing is started for one image
    n_threads = min(effective_n_jobs(n_jobs), len(items))
    if n_threads < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, items))
