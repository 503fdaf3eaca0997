"""From finished folds to tables: results, predictions, signatures and their summary."""

import json
import platform
from importlib.metadata import version

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss

from sklearn_magdg._files import whole_file
from sklearn_magdg._metadata import sort_names
from sklearn_magdg.metrics import expected_calibration_error
from sklearn_magdg.signature import jaccard_matrix, signature_overlap_test, signature_stability
from sklearn_magdg.study._comparison import compare_with_baseline

RESULT_FILES = ("results.csv", "predictions.csv", "signatures.json", "summary.json")
POOLED = ("brier", "ece")  # over all test images of a held-out magnification; the other scores are fold means
KINDS = ("unseen_patients", "in_sample", "shared_encoder")  # of signatures; the last have no score of their own

# Headline figures of arXiv 2604.25817 on the whole of BreaKHis.
PAPER = {
    "baseline": {"brier": 0.089, "auc": 0.965, "f1": 0.931, "in_sample_signature_size": 1074},
    "gradient-reversal": {"brier": 0.063, "auc": 0.967, "f1": 0.930, "in_sample_signature_size": 306},
}


def write_results(done, frozen, data, config, out):
    """Write all result files into `out`, ``summary.json`` last, and return the summary.

    `done` maps (method, (held_out, fold)) to what `run_fold` returned, and (method, None) to what
    `run_shared_encoder` did, if it ran; `frozen` are the methods whose folds share a frozen encoder.
    """
    of_folds = {(method, *fold): result for (method, fold), result in done.items() if fold is not None}
    results, predictions = results_frame(of_folds), predictions_frame(of_folds, data)
    signatures = signature_list(of_folds, _shared_signatures(done))
    summary = summarise(results, predictions, signatures, data, config)
    summary["frozen"] = frozen
    summary["warnings"] = sorted({text for result in done.values() for text in result["warnings"]})
    contents = (
        results.to_csv(index=False),
        predictions.to_csv(index=False),
        json.dumps(signatures),
        json.dumps(plain(summary), indent=2),
    )
    for name, content in zip(RESULT_FILES, contents, strict=True):
        with whole_file(out / name) as file:
            file.write(content.encode())
    return summary


def read_summary(out):
    """The summary of a finished run; what one of an earlier version lacks comes from its tables."""
    summary = json.loads((out / "summary.json").read_text())
    if "differences" not in summary:
        results, predictions = read_table(out / "results.csv"), read_table(out / "predictions.csv")
        summary["differences"] = plain(compare_with_baseline(results, predictions, summary["settings"]["seed"]))
    return summary


def read_table(file):
    """A table of a finished run: a magnification may be called "NA", a patient "007"."""
    return pd.read_csv(file, dtype={"patient": str}, keep_default_na=False, na_values=[""])


def results_frame(done):
    """One row per method, held-out magnification and fold."""
    return pd.DataFrame(
        [
            {
                "method": method,
                "held_out": held_out,
                "fold": fold,
                "n_train": r["n_train"],
                "n_test": r["n_test"],
            }
            | r["scores"]
            for (method, held_out, fold), r in done.items()
        ]
    )


def predictions_frame(done, data):
    """One row per method and test image; with more than two classes a probability column for each."""
    frames = []
    for (method, held_out, fold), result in done.items():
        test, proba = np.array(result["test"]), np.array(result["proba"])
        frame = pd.DataFrame({"method": method, "held_out": held_out, "fold": fold, "id": data.id[test]})
        frame["patient"], frame["y_true"] = data.patient[test], data.y[test]
        if proba.shape[1] == 2:
            frame["y_proba"] = proba[:, 1]
        else:
            frame[[f"y_proba_{name}" for name in data.class_names]] = proba
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def signature_list(done, shared):
    """Every fold's signatures with the dimension of the embedding they select from."""
    return [
        {
            "method": method,
            "held_out": held_out,
            "fold": fold,
            "embedding_dim": r["embedding_dim"],
            **r["signatures"],
            "shared_encoder": shared.get((method, held_out, fold), []),
        }
        for (method, held_out, fold), r in done.items()
    ]


