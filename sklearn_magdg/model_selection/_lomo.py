"""Leave one magnification out, with patients never on both sides."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from sklearn_magdg._metadata import sort_names
from sklearn_magdg._words import counted, shorten
from sklearn_magdg.cohort import deal_into_folds, encode, encode_magnification, patient_holdout, read_cohort


def make_groups(patient, magnification):
    """Patient and magnification side by side, for `groups=` where metadata routing is off.

    Parameters
    ----------
    patient : array-like of shape (n_samples,)
        Patient of every sample, text or integers.
    magnification : array-like of shape (n_samples,)
        Magnification of every sample, text or numbers.

    Returns
    -------
    groups : ndarray of shape (n_samples, 2), dtype object
        Column 0 the patient, column 1 the magnification, each with its own type.

    Raises
    ------
    ValueError
        If the lengths differ, or a patient or magnification is missing.

    Notes
    -----
    `sklearn.model_selection.permutation_test_score` permutes labels within `groups`, which must be one column there:
    with these it ends in an IndexError (or a TypeError) of its own, so turn metadata routing on for it.

    Examples
    --------
    >>> make_groups(["ann", "bob"], [40, 100])
    array([['ann', 40],
           ['bob', 100]], dtype=object)
    """
    patient = encode(patient, "patient")
    magnification = encode_magnification(magnification, len(patient.codes))
    # of objects, for NumPy would turn a number beside a text into text
    return np.column_stack([patient.values(), magnification.values()])


class LeaveOneMagnificationOut(BaseCrossValidator):
    """Test on an unseen magnification of unseen patients.

    For every held-out magnification, ascending, the patients present there are dealt into folds. A split
    tests the images of one fold's patients at the held-out magnification, and trains on the images of all
    other patients at all other magnifications. The images in neither part (the fold's patients at other
    magnifications, other patients at the held-out one) are left out of that split.

    The folds are stratified by class, a patient counting by the class of most of its images, and balanced
    in images: patients go by number of images, largest first, to the fold with the fewest images of their
    class, then the fewest images. Two folds of a magnification differ by at most the images of its largest
    patient, in all and in every class. With all magnifications held out every sample is tested exactly once, so
    `sklearn.model_selection.cross_val_predict` works. With a subset of `magnifications`, or with
    `patient_test_size`, it does not, for some samples are never tested.

    Parameters
    ----------
    n_patient_folds : int, default=5
        Number of patient folds at every held-out magnification, at least 1. Not used with
        `patient_test_size`.
    magnifications : sequence of int or str, default=None
        Magnifications to hold out, written as in the data. None holds out all of them in turn. Training
        always uses all other magnifications in the data.
    patient_test_size : float, default=None
        Share of patients, between 0 and 1, in one stratified hold-out per magnification instead of folds.
    shuffle : bool, default=False
        Whether to deal patients of similar size in random order. The folds stay stratified and balanced.
    random_state : int, RandomState instance or None, default=None
        Seed of `shuffle` or `patient_test_size`. Every magnification has a draw of its own, the same whichever
        others are held out.

    Raises
    ------
    ValueError
        If a parameter is out of range, if `random_state` is given with nothing random to seed, and, on
        splitting, if the data have fewer than 2 magnifications, fewer patients at a held-out magnification
        than folds, an unknown held-out magnification, missing metadata, or nothing left to train on.

    Warns
    -----
    UserWarning
        If a test part has images of one class only: a score such as AUC is undefined there. If a training part
        has: no classifier can be fitted there.

    References
    ----------
    "Magnification-Invariant Image Classification via Domain Generalization and Stable Sparse Embedding
    Signatures", arXiv 2604.25817.

    Examples
    --------
    >>> import numpy as np
    >>> patient, magnification = np.repeat(["a", "b", "c", "d"], 2), np.tile([40, 100], 4)
    >>> y = np.repeat([0, 1, 0, 1], 2)
    >>> cv = LeaveOneMagnificationOut(n_patient_folds=2)
    >>> for train, test in cv.split(y, y, patient=patient, magnification=magnification):
    ...     print(train, test)
    [3 5] [0 6]
    [1 7] [2 4]
    [2 4] [1 7]
    [0 6] [3 5]
    """

    __metadata_request__split = {"groups": True, "patient": True, "magnification": True}

    def __init__(
        self, n_patient_folds=5, *, magnifications=None, patient_test_size=None, shuffle=False, random_state=None
    ):
        self.n_patient_folds = n_patient_folds
        self.magnifications = magnifications
        self.patient_test_size = patient_test_size
        self.shuffle = shuffle
        self.random_state = random_state

        # Checked here, where the fault stands: a splitter is no estimator, nobody sets its parameters later.
        folds, size, held_out = n_patient_folds, patient_test_size, magnifications
        if not isinstance(folds, Integral) or folds < 1:
            raise ValueError(f"`n_patient_folds` must be an integer of at least 1, got {folds!r}.")
        if size is not None and not (isinstance(size, Real) and 0 < size < 1):
            raise ValueError(f"`patient_test_size` must be None or lie between 0 and 1, got {size!r}.")
        if held_out is not None and (isinstance(held_out, str) or not np.ndim(held_out) or not len(held_out)):
            raise ValueError(f"`magnifications` must be None or list the ones to hold out, got {held_out!r}.")
        if held_out is not None and len(set(held_out)) < len(held_out):
            raise ValueError(f"`magnifications` names one twice: {list(held_out)}; name each once.")
        if random_state is not None and not shuffle and size is None:
            raise ValueError(
                "`random_state` has nothing to seed: set `shuffle=True` or `patient_test_size`, "
                "or leave `random_state=None`."
            )

    def split(self, X, y=None, groups=None, *, patient=None, magnification=None):
        """Index arrays of every split: held-out magnifications ascending, then patient folds.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of any kind; only their number is read.
        y : array-like of shape (n_samples,), default=None
            Classes to stratify by. None and real-valued targets: not stratified.
        groups : array-like of shape (n_samples, 2), default=None
            What `make_groups` returns. Ignored where `patient` and `magnification` are given.
        patient : array-like of shape (n_samples,), default=None
            Patient of every sample, text or integers.
        magnification : array-like of shape (n_samples,), default=None
            Magnification of every sample, text or numbers.

        Yields
        ------
        train : ndarray of int
            Samples of other patients at other magnifications, ascending.
        test : ndarray of int
            Samples of the fold's patients at the held-out magnification, ascending.

        Raises
        ------
        ValueError
            As the class says; at once, and not when the first split is asked for.
        """
        if patient is None and magnification is None:
            patient, magnification = _split_groups(groups)
        for name, values in (("patient", patient), ("magnification", magnification)):
            if values is None:
                raise ValueError(
                    f"LeaveOneMagnificationOut needs `{name}` too: add it to `params=`, or with routing off pass "
                    "groups=make_groups(patient, magnification)."
                )
        cohort = read_cohort(_num_samples(X), y, patient=patient, magnification=magnification)
        deals = self._deal(cohort)
        self._check_parts(cohort, deals)
        # a generator of its own, so that what is amiss has been said before the first split is asked for
        return _iterate(cohort, deals)

    def get_n_splits(self, X=None, y=None, groups=None, *, patient=None, magnification=None):
        """How many splits there are: held-out magnifications times patient folds.

        Parameters
        ----------
        X, y : object, default=None
            Not used.
        groups : array-like of shape (n_samples, 2), default=None
            What `make_groups` returns.
        patient : object, default=None
            Not used.
        magnification : array-like of shape (n_samples,), default=None
            Magnification of every sample. Neither it nor `groups` is needed where the parameter
            `magnifications` is given.

        Returns
        -------
        n_splits : int
            Number of pairs that `split` yields.

        Raises
        ------
        ValueError
            If the number of magnifications is unknown.
        """
        n_folds = self.n_patient_folds if self.patient_test_size is None else 1
        if self.magnifications is not None:
            return len(self.magnifications) * n_folds
        if magnification is None:
            magnification = _split_groups(groups)[1]
        return len(encode_magnification(magnification).names) * n_folds

    def _deal(self, cohort):
        """Held-out magnifications, ascending: code, and fold of every patient `(n_patients,)`, -1 if not tested there.

        With `patient_test_size` there is one fold, 0, of the patients set aside.
        """
        names = cohort.magnification.names
        if len(names) < 2:
            raise ValueError(
                f"LeaveOneMagnificationOut needs at least 2 magnifications, got {len(names)}: {names}; add images "
                "of another."
            )
        held_out = names if self.magnifications is None else self.magnifications
        refuse_unknown(held_out, names)
        # one seed per magnification of the data, so that holding out fewer changes no fold
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=len(names))

        deals = []
        for code in sorted(names.index(name) for name in held_out):
            here, rng = cohort.take(cohort.magnification.codes == code), np.random.RandomState(seeds[code])
            if self.patient_test_size is None:
                fold_of_row = self._deal_into_folds(here, names[code], rng if self.shuffle else None)
            else:
                fold_of_row = np.where(patient_holdout(here, self.patient_test_size, rng), 0, -1)
            if fold_of_row.max() < 0:
                raise ValueError(
                    f"Magnification {names[code]!r} has no class with 2 patients, so none can be set aside; "
                    "use `n_patient_folds` instead of `patient_test_size`."
                )
            fold = np.full(len(cohort.patient.names), -1)
            fold[here.patient.codes] = fold_of_row
            deals.append((code, fold))
        return deals

    def _deal_into_folds(self, here, name, rng):
        """Fold of every row of magnification `name`, where there are patients enough."""
        n_patients = len(np.unique(here.patient.codes))
        if n_patients < self.n_patient_folds:
            # one fold would test all patients there and, where all are seen at every magnification, train on none
            fewer = f"lower `n_patient_folds` to at most {n_patients}, " if n_patients > 1 else ""
            raise ValueError(
                f"Magnification {name!r} has {counted(n_patients, 'patient')}, fewer than {self.n_patient_folds} "
                f"folds; {fewer}hold out only others (`magnifications`), or add patients."
            )
        return deal_into_folds(here, self.n_patient_folds, rng)

    def _check_parts(self, cohort, deals):
        """Refuse an empty training part; warn of parts of one class where the data have more."""
        parameter = "`n_patient_folds`" if self.patient_test_size is None else "`patient_test_size`"
        train_more, test_more = f"raise {parameter}", f"lower {parameter}"
        if self.patient_test_size is not None:  # a larger share tests more, more folds test fewer at a time
            train_more, test_more = test_more, train_more
        lonely = {"training": [], "test": []}
        for held_out, fold in deals:
            name = cohort.magnification.names[held_out]
            train, test = _count_classes(cohort, held_out, fold)
            empty = np.flatnonzero(train.sum(axis=1) == 0)
            if len(empty):
                raise ValueError(
                    f"Nothing is left to train on when fold {empty[0]} at magnification {name!r} is tested: all images "
                    f"at other magnifications are of its patients; {train_more}, or add patients."
                )
            for part, counts in (("training", train), ("test", test)):
                alone = np.flatnonzero(np.count_nonzero(counts, axis=1) == 1)
                lonely[part] += [f"magnification {name!r} fold {each}" for each in alone]
        if not cohort.label.codes.any():
            return  # one class is all there is

        consequences = {
            "training": f"no classifier can be fitted there; {train_more}, or add patients.",
            "test": f"AUC is undefined there; {test_more} or use a score that is defined, such as the Brier score.",
        }
        for part, splits in lonely.items():
            if splits:
                warnings.warn(
                    f"{len(splits)} {part} parts have images of one class only ({shorten(splits)}): "
                    f"{consequences[part]}",
                    UserWarning,
                )


def refuse_unknown(held_out, names):
    """Refuse to hold out magnifications that are not among `names`, those of the data.

    Names are compared as they are written: 40 is not "40X".

    Raises
    ------
    ValueError
        Names the unknown ones, in numeric order.
    """
    unknown = sort_names(set(held_out) - set(names))
    if unknown:
        raise ValueError(f"`magnifications` holds out {unknown}, but the data have {names}; name some of these.")


def _split_groups(groups):
    """Columns patient and magnification `(n_samples,)` of what `make_groups` returned, checked for its shape alone."""
    if groups is None:
        raise ValueError(
            "LeaveOneMagnificationOut needs patients and magnifications: with metadata routing on pass "
            'params={"patient": ..., "magnification": ...}, with routing off pass '
            "groups=make_groups(patient, magnification); a search that is itself cross-validated needs routing on, or "
            'params={"groups": groups} beside `groups`.'
        )
    groups = np.asarray(groups, dtype=object)
    if groups.ndim != 2 or groups.shape[1] != 2:
        raise ValueError(
            f"LeaveOneMagnificationOut got `groups` of shape {groups.shape}, it needs (n_samples, 2): "
            "pass groups=make_groups(patient, magnification)."
        )
    return groups[:, 0], groups[:, 1]


def _count_classes(cohort, held_out, fold):
    """Images of every class in the training and in the test part of every fold, each (n_folds, n_classes).

    All folds of a magnification in a few passes: masks of a million rows for each of fifty splits take seconds.
    """
    n_folds, n_classes = fold.max() + 1, cohort.label.codes.max() + 1
    here, fold_of_row = cohort.magnification.codes == held_out, fold[cohort.patient.codes]

    def count(rows):
        cell = fold_of_row[rows] * n_classes + cohort.label.codes[rows]
        return np.bincount(cell, minlength=n_folds * n_classes).reshape(n_folds, n_classes)

    # what a fold trains on is all that stands elsewhere less what its own patients have there
    elsewhere = np.bincount(cohort.label.codes[~here], minlength=n_classes)
    return elsewhere - count(~here & (fold_of_row >= 0)), count(here & (fold_of_row >= 0))


def _iterate(cohort, deals):
    """Training and test part of every split, as positions."""
    for held_out, fold in deals:
        here, fold_of_row = cohort.magnification.codes == held_out, fold[cohort.patient.codes]
        for each in range(fold.max() + 1):
            in_fold = fold_of_row == each
            # neither part has the fold's patients elsewhere, nor other patients here
            yield np.flatnonzero(~in_fold & ~here), np.flatnonzero(in_fold & here)
