"""The images of a study, in memory at one size, with the identity of every row.

A collection comes from one of three places: rendered tissue (`make_histology`), a folder of BreaKHis, or a manifest
table. `load_study_data` brings all three to one record, `StudyData`, in which class, patient and magnification are
encoded once. From there rows are numbers, and every later step (folds, hold-outs, fits) takes rows of this record.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklearn_magdg._metadata import magnification_number
from sklearn_magdg.cohort import Cohort, Encoded, encode, encode_magnification
from sklearn_magdg.datasets import load_breakhis, load_manifest, make_histology
from sklearn_magdg.images import ImageReader, cut_tiles


@dataclass(frozen=True, eq=False, kw_only=True)
class StudyData(Cohort):
    """`Cohort` of a collection with its images: class, patient, magnification, pixels and name of every row.

    ``label.names`` are the names of the classes, ``patient.values()`` and ``magnification.values()`` the columns as
    the collection spells them. The names are those of the whole collection, also after `take`;
    ``magnification.present()`` has those that stand in the rows at hand.

    Parameters
    ----------
    label, patient, magnification : Encoded
        Columns of n rows, none missing.
    weight : None
        A study weighs all images alike.
    images : ndarray of shape (n, size, size, 3), dtype uint8
        Pixels; while a collection is being read, the paths (n,).
    id : ndarray of shape (n,), dtype str
        What a result calls the image: its path below the collection's folder, with "/" on every system.
    description : str
        One sentence for people, of the whole collection.

    Examples
    --------
    >>> from sklearn_magdg.study import StudyConfig, load_study_data
    >>> data = load_study_data(StudyConfig(n_patients=4, images_per_cell=1, image_size=32))
    >>> data.label.names, data.magnification.names
    (['benign', 'malignant'], [40, 100, 200, 400])
    >>> data.take(data.magnification.codes == 1).images.shape
    (4, 32, 32, 3)
    >>> data.description
    '16 rendered images (make_histology), 4 patients, classes benign, malignant'
    """

    images: np.ndarray
    id: np.ndarray
    description: str

    @property
    def who(self):
        """`Cohort` of the rows without their images, to draw and deal patients of some rows without copying pixels."""
        return Cohort(self.label, self.patient, self.magnification)

    def cut(self, n):
        """Tiles, n x n of every image, as the images of its patient; an id gets "#" and the number of its tile."""
        if n == 1:
            return self
        of_image = np.repeat(np.arange(len(self)), n * n)
        return self.replace(
            label=self.label.take(of_image),
            patient=self.patient.take(of_image),
            magnification=self.magnification.take(of_image),
            images=cut_tiles(self.images, n),
            id=np.array([f"{image}#{tile}" for image in self.id for tile in range(n * n)]),
            description=f"{self.description}; each image cut into {n} x {n} tiles",
        )

    @property
    def fingerprint(self):
        """SHA-256 of pixels, labels, metadata and ids, by which a run knows that its folder is of the same data.

        It reads every pixel, so ask once. Columns enter as text, which makes it independent of how they are held: a
        run that was begun before a change of the record goes on after it.
        """
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        for column in (self.label.codes, self.patient.values(), self.magnification.values(), self.id):
            digest.update("\0".join(map(str, column)).encode())
        return digest.hexdigest()


def load_study_data(config, magnifications=None):
    """`StudyData` of rendered tissue, BreaKHis (a folder) or a manifest (a file), as `config` says.

    Parameters
    ----------
    config : StudyConfig
        The settings of the collection, `image_size`, `shift`, `class_sep` and `seed` are read.
    magnifications : tuple, default=None
        Magnifications to keep, in any spelling; None is all. Files of others are not read.

    Returns
    -------
    data : StudyData
        Classes that no image has are left out of ``label.names``; the other names are in the order of the loader.

    Raises
    ------
    FileNotFoundError
        If `config.data` is neither a folder nor a file.
    ValueError
        For a collection of one class, settings of BreaKHis with other images, a magnification that is not there, an
        image that cannot be read, and columns that `sklearn_magdg.cohort.encode` refuses.

    Examples
    --------
    >>> from sklearn_magdg.study import StudyConfig, load_study_data
    >>> config = StudyConfig(n_patients=4, images_per_cell=1, image_size=32)
    >>> len(load_study_data(config)), len(load_study_data(config, ("100X", 200)))
    (16, 8)
    """
    if config.data is None:
        _refuse_breakhis_options(config)
        bunch = make_histology(**config.arguments_of(make_histology))
        numbered = enumerate(zip(bunch.slide, bunch.magnification, strict=True))
        ids = [f"{slide}-{magnification}-{row:05d}" for row, (slide, magnification) in numbered]
        data = _encode(bunch, ids, f"{len(ids)} rendered images (make_histology)")
    else:
        bunch, root = load_collection(config)
        # absolute, so that the folder of a manifest written as "." and one written in full give the same ids
        root, files = Path(os.path.abspath(root)), [Path(os.path.abspath(file)) for file in bunch.data]
        ids = [(file.relative_to(root) if file.is_relative_to(root) else file).as_posix() for file in files]
        data = _encode(bunch, ids, count_images(bunch, config))

    if magnifications is not None:
        known = data.magnification.names
        wanted = spell_as_known(magnifications, known)
        if unknown := [name for name in wanted if name not in known]:
            raise ValueError(f"`magnification` names {unknown}, but the data have {known}; name some of these.")
        data = data.take(np.isin(data.magnification.codes, [known.index(name) for name in wanted]))

    if config.data is None:
        return data
    # last, so that files of other magnifications are never opened
    return data.replace(images=ImageReader(config.image_size, n_jobs=config.threads).transform(data.images))


def _encode(bunch, ids, description):
    """`StudyData` of a loader's Bunch, every column encoded here and nowhere else; `images` are still its ``data``."""
    present, codes = np.unique(bunch.target, return_inverse=True)  # a part of a collection may lack a class
    classes = [str(bunch.target_names[code]) for code in present]
    if len(classes) < 2:
        raise ValueError(
            f"The study needs images of at least 2 classes, got only {classes[0]!r}; add images of another class."
        )
    patient = encode(bunch.patient, "patient")
    return StudyData(
        # not by `encode`: the loader's order of the classes decides which of two is the positive one
        Encoded(codes, classes),
        patient,
        encode_magnification(bunch.magnification),
        images=bunch.data,
        id=np.array(ids),
        description=f"{description}, {len(patient.names)} patients, classes {', '.join(classes)}",
    )


