"""From finished folds to tables: results, predictions, signatures and their summary.

Which files there are is said in `sklearn_magdg.study._folder`; here is what stands in them.
"""

import platform
from importlib.metadata import version

import numpy as np
import pandas as pd

from sklearn_magdg._files import read_json, whole_file, write_json
from sklearn_magdg._metadata import sort_names
from sklearn_magdg.signature import jaccard_matrix, signature_overlap_test, signature_stability
from sklearn_magdg.study._comparison import compare_with_baseline
from sklearn_magdg.study._folder import read_table
from sklearn_magdg.study._scores import pooled_scores

POOLED = ("brier", "ece")  # over all test images of a held-out magnification; the other scores are fold means
KINDS = ("unseen_patients", "in_sample", "shared_encoder")  # of signatures; the last have no score of their own

# Headline figures of arXiv 2604.25817 on the whole of BreaKHis.
PAPER = {
    "baseline": {"brier": 0.089, "auc": 0.965, "f1": 0.931, "in_sample_signature_size": 1074},
    "gradient-reversal": {"brier": 0.063, "auc": 0.967, "f1": 0.930, "in_sample_signature_size": 306},
}


def write_results(done, frozen, data, config, out):
    """Write all result files of a finished run, ``summary.json`` last, and return the summary.

    Parameters
    ----------
    done : list of (method, fold, result)
        What `run_fold` returned, in the order of the rows to be; where `fold` is None, what `run_shared_encoder` did.
    frozen : list of str
        Methods whose folds share a frozen encoder.
    data : StudyData
    config : StudyConfig
    out : Path

    Returns
    -------
    summary : dict
        That of `summarise`, with ``frozen`` and ``warnings``, the texts of all fits, each once.
    """
    of_folds = {(method, fold.held_out, fold.number): result for method, fold, result in done if fold is not None}
    shared = {
        (method, each["held_out"], each["fold"]): each["dimensions"]
        for method, fold, result in done
        if fold is None
        for each in result["signatures"]
    }
    results, predictions = results_frame(of_folds), predictions_frame(of_folds, data)
    signatures = signature_list(of_folds, shared)
    summary = summarise(results, predictions, signatures, data, config)
    summary["frozen"] = frozen
    summary["warnings"] = sorted({text for _, _, result in done for text in result["warnings"]})

    for name, table in (("results.csv", results), ("predictions.csv", predictions)):
        with whole_file(out / name) as file:
            file.write(table.to_csv(index=False).encode())
    write_json(out / "signatures.json", signatures)
    # last: what reads a run takes it for finished where all files stand
    write_json(out / "summary.json", plain(summary), indent=2)
    return summary


def read_summary(out):
    """The summary of a finished run.

    Parameters
    ----------
    out : Path
        Folder of the run.

    Returns
    -------
    summary : dict
        As `summarise` gives it, with None for nan. What the summary of an earlier version lacks (``differences``) comes
        from the tables beside it.
    """
    summary = read_json(out / "summary.json")
    if "differences" not in summary:
        results, predictions = read_table(out / "results.csv"), read_table(out / "predictions.csv")
        summary["differences"] = plain(compare_with_baseline(results, predictions, summary["settings"]["seed"]))
    return summary


def results_frame(of_folds):
    """``results.csv``: one row per method, held-out magnification and fold, with all scores.

    `of_folds` maps (method, held-out magnification, number of the fold) to what `run_fold` returned.
    """
    keys = ("method", "held_out", "fold")
    return pd.DataFrame(
        [
            dict(zip(keys, key, strict=True)) | {name: r[name] for name in ("n_train", "n_test")} | r["scores"]
            for key, r in of_folds.items()
        ]
    )


def predictions_frame(of_folds, data):
    """``predictions.csv``: one row per method and test image.

    Parameters
    ----------
    of_folds : dict
        As in `results_frame`.
    data : StudyData

    Returns
    -------
    predictions : DataFrame
        ``method``, ``held_out``, ``fold``, ``id``, ``patient`` as the collection spells it, ``y_true`` (code of the
        class) and ``y_proba`` of the second class; with more than two classes ``y_proba_<class>`` for each.
    """
    frames = []
    for (method, held_out, fold), result in of_folds.items():
        test, proba = np.array(result["test"]), np.array(result["proba"])
        frame = pd.DataFrame({"method": method, "held_out": held_out, "fold": fold, "id": data.id[test]})
        frame["patient"], frame["y_true"] = data.patient.take(test).values(), data.label.codes[test]
        if proba.shape[1] == 2:
            frame["y_proba"] = proba[:, 1]
        else:
            frame[[f"y_proba_{name}" for name in data.label.names]] = proba
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def signature_list(of_folds, shared):
    """``signatures.json``: every fold's signatures with the dimension of the embedding they select from.

    Parameters
    ----------
    of_folds : dict
        As in `results_frame`.
    shared : dict
        Dimensions chosen with the method's shared encoder, by the same keys; empty where there is none.

    Returns
    -------
    signatures : list of dicts
        With ``method``, ``held_out``, ``fold``, ``embedding_dim`` and a list of dimensions for each of `KINDS`.
    """
    return [
        {
            "method": method,
            "held_out": held_out,
            "fold": fold,
            "embedding_dim": r["embedding_dim"],
            **r["signatures"],
            "shared_encoder": shared.get((method, held_out, fold), []),
        }
        for (method, held_out, fold), r in of_folds.items()
    ]


