"""What a generator is asked to do: the settings of `generate`, declared as those of a study."""

from dataclasses import dataclass, fields

from sklearn_magdg.study import CollectionConfig, StudyConfig, documented, setting, threads_of

DATA, GAN, ENCODER = "Data", "GAN", "Encoder that measures"  # headings under which `--help` puts the options


@documented
@dataclass(frozen=True)
class GenerateConfig(CollectionConfig):
    """Settings of `generate`.

    Examples
    --------
    Tiles of 64 pixels, nine of each image of a collection:

    >>> from sklearn_magdg.generation import GenerateConfig
    >>> GenerateConfig(data="BreaKHis_v1", magnification=(100,), tiles=3).collection().image_size
    192
    """

    threads: int | None = threads_of("DCGAN", "ImageEncoder")
    magnification: tuple[int | str, ...] | None = setting(None, "Magnifications to learn; default all.", panel=DATA)
    tiles: int = setting(
        1,
        "Squeeze images to squares, cut them into N x N tiles, learn these.",
        more="The squares have sides of ``tiles * image_size`` pixels.",
        panel=DATA,
        min=1,
        metavar="N",
    )
    image_size: int = setting(
        64, "Side of an image or tile in pixels, a multiple of 16 from 32 to 128.", panel=GAN, to=("DCGAN",)
    )
    epochs: int = setting(100, "Epochs of the GAN.", panel=GAN, to=("DCGAN",), named="max_epochs", min=1)
    width: int = setting(16, "Channels of its narrowest layer.", panel=GAN, to=("DCGAN",), min=1)
    held_back: float = setting(
        0.3,
        "Share of the patients that the generator never sees and is measured against.",
        more="Of each class; between 0 and 1, both excluded.",
        panel=DATA,
    )
    backbone: str = setting("random", "'random' or a torchvision model.", panel=ENCODER, to=("ImageEncoder",))
    weights: str | None = setting(
        None, "'imagenet' (downloads) or the path of a state dict.", panel=ENCODER, to=("ImageEncoder",)
    )
    n_images: int = setting(8, "Images of each class and magnification in the pictures.", min=1)
    seed: int = setting(0, "Decides everything random.", to=("DCGAN",), named="random_state")

    def collection(self):
        """The study's settings for reading the same images, in the size of all their tiles."""
        shared = {each.name: getattr(self, each.name) for each in fields(CollectionConfig)}
        return StudyConfig(**shared, image_size=self.tiles * self.image_size, seed=self.seed)
