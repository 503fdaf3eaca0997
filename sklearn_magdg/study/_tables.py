"""The study's tables as text cells, for the terminal and the report alike."""

from typing import NamedTuple

from sklearn_magdg.study._results import KINDS


class Table(NamedTuple):
    title: str
    note: str
    header: list
    rows: list
    is_main: bool = True  # printed at the end of a run; the report shows all


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
_MAIN = {"brier", "auc", "f1", "signature_size", "signature_auc", "in_sample_signature_size", "in_sample_signature_auc"}
_KIND_NAMES = dict(zip(KINDS, ("unseen patients", "in sample (the paper's way)"), strict=True))


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


def _overlap_table(summary):
    rows = []
    for method, overlap in summary["overlap"].items():
        for kind in KINDS:
            if overlap[kind] is None or overlap[kind]["jaccard_mean"] is None:
                continue
            numbers = [overlap[kind][name] for name in ("jaccard_mean", "jaccard_chance", "stability")]
            cells = ["–" if number is None else f"{number:.3f}" for number in numbers]
            rows.append([method, _KIND_NAMES[kind], *cells, str(overlap["embedding_dim"])])
    note = (
        "mean Jaccard over pairs of folds, what random signatures of these sizes would have, and Nogueira's index "
        "(0 is chance). Each fold has an encoder of its own, whose axes are not aligned with another's: overlap "
        "near chance is what unaligned encoders give, however stable the biology. The paper reports 0.99 between "
        "its 100X and 200X folds for gradient reversal, near zero for the baseline"
    )
    header = ["method", "signature", "Jaccard", "by chance", "stability", "embedding dim"]
    return Table("Overlap of the signatures across folds", note, header, rows)
