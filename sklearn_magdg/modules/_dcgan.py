"""Generators and discriminators of Radford et al. (2016), conditional on a cell (class and magnification).

A. Radford, L. Metz and S. Chintala, "Unsupervised representation learning with deep convolutional generative
adversarial networks", ICLR 2016: "the paper" below.
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm as with_spectral_norm

# Standard deviation of the first scales and shifts of the cells: enough to be told apart from the first step.
_CELL_SCALE = 0.1


def _initialise(module):
    """Weights of `module` from N(0, 0.02), as the paper has them (section 4), in place; norms' scales around 1."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)


class CellEmbedding(nn.Module):
    """Codes of cells ``(n,)`` -> vectors ``(n, d)``: that of the class plus that of the magnification.

    So a cell of few images has its class and its magnification from all others. The two vectors share the variance
    ``scale^2`` of their sum.

    Parameters
    ----------
    cells : sequence of pairs of int
        Codes of class and magnification of every cell.
    dim : int
        Length d of the vectors.
    scale : float
        Standard deviation of the first sums.
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
    """Batch norm whose scale and shift are those of the cell [1]_ (section 2.2): ``(1 + scale) * norm(x) + shift``.

    The cell changes what every channel does and not where: that is left to the latent vector, whose place the cell
    could take if it were read beside it.

    Parameters
    ----------
    norm : nn.BatchNorm1d or nn.BatchNorm2d
        Without scale and shift of its own.
    cells : sequence of pairs of int
        Codes of class and magnification of every cell.

    References
    ----------
    .. [1] V. Dumoulin, J. Shlens and M. Kudlur, "A learned representation for artistic style", ICLR 2017.
    """

    def __init__(self, norm, cells):
        super().__init__()
        self.norm = norm
        self.scale, self.shift = (CellEmbedding(cells, norm.num_features, _CELL_SCALE) for _ in range(2))

    def forward(self, x, cell):
        spatial = (1,) * (x.ndim - 2)  # none for features
        # (n,) -> (n, c) -> (n, c, 1, 1)
        scale, shift = (each(cell).reshape(*x.shape[:2], *spatial) for each in (self.scale, self.shift))
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class SignedInput(nn.Module):
    """Stored images ``(n, h, w, 3)`` in [0, 255] <-> ``(n, 3, h, w)`` in [-1, 1], the range of a generator's tanh.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import SignedInput
    >>> stored = torch.randint(256, (2, 5, 7, 3), dtype=torch.uint8)
    >>> signed = SignedInput()
    >>> torch.equal(signed.inverse(signed(stored)), stored)
    True
    """

    def forward(self, images):
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1

    def inverse(self, images):
        """Images as they are stored again, uint8 ``(n, h, w, 3)``, rounded and cut to the range."""
        return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def resize_convolution(x, weight, bias=None):
    """``(n, c, h, w)`` doubled in height and width by nearest neighbours, then convolved by 3 x 3 [1]_.

    Computed as one transposed convolution of stride 2, whose 4 x 4 kernel is the 3 x 3 one summed over 2 x 2 windows:
    16 multiplications in place of 36, as many as the published layer has. Every output pixel has the same sum of
    weights, so that a flat input stays flat; a free 4 x 4 kernel paints it as a checkerboard.

    Parameters
    ----------
    x : tensor of shape (n, c, h, w)
    weight : tensor of shape (c, c', 3, 3)
        As transposed convolutions have it: that of the convolution with its axes swapped and mirrored.
    bias : tensor of shape (c',), default=None

    Returns
    -------
    x : tensor of shape (n, c', 2h, 2w)

    References
    ----------
    .. [1] A. Odena, V. Dumoulin and C. Olah, "Deconvolution and checkerboard artifacts", Distill 2016.
    """
    kernel = F.pad(weight, (1, 1, 1, 1))
    kernel = kernel[..., 1:, :] + kernel[..., :-1, :]  # (c, c', 5, 5) -> (c, c', 4, 5)
    kernel = kernel[..., 1:] + kernel[..., :-1]  # (c, c', 4, 5) -> (c, c', 4, 4)
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


class ResizeConv2d(nn.ConvTranspose2d):
    """`resize_convolution` by weights of its own, initialised as a transposed convolution's are."""

    def __init__(self, n_in, n_out, bias):
        super().__init__(n_in, n_out, 3, bias=bias)

    def forward(self, x):
        return resize_convolution(x, self.weight, self.bias)


# name -> layer of (channels in, channels out, bias) that doubles height and width; the second is the paper's
UPSAMPLINGS = {
    "resize": ResizeConv2d,
    "transposed": partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1),
}


class ImageGenerator(nn.Module):
    """Latent vectors ``(n, latent_dim)`` and cells ``(n,)`` -> images ``(n, 3, size, size)`` in [-1, 1].

    The paper's (figure 1): a projection to a sixteenth of the size, and four layers that double it, each behind a
    batch norm and a ReLU; but the norms are conditional on the cell.

    Parameters
    ----------
    image_size : int
        Height and width in pixels, a multiple of 16.
    latent_dim : int
        Length of the latent vectors, standard normal.
    width : int
        Channels of the last hidden layer; the first has eight times as many.
    cells : sequence of pairs of int
        Codes of class and magnification of every cell.
    upsampling : {"resize", "transposed"}, default="resize"
        A key of `UPSAMPLINGS`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import ImageGenerator
    >>> generator = ImageGenerator(32, latent_dim=5, width=2, cells=[(0, 0), (1, 0)])
    >>> generator(torch.randn(3, 5), cell=torch.tensor([0, 1, 1])).shape
    torch.Size([3, 3, 32, 32])
    """

    def __init__(self, image_size, latent_dim, width, cells, upsampling="resize"):
        super().__init__()
        self.latent_dim = latent_dim
        self.start = image_size // 16
        widths = [8 * width, 4 * width, 2 * width, width]
        self.project = nn.Linear(latent_dim, widths[0] * self.start**2)
        self.norms = nn.ModuleList(CellNorm(nn.BatchNorm2d(n, affine=False), cells) for n in widths)
        self.layers = nn.ModuleList(
            UPSAMPLINGS[upsampling](n_in, n_out, bias=n_out == 3)  # before a norm a bias would be taken out again
            for n_in, n_out in zip(widths, [*widths[1:], 3], strict=True)
        )
        _initialise(self)

    def forward(self, z, cell):
        x = self.project(z).reshape(len(z), -1, self.start, self.start)  # (n, 8w, s/16, s/16)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(norm(x, cell).relu_())  # (n, c, h, w) -> (n, c/2, 2h, 2w)
        return x.tanh()  # (n, 3, s, s)


class ImageDiscriminator(nn.Module):
    """Images ``(n, 3, size, size)`` and cells ``(n,)`` -> logits ``(n,)``, above 0 for what looks real.

    The paper's four convolutions of stride 2, and a score ``psi(phi(x)) + <cell, phi(x)>``: the cell is read by
    projection on the maps' means phi [1]_ (eq. 3).

    Parameters
    ----------
    image_size : int
        Height and width in pixels, a multiple of 16.
    width : int
        Channels of the first layer; the last has eight times as many.
    cells : sequence of pairs of int
        Codes of class and magnification of every cell.
    spectral_norm : bool, default=False
        Whether the largest singular value of every weight is kept at 1 [2]_, in place of batch norms.

    References
    ----------
    .. [1] T. Miyato and M. Koyama, "cGANs with projection discriminator", ICLR 2018.
    .. [2] T. Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018.
    """

    def __init__(self, image_size, width, cells, spectral_norm=False):
        super().__init__()
        steps, n_in = [], 3
        for factor in (1, 2, 4, 8):
            # the paper: no batch norm on the discriminator's input layer (section 3)
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
        projection = (x.mean((2, 3)) * self.cell(cell)).sum(1)  # (n, 8w), (n, 8w) -> (n,)
        return self.score(x).flatten() + projection  # (n, 1, 1, 1) -> (n,)


class FeatureGenerator(nn.Module):
    """Latent vectors ``(n, latent_dim)`` and cells ``(n,)`` -> feature vectors ``(n, n_features)``, standardised.

    Two hidden layers; nothing bounds the output, for features have no range.

    Parameters
    ----------
    n_features : int
        Length of the feature vectors.
    latent_dim : int
        Length of the latent vectors, standard normal.
    cells : sequence of pairs of int
        Codes of class and magnification of every cell.
    hidden : int, default=64
        Width of the hidden layers.
    """

    def __init__(self, n_features, latent_dim, cells, hidden=64):
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = nn.ModuleList([nn.Linear(latent_dim, hidden), nn.Linear(hidden, hidden)])
        self.norms = nn.ModuleList(CellNorm(nn.BatchNorm1d(hidden, affine=False), cells) for _ in self.layers)
        self.last = nn.Linear(hidden, n_features)

    def forward(self, z, cell):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            z = norm(layer(z), cell).relu_()  # (n, hidden)
        return self.last(z)  # (n, hidden) -> (n, n_features)


class FeatureDiscriminator(nn.Module):
    """Feature vectors ``(n, n_features)``, standardised, and cells ``(n,)`` -> logits ``(n,)``.

    Two hidden layers, and the cell read by projection as in `ImageDiscriminator`.

    Parameters
    ----------
    n_features : int
        Length of the feature vectors.
    cells : sequence of pairs of int
        Codes of class and magnification of every cell.
    spectral_norm : bool, default=False
        Whether the largest singular value of every weight is kept at 1.
    hidden : int, default=64
        Width of the hidden layers.
    """

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
        x = self.layers(features)  # (n, d) -> (n, hidden)
        return self.score(x).flatten() + (x * self.cell(cell)).sum(1)


def _limit_slopes(module):
    """Spectral normalisation of every layer with weights, in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            with_spectral_norm(layer)


def standing_statistics(generator, z, cell):
    """Set the batch norms of `generator` to the statistics of this batch, in place [1]_ (section 4.1).

    Averaged weights need statistics of their own: those that came along belong to other weights.

    Parameters
    ----------
    generator : nn.Module
        With batch norms inside `CellNorm`.
    z : tensor of shape (n, latent_dim)
        As many latent vectors as memory holds.
    cell : tensor of int of shape (n,)
        In the proportions of the training set, for all cells share the statistics.

    Returns
    -------
    generator : nn.Module
        Itself, in eval mode.

    References
    ----------
    .. [1] A. Brock, J. Donahue and K. Simonyan, "Large scale GAN training for high fidelity natural image synthesis",
       ICLR 2019.
    """
    norms = [layer.norm for layer in generator.modules() if isinstance(layer, CellNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # torch's momentum is the share of what is new
    with torch.no_grad():
        generator.train()(z, cell)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return generator.eval()
