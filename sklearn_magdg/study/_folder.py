"""The folder of a run: what stands in it, and how it gets there.

::

    run.json           settings, fingerprint of the data, versions: what the finished folds belong to
    folds/*.json       one file per finished fit, from which an interrupted run goes on
    results.csv        scores of every method and fold
    predictions.csv    probabilities of every method and test image
    signatures.json    signatures of every method and fold
    summary.json       all that tables and report show
    figures/*.png, report.html

Every file is written whole or not at all, and the result files only when all folds are there, ``summary.json`` last.
"""

import shutil
from urllib.parse import quote

import pandas as pd

from sklearn_magdg._files import read_json, write_json

RESULT_FILES = ("results.csv", "predictions.csv", "signatures.json", "summary.json")
_FOLDS = "folds"
_RUN = "run.json"


def open_run(out, identity, fresh):
    """Make `out` the folder of this very run, or go on in it.

    Parameters
    ----------
    out : Path
        Made if absent.
    identity : dict
        Plain JSON: settings, fingerprint and versions. Folds are taken from the folder only where all of it agrees.
    fresh : bool
        Whether to delete what another run wrote. Nothing else that lies there is touched.

    Raises
    ------
    ValueError
        If the folder holds another run's results and `fresh` is False, or files but no run, whatever `fresh` is.
    """
    folds, run = out / _FOLDS, out / _RUN
    if run.is_file():
        other = read_json(run)
        # a run that was stopped before its first fold has nothing to lose
        has_results = any(folds.glob("*.json")) or (out / "results.csv").is_file()
        if other != identity and not fresh and has_results:
            differing = ", ".join(name for name in identity if other.get(name) != identity[name])
            raise ValueError(
                f"{out} holds another run's results (other {differing}): choose another folder, or delete them with "
                "`fresh=True`."
            )
        if fresh:
            for folder in (_FOLDS, "figures"):
                shutil.rmtree(out / folder, ignore_errors=True)
            for name in (*RESULT_FILES, "report.html", _RUN):
                (out / name).unlink(missing_ok=True)
    elif out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no run of magdg: choose another folder.")
    folds.mkdir(parents=True, exist_ok=True)
    write_json(run, identity)


def fold_file(out, method, fold):
    """Where the result of one fit stands; `fold` is None for the shared encoder.

    A magnification may have any name, so it is quoted: "20/40" must not become a folder.

    Examples
    --------
    >>> from pathlib import Path
    >>> from types import SimpleNamespace
    >>> from sklearn_magdg.study._folder import fold_file
    >>> fold_file(Path("run"), "gan", SimpleNamespace(held_out="20/40", number=1)).as_posix()
    'run/folds/gan-20%2F40-1.json'
    """
    if fold is None:
        return out / _FOLDS / f"{method}-shared.json"
    return out / _FOLDS / f"{method}-{quote(str(fold.held_out), safe='')}-{fold.number}.json"


def read_table(file):
    """A table of a finished run as a DataFrame: a magnification may be called "NA", a patient "007"."""
    return pd.read_csv(file, dtype={"patient": str}, keep_default_na=False, na_values=[""])
