"""Image files to uint8 arrays: one decoding and one resize for every route."""

from sklearn_magdg.images._decode import read_image, resize_images
from sklearn_magdg.images._identity import pixel_digests, readable_images
from sklearn_magdg.images._paths import as_paths
from sklearn_magdg.images._reader import ImageReader
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
