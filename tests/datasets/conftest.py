import pytest
from PIL import Image

from sklearn_magdg.datasets._breakhis_names import SUBTYPES

FOLDERS = {
    "A": "adenosis",
    "F": "fibroadenoma",
    "DC": "ductal_carcinoma",
    "LC": "lobular_carcinoma",
    "PC": "papillary_carcinoma",
}
SLIDES = [("A", "14-22549AB"), ("A", "14-22549CD"), ("F", "14-25197"), ("DC", "14-4364"), ("PC", "15-190EF")]


def breakhis_name(subtype, slide, magnification, sequence=1):
    return f"SOB_{SUBTYPES[subtype][0].upper()}_{subtype}-{slide}-{magnification}-{sequence:03}.png"


def add_image(root, subtype, slide, magnification, sequence=1, *, grey=0, tree="BreaKHis_v1/histology_slides/breast"):
    """Write a five-pixel image to its place in the official tree."""
    label = SUBTYPES[subtype]
    slide_folder = f"SOB_{label[0].upper()}_{subtype}_{slide}"
    folder = root / tree / label / "SOB" / FOLDERS[subtype] / slide_folder / f"{magnification}X"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / breakhis_name(subtype, slide, magnification, sequence)
    Image.new("RGB", (5, 1), (grey,) * 3).save(file)
    return file


@pytest.fixture
def root(tmp_path):
    """Two images of every one of five slides at 100X and 200X, one at 40X and 400X of the first."""
    for subtype, slide in SLIDES:
        for magnification in (100, 200):
            for sequence in (1, 7):
                add_image(tmp_path, subtype, slide, magnification, sequence)
    add_image(tmp_path, *SLIDES[0], 40)
    add_image(tmp_path, *SLIDES[0], 400)
    return tmp_path
