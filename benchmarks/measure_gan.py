"""What the options of `DCGAN` bring on few images.

Run with ``OMP_NUM_THREADS=1 python benchmarks/measure_gan.py``; prints a Markdown table row by row, in about fifteen
minutes on two cores.

Rendered tissue of 24 patients at two magnifications, 288 images of 48 pixels; a generator learns from 18 patients, and
its samples are compared with the images of the other six in the embedding of `ImageEncoder()`. Mean over three seeds of
tissue and generator, in brackets the largest less the smallest. "Within class" is the mean KID of each class, "swapped"
that of samples of the other class; the spread is ``spread_``, the last columns the discriminator's mean output at the
end. The first row is what training images have.
"""

import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import DCGAN, ImageEncoder
from sklearn_magdg.metrics import generative_precision_recall, kernel_inception_distance

SEEDS, N_SAMPLES = range(3), 512
METHODS = {
    "default": {},
    'upsampling="transposed"': {"upsampling": "transposed"},
    "diff_augment=True": {"diff_augment": True},
    "flips=False": {"flips": False},
    "gradient_penalty=0": {"gradient_penalty": 0},
    "ema_decay=None": {"ema_decay": None},
    'spectral_norm=True, loss="hinge", gradient_penalty=0': {
        "spectral_norm": True,
        "loss": "hinge",
        "gradient_penalty": 0,
    },
}
COLUMNS = ("KID", "within class", "swapped", "coverage", "spread", "output, real", "output, generated")


def study(options, seed):
    """Scores of a generator with these options; of the training images themselves where there are none."""
    tissue = make_histology(24, images_per_cell=6, magnifications=(100, 200), image_size=48, random_state=seed)
    new = np.isin(tissue.patient, np.unique(tissue.patient)[-6:])
    y, magnification = tissue.target, tissue.magnification
    if options is None:
        sides = tissue.data[new], y[new], tissue.data[~new], y[~new], tissue.patient[new], tissue.patient[~new]
        return [*compare(*sides), *[np.nan] * 3]
    gan = DCGAN(48, random_state=seed, n_jobs=1, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # which the columns tell
        gan.fit(tissue.data[~new], y[~new], magnification=magnification[~new])
    rows = np.resize(np.flatnonzero(new), N_SAMPLES)
    samples, labels = gan.sample(N_SAMPLES, y[rows], magnification=magnification[rows], random_state=seed)
    last = gan.history_[-1]
    scores = compare(tissue.data[new], y[new], samples, labels, tissue.patient[new])
    return [*scores, gan.spread_, last["real_score"], last["fake_score"]]


def compare(real, real_y, generated, generated_y, patient, generated_patient=None):
    """KID, within class and of swapped classes, and coverage; `generated` may be real images of other patients."""
    if generated_patient is None:
        generated_patient = np.arange(len(generated))
    encoder = ImageEncoder(n_jobs=1).fit(real)
    real, generated = encoder.transform(real), encoder.transform(generated)

    def kid(label, other):
        ours, theirs = real_y == label, generated_y == other
        return distance(real[ours], generated[theirs], patient[ours], generated_patient[theirs])

    within, swapped = (np.mean([kid(label, label ^ other) for label in (0, 1)]) for other in (0, 1))
    coverage = generative_precision_recall(real, generated[:: max(1, len(generated) // 200)]).coverage
    return [distance(real, generated, patient, generated_patient), within, swapped, coverage]


def distance(real, generated, patient, other):
    return kernel_inception_distance(real, generated, patient=patient, generated_patient=other).estimate


if __name__ == "__main__":
    print(f"| generator | {' | '.join(COLUMNS)} |\n|{'---|' * (1 + len(COLUMNS))}", flush=True)
    with Parallel(n_jobs=2) as parallel:
        for name, options in {"training images": None, **METHODS}.items():
            scores = np.array(parallel(delayed(study)(options, seed) for seed in SEEDS))
            cells = [f"{m:z.3f} ({s:.3f})" for m, s in zip(scores.mean(axis=0), np.ptp(scores, axis=0), strict=True)]
            print(f"| {name} | {' | '.join('–' if 'nan' in cell else cell for cell in cells)} |", flush=True)
