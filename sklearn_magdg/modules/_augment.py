"""Augmentation of batches of stained histology images: stain strength, magnification, turns and flips."""

import math
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real

import torch

from sklearn_magdg._metadata import magnification_number
from sklearn_magdg._words import shorten

# Optical density of haematoxylin, eosin and DAB (rows) in red, green and blue: Ruifrok and Johnston (2001).
# A slide without DAB has its residual colour in the third row.
STAINS = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])

MIN_ZOOM = 1 / 3  # further out the field would need a second reflection, and eight parts in nine are reflected


def scale_stains(images, factors):
    """Images ``(n, 3, h, w)`` in [0, 255] with `factors` ``(n, 3)`` times their haematoxylin, eosin and residual.

    By Beer and Lambert's law log(I / 255) = -c S, with stain amounts c and colours S: the factors F give
    the image of -c F S = log(I / 255) S^-1 F S. Glass, where nothing absorbs, keeps its white.

    Parameters
    ----------
    images : float tensor of shape (n, 3, h, w)
        In [0, 255]; values below 1 count as 1, whose logarithm is finite.
    factors : float tensor of shape (n, 3)
        At least 0; 1 leaves the stain.

    Returns
    -------
    images : float tensor of shape (n, 3, h, w)
        In [0, 255].
    """
    mixing = torch.linalg.solve(STAINS, factors[:, :, None] * STAINS)  # (n, 3, 3)
    log_transmission = images.clamp(min=1).div_(255).log_().flatten(2)  # (n, 3, h, w) -> (n, 3, h w)
    scaled = mixing.mT.to(images.device) @ log_transmission
    return scaled.exp_().mul_(255).clamp_(max=255).reshape(images.shape)


def resampling_weights(zoom, centre, direction, size):
    """What each input pixel (last axis) gives to each output pixel along one image axis, ``(n, size, size)``.

    Zooming in interpolates linearly; zooming out averages under a triangle as wide as two output pixels, so
    that nothing aliases. Beyond its edges the image is continued by reflection.

    Parameters
    ----------
    zoom : tensor of shape (n,)
        At least `MIN_ZOOM`.
    centre : tensor of shape (n,)
        Input position of the output's centre, in pixels from the first edge.
    direction : tensor of shape (n,)
        1, or -1 to flip.
    size : int
        Pixels along the axis, of input and output alike.

    Returns
    -------
    weights : tensor of shape (n, size, size)
        Output pixels by input pixels; every row sums to 1.
    """
    edge = min(size, round(1 / MIN_ZOOM))  # half the width of the widest triangle, in pixels
    pixels = torch.arange(-edge, size + edge, device=zoom.device) + 0.5  # centres, with those reflected at the edges
    position = centre[:, None] + (pixels[edge:-edge] - size / 2) * (direction / zoom)[:, None]
    inside = size - (position.remainder(2 * size) - size).abs()  # (n, size), reflected into [0, size]
    distance = (inside[:, :, None] - pixels).abs_()  # (n, size, size + 2 edge)
    triangle = distance.mul_(-zoom.clamp(max=1)[:, None, None]).add_(1).relu_()
    # what a triangle gives to pixels beyond an edge belongs to those that are reflected there
    weights = triangle[:, :, edge:-edge]
    weights[:, :, :edge] += triangle[:, :, :edge].flip(2)
    weights[:, :, -edge:] += triangle[:, :, -edge:].flip(2)
    return weights / weights.sum(2, keepdim=True)


def random_view(images, low, high, flips):
    """Images ``(n, 3, h, w)`` in [0, 255], each at a zoom log-uniform in [low, high], with `flips` turned at random.

    A zoom above 1 shows a part of the field, anywhere in it; below 1 the field is centred. One of the eight
    turns and flips of a square, or of the four of an image that is not square, is drawn for each image.

    Parameters
    ----------
    images : float tensor of shape (n, 3, h, w)
    low, high : float
        `MIN_ZOOM` <= low <= high.
    flips : bool

    Returns
    -------
    images : float tensor of shape (n, 3, h, w)
        In [0, 255].
    """
    n, _, height, width = images.shape
    # drawn on the CPU, so that a seed gives the same views on every device
    zoom = torch.empty(n).uniform_(math.log(low), math.log(high)).exp()
    centre = 0.5 + (torch.rand(2, n) - 0.5) * (1 - 1 / zoom).clamp(min=0)
    direction = 2.0 * torch.randint(2, (2, n)) - 1 if flips else torch.ones(2, n)
    zoom, centre, direction = (draw.to(images.device) for draw in (zoom, centre, direction))
    rows = resampling_weights(zoom, height * centre[0], direction[0], height)
    columns = resampling_weights(zoom, width * centre[1], direction[1], width)
    # separable, so that two batched products of matrices do: along the width, then along the height
    view = rows[:, None] @ (images.flatten(1, 2) @ columns.mT).reshape(images.shape)  # (n, 3, h, w)
    view.clamp_(max=255)  # weights sum to 1 but for rounding
    if flips and height == width:
        turned = torch.randint(2, (n,)).nonzero()[:, 0].to(images.device)
        view[turned] = view[turned].mT
    return view


