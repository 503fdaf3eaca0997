"""The images of a study, in memory at one size, with the identity of every row."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sklearn_magdg.datasets import load_breakhis, load_manifest, make_histology
from sklearn_magdg.images import ImageReader


class StudyData(NamedTuple):
    images: np.ndarray  # uint8 (n, size, size, 3)
    y: np.ndarray
    class_names: list
    patient: np.ndarray
    magnification: np.ndarray
    id: np.ndarray
    description: str

    @property
    def fingerprint(self):
        """Digest of images, labels and metadata."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        for column in (self.y, self.patient, self.magnification, self.id):
            digest.update("\0".join(map(str, column)).encode())
        return digest.hexdigest()


def load_study_data(config):
    """Rendered tissue, BreaKHis (a folder) or a manifest (a file), as `config` says."""
    if config.data is None or Path(config.data).is_file():
        _refuse_breakhis_options(config)
    if config.data is None:
        return _rendered(config)
    path = Path(config.data)
    if path.is_file():
        bunch, root = load_manifest(path), path.parent
    elif path.is_dir():
        bunch, root = _load_any_breakhis(path, config), path
    else:
        raise FileNotFoundError(
            f"There is neither a folder nor a file {config.data!r}; give the folder of BreaKHis or a manifest table."
        )
    images = ImageReader(config.image_size, n_jobs=config.threads).transform(bunch.data)
    ids = np.array([_relative(file, root) for file in bunch.data])
    return _study_data(bunch, images, ids, f"{len(images)} {_share_of_all(bunch)}images of {path.name}")


def _share_of_all(bunch):
    inventory = bunch.get("inventory")
    return "" if inventory is None else f"of {inventory['expected'].sum():,} "


def _refuse_breakhis_options(config):
    if config.target != "label" or config.patient_by != "accession":
        raise ValueError("`target` and `patient_by` are options of BreaKHis: leave them out with other images.")


def _load_any_breakhis(path, config):
    """BreaKHis with whichever magnifications are there."""
    options = {"target": config.target, "patient_by": config.patient_by}
    return load_breakhis(path, magnifications=None, **options)


def _rendered(config):
    bunch = make_histology(
        config.n_patients,
        images_per_cell=config.images_per_cell,
        image_size=config.image_size,
        shift=config.shift,
        class_sep=config.class_sep,
        random_state=config.seed,
    )
    numbered = enumerate(zip(bunch.slide, bunch.magnification, strict=True))
    ids = np.array([f"{slide}-{m}-{row:05d}" for row, (slide, m) in numbered])
    return _study_data(bunch, bunch.data, ids, f"{len(ids)} rendered images (make_histology)")


def _study_data(bunch, images, ids, description):
    y = np.asarray(bunch.target)
    if len(np.unique(y)) < 2:
        raise ValueError(
            f"The study needs images of at least 2 classes, got only {bunch.target_names[y[0]]!r}; "
            "add images of another class."
        )
    present, y = np.unique(y, return_inverse=True)  # a part of a collection may lack a class
    names = [str(bunch.target_names[code]) for code in present]
    n_patients = len(np.unique(bunch.patient))
    description = f"{description}, {n_patients} patients, classes {', '.join(names)}"
    return StudyData(images, y, names, bunch.patient, bunch.magnification, ids, description)


def _relative(file, root):
    file, root = Path(os.path.abspath(file)), Path(os.path.abspath(root))
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()
