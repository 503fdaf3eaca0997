"""How far signatures of two encoders overlap: in their own axes, matched, and aligned, beside one encoder and chance.

Run with ``OMP_NUM_THREADS=1 python benchmarks/measure_alignment.py``; prints a Markdown table, in about four minutes
on one core.

Rendered tissue. The two encoders of a pair were trained on the same patients and differ in the seed, or in the
magnification that was left out (100 or 200) with one seed and thus the same initial weights, as in the folds of a
study. They are brought together on the images of patients apart, without labels. The two signatures of a pair are
chosen on other patients again, half of them for each, so that what they share is not the accidents of one set of
images; "one encoder" chooses both on the embedding of the first, which is as far as two halves of the patients agree.

A row is the mean over seeds. Agreement is read from images on which nothing was fitted: the mean absolute correlation
of the paired dimensions, or for the rotation the share of variance that it explains (`ProcrustesAlignment.score`). The
last column counts the seeds where `signature_overlap_test` gives p < 0.05.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier, GradientReversalClassifier
from sklearn_magdg.signature import (
    ProcrustesAlignment,
    SparseSignatureSelector,
    match_dimensions,
    signature_overlap_test,
    signature_stability,
)

SEEDS = range(6)
TRAINING = {"max_epochs": 10, "batch_size": 16, "n_jobs": 1}
METHODS = {"baseline": CNNClassifier, "gradient reversal": GradientReversalClassifier}
PATIENTS = {"train": 32, "align": 48, "first": 96, "second": 96}
IMAGES_PER_CELL = 3


class Tissue(NamedTuple):
    images: np.ndarray
    y: np.ndarray
    patient: np.ndarray
    magnification: np.ndarray


def render(seed):
    """Part -> its images; the classes alternate from patient to patient."""
    bunch = make_histology(
        sum(PATIENTS.values()), images_per_cell=IMAGES_PER_CELL, image_size=32, class_sep=1.5, random_state=seed
    )
    ends = np.cumsum(list(PATIENTS.values()))[:-1] * 4 * IMAGES_PER_CELL
    columns = (np.split(each, ends) for each in (bunch.data, bunch.target, bunch.patient, bunch.magnification))
    return {name: Tissue(*each) for name, each in zip(PATIENTS, zip(*columns, strict=True), strict=True)}


def encode(method, seed, parts, left_out=None):
    """Part -> embedding, of an encoder trained without the magnification `left_out`."""
    images, y, patient, magnification = (each[parts["train"].magnification != left_out] for each in parts["train"])
    model = METHODS[method](random_state=seed, **TRAINING)
    model.fit(images, y, patient=patient, magnification=magnification)
    return {name: model.transform(tissue.images) for name, tissue in parts.items()}


def choose(embedding, tissue):
    selector = SparseSignatureSelector(random_state=0)
    return selector.fit(embedding, tissue.y, patient=tissue.patient).signature_


def paired_correlation(embedding, reference, partner):
    table = np.corrcoef(embedding.T, reference.T)[: len(partner), len(partner) :]
    return np.nanmean(np.abs(table[np.arange(len(partner)), partner]))  # nan where a dimension is dead


def overlaps(reference, other, parts):
    """Way -> (agreement, signature of the first, signature of the second), both in the axes of the reference."""
    d = reference["align"].shape[1]
    first, second = choose(reference["first"], parts["first"]), choose(other["second"], parts["second"])
    matched, _ = match_dimensions(other["align"], reference["align"])
    alignment = ProcrustesAlignment().fit(other["align"], reference["align"])
    aligned = choose(alignment.transform(other["second"]), parts["second"])
    new = other["second"], reference["second"]
    return {
        "own axes": (paired_correlation(*new, np.arange(d)), first, second),
        "matched": (paired_correlation(*new, matched), first, matched[second]),
        "rotated": (alignment.score(*new), first, aligned),
    }


def study(method, seed, parts):
    """(pair, way) -> agreement, size, overlap and its test."""
    reference, other = encode(method, 2 * seed, parts), encode(method, 2 * seed + 1, parts)
    without = [encode(method, 2 * seed, parts, left_out) for left_out in (100, 200)]
    halves = choose(reference["first"], parts["first"]), choose(reference["second"], parts["second"])
    found = {("one encoder", ""): (1.0, *halves)}
    found |= {("another seed", way): each for way, each in overlaps(reference, other, parts).items()}
    found |= {("another magnification", way): each for way, each in overlaps(*without, parts).items()}
    return {name: measure(*each, reference["first"].shape[1]) for name, each in found.items()}


def measure(agreement, first, second, d):
    overlap = signature_overlap_test([first, second], d, random_state=0)
    stability = signature_stability([first, second], d).stability
    sizes = (len(first) + len(second)) / 2
    return agreement, sizes, overlap.jaccard_mean, overlap.jaccard_chance, stability, overlap.p_value < 0.05


if __name__ == "__main__":
    rows = defaultdict(list)
    for seed in SEEDS:
        parts = render(seed)
        for method in METHODS:
            for name, row in study(method, seed, parts).items():
                rows[method, *name].append(row)
    print("| method | second encoder | axes | agreement | size | Jaccard | by chance | stability | p < 0.05 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, values in sorted(rows.items(), key=lambda item: list(METHODS).index(item[0][0])):
        agreement, size, *others, _ = np.mean(values, axis=0)
        cells = " | ".join([f"{agreement:.2f}", f"{size:.0f}", *(f"{each:.3f}" for each in others)])
        print(f"| {' | '.join(name)} | {cells} | {sum(row[-1] for row in values)} of {len(values)} |")