@dataclass(frozen=True, kw_only=True)
class HistologyAugment:
    """A random copy of a batch of histology images: other stain strengths, other magnifications, turns and flips.

    Every image has draws of its own, from torch's global generator on the CPU whatever the images' device.
    ``augment="histology"`` of the classifiers is this with its defaults.

    Parameters
    ----------
    zoom : None or pair of floats, default=(0.8, 2.0)
        Lowest and highest relative magnification, 1/3 <= low <= high, between which it is log-uniform: at zoom
        z an image shows what an objective z times as strong would, a field 1/z as wide. Above 1 it is a crop
        from anywhere in the image, true but for the missing resolution. Below 1 the centred image is low-pass
        filtered, shrunk and continued by reflection, and only z squared of the area is tissue as it was.
        None leaves the magnification.
    stain : float, default=0.2
        In [0, 1). Haematoxylin, eosin and the residual are each multiplied by a factor that is uniform in
        [1 - stain, 1 + stain], in optical density [1]_, as the stain augmentation of [2]_ does; its additive
        shift is left out, so that glass stays white. 0 leaves the colours.
    flips : bool, default=True
        Whether an image is turned by right angles and mirrored, all eight ways equally often: a slide has no
        up. An image that is not square keeps its shape and has four ways: mirrored, and turned by 180 degrees.

    Raises
    ------
    ValueError
        If a parameter lies outside its range, or if a batch is not uint8 of shape (n, height, width, 3).

    See Also
    --------
    HistologyAugment.spanning : The zoom that the magnifications of a training set ask for.

    References
    ----------
    .. [1] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining by color
       deconvolution", Anal. Quant. Cytol. Histol. 23(4):291-299, 2001.
    .. [2] D. Tellez et al., "Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference
       to train distilled stain-invariant convolutional networks", IEEE TMI 37(9):2126-2136, 2018.

    Examples
    --------
    The control experiment of random magnification is the same without it:

    >>> import torch
    >>> from sklearn_magdg.modules import HistologyAugment
    >>> control = HistologyAugment(zoom=None)
    >>> control
    HistologyAugment(zoom=None, stain=0.2, flips=True)
    >>> control(torch.zeros(5, 32, 32, 3, dtype=torch.uint8)).shape
    torch.Size([5, 32, 32, 3])
    """

    zoom: tuple | None = (0.8, 2.0)
    stain: float = 0.2
    flips: bool = True

    def __post_init__(self):
        if self.zoom is not None:
            try:
                low, high = map(float, self.zoom)
            except (TypeError, ValueError):
                low, high = math.nan, math.nan  # which fails the comparison below
            if not MIN_ZOOM <= low <= high < math.inf:
                raise ValueError(
                    f"`zoom` must be None or a pair (low, high) with 1/3 <= low <= high, got {self.zoom!r}; (0.8, 2) "
                    "is the default."
                )
            object.__setattr__(self, "zoom", (low, high))  # the one way to set a frozen field
        if not isinstance(self.stain, Real) or not 0 <= self.stain < 1:
            raise ValueError(f"`stain` must be a number in [0, 1), got {self.stain!r}; 0 leaves the colours.")
        if not isinstance(self.flips, bool):
            raise ValueError(f"`flips` must be True or False, got {self.flips!r}.")

    @classmethod
    def spanning(cls, magnifications, **others):
        """The augmentation whose zoom reaches from each of `magnifications` to its neighbours.

        With s the widest ratio of two neighbours, the zoom lies between 1 / s, or 1/3 where s is above 3, and s:
        the gaps are filled from both sides, and the series is continued by a step at either end.

        Parameters
        ----------
        magnifications : sequence of int, float or str
            Those of the training set, such as 40 or "40X", in any order and repeated at will; at least two
            different ones.
        **others
            `stain` and `flips`.

        Returns
        -------
        HistologyAugment

        Raises
        ------
        ValueError
            If fewer than two magnifications differ, or if one is not a positive number.

        Examples
        --------
        >>> from sklearn_magdg.modules import HistologyAugment
        >>> HistologyAugment.spanning([40, 100, 200])
        HistologyAugment(zoom=(0.4, 2.5), stain=0.2, flips=True)
        """
        names = list(magnifications)
        numbers = {magnification_number(name) for name in names}
        if len(numbers) < 2 or not all(number and 0 < number < math.inf for number in numbers):
            raise ValueError(
                "`magnifications` must hold at least two different positive numbers, such as 40 or '40X', got "
                f"{shorten(dict.fromkeys(names))}."
            )
        step = max(high / low for low, high in pairwise(sorted(numbers)))
        return cls(zoom=(max(1 / step, MIN_ZOOM), step), **others)

    def __call__(self, images):
        """An augmented copy of stored images.

        Parameters
        ----------
        images : uint8 tensor of shape (n, height, width, 3)

        Returns
        -------
        images : float32 tensor of shape (n, height, width, 3)
            In [0, 255], on the same device.

        Raises
        ------
        ValueError
            For another type or shape.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ValueError(
                f"Images must be a uint8 tensor (n, height, width, 3), got {images.dtype} {tuple(images.shape)}."
            )
        images = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        if self.stain:
            images = scale_stains(images, 1 + self.stain * (2 * torch.rand(len(images), 3) - 1))
        if self.zoom or self.flips:
            images = random_view(images, *(self.zoom or (1, 1)), self.flips)
        return images.permute(0, 2, 3, 1)


# name -> callable on a batch of stored images, for the classifiers' `augment`
AUGMENTATIONS = {"histology": HistologyAugment()}
