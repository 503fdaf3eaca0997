"""First layers: images and features as they are stored, brought to the scale that nets expect."""

import torch
from torch import nn


class ImageInput(nn.Module):
    """Images as they are stored ``(n, h, w, 3)`` in [0, 255] -> standardised ``(n, 3, h, w)``.

    ``(x / 255 - mean) / std``. The permuted view of stored images is already ``channels_last``.

    Parameters
    ----------
    augment : callable, default=None
        Stored images -> stored images, such as `HistologyAugment`; called in training mode only.
    mean, std : sequence of 3 floats
        Of red, green and blue in [0, 1]; see `normalisation` for those of pretrained weights.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import ImageInput
    >>> ImageInput()(torch.full((2, 5, 7, 3), 255, dtype=torch.uint8)).unique()
    tensor([2.])
    """

    def __init__(self, augment=None, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)):
        super().__init__()
        self.augment = augment
        self.register_buffer("mean", 255 * torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).reshape(3, 1, 1))

    def forward(self, images):
        with torch.autocast(images.device.type, enabled=False):  # resampling needs the full precision
            if self.training and self.augment is not None:
                images = self.augment(images)
            return (images.permute(0, 3, 1, 2).float() - self.mean).div_(self.std)


class FeatureInput(nn.Module):
    """Features standardised by the mean and standard deviation that `measure` found in the training set.

    Before `measure` they pass as they are. Mean and deviation are buffers: they are saved and moved with the net.

    Parameters
    ----------
    n_features : int
        Number d of features.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import FeatureInput
    >>> features = torch.tensor([[1.0, 7.0], [3.0, 7.0]])
    >>> FeatureInput(2).measure(features)(features)
    tensor([[-1.,  0.],
            [ 1.,  0.]])
    """

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("std", torch.ones(n_features))

    def measure(self, features):
        """Take mean and standard deviation from `features` ``(n, d)``; returns itself."""
        std = features.std(0, unbiased=False)
        self.mean.copy_(features.mean(0))
        self.std.copy_(torch.where(std > 0, std, 1.0))  # a constant feature stays 0
        return self

    def forward(self, features):
        return (features - self.mean) / self.std

    def inverse(self, standardised):
        """Features ``(n, d)`` in their own scale again."""
        return standardised * self.std + self.mean
