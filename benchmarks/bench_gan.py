"""A training step of the DCGAN against a hand-written PyTorch loop, and the time of a default fit.

Run with ``python benchmarks/bench_gan.py``; prints a Markdown table in about six minutes on two quiet cores. The ratio
is the median, with its quartiles, of nine pairs that are timed in turn in this one run.

The hand-written loop plays the same game: the same nets from the same first weights, the fused Adams, turned
images, the gradient penalty and the moving average; nothing logged.
"""

import time

import numpy as np
import torch
from _timing import alternate, ratio
from torch.nn import functional as F

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN
from sklearn_magdg.images import ArraySource
from sklearn_magdg.modules import turn
from sklearn_magdg.training import TrainingData, run, seeded

N_IMAGES, SIZE, N_PAIRS = 500, 64, 9
CELLS = [("benign", None), ("malignant", None)]


def start(gan, source):
    with seeded(0):
        return gan._start_module(source, CELLS)


def skorch_epoch(gan, source, code):
    """One epoch of the estimator's own loop."""
    net = gan._build_net(start(gan, source), code, None)
    return lambda: run(net.set_params(max_epochs=len(net.history) + 1), TrainingData(source, {"cell": code}))


def hand_written_epoch(gan, source, code):
    """What a careful person would write for this one game."""
    nets = start(gan, source)
    generator, discriminator, average = nets["generator"], nets["discriminator"], nets["average"]
    adams = [
        torch.optim.Adam(net.parameters(), lr=gan.lr, betas=gan.betas, fused=True) for net in (generator, discriminator)
    ]
    images, cells = torch.from_numpy(source.array), torch.from_numpy(code)
    nets.train()

    def epoch():
        for i, rows in enumerate(torch.randperm(len(images)).split(gan.batch_size)):
            cell = cells[rows]
            real = turn(images[rows].permute(0, 3, 1, 2).float() / 127.5 - 1)
            fake = generator(torch.randn(len(rows), gan.latent_dim), cell)
            real_logits = discriminator(real.requires_grad_(i % 4 == 0), cell)
            fake_logits = discriminator(fake.detach(), cell)
            loss = (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()
            if i % 4 == 0:
                (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
                loss = loss + 2 * gan.gradient_penalty * slope.square().sum((1, 2, 3)).mean()
            step(adams[1], loss)
            discriminator.requires_grad_(False)
            step(adams[0], F.softplus(-discriminator(fake, cell)).mean())
            discriminator.requires_grad_(True)
            average.update_parameters(generator)

    return epoch


def step(adam, loss):
    adam.zero_grad()
    loss.backward()
    adam.step()


def main():
    torch.set_num_threads(2)
    tissue = make_histology(32, images_per_cell=4, image_size=SIZE, random_state=0)
    images, labels = tissue.data[:N_IMAGES], tissue.target[:N_IMAGES]
    code, source = labels.astype(np.int64), ArraySource(images)
    gan = DCGAN(SIZE, random_state=0)
    print(f"{N_IMAGES} images of {SIZE} pixels, batches of {gan.batch_size}, {torch.get_num_threads()} threads.\n")
    print("| what | ours | hand-written | ours / hand-written (quartiles) | wanted |\n|---|---|---|---|---|")
    epochs = skorch_epoch(gan, source, code), hand_written_epoch(gan, source, code)
    times = alternate(*epochs, N_PAIRS)
    ours, hand = np.median(times, axis=0) / -(-N_IMAGES // gan.batch_size)
    print(f"| training step | {ours:.3g} s | {hand:.3g} s | {ratio(*times.T)} | at most 1.10 |", flush=True)
    started = time.perf_counter()
    gan.fit(images, labels)
    print(f"| default fit | {time.perf_counter() - started:.3g} s | | | at most 180 s |")


if __name__ == "__main__":
    main()
