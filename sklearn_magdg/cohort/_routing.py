"""Giving a splitter the metadata that it asks for, outside scikit-learn's own tools."""

from inspect import signature


def split_with_metadata(cv, X, y, patient, magnification):
    """Pairs of train and test of any splitter, given what it asks for.

    A splitter whose `split` takes `patient` and `magnification` gets both, one that takes only `groups` gets the
    patients, whose images should not be torn apart, and any other gets neither.

    Parameters
    ----------
    cv : splitter
        An object with `split`, scikit-learn's or not.
    X, y, patient, magnification : array-like of shape (n_samples, ...)
        Handed on as they are.

    Returns
    -------
    splits : iterable of (train, test)
        What ``cv.split`` returned.
    """
    # the signature alone would not do: KFold.split has a `groups` that it warns about
    knows_routing = hasattr(cv, "get_metadata_routing")
    accepted = set(cv.get_metadata_routing().split.requests if knows_routing else signature(cv.split).parameters)
    if {"patient", "magnification"} <= accepted:
        return cv.split(X, y, patient=patient, magnification=magnification)
    if "groups" in accepted:
        return cv.split(X, y, groups=patient)
    return cv.split(X, y)
