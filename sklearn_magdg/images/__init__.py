"""Image files to uint8 arrays: one decoding and one resize for every route."""

from sklearn_magdg.images._decode import read_image, resize_images
from sklearn_magdg.images._paths import as_paths
from sklearn_magdg.images._reader import ImageReader

__all__ = ["ImageReader", "as_paths", "read_image", "resize_images"]
