"""What a study, or a generator, is asked to do: every setting that changes its results."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class CollectionConfig:
    """Which images, and the settings that apply to them."""

    data: str | None = None
    target: str = "label"
    patient_by: str = "accession"
    skip_damaged: bool = False
    n_patients: int = 24
    images_per_cell: int = 6
    threads: int | None = None

    def identity(self):
        """The settings that decide the numbers."""
        settings = asdict(self)
        del settings["threads"]
        return settings

    def settings(self):
        """The settings that apply, for people to read."""
        other = _OF_COLLECTION if self.data is None else _OF_RENDERED
        return {name: value for name, value in self.identity().items() if name not in other}


_OF_COLLECTION = ("data", "target", "patient_by", "skip_damaged")
_OF_RENDERED = ("n_patients", "images_per_cell", "shift", "class_sep")


@dataclass(frozen=True)
class StudyConfig(CollectionConfig):
    """Settings of `run_study`.

    Parameters
    ----------
    data : str or None
        Folder of BreaKHis or file of a manifest; None renders tissue (`make_histology`).
    target : {"label", "subtype"}
        Of BreaKHis.
    patient_by : {"accession", "slide"}
        Of BreaKHis.
    skip_damaged : bool
        Whether to leave images out that cannot be read, rather than to stop.
    n_patients, images_per_cell : int
        Of the rendered tissue.
    shift, class_sep : float
        Of the rendered tissue.
    methods : tuple of str
        Names in `METHODS`.
    held_out : tuple or None
        Magnifications to leave out; None is all.
    folds : int
        Patient folds per held-out magnification.
    image_size : int
        Side in pixels.
    backbone, weights, trainable, augment, batch_size, lr, weight_decay
        As in `CNNClassifier`.
    epochs : int
        ``max_epochs`` of every classifier.
    reversal_strength, domain_weight : float
        As in `GradientReversalClassifier`.
    gan_epochs, gan_width : int
        ``max_epochs`` and ``width`` of `DCGAN`, which generates at `image_size`.
    gan_ratio : float
        Generated images per real one.
    signature_fraction : float
        Share of the training patients that the encoder of the honest signature never sees.
    seed : int
        Decides everything random.
    threads : int or None
        Threads to compute with; None leaves it to torch.
    """

    shift: float = 1.0
    class_sep: float = 1.0
    methods: tuple = ("baseline", "gan", "gradient-reversal")
    held_out: tuple | None = None
    folds: int = 5
    image_size: int = 64
    backbone: str = "auto"
    weights: str | None = None
    trainable: str = "all"
    augment: str | None = None
    epochs: int = 20
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-4
    reversal_strength: float = 1.0
    domain_weight: float = 1.0
    gan_epochs: int = 100
    gan_width: int = 16
    gan_ratio: float = 1.0
    signature_fraction: float = 0.5
    seed: int = 0

    def identity(self):
        """As plain JSON: a run resumes only where they agree."""
        held_out = None if self.held_out is None else list(self.held_out)
        return super().identity() | {"methods": list(self.methods), "held_out": held_out}


@dataclass(frozen=True)
class GenerateConfig(CollectionConfig):
    """Settings of `generate`.

    Parameters
    ----------
    data, target, patient_by, skip_damaged, n_patients, images_per_cell, seed, threads
        As in `StudyConfig`.
    magnification : tuple or None
        Magnifications to learn; None is all.
    tiles : int
        Rows, and columns, of tiles that every image is cut into, once it has been brought to ``tiles * image_size``
        pixels.
    image_size : int
        Side in pixels of what is learned and generated.
    epochs, width
        ``max_epochs`` and ``width`` of `DCGAN`.
    held_back : float
        Share of the patients of each class that the generator never sees.
    backbone, weights
        Of the `ImageEncoder` that measures.
    n_images : int
        Images of every class and magnification in the pictures.
    """

    magnification: tuple | None = None
    tiles: int = 1
    image_size: int = 64
    epochs: int = 100
    width: int = 16
    held_back: float = 0.3
    backbone: str = "random"
    weights: str | None = None
    n_images: int = 8
    seed: int = 0

    def collection(self):
        """The study's settings for reading the same images, in the size of all their tiles."""
        shared = {field.name: getattr(self, field.name) for field in fields(CollectionConfig)}
        return StudyConfig(**shared, image_size=self.tiles * self.image_size, seed=self.seed)
