"""A BreaKHis of 24 images that stands in for the full set."""

import io
import tarfile

import numpy as np
import pandas as pd
from PIL import Image

from sklearn_magdg.datasets import _breakhis, _fetch

FOLDERS = {"A": "adenosis", "DC": "ductal_carcinoma", "PC": "papillary_carcinoma"}
# label, subtype, slide, images per magnification
SLIDES = [("benign", "A", "14-22549AB", 2), ("malignant", "DC", "14-4364", 1), ("malignant", "PC", "15-190EF", 3)]
INVENTORY = pd.DataFrame(
    [(*slide[:3], magnification, slide[3]) for slide in SLIDES for magnification in (40, 100, 200, 400)],
    columns=["label", "subtype", "slide", "magnification", "expected"],
)
N_IMAGES = 24


def image_names(inventory=INVENTORY):
    for row in inventory.itertuples():
        stem = f"SOB_{row.label[0].upper()}_{row.subtype}"
        folder = f"{row.label}/SOB/{FOLDERS[row.subtype]}/{stem}_{row.slide}/{row.magnification}X"
        for sequence in range(1, row.expected + 1):
            yield f"{folder}/{stem}-{row.slide}-{row.magnification}-{sequence:03}.png"


def _image(seed):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (23, 35, 3), dtype=np.uint8)  # noise, so that it stays large
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def make_archive(names, top="BreaKHis_v1/"):
    """Bytes of an archive as the authors made it: an image at every name, and a text."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for seed, name in enumerate([*names, "README.txt"]):
            content = b"About" if name == "README.txt" else _image(seed)
            info = tarfile.TarInfo(f"{top}histology_slides/breast/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


ARCHIVE = make_archive(image_names())


def stand_in(server, setattr=setattr):
    """Make `ARCHIVE` on the server the full set of BreaKHis."""
    setattr(_fetch, "ADDRESSES", (server.url("/a"), server.url("/b")))
    setattr(_fetch, "ARCHIVE_BYTES", len(ARCHIVE))
    setattr(_fetch, "IMAGES_BYTES", 300_000)
    for module in (_fetch, _breakhis):  # each has the function under a name of its own
        setattr(module, "read_inventory", INVENTORY.copy)
