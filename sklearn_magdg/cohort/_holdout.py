"""Setting whole patients aside, class by class: for early stopping, a generator's measure, an honest signature."""

import warnings

import numpy as np


def patient_holdout(cohort, fraction, rng):
    """Mask of the rows whose patients are set aside, stratified by class.

    Of every class the rounded `fraction` of its patients is drawn: at least one and never all where the class
    has two or more, none where it has one. A patient counts by the class of most of its rows.

    Parameters
    ----------
    cohort : Cohort
        Rows without a patient are never set aside and do not change the draw.
    fraction : float
        Share of the patients to set aside, between 0 and 1, both excluded.
    rng : numpy.random.RandomState or numpy.random.Generator
        Source of the draw. The order of the rows plays no part in it.

    Returns
    -------
    held_out : ndarray of shape (n_samples,), dtype bool
        True where the row's patient is set aside.

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.cohort import patient_holdout, read_cohort
    >>> cohort = read_cohort(6, [0, 0, 0, 1, 1, 1], patient=[1, 1, 2, 3, 3, 4])
    >>> patient_holdout(cohort, 0.5, np.random.RandomState(0)).sum()
    np.int64(3)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"The fraction of patients to set aside must lie between 0 and 1, got {fraction!r}.")
    has_patient = cohort.patient.codes >= 0
    with_patient = cohort.take(has_patient)
    patient_class = with_patient.patient_class

    drawn = np.zeros(len(patient_class), dtype=bool)
    for each in np.unique(patient_class):
        members = np.flatnonzero(patient_class == each)
        if len(members) > 1:
            # Python's round, half to even: 0.5 of 5 patients are 2
            n_drawn = np.clip(round(fraction * len(members)), 1, len(members) - 1)
            drawn[rng.permutation(members)[:n_drawn]] = True

    held_out = np.zeros(len(cohort), dtype=bool)
    held_out[has_patient] = drawn[with_patient.patient.present().codes]
    return held_out


def validation_rows(cohort, fraction, rng, *, before=None):
    """Mask `(n_samples,)` of the rows that early stopping sets aside.

    It depends on the rows that have a patient alone: generated rows, which have none, leave it as it is. A fit that
    goes on keeps the patients `before` that the fit before set aside, for the net has been trained on all others.

    Parameters
    ----------
    cohort : Cohort
        Patients must be known, though not of every row.
    fraction, rng
        As of `patient_holdout`; not used where a patient of `before` is in the data.
    before : sequence of patients, default=None
        Names of those that the fit before set aside; None where there is no fit before.

    Raises
    ------
    ValueError
        If no class has two patients, or nothing of some class is left to train on beside those of `before`.

    Warns
    -----
    UserWarning
        If one of `before` is missing from the data, or none was set aside.
    """
    if before is not None:
        found = [code for code, name in enumerate(cohort.patient.names) if name in before]
        kept = np.isin(cohort.patient.codes, found)
        if not before or len(found) < len(before):
            warnings.warn(
                f"warm_start=True goes on from a fit that set {len(before)} patients aside, {len(found)} of whom are "
                "in the data: early stopping may validate on patients that the net was trained on; fit on the same "
                "patients with early_stopping=True from the start.",
                UserWarning,
            )
        if len(np.setdiff1d(cohort.label.codes, cohort.label.codes[~kept])):
            raise ValueError(
                "No patient of some class is left to train on beside those that the fit before set aside "
                f"({before}): pass all patients again, or set warm_start=False."
            )
        if kept.any():
            return kept

    held_out = patient_holdout(cohort, fraction, rng)
    if not held_out.any():
        raise ValueError("early_stopping=True needs a class with at least 2 patients to set one of them aside.")
    return held_out
