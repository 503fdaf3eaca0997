"""A generator fitted on a collection, and how good its samples are."""

__all__ = []
