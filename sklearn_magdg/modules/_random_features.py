"""Features that need no training, and such that do not change when an image is turned."""

import torch
from torch import nn

# Of the four convolutions, each of which halves the resolution.
_WIDTHS = (32, 64, 96, 128)
_SEED = 0


class RandomFeatures(nn.Module):
    """Standardised images ``(n, 3, h, w)`` -> means and deviations ``(n, 640)`` of the maps of random convolutions.

    The weights are orthogonal, drawn from a seed of their own, and never trained: the same net everywhere. Random
    embeddings judge generators of images unlike ImageNet's more evenly than ImageNet's do [1]_ (section 3.3);
    deviations beside means are what tells a texture from its average colour.

    Attributes
    ----------
    n_features : int
        640, twice the sum of the widths of the maps.

    References
    ----------
    .. [1] M. F. Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import RandomFeatures
    >>> RandomFeatures()(torch.zeros(2, 3, 32, 48)).shape
    torch.Size([2, 640])
    """

    n_features = 2 * sum(_WIDTHS)

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(_SEED)
        self.layers = nn.ModuleList()
        for n_in, n_out in zip((3, *_WIDTHS[:-1]), _WIDTHS, strict=True):
            options = {"stride": 2, "padding": 1, "padding_mode": "reflect", "bias": False}
            # without torch's own initialisation, which would draw from the global generator
            layer = nn.utils.skip_init(nn.Conv2d, n_in, n_out, 3, **options)
            nn.init.orthogonal_(layer.weight, gain=nn.init.calculate_gain("leaky_relu", 0.2), generator=generator)
            self.layers.append(layer)
        self.requires_grad_(False)

    def forward(self, images):
        features, maps = [], images
        for layer in self.layers:
            maps = nn.functional.leaky_relu(layer(maps), 0.2)  # (n, c, h, w) -> (n, c', h/2, w/2)
            features += [maps.mean((2, 3)), maps.std((2, 3), unbiased=False)]  # each (n, c')
        return torch.cat(features, dim=1)  # (n, 640)


class MeanOverTurns(nn.Module):
    """Mean of what `net` gives for the eight ways to turn and mirror images ``(n, 3, h, w)``.

    The mean over a group is the one part of the features that none of its members changes.

    Parameters
    ----------
    net : nn.Module
        Images -> features (n, d), whatever the shape: an image that is not square is turned too.
    """

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        sides = (images, images.flip(3))
        return sum(self.net(torch.rot90(side, k, (2, 3))) for side in sides for k in range(4)) / 8