def summarise(results, predictions, signatures, data, config):
    """Everything that tables and report show.

    Parameters
    ----------
    results, predictions : DataFrame
    signatures : list of dicts
    data : StudyData
    config : StudyConfig

    Returns
    -------
    summary : dict
        - ``settings``, ``versions``, ``data`` (a sentence), ``class_names``;
        - ``methods``, ``held_out`` (in numeric order) and ``folds``, pairs of held-out magnification and number;
        - ``table``: that of `score_table`; ``differences``: that of `compare_with_baseline`;
        - ``overlap``: per method ``embedding_dim`` and, for each of `KINDS`, how far its folds' signatures agree (None
          of a single fold): ``jaccard``, the matrix over pairs of folds, the fields of `signature_stability`, and
          ``p_value`` of `signature_overlap_test`;
        - ``paper``: the paper's own figures.
    """
    methods = list(dict.fromkeys(results["method"]))
    held_out = sort_names(set(results["held_out"]))
    overlap = {}
    for method in methods:
        own = [each for each in signatures if each["method"] == method]
        embedding_dim = own[0]["embedding_dim"]  # a method's nets are all of one shape
        overlap[method] = {"embedding_dim": embedding_dim} | dict.fromkeys(KINDS)
        for kind in KINDS if len(own) > 1 else ():  # one fold agrees with nothing
            chosen = [each[kind] for each in own]
            overlap[method][kind] = {
                "jaccard": jaccard_matrix(chosen).tolist(),
                **signature_stability(chosen, embedding_dim)._asdict(),
                "p_value": signature_overlap_test(chosen, embedding_dim, random_state=config.seed).p_value,
            }
    return {
        "settings": config.settings(),
        "versions": package_versions(),
        "data": data.description,
        "class_names": data.label.names,
        "methods": methods,
        "held_out": held_out,
        "folds": [list(fold) for fold in dict.fromkeys(zip(results["held_out"], results["fold"], strict=True))],
        "table": score_table(results, predictions),
        "differences": plain(compare_with_baseline(results, predictions, config.seed)),
        "overlap": overlap,
        "paper": PAPER,
    }


def score_table(results, predictions):
    """Scores of every method at each held-out magnification, and at all of them.

    Parameters
    ----------
    results, predictions : DataFrame
        As ``results.csv`` and ``predictions.csv``.

    Returns
    -------
    rows : list of dicts
        With ``method``, ``held_out`` (None: all of them), ``n_folds`` and the scores. AUC, F1 and the like are means
        over the folds where they are defined, ``_sd`` their standard deviation (over n - 1; nan of one fold); Brier
        score and calibration error are those of all predictions together. ``n_test`` is a sum, ``n_train`` a mean.
    """
    rows = []
    for method, of_method in results.groupby("method", sort=False):
        predicted = predictions[predictions["method"] == method]
        for held_out in [*sort_names(set(of_method["held_out"])), None]:
            folds, images = (
                table if held_out is None else table[table["held_out"] == held_out] for table in (of_method, predicted)
            )
            scores = folds.drop(columns=["method", "held_out", "fold", *POOLED])
            means = scores.mean()  # without folds whose score is undefined
            # images of the folds together: every one is tested once, and trained on in most folds
            means["n_test"], means["n_train"] = folds["n_test"].sum(), folds["n_train"].mean()
            spreads = scores[["auc", "f1", "signature_size", "in_sample_signature_size"]].std().add_suffix("_sd")
            key = {"method": method, "held_out": held_out, "n_folds": len(folds)}
            rows.append({**key, **means, **spreads, **pooled_scores(images)})
    return rows


def package_versions():
    """Versions that a result depends on, by package, and Python's; a run goes on only where they agree."""
    packages = ("sklearn-magdg", "scikit-learn", "torch", "torchvision", "skorch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def plain(value):
    """`value` with numpy numbers as Python's and nan as None, which JSON lacks; containers as dicts and lists.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.study import plain
    >>> plain({"auc": np.float64("nan"), "folds": (np.int64(1), 2)})
    {'auc': None, 'folds': [1, 2]}
    """
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):  # json refuses an integer or truth value of NumPy
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value
