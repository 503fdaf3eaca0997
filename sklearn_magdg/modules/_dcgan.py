"""Generators and discriminators of Radford et al. (2016), conditional on a cell (class and magnification)."""

import torch
from torch import nn
from torch.nn import functional as F


def _initialise(module):
    """Weights from N(0, 0.02), as the paper has them (section 4)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return module


class ImageGenerator(nn.Module):
    """Latent vectors and cells -> images ``(n, 3, size, size)`` in [-1, 1]."""

    def __init__(self, image_size, latent_dim, width, n_cells):
        super().__init__()
        self.latent_dim = latent_dim
        self.start = image_size // 16
        self.cell = nn.Embedding(n_cells, latent_dim)
        self.project = nn.Linear(2 * latent_dim, 8 * width * self.start**2)
        steps = [nn.BatchNorm2d(8 * width), nn.ReLU(inplace=True)]
        for factor in (4, 2, 1):
            steps += [
                nn.ConvTranspose2d(2 * factor * width, factor * width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(factor * width),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*steps, nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())
        _initialise(self)
        nn.init.normal_(self.cell.weight)  # of the latent vector's own scale, so that the cell is heard

    def forward(self, z, cell):
        x = self.project(torch.cat([z, self.cell(cell)], dim=1))
        return self.layers(x.reshape(len(z), -1, self.start, self.start))  # (n, 8w, s/16, s/16) -> (n, 3, s, s)


class ImageDiscriminator(nn.Module):
    """Images and cells -> logits ``(n,)``, the cell read by projection (Miyato & Koyama 2018, eq. 3)."""

    def __init__(self, image_size, width, n_cells):
        super().__init__()
        steps, n_in = [], 3
        for factor in (1, 2, 4, 8):
            steps.append(nn.Conv2d(n_in, factor * width, 4, 2, 1, bias=factor == 1))
            if factor > 1:  # the paper: no batch norm on the discriminator's input layer
                steps.append(nn.BatchNorm2d(factor * width))
            steps.append(nn.LeakyReLU(0.2, inplace=True))
            n_in = factor * width
        self.layers = nn.Sequential(*steps)
        self.score = nn.Conv2d(n_in, 1, image_size // 16)
        self.cell = nn.Embedding(n_cells, n_in)
        _initialise(self)

    def forward(self, images, cell):
        x = self.layers(images)  # (n, 3, s, s) -> (n, 8w, s/16, s/16)
        projection = (x.mean((2, 3)) * self.cell(cell)).sum(1)
        return self.score(x).flatten() + projection


class FeatureGenerator(nn.Module):
    """Latent vectors and cells -> feature vectors in the standardised scale."""

    def __init__(self, n_features, latent_dim, n_cells, hidden=64):
        super().__init__()
        self.latent_dim = latent_dim
        self.cell = nn.Embedding(n_cells, latent_dim)
        self.layers = nn.Sequential(
            nn.Linear(2 * latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, n_features),
        )  # fmt: skip

    def forward(self, z, cell):
        return self.layers(torch.cat([z, self.cell(cell)], dim=1))


class FeatureDiscriminator(nn.Module):
    """Feature vectors and cells -> logits ``(n,)``."""

    def __init__(self, n_features, n_cells, hidden=64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        self.score = nn.Linear(hidden, 1)
        self.cell = nn.Embedding(n_cells, hidden)

    def forward(self, features, cell):
        x = self.layers(features)
        return self.score(x).flatten() + (x * self.cell(cell)).sum(1)


def diff_augment(images):
    """Differentiable augmentation of real and generated images alike (Zhao et al. 2020).

    Brightness, saturation and contrast, a shift of up to an eighth, and a cut-out of a quarter: without it
    a discriminator learns a few hundred images by heart.
    """
    n, _, height, width = images.shape

    def uniform(low, high):
        return torch.empty(n, 1, 1, 1, device=images.device).uniform_(low, high)

    images = images + uniform(-0.5, 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.0, 2.0)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * uniform(0.5, 1.5)
    return _cut_out(_shift(images, height // 8, width // 8), height // 2, width // 2)


def _shift(images, most_y, most_x):
    n, _, height, width = images.shape
    padded = F.pad(images, (most_x, most_x, most_y, most_y))
    y = torch.randint(0, 2 * most_y + 1, (n, 1, 1), device=images.device) + torch.arange(
        height, device=images.device
    ).reshape(1, -1, 1)
    x = torch.randint(0, 2 * most_x + 1, (n, 1, 1), device=images.device) + torch.arange(
        width, device=images.device
    ).reshape(1, 1, -1)
    rows = torch.arange(n, device=images.device).reshape(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[rows, y, x].permute(0, 3, 1, 2)


def _cut_out(images, cut_height, cut_width):
    n, _, height, width = images.shape
    top = torch.randint(0, height - cut_height + 1, (n, 1, 1), device=images.device)
    left = torch.randint(0, width - cut_width + 1, (n, 1, 1), device=images.device)
    y = torch.arange(height, device=images.device).reshape(1, -1, 1)
    x = torch.arange(width, device=images.device).reshape(1, 1, -1)
    inside = (y >= top) & (y < top + cut_height) & (x >= left) & (x < left + cut_width)
    return images * (~inside)[:, None]
