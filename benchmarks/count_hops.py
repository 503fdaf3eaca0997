"""How often a reader who follows X through one fit comes into each file of the package.

Run with ``python benchmarks/count_hops.py``; prints a Markdown table in seconds. Followed are the calls that are handed
X, its source, or a record that holds one, in the order in which they are made: a file is entered where it has the next
such call and another file had the last one. `self` does not count: that a source reads its own batches is no hop.
"""

import sys
from collections import Counter
from pathlib import Path

import sklearn_magdg
from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import GradientReversalClassifier

PACKAGE = Path(sklearn_magdg.__file__).parent


def is_source(value):
    return hasattr(type(value), "read") and hasattr(type(value), "shape") and hasattr(type(value), "feed")


def file_of(frame):
    """File of the package in which a frame's code stands, or None."""
    path = Path(frame.f_code.co_filename)
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else None


def arguments_of(frame):
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return [frame.f_locals.get(name) for name in names if name != "self"]


def count_entries(fit, X):
    """File -> how often the calls that carry `X` or its source, while `fit` runs, come into it from another one."""
    visited = []

    def carries(value):
        return value is X or is_source(value) or is_source(getattr(value, "source", None))

    def watch(frame, event, _):
        file = file_of(frame) if event == "call" else None
        if file is not None and any(map(carries, arguments_of(frame))) and visited[-1:] != [file]:
            visited.append(file)

    sys.setprofile(watch)
    try:
        fit()
    finally:
        sys.setprofile(None)
    return Counter(visited)


def count_fit():
    """Entries during a fit of `GradientReversalClassifier` on images, with early stopping."""
    tissue = make_histology(6, images_per_cell=2, image_size=32, random_state=0)
    model = GradientReversalClassifier(max_epochs=1, early_stopping=True, random_state=0)
    metadata = {"patient": tissue.patient, "magnification": tissue.magnification}
    return count_entries(lambda: model.fit(tissue.data, tissue.target, **metadata), tissue.data)


def main():
    print("| file | entries of X or its source during `GradientReversalClassifier.fit` |\n|---|---|")
    for file, n in count_fit().most_common():
        print(f"| {file} | {n} |")


if __name__ == "__main__":
    main()
