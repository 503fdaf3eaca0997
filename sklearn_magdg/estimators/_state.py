"""What an estimator holds, kept as it was when a fit fails."""

from contextlib import contextmanager


@contextmanager
def unchanged_on_error(estimator):
    """Attributes of `estimator` are as before where the body raises: an earlier fit stays usable, none is half made."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
