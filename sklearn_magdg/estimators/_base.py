"""What every estimator that holds a net shares: reading X, embedding it, and its net without numbers."""

import copy
import warnings

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_magdg._attributes import forget
from sklearn_magdg.images import ArraySource, as_source
from sklearn_magdg.modules import without_numbers
from sklearn_magdg.training import infer, seeded, threads


def read_source(estimator, X, *, reset, **reading):
    """`X` as a source of images or features, checked.

    Features go through scikit-learn's own validation, which tells sparse matrices, strings, NaN and another number of
    columns in the words that its users know.

    Parameters
    ----------
    estimator : estimator
        On whom ``n_features_in_`` and ``feature_names_in_`` are set (`reset`) or compared.
    X : array-like
        As `CNNClassifier.fit` takes it.
    reset : bool
        Whether this is a `fit`.
    **reading
        How images are read, as of `sklearn_magdg.images.as_source`.

    Returns
    -------
    Source
        Of uint8 images (height, width, 3) or of float32 features.
    """
    source = as_source(X, check_files=reset, **reading)
    if source is None:
        return ArraySource(validate_data(estimator, X, reset=reset, dtype=np.float32, order="C"))
    if reset and len(source.shape) == 3:  # or images would be asked for the columns of an earlier fit on features
        forget(estimator, "n_features_in_", "feature_names_in_")
    return source


def blank_module(estimator):
    """The net that the parameters of a fitted estimator give, without numbers; but a callable backbone is called.

    It has the names, shapes and dtypes of all tensors, and costs no memory. To build the net with numbers and throw
    them away would cost the seconds, and the memory, of a large net's first weights at every loading.

    Parameters
    ----------
    estimator : estimator
        With ``_rebuild_module``, which gives a net like that of the last fit.
    """
    sketch = copy.copy(estimator)  # whose parameters may change, which the estimator's may not
    if callable(getattr(estimator, "backbone", None)):
        with seeded(0):
            made = estimator.backbone()
        sketch.backbone = lambda: made  # a callable's net has numbers: it may read a file, or compute with them
    with without_numbers(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `fit` has told already what is amiss with its data
        return sketch._rebuild_module()


def warn_of_random_weights(setting):
    """Warn that `setting`, a parameter with its value, freezes a net that nobody has trained."""
    warnings.warn(
        f"{setting} freezes random weights, for there are no others: pass `weights`, 'imagenet' or a file.", UserWarning
    )


class NetTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Inference by ``module_`` on inputs of ``input_shape_``; embeddings are float32, ``embedding_dim_`` wide."""

    def _infer(self, X, read_output):
        """`read_output` of the net's output for every row of `X`, float32.

        Parameters
        ----------
        X : array-like
            As in `fit`, of the size that the net was fitted on once `image_size` has been applied.
        read_output : callable
            From the output of ``module_`` for a batch to a tensor with a row per image.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For images of another size, or another number of features.
        """
        check_is_fitted(self)
        source = self._as_source(X, reset=False)
        if source.shape != self.input_shape_:
            raise ValueError(
                f"{type(self).__name__} was fitted on inputs of shape {self.input_shape_}, got {source.shape}; "
                "set `image_size` to bring images to one size."
            )
        device = next(self.module_.parameters()).device  # where it is now, which a user may have changed
        with threads(self.n_jobs):
            return infer(self.module_, source, batch_size=self.batch_size, device=device, read_output=read_output)

    def _as_source(self, X, *, reset):
        """`X` as this estimator's parameters say that it is read."""
        reading = {"image_size": self.image_size, "n_jobs": self.n_jobs, "cache": self.image_cache}
        return read_source(self, X, reset=reset, **reading)

    @property
    def _n_features_out(self):
        return self.embedding_dim_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
