"""What a fit leaves on an estimator: nothing half made, nothing of the fit before."""

from contextlib import contextmanager


@contextmanager
def unchanged_on_error(estimator):
    """Attributes of `estimator` are as before where the body raises: an earlier fit stays usable, none is half made.

    The attributes are put back, not what they refer to: a body changes copies, as a warm start copies its module. A
    keyboard interrupt counts as an error; a `fit` that keeps completed epochs raises it again outside.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:  # a keyboard interrupt too
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def forget(estimator, *names):
    """Remove what an earlier fit learned under these names, so that nothing of it stands beside the next one."""
    for name in names:
        vars(estimator).pop(name, None)