def _shared_signatures(done):
    """(method, held_out, fold) -> dimensions chosen with the method's shared encoder."""
    return {
        (method, each["held_out"], each["fold"]): each["dimensions"]
        for (method, fold), result in done.items()
        if fold is None
        for each in result["signatures"]
    }


def summarise(results, predictions, signatures, data, config):
    """Everything that tables and report show, as plain JSON."""
    methods = list(dict.fromkeys(results["method"]))
    held_out = sort_names(set(results["held_out"]))
    return {
        "settings": config.settings(),
        "versions": package_versions(),
        "data": data.description,
        "class_names": data.class_names,
        "methods": methods,
        "held_out": held_out,
        "folds": [list(fold) for fold in dict.fromkeys(zip(results["held_out"], results["fold"], strict=True))],
        "table": score_table(results, predictions),
        "differences": plain(compare_with_baseline(results, predictions, config.seed)),
        "overlap": {method: _overlaps(signatures, method, config.seed) for method in methods},
        "paper": PAPER,
    }


def score_table(results, predictions):
    """Per method and held-out magnification (None: all of them) the scores, a dict each.

    AUC, F1 and the like are means over folds, ``_sd`` their standard deviation; Brier and calibration error
    are those of all predictions together.
    """
    rows = []
    for method, of_method in results.groupby("method", sort=False):
        predicted = predictions[predictions["method"] == method]
        for held_out in [*sort_names(set(of_method["held_out"])), None]:
            folds = of_method if held_out is None else of_method[of_method["held_out"] == held_out]
            images = predicted if held_out is None else predicted[predicted["held_out"] == held_out]
            rows.append({"method": method, "held_out": held_out, **_mean_scores(folds), **_pooled_scores(images)})
    return rows


def _mean_scores(folds):
    scores = folds.drop(columns=["method", "held_out", "fold", *POOLED])
    means = scores.mean()  # without folds whose score is undefined
    means["n_test"], means["n_train"] = folds["n_test"].sum(), folds["n_train"].mean()
    spreads = scores[["auc", "f1", "signature_size", "in_sample_signature_size"]].std().add_suffix("_sd")
    return {"n_folds": len(folds), **means, **spreads}


def _pooled_scores(images):
    columns = [name for name in images if name.startswith("y_proba")]
    y_true, y_proba = images["y_true"].to_numpy(), images[columns].to_numpy()
    if len(columns) == 1:
        y_proba, labels = y_proba[:, 0], [0, 1]
    else:
        labels = np.arange(len(columns))
    return {
        "brier": brier_score_loss(y_true, y_proba, labels=labels),
        "ece": expected_calibration_error(y_true, y_proba, labels=labels),
    }


def _overlaps(signatures, method, seed):
    """Overlap across a method's folds, for each kind of signature."""
    own = [s for s in signatures if s["method"] == method]
    return {
        "embedding_dim": own[0]["embedding_dim"],
        **{kind: _overlap([s[kind] for s in own], own[0]["embedding_dim"], seed) for kind in KINDS},
    }


def _overlap(signatures, embedding_dim, seed):
    if len(signatures) < 2:
        return None
    return {
        "jaccard": jaccard_matrix(signatures).tolist(),
        **signature_stability(signatures, embedding_dim)._asdict(),
        "p_value": signature_overlap_test(signatures, embedding_dim, random_state=seed).p_value,
    }


def package_versions():
    """Versions that a result depends on."""
    packages = ("sklearn-magdg", "scikit-learn", "torch", "torchvision", "skorch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def plain(value):
    """`value` with numpy numbers as Python's and nan as None, which JSON lacks."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value


_plain = plain  # until generation imports the room's name
