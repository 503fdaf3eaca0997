"""The study's tables as text cells, for the terminal and the report alike.

They are made from the summary of a finished run as it stands in ``summary.json``, in which None is a score that is not
defined. A cell of such a score is a dash.
"""

from typing import NamedTuple

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg.study._comparison import BASELINE, FEWEST_PATIENTS
from sklearn_magdg.study._results import KINDS


class Table(NamedTuple):
    """A table to print or to render.

    Parameters
    ----------
    title, note : str
        The note begins in lower case and has no full stop: the terminal puts it behind the title, the report below.
    header : list of str
        One per column; the first column names the row.
    rows : list of lists of str
        As long as the header.
    is_main : bool, default=True
        Whether it is printed at the end of a run; the report shows all.
    spare : tuple of int, default=()
        Numbers of the columns that a narrow terminal leaves out, the first one first.
    """

    title: str
    note: str
    header: list
    rows: list
    is_main: bool = True
    spare: tuple = ()


# (key of the summary's table, title, format, note)
SCORES = [
    ("brier", "Brier score", ".3f", "pooled over the test images, lower is better"),
    ("auc", "AUC", ".3f", "mean over folds ± standard deviation"),
    ("f1", "F1", ".3f", "of the last class in order (malignant); mean over folds ± standard deviation"),
    ("balanced_accuracy", "Balanced accuracy", ".3f", "mean over folds"),
    ("ece", "Expected calibration error", ".3f", "pooled over the test images, lower is better"),
    ("patient_recognition_rate", "Patient recognition rate", ".3f",
     "share of a patient's images classified rightly, averaged over patients; mean over folds"),
]  # fmt: skip
SIGNATURES = [
    ("signature_size", "Signature size, unseen patients", ".0f", "dimensions kept, chosen on patients that "
     "the encoder did not see; mean over folds ± standard deviation"),
    ("signature_auc", "AUC of the unseen-patients signature alone", ".3f", "mean over folds"),
    ("signature_f1", "F1 of the unseen-patients signature alone", ".3f", "mean over folds"),
    ("in_sample_signature_size", "Signature size, in sample", ".0f", "the paper's way: dimensions kept, chosen "
     "on the encoder's own training patients; mean over folds ± standard deviation"),
    ("in_sample_signature_auc", "AUC of the in-sample signature alone", ".3f", "mean over folds"),
    ("in_sample_signature_f1", "F1 of the in-sample signature alone", ".3f", "mean over folds"),
]  # fmt: skip
# what the paper reports: the rest would make the end of a run too long to be read
_MAIN = {"brier", "auc", "f1"} | {
    f"{kind}signature_{score}" for kind in ("", "in_sample_") for score in ("size", "auc", "f1")
}
KIND_NAMES = dict(zip(KINDS, ("unseen patients", "in sample", "shared encoder"), strict=True))
_OVERLAP_NOTE = (
    "mean Jaccard over pairs of folds, what random signatures of these sizes would have, the p-value of a test that "
    "permutes the dimensions of each, Nogueira's index (0 is chance) with its 95 % interval, and the dimensions of the "
    "embedding. Folds share patients: the test asks whether these selections agree more than blind ones, not whether "
    "independent studies would, and the interval is a lower bound on the uncertainty. A shared encoder is fitted once "
    "per method, to a part of the patients at all magnifications, and its signatures are chosen on the others: it has "
    "seen the held-out magnification, so its signatures serve this comparison alone. The paper, whose signatures are "
    "in sample, reports 0.99 between its 100X and 200X folds for gradient reversal, near zero for the baseline"
)

_DIFFERENCE_NOTE = (
    f"A difference is the method's score minus the {BASELINE}'s on the same test images; of the Brier score below 0 is "
    "better. In brackets its 95 % interval from drawing test patients, which alone decides the verdict: helped or hurt "
    "where it excludes 0, unclear where it holds 0. There is no interval and no verdict (–) with fewer than "
    f"{FEWEST_PATIENTS} patients, or where a class has a single one. Rows of all folds pool their images for the Brier "
    "score and average their AUC. The interval tells of other patients, not of other trainings: nets of another seed "
    "would differ as well, so a single fold says little about a method. And it is too narrow with few patients: with "
    "10 + 10 of them it excludes 0 for about 10 % of equally good models instead of 5 %, and more often with fewer "
    "(docs/evaluation.rst), so that among many folds some exclude 0 by chance."
)
_DIFFERENCE_HEADER = [
    "held out", "fold", "images", "patients",
    "Brier, baseline", "Brier, method", "Brier, difference",
    "AUC, baseline", "AUC, method", "AUC, difference",
    "verdict",
]  # fmt: skip
_SPARE = (2, 4, 5, 7, 8, 9)  # images and the scores themselves, then the difference in AUC
_PRINTED_FOLDS = 40  # in all tables of differences together; beyond that a run prints those of the GAN alone


def score_tables(summary):
    """Tables of scores, then of signatures, one per score: a row per method, a column per held-out magnification.

    Parameters
    ----------
    summary : dict
        Of a finished run; `held_out`, `methods`, `table` and `paper` are read.

    Returns
    -------
    tables : list of Table
        Of all `SCORES` and `SIGNATURES`. The last columns are of all magnifications together and, where the paper
        has that score, the paper's figure on the whole of BreaKHis.
    """
    tables = []
    for key, title, form, note in (*SCORES, *SIGNATURES):
        paper = {method: scores[key] for method, scores in summary["paper"].items() if key in scores}
        rows = []
        for method in summary["methods"]:
            of_method = {row["held_out"]: row for row in summary["table"] if row["method"] == method}
            row = [method]
            for held_out in (*summary["held_out"], None):
                scores = of_method[held_out]
                # a single fold has a score, but no spread
                spread = scores.get(f"{key}_sd")
                row.append(number(scores[key], form) + ("" if spread is None else f" ± {spread:{form}}"))
            rows.append([*row, number(paper.get(method), form)] if paper else row)
        header = ["method", *(magnification_text(m) for m in summary["held_out"]), "all"]
        tables.append(Table(title, note, [*header, "paper, BreaKHis"] if paper else header, rows, key in _MAIN))
    return tables


