"""Augmentation of whole batches of histology images, on tensors."""

import math

import torch
from torch.nn import functional as F


def jitter_stain(transmission, strength):
    """Optical densities multiplied by a random factor per image and channel, ``exp(strength * normal)``.

    By Beer-Lambert a factor on the optical density is a power of the transmission.
    """
    factors = torch.exp(strength * torch.randn(len(transmission), 3, 1, 1, device=transmission.device))
    return transmission.clamp_min(1 / 255).pow(factors)


def random_magnification(images, low, high):
    """Images ``(n, 3, h, w)`` turned, flipped and seen at a random magnification, in one resampling.

    The zoom is log-uniform in ``[low, high]``: above 1 a part of the field fills the image, below 1 the
    field is continued by reflection. Turns are by right angles, as a slide has no up.
    """
    n = len(images)
    zoom = torch.exp(torch.empty(n).uniform_(math.log(low), math.log(high)))
    turn = torch.randint(0, 4, (n,)) * (math.pi / 2)
    flip = torch.randint(0, 2, (n,)) * 2.0 - 1.0
    slack = (1 - 1 / zoom).clamp_min(0)
    shift = (torch.rand(n, 2) * 2 - 1) * slack[:, None]
    cos, sin = torch.cos(turn) / zoom, torch.sin(turn) / zoom
    rows = torch.stack([flip * cos, -sin, shift[:, 0], flip * sin, cos, shift[:, 1]], dim=1)
    theta = rows.reshape(n, 2, 3).to(images.device)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def augment_histology(images, zoom=(0.8, 2.0), stain_strength=0.15):
    """An augmented copy of a batch: flips, right-angle turns, stain jitter and random magnification.

    Parameters
    ----------
    images : uint8 tensor of shape (n, height, width, 3)
    zoom : pair of floats
        Range of the relative magnification. BreaKHis steps by 2 to 2.5 from one magnification to the next;
        reaching further down than 0.8 would show mostly reflections.
    stain_strength : float
        Standard deviation of the log-factor on the optical density of each channel.

    Returns
    -------
    float tensor of shape (n, height, width, 3), in [0, 255]
    """
    transmission = images.permute(0, 3, 1, 2).float() / 255  # (n, h, w, 3) -> (n, 3, h, w)
    zoomed = random_magnification(transmission, *zoom)
    return (jitter_stain(zoomed, stain_strength) * 255).permute(0, 2, 3, 1)


AUGMENTATIONS = {"histology": augment_histology}
