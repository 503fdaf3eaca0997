"""Reading images: threads against a plain Pillow loop, the cache against decoding, and memory at two sizes.

Run with ``python benchmarks/bench_images.py``; prints a Markdown table in under three minutes on two quiet cores.
A ratio is the median, with its quartiles, of nine pairs that are timed in turn in this one run.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _timing import alternate, peak_memory, ratio
from PIL import Image

from sklearn_magdg.estimators import CNNClassifier
from sklearn_magdg.images import ImageReader
from sklearn_magdg.images._reader import read_images

SIZE = 224
N_PAIRS = 9


def render(folder, n=64):
    """`n` PNG files of 700 x 460, about as large as those of BreaKHis: smooth colour with some grain."""
    rng = np.random.default_rng(0)
    paths = [str(Path(folder, f"{i}.png")) for i in range(n)]
    for path in paths:
        smooth = Image.fromarray(rng.integers(0, 256, (46, 70, 3), dtype=np.uint8)).resize((700, 460))
        grain = rng.integers(-4, 5, (460, 700, 3))
        Image.fromarray(np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)).save(path)
    return paths


def linked(paths, folder, n):
    """`n` paths, all different, to the same files over and over."""
    links = [str(Path(folder, f"link{i}.png")) for i in range(n)]
    for i, link in enumerate(links):
        os.link(paths[i % len(paths)], link)
    return links


def pillow_loop(paths):
    images = []
    for path in paths:
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)))
    return images


def threads(paths):
    reader = ImageReader(SIZE, n_jobs=2)
    return alternate(lambda: pillow_loop(paths), lambda: reader.transform(paths), N_PAIRS) / len(paths)


def warm_cache(paths, cache):
    batches = [paths[start : start + 32] for start in range(0, len(paths), 32)]

    def read():
        for batch in batches:
            read_images(batch, SIZE, cache=cache)

    return alternate(lambda: pillow_loop(paths), read, N_PAIRS) / len(paths)


def epochs(paths):
    """Times of the first epoch, which fills the cache, and of the second, which reads it."""
    y = np.arange(len(paths)) % 2
    times = []
    for _ in range(1 + N_PAIRS):
        with tempfile.TemporaryDirectory() as cache:
            model = CNNClassifier(image_size=64, max_epochs=2, n_jobs=2, image_cache=cache, random_state=0)
            times.append([epoch["dur"] for epoch in model.fit(paths, y).history_])
    return np.array(times[1:])  # the first fit warms torch up


def peak_growth(folder, n):
    """Growth of the peak resident memory, in MB, while a process of its own fills an empty cache."""
    command = [sys.executable, __file__, folder, str(n)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak_growth(folder, n):
    with tempfile.TemporaryDirectory(dir=folder) as own:
        links = linked(sorted(map(str, Path(folder).glob("*.png"))), own, n)
        reader = ImageReader(SIZE, cache=Path(own, "cache"), n_jobs=2)
        reader.transform(links[:2])
        before = peak_memory()
        images = reader.transform(links)
        print(peak_memory() - before)
        assert images.shape == (n, SIZE, SIZE, 3)


def print_ratio(name, times, target):
    slow, fast = np.median(times, axis=0) * 1e3
    print(f"| {name} | {slow:.3g} ms | {fast:.3g} ms | {ratio(*times.T)} | {target} |", flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        paths = render(folder)
        size = os.path.getsize(paths[0]) / 1024
        print(f"{len(paths)} PNG files of 700 x 460, {size:.0f} kB each, to {SIZE} pixels.\n")
        print("| what | first | second | first / second (quartiles) | wanted |\n|---|---|---|---|---|")
        print_ratio("an image: Pillow loop, reader with n_jobs=2", threads(paths), "at least 1.6")
        print_ratio("an image: Pillow loop, batches of 32 from the cache", warm_cache(paths, cache), "at least 20")
        print_ratio("an epoch of a small CNN at 64 pixels: cold cache, warm cache", epochs(paths), "above 1")
        few, many = peak_growth(folder, 500), peak_growth(folder, 4000)
        memory = f"{few:.0f} MB | {many:.0f} MB | {few / many:.2g}"
        print(f"| peak memory for 500 and 4,000 cached images | {memory} | near 1 |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print_peak_growth(sys.argv[1], int(sys.argv[2]))
    else:
        main()
