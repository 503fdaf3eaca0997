"""Time of the l1-logistic path against other solvers, its growth, and the time of stability selection.

Run with ``python benchmarks/bench_path.py solvers``, ``growth`` or ``stable``. Other solvers take part where they are
installed (``pip install adelie skglm``, in an environment of their own: adelie wants an older numpy).
"""

import argparse
import importlib.util
import subprocess
import sys
import time
import warnings

import numpy as np
from _timing import forget_peak_memory, peak_memory, ratio, seconds
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.signature import StableSignatureSelector, signature_path

N_REPETITIONS = 9
HALVES_OF_LIBLINEAR = 10  # of 100, which would take minutes


def embeddings(n_samples=4_000, n_features=2_048, dtype=np.float64):
    """Correlated, rectified embeddings, standardised; the class is a matter of two of their 64 causes."""
    rng = np.random.default_rng(0)
    Z, W = rng.normal(size=(n_samples, 64)), rng.normal(size=(64, n_features)) / 8
    X = (Z @ W).astype(dtype)
    X += 0.7 * rng.normal(size=X.shape).astype(dtype)
    np.maximum(X, 0, out=X)
    y = Z[:, 0] + 0.5 * Z[:, 1] + 0.5 * rng.normal(size=n_samples) > 0
    X -= X.mean(axis=0)
    X /= X.std(axis=0)
    return np.asfortranarray(X), y.astype(int)


def penalties(X, y, n_Cs=30):
    return np.geomspace(0.9, 0.01, n_Cs) * np.abs(X.T @ (y - y.mean())).max()


def ours(tol):
    def solve(X, y, alphas):
        path = signature_path(X, y, Cs=1 / alphas, tol=tol)
        return path.coefs[:, 0], path.intercepts[:, 0]

    return solve


def liblinear(X, y, alphas):
    """One C at a time; a large scaling makes its penalty on the intercept negligible."""
    fits = [
        LogisticRegression(l1_ratio=1, solver="liblinear", C=1 / alpha, intercept_scaling=100, tol=1e-4).fit(X, y)
        for alpha in alphas
    ]
    return np.array([fit.coef_[0] for fit in fits]), np.array([fit.intercept_[0] for fit in fits])


def adelie(tol, n_threads):
    def solve(X, y, alphas):
        import adelie

        state = adelie.grpnet(
            X=X, glm=adelie.glm.binomial(y.astype(float)), lmda_path=alphas / len(y), alpha=1, tol=tol,
            early_exit=False, progress_bar=False, n_threads=n_threads,
        )  # fmt: skip
        return state.betas.toarray(), state.intercepts

    return solve


def skglm(X, y, alphas):
    from skglm.datafits import Logistic
    from skglm.penalties import L1
    from skglm.solvers import ProxNewton

    signs, solver = 2.0 * y - 1, ProxNewton(tol=1e-8, fit_intercept=True, warm_start=True)
    w, scores, found = np.zeros(X.shape[1] + 1), np.zeros(len(y)), []
    for alpha in alphas:
        w, *_ = solver.solve(X, signs, Logistic(), L1(alpha / len(y)), w.copy(), scores)
        scores = X @ w[:-1] + w[-1]
        found.append(w)
    return np.array(found)[:, :-1], np.array(found)[:, -1]


def objectives(X, y, alphas, coefs, intercepts):
    scores = X @ coefs.T + intercepts
    return alphas * np.abs(coefs).sum(axis=1) + np.sum(np.logaddexp(0, scores) - y[:, None] * scores, axis=0)


def worst_residual(X, y, alphas, coefs, intercepts):
    """Largest distance of 0 to the subdifferential over the path, relative to alpha."""
    difference = expit(X @ coefs.T + intercepts) - y[:, None]
    gradient = (X.T @ difference).T
    at_zero = np.maximum(np.abs(gradient) - alphas[:, None], 0)
    misses = np.where(coefs == 0, at_zero, np.abs(gradient + alphas[:, None] * np.sign(coefs)))
    return max((misses / alphas[:, None]).max(), (np.abs(difference.sum(axis=0)) / alphas).max())


