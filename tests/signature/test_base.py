import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from sklearn_magdg.signature import KnockoffSignatureSelector, SparseSignatureSelector, StableSignatureSelector

SELECTORS = [
    SparseSignatureSelector(C=0.3),
    StableSignatureSelector(max_features=4, n_resamples=4, random_state=0),
    KnockoffSignatureSelector(fdr=0.5, n_resamples=4, random_state=0),
]


def data():
    X = np.random.default_rng(0).normal(size=(61, 9)).astype(np.float32)
    return X, X[:, 3:6].sum(axis=1) > 0


@pytest.mark.parametrize("selector", SELECTORS)
def test_selectors_keep_the_columns_of_the_signature_in_their_dtype_and_say_so(selector):
    X, y = data()
    selector = clone(selector).fit(X, y)
    kept = selector.transform(X)
    np.testing.assert_array_equal(kept, X[:, selector.signature_])
    assert kept.dtype == np.float32
    assert get_tags(selector).transformer_tags.preserves_dtype == ["float64", "float32"]
    assert get_tags(selector).target_tags.required


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_fit_forgets_all_that_the_one_before_learned(selector):
    X, y = data()
    selector = clone(selector).fit(X, y)
    selector.of_another_mode_ = 7
    assert sorted(vars(selector.fit(X, y))) == sorted(vars(clone(selector).fit(X, y)))


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_fit_that_fails_leaves_the_one_before_as_it_was(selector):
    X, y = data()
    selector = clone(selector)
    with pytest.raises(ValueError, match="got 1 class"):
        selector.fit(X, np.zeros(61))
    with pytest.raises(NotFittedError):
        selector.transform(X)
    before = dict(vars(selector.fit(X, y)))
    with pytest.raises(ValueError, match="got 1 class"):
        selector.fit(X[:, :4], np.zeros(61))
    assert all(vars(selector)[name] is value for name, value in before.items())
    assert vars(selector).keys() == before.keys()


@pytest.mark.parametrize("selector", SELECTORS)
def test_metadata_are_refused_at_the_door_where_they_play_no_part_too(selector):
    X, y = data()
    with pytest.raises(ValueError, match="spells one magnification in several ways"):
        clone(selector).fit(X, y, magnification=["40", "40X"] * 30 + ["40"])
    with pytest.raises(ValueError, match="`magnification` is missing for 1 samples"):
        clone(selector).fit(X, y, magnification=[40] * 60 + [None])
