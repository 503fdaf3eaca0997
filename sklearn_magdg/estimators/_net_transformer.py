"""What holds a fitted net and turns images, paths or features into its embeddings."""

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_magdg.images._sources import as_source
from sklearn_magdg.training._net import infer, threads


class NetTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Inference by ``module_`` on inputs of ``input_shape_``; embeddings are float32, ``embedding_dim_`` wide."""

    def _infer(self, X, read_output):
        check_is_fitted(self)
        source = self._as_source(X, reset=False)
        if source.shape != self.input_shape_:
            raise ValueError(
                f"{type(self).__name__} was fitted on inputs of shape {self.input_shape_}, got {source.shape}; "
                "set `image_size` to bring images to one size."
            )
        device = next(self.module_.parameters()).device
        with threads(self.n_jobs):
            return infer(self.module_, source, batch_size=self.batch_size, device=device, read_output=read_output)

    def _as_source(self, X, *, reset):
        reading = {"image_size": self.image_size, "n_jobs": self.n_jobs, "image_cache": self.image_cache}
        return as_source(self, X, reset=reset, **reading)

    @property
    def _n_features_out(self):
        return self.embedding_dim_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
