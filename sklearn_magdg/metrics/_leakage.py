"""How much of the magnification an embedding still tells."""

from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state

from sklearn_magdg.cohort import Cohort, read_cohort
from sklearn_magdg.metrics._resampling import check_options, divide, interval, resample


class MagnificationLeakage(NamedTuple):
    """What `magnification_leakage` returns."""

    balanced_accuracy: float
    chance: float
    low: float
    high: float


def magnification_leakage(
    embedding,
    magnification,
    *,
    patient,
    n_splits=5,
    n_resamples=1000,
    confidence_level=0.95,
    random_state=None,
):
    r"""Balanced accuracy with which a linear probe reads the magnification of unseen patients from an embedding.

    The probe is an L2-penalised logistic regression on standardised dimensions (C = 1, magnifications weighted
    alike). Every image is predicted by the probe that was fitted without its patient, and with :math:`n_m` images at
    magnification m of which :math:`c_m` are recognised,

    .. math:: \frac{1}{K} \sum_m \frac{c_m}{n_m}, \quad \text{chance} = \frac{1}{K}.

    At chance no linear function of the embedding that generalises to new patients was found; a nonlinear one, or one
    that more images would show, may exist. The interval draws patients with replacement and takes the probes' guesses
    as given, so it covers less than it says: where nothing was told, 86 to 93 % of simulated intervals of
    95 % held chance. Nor does it know of the folds, which with few patients move the estimate by some hundredths from
    seed to seed: look at several seeds.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, n_dimensions)
        Finite numbers. Constant dimensions play no part; there may be more dimensions than samples. The encoder should
        not have seen these patients: on its training patients it can hide, or show, more than on new ones.
    magnification : array-like of shape (n_samples,)
        Ints or strings, at least 2 different ones.
    patient : array-like of shape (n_samples,)
        Ints or strings.
    n_splits : int, default=5
        Folds, at least 2, disjoint in patient and balanced in magnification; every magnification needs as many
        patients.
    n_resamples : int, default=1000
        Number of resamples, at least 2 / (1 - `confidence_level`) - 1.
    confidence_level : float, default=0.95
        Between 0 and 1, both excluded.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the resamples.

    Returns
    -------
    balanced_accuracy, chance, low, high : float
        In [0, 1]. Resamples in which no patient has some magnification are left out with a warning; `low` and `high`
        are `nan` where that is more than half of them.

    Raises
    ------
    ValueError
        If there are fewer than 2 magnifications, if one has fewer patients than `n_splits` or has them all in one
        fold, if a value is missing or not finite, if lengths differ, or if a parameter is invalid.

    Warns
    -----
    UndefinedMetricWarning
        If some resamples lack a magnification.

    References
    ----------
    .. [1] G. Alain, Y. Bengio, "Understanding Intermediate Layers Using Linear Classifier Probes", ICLR workshop,
       2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.metrics import magnification_leakage
    >>> magnification, patient = np.tile([40, 100, 200], 20), np.repeat(np.arange(10), 6)
    >>> embedding = np.random.default_rng(0).normal(size=(60, 5))
    >>> embedding[:, 2] += 2 * np.log2(magnification)
    >>> leakage = magnification_leakage(embedding, magnification, patient=patient, random_state=0)
    >>> [round(each, 2) for each in leakage]
    [0.82, 0.33, 0.75, 0.9]
    """
    check_options(n_resamples, confidence_level)
    rng = check_random_state(random_state)
    probed = probe_magnification(embedding, magnification, patient=patient, n_splits=n_splits, random_state=rng)

    # a recall is a ratio of sums over patients, so that hits and images by magnification and patient are all of it
    n_patients = len(probed.patient.names)
    shape = (len(probed.magnification.names), n_patients)
    cell = probed.magnification.codes * n_patients + probed.patient.codes
    total = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    hits = np.bincount(cell, weights=probed.recognised, minlength=np.prod(shape)).reshape(shape)

    def balanced_accuracy(counts):
        return divide(hits @ counts.T, total @ counts.T).mean(axis=0)  # (K, block) -> (block,)

    # every patient has several magnifications, so there is nothing to stratify by
    stratum = np.zeros(n_patients, dtype=np.intp)
    distribution = resample(balanced_accuracy, stratum, len(probed), n_resamples=n_resamples, random_state=rng)
    return MagnificationLeakage(distribution.estimate, 1 / shape[0], *interval(distribution, confidence_level))


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbedCohort(Cohort):
    """A `Cohort` that knows of every image whether the probe recognised its magnification.

    Parameters
    ----------
    recognised : ndarray of shape (n,), dtype bool
        Whether the probe that was fitted without the image's patient names the magnification.
    """

    recognised: np.ndarray


def probe_magnification(embedding, magnification, *, patient, n_splits=5, random_state=None):
    """Which images the probe recognises: `magnification_leakage` before its mean.

    For a mean over several nets, whose embeddings one probe cannot read.

    Parameters
    ----------
    embedding, magnification, patient, n_splits, random_state
        As in `magnification_leakage`.

    Returns
    -------
    ProbedCohort
        With patients, magnifications and `recognised`; its label is one class of all.

    Raises
    ------
    ValueError
        As in `magnification_leakage`.
    """
    embedding = check_array(embedding, dtype=[np.float64, np.float32], input_name="embedding")
    cohort = read_cohort(len(embedding), patient=patient, magnification=magnification)
    folds = _patient_folds(cohort, n_splits, check_random_state(random_state))
    # benchmarks/simulate_leakage.py: a smaller C misses a shift along one dimension (of 16, 0.80 at C = 0.1 for 0.98);
    # on the other shifts C = 0.1 reads 0.03 more at best
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000))
    recognised = cross_val_predict(probe, embedding, cohort.magnification.codes, cv=folds) == cohort.magnification.codes
    return ProbedCohort(**vars(cohort), recognised=recognised)


def _patient_folds(cohort, n_splits, rng):
    """Pairs (train, test) of index arrays, disjoint in patient; every training part has every magnification.

    A list, because with metadata routing on `cross_val_predict` would not hand `groups` to a splitter.

    Raises
    ------
    ValueError
        For fewer than 2 folds, 2 magnifications, or `n_splits` patients of some magnification, and where a training
        part lacks one.
    """
    (codes, names), patient = cohort.magnification, cohort.patient.codes
    if not isinstance(n_splits, Integral) or n_splits < 2:
        raise ValueError(f"`n_splits` must be an integer of at least 2, got {n_splits!r}.")
    if len(names) < 2:
        raise ValueError(
            f"magnification_leakage needs at least 2 magnifications, got {len(names)}: {names}; pass the embeddings of "
            f"all magnifications together."
        )
    n_patients = np.bincount(np.unique(np.column_stack([codes, patient]), axis=0)[:, 0])
    fewest = int(np.argmin(n_patients))
    if n_patients[fewest] < n_splits:
        raise ValueError(
            f"Magnification {names[fewest]!r} has {n_patients[fewest]} patients for `n_splits={n_splits}`; lower "
            f"`n_splits` (at least 2), or leave this magnification out."
        )

    folds = list(StratifiedGroupKFold(n_splits, shuffle=True, random_state=rng).split(codes, codes, patient))
    for train, _ in folds:
        # the greedy deal of `StratifiedGroupKFold` promises nothing where patients have few magnifications each
        absent = np.setdiff1d(np.arange(len(names)), codes[train])
        if len(absent):
            raise ValueError(
                f"All patients with magnification {names[absent[0]]!r} fell into one of {n_splits} folds, so that no "
                f"probe could learn it; lower `n_splits`, change `random_state`, or leave this magnification out."
            )
    return folds