def difference_tables(summary):
    """For each method but the baseline a table with a row per fold: where it helped, and where it hurt.

    Parameters
    ----------
    summary : dict
        Of a finished run; `differences` and `folds` are read.

    Returns
    -------
    tables : list of Table
        The note of each counts the folds by what their difference and their interval say; rows of several folds
        together are not counted. With many folds only the GAN's, which the paper is about, is a main table.
    """
    n_folds = len(summary["folds"]) * len(summary["differences"])
    tables = []
    for method, rows in summary["differences"].items():
        folds = [row for row in rows if row["fold"] is not None]
        verdicts = [row["verdict"] for row in folds]
        better, worse = (sum(sign * row["brier_difference"] > 0 for row in folds) for sign in (-1, 1))
        helped, hurt, without = (verdicts.count(each) for each in ("helped", "hurt", None))
        note = (
            f"of {len(folds)} folds the Brier score is better than the {BASELINE}'s in {better} and worse in {worse}; "
            f"the interval excludes 0 in {helped + hurt}: helped in {helped}, hurt in {hurt}"
            f"{f'; no interval in {without}' if without else ''}"
        )
        title = f"{method} against the {BASELINE}, fold by fold"
        is_main = method == "gan" or n_folds <= _PRINTED_FOLDS
        tables.append(Table(title, note, _DIFFERENCE_HEADER, list(map(_difference_cells, rows)), is_main, _SPARE))
    return tables


def _difference_cells(row):
    """Cells below `_DIFFERENCE_HEADER` of a row of `compare_with_baseline`; "all" where folds are taken together."""
    difference = number(row["brier_difference"], "+.4f")
    if row["low"] is not None:
        difference += f" ({row['low']:+.4f} to {row['high']:+.4f})"
    return [
        "all" if row["held_out"] is None else magnification_text(row["held_out"]),
        "all" if row["fold"] is None else str(row["fold"]),
        str(row["n_test"]),
        str(row["n_patients"]),
        number(row["brier_baseline"], ".3f"),
        number(row["brier"], ".3f"),
        difference,
        number(row["auc_baseline"], ".3f"),
        number(row["auc"], ".3f"),
        number(row["auc_difference"], "+.3f"),
        row["verdict"] or "–",
    ]


def difference_note(summary):
    """How to read the tables of differences, for all of them once; None where there are none."""
    return _DIFFERENCE_NOTE if summary["differences"] else None


def number(value, form):
    """A number as text, a dash where there is none.

    Examples
    --------
    >>> from sklearn_magdg.study import number
    >>> number(0.12345, ".3f"), number(None, ".3f")
    ('0.123', '–')
    """
    return "–" if value is None else format(value, form)


def overlap_warning(summary):
    """Why overlaps across encoders trained apart say little; None where there are none.

    `methods`, `frozen` and `overlap` of the summary are read. Methods with a frozen encoder have nothing to be warned
    of.
    """
    apart = [method for method in summary["methods"] if method not in summary["frozen"]]
    if not apart:
        return None
    shared = any(has_overlap(summary, method, "shared_encoder") for method in apart)
    one = "the shared encoder" if shared else "an encoder that all folds share"
    return (
        f"The encoders of {', '.join(apart)} are trained apart, one per fold, and the axes of such encoders are not "
        "comparable: overlap near chance may mean no more than that their axes differ, and overlap above it that all "
        f"started from the same random weights. Read from {one} how "
        "stable signatures are, or from a frozen one, which has the same axes in every fold."
    )


def has_overlap(summary, method, kind):
    """Whether a method has signatures of this kind (one of `KINDS`) to compare.

    It takes two folds, and among them a pair of which not both are empty.
    """
    overlap = summary["overlap"][method][kind]
    return overlap is not None and overlap["jaccard_mean"] is not None


def overlap_table(summary):
    """Table of how far the signatures of a method's folds agree: a row per method and kind of signature.

    Parameters
    ----------
    summary : dict
        Of a finished run; `overlap` and `frozen` are read.

    Returns
    -------
    table : Table
        Without rows for kinds that there is nothing to compare of.
    """
    rows = []
    for method, overlap in summary["overlap"].items():
        for kind in KINDS:
            if not has_overlap(summary, method, kind):
                continue
            encoders = "one" if kind == "shared_encoder" else "one per fold"
            if method in summary["frozen"]:
                encoders = "one, frozen"
            own = overlap[kind]
            stability = number(own["stability"], "z.2f")  # z: no "-0.00"
            if own["stability"] is not None:
                stability += f" ({own['low']:z.2f} to {own['high']:z.2f})"
            cells = [number(own["jaccard_mean"], ".3f"), number(own["jaccard_chance"], ".3f")]
            cells += [number(own["p_value"], ".2g"), stability, str(overlap["embedding_dim"])]
            rows.append([method, KIND_NAMES[kind], encoders, *cells])
    header = ["method", "signature", "encoders", "Jaccard", "by chance", "p", "stability", "dimensions"]
    return Table("Overlap of the signatures across folds", _OVERLAP_NOTE, header, rows)
