"""Lists in error messages."""


def name_some(items, separator=", "):
    """The first five of `items` in one line, and how many there are in all where there are more."""
    items = list(map(str, items))
    rest = f"{separator}... ({len(items)} in all)" if len(items) > 5 else ""
    return separator.join(items[:5]) + rest
