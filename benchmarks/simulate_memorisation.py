"""How often `memorisation_test` cries wolf.

Run with ``OMP_NUM_THREADS=1 python benchmarks/simulate_memorisation.py``; prints a Markdown table in about two minutes
on one core.

2,000 studies a row, in which held-out and generated images come from one population of patients, so that nothing is
memorised: 20 training patients of ten images, 200 generated images each of a patient of its own, in five dimensions.
The effect is the standard deviation of the patients' means over that of the images of one patient. Shown is the share
of studies whose p-value is at most 0.05.
"""

import numpy as np

from sklearn_magdg.metrics import memorisation_test

N_STUDIES, N_DIMENSIONS, N_GENERATED = 2000, 5, 200
DESIGNS = {
    "3 patients of 8 images, effect 0.5": ([8] * 3, 0.5),
    "3 patients of 8 images, effect 2": ([8] * 3, 2),
    "5 patients of 8 images, effect 0.5": ([8] * 5, 0.5),
    "5 patients of 8 images, effect 2": ([8] * 5, 2),
    "5 patients of 1 to 40 images, effect 2": ([1, 2, 5, 15, 40], 2),
    "10 patients of 8 images, effect 2": ([8] * 10, 2),
    "10 patients of 1 to 40 images, effect 2": ([1, 1, 2, 3, 4, 6, 8, 12, 25, 40], 2),
    "20 patients of 8 images, effect 0.5": ([8] * 20, 0.5),
    "30 patients of one image": ([1] * 30, 1),
    "100 patients of one image": ([1] * 100, 1),
}


def images(rng, patient, effect):
    means = effect * rng.normal(size=(patient.max() + 1, N_DIMENSIONS))
    return means[patient] + rng.normal(size=(len(patient), N_DIMENSIONS))


def p_value(rng, sizes, effect):
    patient = np.repeat(np.arange(len(sizes)), sizes)
    training, held_out = images(rng, np.arange(200) // 10, effect), images(rng, patient, effect)
    generated = images(rng, np.arange(N_GENERATED), effect)
    return memorisation_test(generated, training=training, held_out=held_out, patient=patient).p_value


if __name__ == "__main__":
    print("| held out | p at most 0.05 |\n|---|---|", flush=True)
    for name, (sizes, effect) in DESIGNS.items():
        rng = np.random.default_rng(0)
        share = np.mean([p_value(rng, sizes, effect) <= 0.05 for _ in range(N_STUDIES)])
        print(f"| {name} | {100 * share:.1f} % |", flush=True)
