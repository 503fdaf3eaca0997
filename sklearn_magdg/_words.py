"""Lists and numbers in messages."""

from itertools import islice


def shorten(items, most=5, separator=", "):
    """The first of `items` in one line, and an ellipsis for the rest."""
    shown = list(map(str, islice(items, most + 1)))
    return separator.join([*shown[:most], "..."] if len(shown) > most else shown)


def name_some(items, separator=", "):
    """The first five of `items` in one line, and how many there are in all where there are more."""
    items = list(items)
    return shorten(items, separator=separator) + (f" ({len(items)} in all)" if len(items) > 5 else "")


def counted(number, noun):
    """Number and noun: "1 patient", "2 patients"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
