"""Real images, 200X held out: what each method reaches, and what the same net reaches having seen 200X.

Run with ``OMP_NUM_THREADS=1 python benchmarks/measure_breakhis.py --root PATH --weights mobilenet_v2.pth --out DIR
--jobs 2``; prints two Markdown tables. Every fit leaves a file in DIR, so that a second run goes on where the first
one ended; ``--only`` and ``--seeds`` do a part.

Patients are dealt into three folds. "Unseen" trains on the other patients at 40X, 100X and 400X, "seen" on the same
patients at all magnifications, for as many steps; both are tested on the fold's patients at 200X. 40X and 400X hold 28
images in all, which balanced batches (those of gradient reversal) repeat again and again; all others draw from all
images alike. Leakage is that of "seen" nets: a linear probe tells 100X from 200X in the embeddings of the fold's
patients. Frozen, only the rows from "projection" on train an embedding; the leakage of the others is ImageNet's.

AUC is the mean over folds and seeds, Brier is pooled over folds, its mean taken over seeds. Intervals of 95 % draw
patients, in all folds and seeds of both methods alike, and take the nets as given. At 100X about half the images are
malignant and at 200X three in four, so a part of the distance in Brier score between unseen and seen is that of the
classes' shares.

``--rendered`` does the same on rendered tissue of as many patients, with as many images (at most 24 a cell): what is
tuned below was tuned there, and nothing on the real images.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import time
import warnings
from collections import Counter
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _breakhis_tables import COLUMNS, Scores, markdown
from _remembered import remembered
from joblib import Parallel, delayed
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits

from sklearn_magdg import __version__
from sklearn_magdg.datasets import load_breakhis, make_histology
from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier
from sklearn_magdg.metrics import probe_magnification
from sklearn_magdg.model_selection import LeaveOneMagnificationOut
from sklearn_magdg.modules import HistologyAugment

HELD_OUT, BESIDE = 200, 100
# Of seeds 0, 1, ... the first whose folds all have four patients at 100X, so that a probe has some to learn from.
FOLDS = LeaveOneMagnificationOut(3, magnifications=[HELD_OUT], shuffle=True, random_state=2)
N_PROBES = 4
BATCH_SIZE = 32

# "Rendered" below says that `--rendered` decided: the best Brier score, unseen and seen together.
FROZEN = {
    "trainable": "head",
    "image_size": 224,  # that of the ImageNet weights
    "lr": 1e-3,
    "lr_schedule": "cosine",
    "weight_decay": 100.0,  # rendered, of 0.01 to 300; logits spread as those of a logistic regression at C = 0.001
}
# Rendered, of 0.01 to 30: two layers shrink twice.
PROJECTION = {"weight_decay": 30.0}
FINE_TUNED = {
    "trainable": "all",
    "image_size": 96,  # a sixth of the time of 224
    "lr": 1e-3,
    "backbone_lr": 3e-4,  # rendered: the training images are learned in some 30 steps; no other tried
    "lr_schedule": "cosine",
    "augment": HistologyAugment(zoom=None),  # turns, flips and stain: all but magnification
}
ZOOM = {"augment": HistologyAugment()}
# The adversary as published, with balanced batches; these alone raise the rendered AUC, hence a row of their own. At a
# rate that falls to 0 the rendered embedding shows the magnification again (measure_adversary.py).
ADVERSARY = {"lr_schedule": "constant"}
NO_ADVERSARY = {**ADVERSARY, "reversal_strength": 0.0}
CONDITIONAL = {**ADVERSARY, "conditional": True}
CORAL = {"penalty": "coral", "penalty_weight": 0.1}  # rendered, of 0.1 to 10: from 1 on unseen images at chance
VREX = {"penalty": "vrex"}


class Method(NamedTuple):
    """An estimator, its settings beside those of the kind, and its training length."""

    estimator: type
    options: dict
    n_steps: int  # rounded up to whole epochs
    C: float | None = None  # of a logistic regression on the embedding, in place of the net's own head


KINDS = {
    "frozen": {
        "baseline": Method(CNNClassifier, {}, 300),
        "baseline, random magnification": Method(CNNClassifier, ZOOM, 40),  # every step computes features
        "L2 logistic regression, C = 0.001": Method(CNNClassifier, {}, 1, C=1e-3),
        "vrex": Method(CNNClassifier, VREX, 300),
        "projection": Method(CNNClassifier, {**CORAL, **PROJECTION, "penalty_weight": 0.0}, 300),
        "coral": Method(CNNClassifier, {**CORAL, **PROJECTION}, 300),
        "projection, balanced batches": Method(GradientReversalClassifier, {**NO_ADVERSARY, **PROJECTION}, 300),
        "gradient reversal": Method(GradientReversalClassifier, {**ADVERSARY, **PROJECTION}, 300),
        "conditional gradient reversal": Method(GradientReversalClassifier, {**CONDITIONAL, **PROJECTION}, 300),
    },
    "fine-tuned": {
        "baseline": Method(CNNClassifier, {}, 60),
        "baseline, random magnification": Method(CNNClassifier, ZOOM, 60),
        "vrex": Method(CNNClassifier, VREX, 60),
        "coral": Method(CNNClassifier, CORAL, 60),
        "balanced batches": Method(GradientReversalClassifier, NO_ADVERSARY, 60),
        "gradient reversal": Method(GradientReversalClassifier, ADVERSARY, 60),
    },
}
SHARED = {"frozen": FROZEN, "fine-tuned": FINE_TUNED}


class Fit(NamedTuple):
    kind: str
    method: str
    arm: str  # "unseen" or "seen"
    fold: int
    seed: int

    def __str__(self):
        return f"{self.kind}, {self.method}, {self.arm}, fold {self.fold}, seed {self.seed}"


# Data


def load(root, rendered, out):
    """Paths `X`, `y`, `patient`, `magnification`, and the `fold` in which an image's patient is tested, or -1."""
    images = load_breakhis(root)
    data = Bunch(X=images.data, y=images.target, patient=images.patient, magnification=images.magnification)
    data.fold = np.full(len(data.y), -1)
    splits = FOLDS.split(data.X, data.y, patient=data.patient, magnification=data.magnification)
    for fold, (_, test) in enumerate(splits):
        data.fold[np.isin(data.patient, data.patient[test])] = fold
    return render_alike(data, out / "rendered") if rendered else data


