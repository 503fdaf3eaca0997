import numpy as np
import pytest
from sklearn.utils import get_tags

from sklearn_magdg.signature import SparseSignatureSelector, StableSignatureSelector


@pytest.mark.parametrize("selector", [SparseSignatureSelector(C=0.3), StableSignatureSelector(n_resamples=4)])
def test_both_selectors_keep_the_columns_of_the_signature_in_their_dtype_and_say_so(selector):
    X = np.random.default_rng(0).normal(size=(61, 5)).astype(np.float32)
    selector.fit(X, X[:, 3] > 0)
    kept = selector.transform(X)
    np.testing.assert_array_equal(kept, X[:, selector.signature_])
    assert kept.dtype == np.float32
    assert get_tags(selector).transformer_tags.preserves_dtype == ["float64", "float32"]
    assert get_tags(selector).target_tags.required
