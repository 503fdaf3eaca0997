"""What a metric takes."""

import inspect


def parameters_of(metric):
    """Name -> parameter of a callable; a keyword bound by `functools.partial` is its default."""
    try:
        return inspect.signature(metric).parameters
    except ValueError:  # some functions written in C have no signature
        return {}
