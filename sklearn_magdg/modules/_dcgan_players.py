"""The two players of a DCGAN by their settings, on images or on features."""

from sklearn_magdg.modules._dcgan import (
    FeatureDiscriminator,
    FeatureGenerator,
    ImageDiscriminator,
    ImageGenerator,
    SignedInput,
)
from sklearn_magdg.modules._inputs import FeatureInput


def build_generator(shape, codes, *, image_size, latent_dim, width, upsampling):
    """Input layer, whose ``inverse`` brings samples into the scale of the data, and generator.

    Parameters
    ----------
    shape : tuple of int
        (height, width, 3) of images, or the number of features.
    codes : ndarray of int, shape (n_cells, 2)
        Class and magnification of every cell.
    image_size, latent_dim, width : int
    upsampling : str
        As in `ImageGenerator`; features need none, nor a width.
    """
    if len(shape) == 1:
        return FeatureInput(shape[0]), FeatureGenerator(shape[0], latent_dim, codes)
    return SignedInput(), ImageGenerator(image_size, latent_dim, width, codes, upsampling)


def build_discriminator(shape, codes, *, image_size, width, spectral_norm):
    """What tells real from generated rows of `shape`.

    Parameters
    ----------
    shape, codes, image_size, width
        As in `build_generator`.
    spectral_norm : bool
        Whether it has spectral normalisation in place of batch norm.
    """
    if len(shape) == 1:
        return FeatureDiscriminator(shape[0], codes, spectral_norm)
    return ImageDiscriminator(image_size, width, codes, spectral_norm)
