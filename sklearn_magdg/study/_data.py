"""The images of a study, in memory at one size, with the identity of every row."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sklearn_magdg._metadata import magnification_number
from sklearn_magdg.datasets import load_breakhis, load_manifest, make_histology
from sklearn_magdg.images import ImageReader, cut_tiles
from sklearn_magdg.model_selection import LeaveOneMagnificationOut


class StudyData(NamedTuple):
    images: np.ndarray  # uint8 (n, size, size, 3)
    y: np.ndarray
    class_names: list
    patient: np.ndarray
    magnification: np.ndarray
    id: np.ndarray
    description: str

    def take(self, rows):
        """Only these rows."""
        columns = ("images", "y", "patient", "magnification", "id")
        return self._replace(**{name: getattr(self, name)[rows] for name in columns})

    def cut(self, n):
        """Tiles, n x n of every image, as the images of its patient."""
        if n == 1:
            return self
        columns = {name: np.repeat(getattr(self, name), n * n) for name in ("y", "patient", "magnification")}
        numbered = np.array([f"{image}#{tile}" for image in self.id for tile in range(n * n)])
        description = f"{self.description}; each image cut into {n} x {n} tiles"
        return self._replace(images=cut_tiles(self.images, n), id=numbered, description=description, **columns)

    @property
    def fingerprint(self):
        """Digest of images, labels and metadata."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        for column in (self.y, self.patient, self.magnification, self.id):
            digest.update("\0".join(map(str, column)).encode())
        return digest.hexdigest()


def load_study_data(config, magnifications=None):
    """Rendered tissue, BreaKHis (a folder) or a manifest (a file), as `config` says; of all `magnifications`, or some.

    Files of others are not read.
    """
    if config.data is None:
        _refuse_breakhis_options(config)
        data = _rendered(config)
        return data if magnifications is None else data.take(_rows_of(data.magnification, magnifications))
    bunch, root = load_collection(config)
    ids = np.array([_relative(file, root) for file in bunch.data])
    data = _study_data(bunch, bunch.data, ids, count_images(bunch, config))
    if magnifications is not None:
        data = data.take(_rows_of(data.magnification, magnifications))
    return data._replace(images=ImageReader(config.image_size, n_jobs=config.threads).transform(data.images))


def _rows_of(magnification, wanted):
    known, wanted = np.unique(magnification).tolist(), _as_in_data(wanted, magnification)
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"`magnification` names {unknown}, but the data have {known}; name some of these.")
    return np.isin(magnification, wanted)


def load_collection(config):
    """Bunch of BreaKHis (a folder) or a manifest (a file), and the folder to which its paths refer."""
    path = Path(config.data)
    damaged = {"on_damaged": "skip" if config.skip_damaged else None}  # what reads the images names the first of them
    if path.is_file():
        _refuse_breakhis_options(config)
        return load_manifest(path, **damaged), path.parent
    if path.is_dir():
        options = {"target": config.target, "patient_by": config.patient_by} | damaged
        return load_breakhis(path, magnifications=None, **options), path
    raise FileNotFoundError(
        f"There is neither a folder nor a file {config.data!r}; give the folder of BreaKHis or a manifest table."
    )


def study_splitter(config, magnification):
    """The splitter of the study, its held-out magnifications spelled as in the data."""
    held_out = None if config.held_out is None else _as_in_data(config.held_out, magnification)
    return LeaveOneMagnificationOut(config.folds, magnifications=held_out, shuffle=True, random_state=config.seed)


def _as_in_data(held_out, magnification):
    """The magnifications to hold out, spelled as in the data: "100X", "100" and 100 are one."""
    known = {magnification_number(name) or name: name for name in np.unique(magnification).tolist()}
    return [known.get(magnification_number(name) or name, name) for name in held_out]


def count_images(bunch, config):
    """How many images there are, and of how many, in words."""
    inventory = bunch.get("inventory")
    share = "" if inventory is None else f"of {inventory['expected'].sum():,} "
    return f"{len(bunch.data)} {share}images of {Path(config.data).name}"


def _refuse_breakhis_options(config):
    if config.target != "label" or config.patient_by != "accession":
        raise ValueError("`target` and `patient_by` are options of BreaKHis: leave them out with other images.")


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
            f"The study needs images of at least 2 classes, got only {str(bunch.target_names[y[0]])!r}; "
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
