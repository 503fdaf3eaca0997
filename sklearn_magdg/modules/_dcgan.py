"""Generators and discriminators of Radford et al. (2016), conditional on a cell (class and magnification)."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm as with_spectral_norm

# Standard deviation of the first scales and shifts of the cells: enough to be told apart from the first step.
_CELL_SCALE = 0.1


def _initialise(module):
    """Weights from N(0, 0.02), as the paper has them (section 4)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)


class CellEmbedding(nn.Module):
    """Codes of cells ``(n,)`` -> vectors ``(n, d)``: that of the class plus that of the magnification.

    So a cell of few images has its class and its magnification from all others.

    Parameters
    ----------
    cells : sequence of pairs of int
        Codes of class and magnification of every cell.
    dim : int
        Length d of the vectors.
    scale : float
        Standard deviation of the first vectors.
    """

    def __init__(self, cells, dim, scale):
        super().__init__()
        cells = torch.as_tensor(cells, dtype=torch.int64)  # (n_cells, 2)
        self.register_buffer("cells", cells)
        self.tables = nn.ModuleList(nn.Embedding(int(codes.max()) + 1, dim) for codes in cells.T)
        for table in self.tables:
            nn.init.normal_(table.weight, 0.0, scale / len(self.tables) ** 0.5)

    def forward(self, cell):
        codes = self.cells[cell]  # (n,) -> (n, 2)
        return sum(table(code) for table, code in zip(self.tables, codes.T, strict=True))


class CellNorm(nn.Module):
    """Batch norm whose scale and shift are those of the cell (Dumoulin et al. 2017).

    The cell changes what every channel does and not where: that is left to the latent vector, whose place the cell
    could take if it were read beside it.
    """

    def __init__(self, norm, cells):
        super().__init__()
        self.norm = norm
        self.scale, self.shift = (CellEmbedding(cells, norm.num_features, _CELL_SCALE) for _ in range(2))

    def forward(self, x, cell):
        spatial = (1,) * (x.ndim - 2)
        scale, shift = (each(cell).reshape(*x.shape[:2], *spatial) for each in (self.scale, self.shift))
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class SignedInput(nn.Module):
    """Stored images ``(n, h, w, 3)`` in [0, 255] <-> ``(n, 3, h, w)`` in [-1, 1]."""

    def forward(self, images):
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1

    def inverse(self, images):
        """Images as they are stored again, rounded."""
        return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def resize_convolution(x, weight, bias=None):
    """``(n, c, h, w)`` doubled in height and width by nearest neighbours, then convolved by 3 x 3 (Odena et al. 2016).

    Computed as one transposed convolution of stride 2, whose 4 x 4 kernel is the 3 x 3 one summed over 2 x 2 windows:
    16 multiplications in place of 36, as many as the published layer has. Every output pixel has the same sum of
    weights, so that a flat input stays flat; a free 4 x 4 kernel paints it as a checkerboard.
    """
    kernel = F.pad(weight, (1, 1, 1, 1))
    kernel = kernel[..., 1:, :] + kernel[..., :-1, :]  # (c, c', 5, 5) -> (c, c', 4, 5)
    kernel = kernel[..., 1:] + kernel[..., :-1]
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


class ResizeConv2d(nn.ConvTranspose2d):
    """`resize_convolution` by weights of its own."""

    def __init__(self, n_in, n_out, bias):
        super().__init__(n_in, n_out, 3, bias=bias)

    def forward(self, x):
        return resize_convolution(x, self.weight, self.bias)


def _transposed(n_in, n_out, bias):
    return nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=bias)


# name -> layer of (channels in, channels out, bias) that doubles height and width
UPSAMPLINGS = {"resize": ResizeConv2d, "transposed": _transposed}


