"""Images to embeddings by a net that is not trained here."""

from numbers import Integral
from os import PathLike

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_magdg._attributes import unchanged_on_error
from sklearn_magdg.estimators._base import NetTransformer, warn_of_random_weights
from sklearn_magdg.modules import ImageInput, MeanOverTurns, RandomFeatures, build_backbone, check_backbone
from sklearn_magdg.training import resolve_device, seeded


class ImageEncoder(NetTransformer, BaseEstimator):
    """Embeddings of images by a net that nothing trains: a random one, or one of torchvision with weights of a file.

    It learns nothing from the images, so it leaks nothing between the folds of a split: a measuring rod for generated
    images (`sklearn_magdg.metrics.kernel_inception_distance`), or frozen features for any classifier.

    Parameters
    ----------
    backbone : str or callable, default="random"
        "random" is a small convolutional net with the same random weights always and everywhere, and takes images of
        any size from 32 pixels; else as in `CNNClassifier`.
    weights : None, "imagenet" or path, default=None
        As in `CNNClassifier`. Not for the random net.
    turns : bool, default=False
        Whether embeddings are means over the eight ways to turn and mirror an image, so that they are the same for all
        of them: a copy is then found however it was turned. Takes eight times as long.
    image_size : int, default=None
        Side in pixels that images are brought to. None keeps arrays as they are and brings paths to 224.
    batch_size : int, default=32
        Images at a time.
    device : str, default="auto"
        A torch device; "auto" is the GPU if there is one.
    n_jobs : int, default=None
        Threads, as in `CNNClassifier`.
    image_cache : str or os.PathLike, default=None
        Folder where images given by path are kept decoded, as in `CNNClassifier`.

    Attributes
    ----------
    embedding_dim_ : int
        Width of the embedding.
    input_shape_ : tuple of int
        Height, width and 3 of the images, after `image_size`.
    module_ : torch.nn.Module
        The net, in evaluation mode.

    Notes
    -----
    `fit` reads no pixel: two encoders with the same parameters, fitted on different images of one size, embed alike. A
    net of torchvision without `weights` has random ones, the same in every process, and warns.

    Examples
    --------
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.estimators import ImageEncoder
    >>> tissue = make_histology(4, images_per_cell=1, image_size=32, random_state=0)
    >>> ImageEncoder().fit_transform(tissue.data).shape
    (16, 640)
    """

    _parameter_constraints = {
        "backbone": [str, callable],
        "weights": [None, str, PathLike],
        "turns": ["boolean"],
        "image_size": [None, Interval(Integral, 8, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "n_jobs": [None, Integral],
        "image_cache": [None, str, PathLike],
    }

    def __init__(
        self,
        backbone="random",
        *,
        weights=None,
        turns=False,
        image_size=None,
        batch_size=32,
        device="auto",
        n_jobs=None,
        image_cache=None,
    ):
        self.backbone = backbone
        self.weights = weights
        self.turns = turns
        self.image_size = image_size
        self.batch_size = batch_size
        self.device = device
        self.n_jobs = n_jobs
        self.image_cache = image_cache

    def fit(self, X, y=None):
        """Make the net and try it on a blank image of the size of `X`.

        Parameters
        ----------
        X : array-like
            Images or image paths, as in `CNNClassifier.fit`.
        y : object, default=None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For features (2-D), which are embeddings already, and for a net that cannot take such images.
        """
        self._validate_params()
        with unchanged_on_error(self):
            source = self._as_source(X, reset=True)
            if len(source.shape) == 1:
                raise ValueError(
                    "ImageEncoder embeds images, got features (2-D), which are embeddings already: use them."
                )
            with seeded(0):  # a torchvision net without weights has those of this seed
                input_layer, net, self.embedding_dim_ = self._build(source.shape)
                net = MeanOverTurns(net) if self.turns else net
                # a callable may be wrong about its width, and a net about the size of images that it takes
                check_backbone(input_layer, net, self.embedding_dim_, source.shape)
            self.input_shape_ = source.shape
            module = nn.Sequential(input_layer, net).requires_grad_(False).eval()
            self.module_ = module.to(resolve_device(self.device), memory_format=torch.channels_last)
        return self

    def transform(self, X):
        """Embeddings.

        Parameters
        ----------
        X : array-like
            As in `fit`, and of the same size: embeddings of two sizes differ by sharpness alone.

        Returns
        -------
        ndarray of shape (n, `embedding_dim_`), float32
        """
        return self._infer(X, lambda embedding: embedding)

    def _build(self, shape):
        """Input layer, net and width of its embedding."""
        if self.backbone == "random":
            if self.weights is not None:
                raise ValueError("`weights` needs a torchvision `backbone` such as 'mobilenet_v2'; 'random' has none.")
            return ImageInput(), RandomFeatures(), RandomFeatures.n_features
        if self.weights is None and isinstance(self.backbone, str):
            warn_of_random_weights(f"backbone={self.backbone!r}")
        return build_backbone(self.backbone, self.weights, None, shape)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def embedding_function(embedding, input_layer, shape):
    """Function from images (or features) as they are stored to the embeddings that a generator is judged by.

    Parameters
    ----------
    embedding : None, ImageEncoder or fitted transformer
        None is `ImageEncoder` for images; features are their own embedding, standardised.
    input_layer : FeatureInput or SignedInput
        With the mean and standard deviation of features.
    shape : tuple of int
        (height, width, 3) of images, or the number of features.

    Raises
    ------
    NotFittedError
        For a transformer that is not fitted.
    """
    if embedding is None and len(shape) == 1:
        return lambda features: (features - input_layer.mean.cpu().numpy()) / input_layer.std.cpu().numpy()
    if embedding is None or isinstance(embedding, ImageEncoder):
        # it learns nothing from images, so that a blank one fits it, here and in every clone
        encoder = clone(embedding or ImageEncoder())
        return encoder.fit(np.zeros((1, *shape), np.uint8)).transform
    check_is_fitted(
        embedding,
        msg="`kid_embedding` %(name)s is not fitted: fit it, and give it as FrozenEstimator(embedding), for a clone of "
        "anything else is not fitted either.",
    )
    return embedding.transform