def render_alike(data, folder, most=24):
    """Rendered tissue in place of the images, at most `most` per patient and magnification."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.concatenate([np.flatnonzero(cell)[:most] for cell in cells(data)])
    rendered = Bunch(**{name: values[rows] for name, values in data.items()})
    rendered.X = np.array([str(folder / f"{row:04}.png") for row in rows], dtype=object)
    if not Path(rendered.X[-1]).exists():
        save_rendered(rendered)
    return rendered


def cells(data):
    for patient, magnification in product(np.unique(data.patient), np.unique(data.magnification)):
        yield (data.patient == patient) & (data.magnification == magnification)


def save_rendered(data):
    label = {patient: data.y[data.patient == patient][0] for patient in np.unique(data.patient)}
    rank = {patient: sum(label[other] == label[patient] for other in label if other < patient) for patient in label}
    place = {patient: 2 * rank[patient] + label[patient] for patient in label}  # classes take turns in the renderer
    for magnification in np.unique(data.magnification):
        here = data.magnification == magnification
        most = max(np.unique(data.patient[here], return_counts=True)[1])
        tissue = make_histology(
            max(place.values()) + 1,
            images_per_cell=most,
            magnifications=(int(magnification),),
            image_size=224,
            class_sep=0.5,  # at 1 all methods are right
            random_state=0,
        )
        for patient in np.unique(data.patient[here]):
            for image, path in enumerate(data.X[here & (data.patient == patient)]):
                Image.fromarray(tissue.data[place[patient] * most + image]).save(path)


# Fits


def planned(seeds, only):
    """All fits, one seed after the other, of the methods that `only` finds."""
    for seed, (kind, methods) in product(seeds, KINDS.items()):
        for (name, method), arm, fold in product(methods.items(), ("unseen", "seen"), range(FOLDS.n_patient_folds)):
            if re.search(only, f"{kind} {name}") and (
                method.C is None or seed == seeds[0]
            ):  # the regression has no seed
                yield Fit(kind, name, arm, fold, seed)


def train_rows(fit, data):
    others = data.fold != fit.fold
    return np.flatnonzero(others if fit.arm == "seen" else others & (data.magnification != HELD_OUT))


def settings(fit, data, args):
    """Everything that decides a fit's result."""
    method = KINDS[fit.kind][fit.method]
    n_batches = -(-len(train_rows(fit, data)) // BATCH_SIZE)
    options = {"backbone": "mobilenet_v2", "batch_size": BATCH_SIZE, **SHARED[fit.kind], **method.options}
    options |= {"max_epochs": args.epochs or -(-method.n_steps // n_batches), "random_state": fit.seed}
    images = [Path(path).name for path in data.X]
    return {
        "fit": fit._asdict(),
        "estimator": method.estimator.__name__,
        "options": options,
        "C": method.C,
        "threads": args.threads,
        "images": hashlib.sha256(" ".join(images).encode()).hexdigest(),
        "weights": args.weights_digest,
        "versions": {"sklearn_magdg": __version__, "torch": torch.__version__},
    }


def result_path(chosen, out):
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True, default=repr).encode()).hexdigest()[:12]
    fit = Fit(**chosen["fit"])
    words = "-".join(fit.method.replace(",", "").replace("=", "").split())
    return out / f"{fit.kind}-{words}-{fit.arm}-fold{fit.fold}-seed{fit.seed}-{digest}.npz"


def run(fit, data, args):
    """Fit, predict, probe; one file."""
    chosen = settings(fit, data, args)
    path = result_path(chosen, args.out)
    if path.exists():
        return
    started, used = time.perf_counter(), time.process_time()
    with threadpool_limits(args.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images at 40X and 400X
        model = fitted(fit, chosen, data, args)
        arrays = {"proba": predict(model, fit, data)}
        if fit.arm == "seen":
            arrays["recognised"] = probe(model, fit, data)
    times = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - used}
    save(path, settings=json.dumps(chosen, default=repr), **times, **arrays)
    print(f"{times['seconds']:6.1f} s ({times['cpu_seconds']:.1f} s of cores): {fit}", file=sys.stderr, flush=True)


def fitted(fit, chosen, data, args):
    method, rows = KINDS[fit.kind][fit.method], train_rows(fit, data)
    options = {"weights": args.weights, **chosen["options"]}
    if fit.kind == "frozen" and "augment" not in options:
        options |= {"backbone": backbone_once(data, args), "weights": None}
    model = method.estimator(**options, image_cache=args.out / "images", n_jobs=args.threads)
    if method.C is not None:
        return make_pipeline(model, LogisticRegression(C=method.C)).fit(data.X[rows], data.y[rows])
    return model.fit(data.X[rows], data.y[rows], patient=data.patient[rows], magnification=data.magnification[rows])


def backbone_once(data, args):
    """The frozen net, whose features of all images are computed once for all fits."""
    return remembered("mobilenet_v2", args.weights, data.X, FROZEN["image_size"], args.out / "features.npz")


def predict(model, fit, data):
    """Probability of the malignant class at 200X of the fold's patients `(n_images,)`, nan elsewhere."""
    rows = (data.fold == fit.fold) & (data.magnification == HELD_OUT)
    return spread(model.predict_proba(data.X[rows])[:, 1], rows)


def probe(model, fit, data):
    """Whether the probe recognised the magnification of the fold's patients `(n_images,)`, nan elsewhere."""
    rows = (data.fold == fit.fold) & np.isin(data.magnification, (BESIDE, HELD_OUT))
    encoder = model if hasattr(model, "transform") else model[0]
    probed = probe_magnification(
        encoder.transform(data.X[rows]),
        data.magnification[rows],
        patient=data.patient[rows],
        n_splits=N_PROBES,
        random_state=fit.seed,
    )
    return spread(probed.recognised, rows)


def spread(values, rows):
    everywhere = np.full(len(rows), np.nan)
    everywhere[rows] = values
    return everywhere


def save(path, **arrays):
    unfinished = path.with_suffix(f".{os.getpid()}")
    with open(unfinished, "wb") as file:
        np.savez(file, **arrays)
    unfinished.replace(path)


# Tables


def gather(fits, data, args, what):
    """`what` of all images and seeds `(n_images, n_seeds)`, of the seeds whose folds are all there; or None."""
    columns = []
    for seed in sorted({fit.seed for fit in fits}):
        paths = [result_path(settings(fit, data, args), args.out) for fit in fits if fit.seed == seed]
        if all(path.exists() for path in paths):
            columns.append(joined([np.load(path)[what] for path in paths]))
    return np.column_stack(columns) if columns else None


def joined(parts):
    """Folds in one column: every part is nan where the others are not."""
    column = np.full(len(parts[0]), np.nan)
    for part in parts:
        column[~np.isnan(part)] = part[~np.isnan(part)]
    return column


def table(kind, fits, data, args):
    scores = Scores(data.y, data.patient, data.magnification, data.fold)
    rows, baseline = [], None
    for name in KINDS[kind]:
        mine = [fit for fit in fits if (fit.kind, fit.method) == (kind, name)]
        unseen, seen = ([fit for fit in mine if fit.arm == arm] for arm in ("unseen", "seen"))
        proba = gather(unseen, data, args, "proba")
        baseline = proba if name == "baseline" else baseline
        cells = scores.row(proba, gather(seen, data, args, "proba"), gather(seen, data, args, "recognised"), baseline)
        if any(cells):
            rows.append([name, *cells])
    return markdown([kind, *COLUMNS], rows)


def missing(fits, data, args):
    return [fit for fit in fits if not result_path(settings(fit, data, args), args.out).exists()]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.environ.get("MAGDG_BREAKHIS"), help="BreaKHis_v1 (or MAGDG_BREAKHIS)")
    parser.add_argument("--weights", type=Path, required=True, help="torchvision's MobileNetV2 of ImageNet")
    parser.add_argument("--out", type=Path, required=True, help="folder of results; a second run goes on there")
    parser.add_argument("--rendered", action="store_true", help="rendered tissue in place of the real images")
    parser.add_argument("--only", default="", help='regular expression searched in "kind method"')
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--epochs", type=int, help="for a trial: that many in place of those of the steps")
    parser.add_argument("--threads", type=int, default=1, help="threads of a fit, which its last digits depend on")
    parser.add_argument("--jobs", type=int, default=1, help="fits at the same time")
    parser.add_argument("--tables", action="store_true", help="no more fits: the tables of what is there")
    return parser.parse_args()


def main():
    args = parse()
    args.weights_digest = hashlib.sha256(args.weights.read_bytes()).hexdigest()
    data = load(args.root, args.rendered, args.out)
    fits = list(planned(range(args.seeds), args.only))
    if not args.tables:
        args.out.mkdir(parents=True, exist_ok=True)
        backbone_once(data, args)  # before the fits, which would write at the same time
        Parallel(n_jobs=args.jobs)(delayed(run)(fit, data, args) for fit in missing(fits, data, args))
    for kind in dict.fromkeys(fit.kind for fit in fits):
        print(table(kind, fits, data, args), end="\n\n")
    absent = missing(fits, data, args)
    print(f"{len(fits) - len(absent)} of {len(fits)} fits, {args.seeds} seeds, {args.threads} threads.")
    for row, n in Counter(f"{fit.kind}, {fit.method}, {fit.arm}" for fit in absent).items():
        print(f"Missing: {row}, {n} fits.")


if __name__ == "__main__":
    main()
