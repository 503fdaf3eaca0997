"""The study's tables as text cells, for the terminal and the report alike."""

from typing import NamedTuple

from sklearn_magdg.study._comparison import BASELINE, FEWEST_PATIENTS
from sklearn_magdg.study._results import KINDS


class Table(NamedTuple):
    title: str
    note: str
    header: list
    rows: list
    is_main: bool = True  # printed at the end of a run; the report shows all
    spare: tuple = ()  # numbers of the columns that a narrow terminal leaves out, the first one first


# (key of the summary's table, title, format, better)
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


def tables(summary):
    """Score tables, signature tables and the overlap across folds."""
    return [
        *(_by_magnification(summary, *spec) for spec in (*SCORES, *SIGNATURES)),
        _overlap_table(summary),
    ]


def magnification_name(value):
    """A magnification as people write it: 100 as "100X"."""
    return f"{value}X" if isinstance(value, int | float) else str(value)


def _by_magnification(summary, key, title, form, note):
    paper = {method: scores[key] for method, scores in summary["paper"].items() if key in scores}
    header = ["method", *(magnification_name(m) for m in summary["held_out"]), "all"]
    rows = []
    for method in summary["methods"]:
        cells = {row["held_out"]: _cell(row, key, form) for row in summary["table"] if row["method"] == method}
        row = [method, *(cells[m] for m in summary["held_out"]), cells[None]]
        rows.append([*row, format(paper[method], form) if method in paper else "–"] if paper else row)
    return Table(title, note, [*header, "paper, BreaKHis"] if paper else header, rows, is_main=key in _MAIN)


def _cell(row, key, form):
    if row[key] is None:
        return "–"
    text = format(row[key], form)
    spread = row.get(f"{key}_sd")
    return text if spread is None else f"{text} ± {spread:{form}}"


def difference_tables(summary):
    """For each method but the baseline a row per fold: where it helped, and where it hurt."""
    n_folds = len(summary["folds"]) * len(summary["differences"])
    return [
        Table(
            f"{method} against the {BASELINE}, fold by fold",
            _count_folds([row for row in rows if row["fold"] is not None]),
            _DIFFERENCE_HEADER,
            [_difference_cells(row) for row in rows],
            is_main=method == "gan" or n_folds <= _PRINTED_FOLDS,
            spare=_SPARE,
        )
        for method, rows in summary["differences"].items()
    ]


def difference_note(summary):
    """How to read the tables of differences; None where there are none."""
    return _DIFFERENCE_NOTE if summary["differences"] else None


def _count_folds(folds):
    differences, verdicts = [row["brier_difference"] for row in folds], [row["verdict"] for row in folds]
    better, worse = sum(each < 0 for each in differences), sum(each > 0 for each in differences)
    helped, hurt = verdicts.count("helped"), verdicts.count("hurt")
    without = f"; no interval in {verdicts.count(None)}" if None in verdicts else ""
    return (
        f"of {len(folds)} folds the Brier score is better than the {BASELINE}'s in {better} and worse in {worse}; the "
        f"interval excludes 0 in {helped + hurt}: helped in {helped}, hurt in {hurt}{without}"
    )


def _difference_cells(row):
    held_out = "all" if row["held_out"] is None else magnification_name(row["held_out"])
    fold = "all" if row["fold"] is None else str(row["fold"])
    brier = [number(row[key], ".3f") for key in ("brier_baseline", "brier")]
    difference = number(row["brier_difference"], "+.4f")
    if row["low"] is not None:
        difference += f" ({row['low']:+.4f} to {row['high']:+.4f})"
    auc = [number(row["auc_baseline"], ".3f"), number(row["auc"], ".3f"), number(row["auc_difference"], "+.3f")]
    return [
        held_out,
        fold,
        str(row["n_test"]),
        str(row["n_patients"]),
        *brier,
        difference,
        *auc,
        row["verdict"] or "–",
    ]


def number(value, form):
    """A number as text, a dash where there is none."""
    return "–" if value is None else format(value, form)


def overlap_warning(summary):
    """Why overlaps across encoders trained apart say little; None where there are none."""
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
    """Whether there are signatures to compare."""
    overlap = summary["overlap"][method][kind]
    return overlap is not None and overlap["jaccard_mean"] is not None


def _overlap_table(summary):
    rows = []
    for method, overlap in summary["overlap"].items():
        for kind in KINDS:
            if has_overlap(summary, method, kind):
                encoders = _encoders(kind, method in summary["frozen"])
                cells = _overlap_cells(overlap[kind])
                rows.append([method, KIND_NAMES[kind], encoders, *cells, str(overlap["embedding_dim"])])
    header = ["method", "signature", "encoders", "Jaccard", "by chance", "p", "stability", "dimensions"]
    return Table("Overlap of the signatures across folds", _OVERLAP_NOTE, header, rows)


def _encoders(kind, frozen):
    if frozen:
        return "one, frozen"
    return "one" if kind == "shared_encoder" else "one per fold"


def _overlap_cells(overlap):
    p_value, stability = "–", "–"
    if overlap["p_value"] is not None:
        p_value = f"{overlap['p_value']:.2g}"
    if overlap["stability"] is not None:
        stability = f"{overlap['stability']:z.2f} ({overlap['low']:z.2f} to {overlap['high']:z.2f})"
    return [f"{overlap['jaccard_mean']:.3f}", f"{overlap['jaccard_chance']:.3f}", p_value, stability]
