"""What an audit of splits found: numbers, and the patients, magnifications and samples behind them."""

from dataclasses import dataclass

import pandas as pd

from sklearn_magdg._words import counted, shorten
from sklearn_magdg.model_selection._audit_text import as_html, as_text, looked_for


@dataclass(frozen=True, eq=False)  # tables have no one answer to ==
class SplitAudit:
    """Result of `audit_splits`: numbers in `frame`, and what stands behind them under the same names.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per fold:

        n_train, n_test, train_<class>, test_<class>
            Numbers of samples.
        shared_patients, shared_magnifications
            Numbers of patients and of magnifications on both sides.
        shared_accessions
            Number of accession numbers on both sides under different patient ids: "14-22549AB" in training
            and "14-22549CD" in test are one. An id is read as an accession number with a suffix where it ends
            in a number of 3 digits or more, on its own or after a separator, followed by letters.
        duplicates
            Number of test samples with an identical one in training. Absent with `duplicates=None`.
        near_duplicates
            Number of further test samples with a near one in training. Only with `duplicates="near"`.
        empty_cells
            On either side, number of pairs of a class and a magnification of that side without any sample.
    affected : pandas.DataFrame
        One row per fold: number of test samples whose patient, magnification, accession or likeness stands
        in training, in the columns of the same names.
    shared_patients, shared_magnifications, shared_accessions : tuple of list
        Names, for every fold.
    empty_cells : tuple of list
        For every fold, tuples (side, class, magnification), where side is "train" or "test".
    lookalike_patients : list of tuple
        Patients whose names differ by letter case only: "P1" and "p1" count as two.
    duplicates, near_duplicates : tuple of ndarray of shape (n_found, 2), or None
        For every fold, the positions of the test samples concerned, each beside the first identical or the
        nearest training sample. None where they were not looked for.
    """

    frame: pd.DataFrame
    affected: pd.DataFrame
    shared_patients: tuple
    shared_magnifications: tuple
    shared_accessions: tuple
    empty_cells: tuple
    lookalike_patients: list
    duplicates: tuple | None = None
    near_duplicates: tuple | None = None

    @property
    def summary(self):
        """All folds in one row: a Series.

        `n_folds` and `n_tested`, the number of tests of a sample; for each of the columns `shared_patients`,
        `shared_magnifications`, `shared_accessions`, `duplicates`, `near_duplicates` and `empty_cells` the number
        of folds concerned under its own name and, but for the last, the number of tests of a sample concerned
        under `<name>_samples`.
        """
        numbers = {"n_folds": len(self.frame), "n_tested": self.frame["n_test"].sum()}
        for name in looked_for(self.frame):
            numbers[name] = (self.frame[name] > 0).sum()
            if name in self.affected:
                numbers[f"{name}_samples"] = self.affected[name].sum()
        return pd.Series(numbers, dtype=int)

    @property
    def cautions(self):
        """Sentences on what counts as no leak and still needs a look: a list of str.

        Patients whose names differ by letter case only, a training part of one class, and a test part with classes
        that training lacks.
        """
        sentences = []
        if self.lookalike_patients:
            shown = shorten(" and ".join(map(repr, group)) for group in self.lookalike_patients)
            sentences.append(f"Patients that differ by letter case only count as several: {shown}.")
        for fold, row in self.frame.iterrows():
            trained, tested = (
                [name.removeprefix(side) for name in row.index if name.startswith(side) and row[name]]
                for side in ("train_", "test_")
            )
            unseen = [repr(name) for name in tested if name not in trained]
            if len(trained) < 2:  # the classes that it does not know are then no news
                known = f"{trained[0]!r} only" if trained else "no sample"
                sentences.append(f"Fold {fold} trains on {known}: no classifier can be fitted.")
            elif unseen:
                sentences.append(f"Fold {fold} tests {shorten(unseen)}, which training lacks.")
        return sentences

    def raise_if_leaky(self, *, magnifications=False, accessions=False):
        """Raise if a fold shares patients, or identical or near samples, between its sides.

        Parameters
        ----------
        magnifications : bool, default=False
            Whether a magnification on both sides is a leak too: set it where the protocol claims to test
            on unseen magnifications.
        accessions : bool, default=False
            Whether an accession number on both sides under different patient ids is a leak too: set it where
            slides of one accession may be of one person.

        Raises
        ------
        ValueError
            Names the first leaking fold and what it shares.
        """
        named = {"patient": self.shared_patients}
        named |= {"magnification": self.shared_magnifications} if magnifications else {}
        named |= {"accession number": self.shared_accessions} if accessions else {}
        paired = {"an identical": self.duplicates, "a near": self.near_duplicates}
        for fold in self.frame.index:
            faults = [
                f"{counted(len(names[fold]), noun)} on both sides ({shorten(map(repr, names[fold]))})"
                for noun, names in named.items()
                if names[fold]
            ]
            for kind, pairs in paired.items():
                if pairs is not None and len(pairs[fold]):
                    shown = shorten(f"{test} as {train}" for test, train in pairs[fold].tolist())
                    faults.append(f"{counted(len(pairs[fold]), 'test sample')} with {kind} one in training ({shown})")
            if faults:
                raise ValueError(f"Fold {fold} leaks from training to test: {'; '.join(faults)}.")

    def __str__(self):
        return as_text(self)

    __repr__ = __str__

    def _repr_html_(self):
        return as_html(self)
