"""Time of rendering tissue on one core.

Run with ``python benchmarks/bench_histology.py``; prints the median and quartiles of the repetitions.
"""

from _timing import seconds

from sklearn_magdg.datasets import make_histology


def render():
    """1,008 images of 64 pixels."""
    make_histology(42, images_per_cell=6, image_size=64, random_state=0)


if __name__ == "__main__":
    low, median, high = seconds(render, 5)
    print(f"{render.__doc__} {median:.1f} s (quartiles {low:.1f} to {high:.1f})")
