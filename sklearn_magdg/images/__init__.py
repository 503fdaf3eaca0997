"""Image files to uint8 arrays: one decoding and one resize for every route."""

from sklearn_magdg.images._decode import read_image, resize_images
from sklearn_magdg.images._identity import fault_of as fault_of
from sklearn_magdg.images._identity import pixel_digests, readable_images
from sklearn_magdg.images._input import as_source as as_source
from sklearn_magdg.images._paths import as_paths
from sklearn_magdg.images._perceptual import N_BITS as N_BITS
from sklearn_magdg.images._perceptual import fingerprints as fingerprints
from sklearn_magdg.images._perceptual import perceptual_hash as perceptual_hash
from sklearn_magdg.images._reader import ImageReader
from sklearn_magdg.images._sources import ArraySource as ArraySource
from sklearn_magdg.images._sources import JoinedSource as JoinedSource
from sklearn_magdg.images._tiles import cut_tiles

__all__ = [
    "ImageReader",
    "as_paths",
    "cut_tiles",
    "pixel_digests",
    "read_image",
    "readable_images",
    "resize_images",
]
