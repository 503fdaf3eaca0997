"""A frozen backbone whose features are computed once for all fits of a script."""

import hashlib

import numpy as np
import torch
from torch import nn

from sklearn_magdg.images import ImageReader
from sklearn_magdg.modules import build_backbone


class Remembered(nn.Module):
    """The features of known images, found by their pixels; those of others (the trial of a fit) are computed."""

    def __init__(self, input_layer, net, known):
        super().__init__()
        self.input_layer = input_layer
        self.net = net
        self.known = known

    def forward(self, images):
        return torch.stack([self._feature(image) for image in images])

    def _feature(self, standardised):
        # The classifiers give a callable backbone (x - 127.5) / 63.75, channels first.
        image = (standardised * 63.75 + 127.5).round().to(torch.uint8).permute(1, 2, 0).contiguous()
        key = digest(image)
        return self.known[key] if key in self.known else self.net(self.input_layer(image[None]))[0]


def digest(image):
    return hashlib.blake2b(image.numpy(), digest_size=16).hexdigest()


def remembered(name, weights, paths, size, path):
    """`backbone` for the classifiers: net `name` with `weights`, its features of the images `paths` kept at `path`."""
    input_layer, net, n_features = build_backbone(name, weights, None, (size, size, 3))
    input_layer.eval(), net.eval()
    if not path.exists():
        save_features(nn.Sequential(input_layer, net), paths, size, path)
    with np.load(path) as file:
        known = dict(zip(file["digests"], torch.from_numpy(file["features"]), strict=True))
    return lambda: (Remembered(input_layer, net, known), n_features)


def save_features(net, paths, size, path):
    images = torch.from_numpy(ImageReader(size).transform(paths))
    with torch.inference_mode():
        features = torch.cat([net(batch) for batch in images.split(32)])
    np.savez(path, digests=[digest(image) for image in images], features=features.numpy())