class ImageGenerator(nn.Module):
    """Latent vectors and cells -> images ``(n, 3, size, size)`` in [-1, 1]."""

    def __init__(self, image_size, latent_dim, width, cells, upsampling="resize"):
        super().__init__()
        self.latent_dim = latent_dim
        self.start = image_size // 16
        widths = [8 * width, 4 * width, 2 * width, width]
        self.project = nn.Linear(latent_dim, widths[0] * self.start**2)
        self.norms = nn.ModuleList(CellNorm(nn.BatchNorm2d(n, affine=False), cells) for n in widths)
        self.layers = nn.ModuleList(
            UPSAMPLINGS[upsampling](n_in, n_out, bias=n_out == 3)
            for n_in, n_out in zip(widths, [*widths[1:], 3], strict=True)
        )
        _initialise(self)

    def forward(self, z, cell):
        x = self.project(z).reshape(len(z), -1, self.start, self.start)  # (n, 8w, s/16, s/16)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(norm(x, cell).relu_())  # (n, c, h, w) -> (n, c/2, 2h, 2w)
        return x.tanh()


class ImageDiscriminator(nn.Module):
    """Images and cells -> logits ``(n,)``, the cell read by projection (Miyato & Koyama 2018, eq. 3).

    With `spectral_norm` (Miyato et al. 2018) it has no batch norm.
    """

    def __init__(self, image_size, width, cells, spectral_norm=False):
        super().__init__()
        steps, n_in = [], 3
        for factor in (1, 2, 4, 8):
            # the paper: no batch norm on the discriminator's input layer
            has_norm = factor > 1 and not spectral_norm
            steps.append(nn.Conv2d(n_in, factor * width, 4, 2, 1, bias=not has_norm))
            if has_norm:
                steps.append(nn.BatchNorm2d(factor * width))
            steps.append(nn.LeakyReLU(0.2, inplace=True))
            n_in = factor * width
        self.layers = nn.Sequential(*steps)
        self.score = nn.Conv2d(n_in, 1, image_size // 16)
        _initialise(self)
        self.cell = CellEmbedding(cells, n_in, scale=0.02)
        if spectral_norm:
            _limit_slopes(self)

    def forward(self, images, cell):
        x = self.layers(images)  # (n, 3, s, s) -> (n, 8w, s/16, s/16)
        projection = (x.mean((2, 3)) * self.cell(cell)).sum(1)
        return self.score(x).flatten() + projection


class FeatureGenerator(nn.Module):
    """Latent vectors and cells -> feature vectors in the standardised scale."""

    def __init__(self, n_features, latent_dim, cells, hidden=64):
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = nn.ModuleList([nn.Linear(latent_dim, hidden), nn.Linear(hidden, hidden)])
        self.norms = nn.ModuleList(CellNorm(nn.BatchNorm1d(hidden, affine=False), cells) for _ in self.layers)
        self.last = nn.Linear(hidden, n_features)

    def forward(self, z, cell):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            z = norm(layer(z), cell).relu_()
        return self.last(z)


class FeatureDiscriminator(nn.Module):
    """Feature vectors and cells -> logits ``(n,)``."""

    def __init__(self, n_features, cells, spectral_norm=False, hidden=64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        self.score = nn.Linear(hidden, 1)
        self.cell = CellEmbedding(cells, hidden, scale=1.0)
        if spectral_norm:
            _limit_slopes(self)

    def forward(self, features, cell):
        x = self.layers(features)
        return self.score(x).flatten() + (x * self.cell(cell)).sum(1)


def _limit_slopes(module):
    """Spectral normalisation of every layer with weights, in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            with_spectral_norm(layer)


def standing_statistics(generator, z, cell):
    """Set the batch norms of `generator` to the statistics of this batch (Brock et al. 2019, section 4.1), in place.

    Averaged weights need statistics of their own: those that were averaged along belong to other weights.
    """
    norms = [layer.norm for layer in generator.modules() if isinstance(layer, CellNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        generator.train()(z, cell)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return generator.eval()
