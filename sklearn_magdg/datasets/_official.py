"""The five published hold-outs of BreaKHis, and what they leak.

The roles of every class-slide pair come with the package: a column for each hold-out in the inventory of the full set.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils.validation import _num_samples

from sklearn_magdg._words import name_some
from sklearn_magdg.datasets._breakhis_inventory import read_slides
from sklearn_magdg.datasets._breakhis_names import accession_of

_FOLDS = [f"fold{number}" for number in range(1, 6)]


def official_holdouts(bunch):
    """The five published hold-outs of BreaKHis, as a splitter over the images of `bunch`.

    They deal class-slide pairs, about 70 % to train and 30 % to test, five times over. Slides of one accession
    number, and slide 14-13412 with its two classes, stand on both sides, and the test sides are no partition.
    They are here to compare with the literature; for an estimate that holds on new patients use
    `sklearn_magdg.model_selection.LeaveOneMagnificationOut`, or scikit-learn's `StratifiedGroupKFold` with the
    accession number as group.

    Parameters
    ----------
    bunch : sklearn.utils.Bunch
        What `load_breakhis` returns; read are `subtype` and `slide`, each of shape (n_images,). The literature
        trains and tests on one magnification at a time: load that one alone.

    Returns
    -------
    cv : cross-validator
        `split(X, y=None, groups=None)` yields five pairs of ascending index arrays, train and test, for any `X`
        of n_images rows; `y` and `groups` play no part.

    Raises
    ------
    ValueError
        If `bunch` is not of BreaKHis, if an image's slide has no role in the hold-outs, or if a hold-out has no
        image to train on or to test on; on splitting, if `X` has another length than the bunch.

    Warns
    -----
    UserWarning
        Always: names the accession numbers and slides on both sides, fold by fold, among the images
        of the bunch, and says how many slides are never tested or tested several times.

    References
    ----------
    F. A. Spanhol et al., "A Dataset for Breast Cancer Histopathological Image Classification", IEEE TBME
    63(7):1455-1462, 2016, doi:10.1109/TBME.2015.2496264, section III.

    Examples
    --------
    The published protocol: one magnification at a time, and the mean and standard deviation over the hold-outs
    of the patient recognition rate, where a patient is a slide.

    >>> import sklearn
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn_magdg.datasets import load_breakhis, official_holdouts
    >>> from sklearn_magdg.metrics import patient_recognition_scorer
    >>> bunch = load_breakhis("BreaKHis_v1", magnifications=200, patient_by="slide")  # doctest: +SKIP
    >>> cv = official_holdouts(bunch)  # doctest: +SKIP
    >>> with sklearn.config_context(enable_metadata_routing=True):  # doctest: +SKIP
    ...     rates = cross_val_score(
    ...         model,
    ...         bunch.data,
    ...         bunch.target,
    ...         cv=cv,
    ...         scoring=patient_recognition_scorer,
    ...         params={"patient": bunch.patient},
    ...     )
    >>> rates.mean(), rates.std()  # doctest: +SKIP
    """
    known = bunch.keys() if hasattr(bunch, "keys") else ()
    if not {"subtype", "slide"} <= set(known):
        raise ValueError(
            "`bunch` must have `subtype` and `slide`, as what `load_breakhis` returns has, "
            f"got {type(bunch).__name__} with {sorted(known)}."
        )
    pairs = pd.DataFrame({"subtype": np.asarray(bunch["subtype"]), "slide": np.asarray(bunch["slide"])})
    keys = ["subtype", "slide"]
    # a left join keeps the order and the number of the images
    roles = pairs.merge(read_slides()[[*keys, *_FOLDS]], on=keys, how="left")[_FOLDS]
    unknown = pairs[roles["fold1"].isna().to_numpy()].drop_duplicates()
    if len(unknown):
        names = [f"{row.subtype}-{row.slide}" for row in unknown.itertuples()]
        raise ValueError(
            f"BreaKHis has no slide {name_some(names)}, so the official hold-outs give it no role; pass a bunch of "
            "`load_breakhis` without these images."
        )
    tested = (roles == "test").to_numpy()
    for side, mask in (("test", tested), ("train", ~tested)):
        empty = [str(number) for number, is_there in enumerate(mask.any(axis=0), 1) if not is_there]
        if empty:
            raise ValueError(
                f"There is no image on the {side} side of fold {', '.join(empty)}: this collection is too partial. "
                "Add slides, or split by `LeaveOneMagnificationOut` or `StratifiedGroupKFold`."
            )

    accession = _on_both_sides(pairs["slide"].map(accession_of), tested)
    slide = _on_both_sides(pairs["slide"], tested)
    n_tested = pd.DataFrame(tested).groupby([pairs["subtype"], pairs["slide"]]).first().sum(axis=1)
    warnings.warn(
        f"The official hold-outs keep class-slide pairs apart, no more. Accession numbers on both sides: {accession}. "
        f"Slides on both sides: {slide}. They are no partition: of {len(n_tested)} class-slide pairs "
        f"{(n_tested == 0).sum()} are never tested and {(n_tested > 1).sum()} several times. Use them to compare with "
        "the literature, and for new patients `LeaveOneMagnificationOut`, or `StratifiedGroupKFold` with the "
        "accession numbers (`patient` of `load_breakhis`) as groups.",
        UserWarning,
    )
    return _OfficialHoldouts(tested)


class _OfficialHoldouts(BaseCrossValidator):
    """Five fixed splits; `tested` (n_images, 5) is True where an image stands on the test side.

    The splits belong to the rows of one bunch, in its order. Other rows would be split without sense, which `split`
    notices where their number differs.
    """

    def __init__(self, tested):
        self.tested = tested

    def __repr__(self):
        n_images, n_folds = self.tested.shape
        return f"<{n_folds} official hold-outs of {n_images} BreaKHis images>"

    def split(self, X, y=None, groups=None):
        """Train and test indices of the five hold-outs, ascending; only the length of `X` is read."""
        n_samples, n_images = _num_samples(X), len(self.tested)
        if n_samples != n_images:
            raise ValueError(
                f"These hold-outs are of {n_images} images, got {n_samples} samples; pass the rows of the bunch they "
                "were made from, or make them again from a bunch of these rows."
            )
        return super().split(X)

    def _iter_test_masks(self, X=None, y=None, groups=None):
        return iter(self.tested.T)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Five."""
        return self.tested.shape[1]


def _on_both_sides(ids, tested):
    """Ids with images on both sides, fold by fold, in words: "fold 1: 14-13412; fold 3: 14-13412", or "none".

    An id stands on both sides where `tested` takes two values among its images.
    """
    both = pd.DataFrame(tested, columns=range(1, 6)).groupby(ids.to_numpy()).nunique() > 1
    folds = [f"fold {number}: {', '.join(both.index[both[number]])}" for number in both if both[number].any()]
    return "; ".join(folds) or "none"
