"""What the selectors of signatures have in common."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_magdg._attributes import forget
from sklearn_magdg.cohort import encode, encode_classes, encode_magnification
from sklearn_magdg.signature._training_rows import TrainingRows


class SignatureSelector(SelectorMixin, BaseEstimator):
    """Selects the dimensions of `signature_`, in the dtype of `X`; `fit` needs `y` and begins with `_read_rows`."""

    __metadata_request__fit = {"patient": True, "magnification": True}

    def _read_rows(self, X, y, patient, magnification, order=None):
        """`TrainingRows` without weights, everything encoded; what an earlier fit learned is forgotten.

        That is every attribute whose name ends in "_", by which `check_is_fitted` too tells what a fit has set: no
        mode of a selector can leave anything to another.
        """
        forget(self, *[name for name in vars(self) if name.endswith("_")])
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], order=order)
        check_classification_targets(y)
        label = encode_classes(y, type(self).__name__)
        self.classes_ = label.names
        return TrainingRows(
            label,
            None if patient is None else encode(patient, "patient", len(X)),
            None if magnification is None else encode_magnification(magnification, len(X)),
            X=X,
        )

    def _get_support_mask(self):
        check_is_fitted(self, "signature_")  # a fit that failed has set others
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[self.signature_] = True
        return mask

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