def compare_solvers():
    X, y = embeddings()
    alphas = penalties(X, y)
    rows = {"signature_path": (ours(1e-6), N_REPETITIONS), "signature_path, `tol=1e-4`": (ours(1e-4), N_REPETITIONS)}
    rows["liblinear, one C at a time"] = (liblinear, 1)
    if importlib.util.find_spec("adelie"):
        for tol in (1e-7, 1e-9):
            rows |= {f"adelie, tol {tol:g}, threads {n}": (adelie(tol, n), N_REPETITIONS) for n in (1, 2)}
    if importlib.util.find_spec("skglm"):
        rows["skglm, proximal Newton, warm starts"] = (skglm, 1)
    times, found = {}, {}
    for name, (solve, n_repetitions) in rows.items():
        times[name] = seconds(lambda solve=solve: solve(X, y, alphas), n_repetitions)
        found[name] = solve(X, y, alphas)
    values = {name: objectives(X, y, alphas, *each) for name, each in found.items()}
    best = np.min(list(values.values()), axis=0)
    print(
        "| solver | seconds, median (quartiles) | times faster than liblinear | objective above the best, worst point |"
    )
    print("|---|---|---|---|")
    for name, (low, median, high) in times.items():
        faster, worst = times["liblinear, one C at a time"][1] / median, np.max(values[name] / best - 1)
        print(f"| {name} | {median:.2f} ({low:.2f} to {high:.2f}) | {faster:.1f} | {worst:.0e} |")
    residual = worst_residual(X, y, alphas, *found["signature_path"])
    print(f"\nOptimality residual of `signature_path`, worst point: {residual:.0e} of the penalty.")


GROWTH = (
    (4_000, 512, 30, "float64"),
    (4_000, 1_024, 30, "float64"),
    (4_000, 2_048, 30, "float64"),
    (4_000, 2_048, 60, "float64"),
    (4_000, 2_048, 120, "float64"),
    (20_000, 2_048, 30, "float64"),
    (100_000, 2_048, 30, "float64"),
    (100_000, 2_048, 30, "float32"),
)


def measure_growth():
    print("| samples | dimensions | values of C | precision | seconds | size of X, MB | peak memory, MB |")
    print("|---|---|---|---|---|---|---|")
    for setting in GROWTH:
        # a process of its own: memory given back is not always seen
        subprocess.run([sys.executable, __file__, "one", *map(str, setting)], check=True)


def measure_one(n_samples, n_features, n_Cs, dtype):
    X, y = embeddings(int(n_samples), int(n_features), np.dtype(dtype))
    forget_peak_memory()
    started = time.perf_counter()
    signature_path(X, y, n_Cs=int(n_Cs))
    taken = time.perf_counter() - started
    print(
        f"| {int(n_samples):,} | {int(n_features):,} | {n_Cs} | {dtype} | {taken:.1f} | {X.nbytes / 2**20:,.0f} | "
        f"{peak_memory():,.0f} |",
        flush=True,
    )


def stable_by_liblinear(X, y, rows, q):
    """What a half-sample of `StableSignatureSelector` does: along the grid until there are more than q, then back."""
    half, label = StandardScaler().fit_transform(X[rows]), y[rows]
    below = too_large = 1 / np.abs(half.T @ (label - label.mean())).max()
    for C in below / np.geomspace(0.9, 0.01, 30):
        below, too_large = too_large, C
        if size_by_liblinear(half, label, C) > q:
            break
    for _ in range(6):
        C = np.sqrt(below * too_large)
        below, too_large = (below, C) if size_by_liblinear(half, label, C) > q else (C, too_large)


def size_by_liblinear(X, y, C):
    coefs, _ = liblinear(X, y, [1 / C])
    return np.count_nonzero(coefs)


def compare_stable():
    X, y = embeddings()
    started = time.perf_counter()
    selector = StableSignatureSelector(random_state=0).fit(X, y)
    ours = time.perf_counter() - started
    rng = np.random.default_rng(0)
    each = []
    for _ in range(HALVES_OF_LIBLINEAR):
        rows = rng.permutation(len(y))[: len(y) // 2]
        started = time.perf_counter()
        stable_by_liblinear(X, y, rows, selector.max_features_)
        each.append(time.perf_counter() - started)
    print("| 100 half-samples of 2,000 x 2,048, at most", selector.max_features_, "dimensions | seconds |\n|---|---|")
    print(f"| `StableSignatureSelector` | {ours:.1f} |")
    print(f"| the same with liblinear ({HALVES_OF_LIBLINEAR} half-samples measured) | {100 * np.mean(each):.0f} |")
    print(f"\nliblinear takes {ratio(100 * np.array(each), ours)} times as long.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["solvers", "growth", "stable", "one"])
    parser.add_argument("setting", nargs="*")
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "At C=.*every sample is on the side")
        if arguments.what == "one":
            measure_one(*arguments.setting)
        else:
            {"solvers": compare_solvers, "growth": measure_growth, "stable": compare_stable}[arguments.what]()
