"""The estimators against a hand-written PyTorch loop and against skorch as it comes, and what bfloat16 gains.

Run with ``python benchmarks/bench_training.py``; prints a Markdown table in about half an hour on two quiet cores. A
ratio is the median, with its quartiles, of nine pairs that are timed in turn in this one run.

The hand-written loop is a good one: channels last, stored images brought to floats batch by batch, the fused AdamW,
nothing logged. It trains the same net, from the same weights, on the same images.
"""

import argparse
import subprocess
import sys

import numpy as np
import torch
from _timing import alternate, peak_memory, ratio
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F

from sklearn_magdg.estimators import CNNClassifier

N_IMAGES, SIZE, BATCH, EPOCHS = 1024, 64, 32, 3
BACKBONES = {"small CNN": "auto", "resnet18": "resnet18"}
SETTINGS = {"max_epochs": EPOCHS, "batch_size": BATCH, "random_state": 0}


def images():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, SIZE, SIZE, 3), dtype=np.uint8), np.arange(N_IMAGES) % 2


def estimator(backbone, **settings):
    return CNNClassifier(backbone, **SETTINGS | settings)


class HandWritten:
    """What a careful person would write for this one net."""

    def __init__(self, backbone):
        torch.manual_seed(0)
        start = estimator(backbone)._build_module((SIZE, SIZE, 3), 2, 0)
        input_layer, encoder = start.encoder
        self.mean, self.std = input_layer.mean, input_layer.std
        self.net = nn.Sequential(encoder, start.class_head).to(memory_format=torch.channels_last)

    def fit(self, X, y):
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
        self.net.train()
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(X)).split(BATCH):
                loss = F.cross_entropy(self.net(self._input(X[rows])), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return self

    def predict_proba(self, X):
        return self._forward(self.net, X).softmax(1)

    def transform(self, X):
        return self._forward(self.net[0], X)

    def _forward(self, net, X):
        net.eval()
        with torch.inference_mode():
            return torch.cat([net(self._input(batch)) for batch in torch.from_numpy(X).split(BATCH)])

    def _input(self, batch):
        return (batch.permute(0, 3, 1, 2).float() - self.mean).div_(self.std)


def skorch_as_it_comes(backbone, X, y):
    """`NeuralNetClassifier` on floats, prepared before the clock starts, with the same optimizer."""
    hand = HandWritten(backbone)
    floats = hand._input(torch.from_numpy(X)).contiguous().numpy()
    net = NeuralNetClassifier(
        hand.net.to(memory_format=torch.contiguous_format),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        lr=1e-3,
        batch_size=BATCH,
        max_epochs=EPOCHS,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    return lambda: net.fit(floats, y)


def print_row(what, net, first, second, times, wanted):
    a, b = np.median(times, axis=0)
    print(f"| {what} | {net} | {first}: {a:.3g} s | {second}: {b:.3g} s | {ratio(*times.T)} | {wanted} |", flush=True)


def fit_against_hand(name, backbone, n_pairs):
    X, y = images()
    times = alternate(lambda: estimator(backbone).fit(X, y), lambda: HandWritten(backbone).fit(X, y), n_pairs)
    print_row("fit", name, "ours", "hand-written", times, "at most 1.05" if name == "resnet18" else "at most 1.10")


def predict_against_hand(name, backbone, n_pairs):
    X, y = images()
    ours, hand = estimator(backbone, max_epochs=1).fit(X[:BATCH], y[:BATCH]), HandWritten(backbone)
    for method in ("predict_proba", "transform"):
        pair = [lambda model=model, method=method: getattr(model, method)(X) for model in (ours, hand)]
        print_row(method, name, "ours", "hand-written", alternate(*pair, 2 * n_pairs), "at most 1.05")


def fit_against_skorch(name, backbone, n_pairs):
    X, y = images()
    times = alternate(lambda: estimator(backbone).fit(X, y), skorch_as_it_comes(backbone, X, y), n_pairs)
    print_row("fit", name, "ours", "skorch", times, "at most 1")


def bfloat16_against_float32(name, backbone, n_pairs):
    X, y = images()
    precise, coarse = (estimator(backbone, max_epochs=1, precision=p) for p in ("float32", "bfloat16"))
    times = alternate(lambda: coarse.fit(X, y), lambda: precise.fit(X, y), n_pairs)
    print_row("fit, one epoch", name, "bfloat16", "float32", times, "below 1 where it pays")


def memory_against_hand(name, backbone, n_pairs):
    ours, hand = (grown(who, backbone) for who in ("ours", "hand"))
    sizes = f"ours: {ours:.0f} MB | hand-written: {hand:.0f} MB | {ours / hand:.3g}"
    print(f"| memory of a fit | {name} | {sizes} | at most 1.1 |", flush=True)


def grown(who, backbone):
    """Growth of the peak resident memory, in MB, over a fit in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", who, "--backbone", backbone]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_growth(who, backbone):
    X, y = images()
    before = peak_memory()
    model = estimator(backbone) if who == "ours" else HandWritten(backbone)
    model.fit(X, y)
    print(peak_memory() - before)


COMPARISONS = {
    "fit": fit_against_hand,
    "predict": predict_against_hand,
    "memory": memory_against_hand,
    "skorch": fit_against_skorch,
    "bfloat16": bfloat16_against_float32,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--backbone", choices=BACKBONES.values(), help="only this one")
    parser.add_argument("--only", choices=COMPARISONS, nargs="+", default=COMPARISONS)
    parser.add_argument("--memory-of", choices=["ours", "hand"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(2)
    if options.memory_of:
        print_growth(options.memory_of, options.backbone)
        return
    sizes = f"{N_IMAGES:,} images of {SIZE} pixels, batches of {BATCH}, {EPOCHS} epochs"
    print(f"{sizes}, {torch.get_num_threads()} threads.\n")
    print("| what | net | first | second | first / second (quartiles) | wanted |\n|---|---|---|---|---|---|")
    for name, backbone in BACKBONES.items():
        if options.backbone in (None, backbone):
            for comparison in options.only:
                COMPARISONS[comparison](name, backbone, options.pairs)


if __name__ == "__main__":
    main()
