"""Giving a splitter the metadata that it asks for, outside scikit-learn's own tools."""

from inspect import signature


def split_with_metadata(cv, X, y, patient, magnification):
    """Pairs of train and test: `patient` and `magnification` to a splitter that takes both, else patients as groups."""
    accepted = _accepted_metadata(cv)
    if {"patient", "magnification"} <= accepted:
        return cv.split(X, y, patient=patient, magnification=magnification)
    if "groups" in accepted:
        return cv.split(X, y, groups=patient)
    return cv.split(X, y)


def _accepted_metadata(cv):
    # the signature alone would not do: KFold.split has a `groups` that it warns about
    if hasattr(cv, "get_metadata_routing"):
        return set(cv.get_metadata_routing().split.requests)
    return set(signature(cv.split).parameters)
