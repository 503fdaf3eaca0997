"""Augmentation against a training step of the small CNN: the whole of it, and its parts.

Run with ``python benchmarks/bench_augment.py``; prints a Markdown table in under a minute on two quiet cores.
A share is the median, with its quartiles, of 21 pairs that are timed in turn in this one run.
"""

import numpy as np
import torch
from _timing import alternate, ratio
from torch import nn
from torch.nn import functional as F

from sklearn_magdg.modules import HistologyAugment, ImageInput
from sklearn_magdg.modules._backbones import small_cnn

BATCH, SIZE = 64, 96
N_THREADS = 2
N_PAIRS = 21
PARTS = {
    "whole": HistologyAugment(),
    "stain alone": HistologyAugment(zoom=None, flips=False),
    "zoom, turns and flips alone": HistologyAugment(stain=0),
    "turns and flips alone": HistologyAugment(zoom=None, stain=0),
}


def training_step(images):
    """A call that makes one step without augmentation: forward, backward and AdamW."""
    torch.manual_seed(0)
    net, n_features = small_cnn()
    module = nn.Sequential(ImageInput(), net, nn.Linear(n_features, 2)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(module.parameters())
    labels = torch.arange(len(images)) % 2

    def step():
        optimizer.zero_grad()
        F.cross_entropy(module(images), labels).backward()
        optimizer.step()

    return step


def main():
    torch.set_num_threads(N_THREADS)
    images = torch.randint(0, 256, (BATCH, SIZE, SIZE, 3), dtype=torch.uint8)
    step = training_step(images)
    print(f"A batch of {BATCH} images of {SIZE} pixels, {N_THREADS} threads.\n")
    print("| augmentation | its time | training step | share (quartiles) | wanted |\n|---|---|---|---|---|")
    for name, augment in PARTS.items():
        times = alternate(lambda augment=augment: augment(images), step, N_PAIRS)
        own, steps = np.median(times, axis=0) * 1e3
        wanted = "at most 0.2" if name == "whole" else ""
        print(f"| {name} | {own:.3g} ms | {steps:.3g} ms | {ratio(*times.T)} | {wanted} |", flush=True)


if __name__ == "__main__":
    main()