def load_collection(config):
    """A collection of image files, none of them read yet.

    Parameters
    ----------
    config : StudyConfig
        `data`, `target`, `patient_by` and `skip_damaged` are read; `data` must not be None.

    Returns
    -------
    bunch : Bunch
        As `load_breakhis` (of a folder) or `load_manifest` (of a file) gives it.
    root : Path
        The folder below which ids of images are written.
    """
    path = Path(config.data)
    # None rather than "raise": looking for damage costs a pass over all files, and the reader names the first anyway
    damaged = {"on_damaged": "skip" if config.skip_damaged else None}
    if path.is_file():
        _refuse_breakhis_options(config)
        return load_manifest(path, **damaged), path.parent
    if path.is_dir():
        options = {"target": config.target, "patient_by": config.patient_by} | damaged
        return load_breakhis(path, magnifications=None, **options), path
    raise FileNotFoundError(
        f"There is neither a folder nor a file {config.data!r}; give the folder of BreaKHis or a manifest table."
    )


def spell_as_known(wanted, known):
    """The magnifications `wanted`, spelled as in the list `known`: "100X", "100" and 100 are one.

    What is not known stays as it came, so that an error can name it in the words of whoever asked.

    Examples
    --------
    >>> from sklearn_magdg.study._data import spell_as_known
    >>> spell_as_known(["2.5X", 10, "overview"], [2.5, 10])
    [2.5, 10, 'overview']
    """
    spelling = {magnification_number(name) or name: name for name in known}
    return [spelling.get(magnification_number(name) or name, name) for name in wanted]


def count_images(bunch, config):
    """How many images there are, and of how many (only BreaKHis knows), in words."""
    inventory = bunch.get("inventory")
    share = "" if inventory is None else f"of {inventory['expected'].sum():,} "
    return f"{len(bunch.data)} {share}images of {Path(config.data).name}"


def _refuse_breakhis_options(config):
    """Rather than ignore them: whoever sets them thinks that the data are BreaKHis."""
    if config.target != "label" or config.patient_by != "accession":
        raise ValueError("`target` and `patient_by` are options of BreaKHis: leave them out with other images.")
