import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sklearn_magdg.cohort import Encoded
from sklearn_magdg.signature import signature_path
from sklearn_magdg.signature._columns import Columns
from sklearn_magdg.signature._newton import minimise
from sklearn_magdg.signature._path import default_grid
from sklearn_magdg.signature._training_rows import TrainingRows


def problem(n_samples=47, n_features=9, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) @ rng.normal(size=(n_features, n_features)) + 5
    centred = X - X.mean(axis=0)
    y = np.argmax(centred[:, :n_classes] + 4 * rng.normal(size=(n_samples, n_classes)), axis=1)
    return X, y


def full_scores(X, coef, intercept):
    """Scores of every class, (n, n_classes); two classes are written as softmax over (0, score)."""
    scores = X @ coef.T + intercept
    return np.column_stack([np.zeros(len(X)), scores]) if scores.shape[1] == 1 else scores


def objective(X, y, coef, intercept, C, weight=1.0):
    losses = -log_softmax(full_scores(X, coef, intercept), axis=1)[np.arange(len(y)), y]
    return np.abs(coef).sum() + C * np.sum(weight * losses)


def kkt_residual(X, y, coef, intercept, C):
    """Largest distance of 0 to the subdifferential of |B| + C x loss, by the definition."""
    difference = softmax(full_scores(X, coef, intercept), axis=1) - np.eye(y.max() + 1)[y]
    difference = difference[:, -len(coef) :]
    gradient = C * difference.T @ X
    distance = np.where(coef == 0, np.maximum(np.abs(gradient) - 1, 0), np.abs(gradient + np.sign(coef)))
    return max(distance.max(), np.abs(C * difference.sum(axis=0)).max())


@pytest.mark.parametrize("n_classes", [2, 3])
def test_every_point_of_the_path_is_optimal(n_classes):
    X, y = problem(n_classes=n_classes)
    path = signature_path(X, y)
    assert path.coefs.shape == (30, 1 if n_classes == 2 else 3, 9)
    assert np.all(np.diff(path.Cs) > 0)
    residuals = [kkt_residual(X, y, coef, b, C) for C, coef, b in zip(*path, strict=True)]
    assert max(residuals) < 1e-5  # X has means of 5, which the solver's tolerance of 1e-6 does not see


def test_two_classes_reach_the_objective_of_liblinear():
    X, y = problem()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    for C in (0.1, 1.0, 10.0):
        _, coefs, intercepts = signature_path(X, y, Cs=[C])
        # liblinear penalises the intercept; a large scaling makes that negligible
        reference = LogisticRegression(l1_ratio=1, solver="liblinear", C=C, tol=1e-9, max_iter=10_000)
        reference.set_params(intercept_scaling=1e4).fit(X, y)
        ours = objective(X, y, coefs[0], intercepts[0], C)
        assert ours <= objective(X, y, reference.coef_, reference.intercept_, C) * (1 + 1e-9)
        np.testing.assert_allclose(coefs[0], reference.coef_, atol=1e-3)


def test_three_classes_reach_the_objective_of_saga():
    X, y = problem(n_classes=3, n_features=5)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    for C in (0.1, 1.0):
        _, coefs, intercepts = signature_path(X, y, Cs=[C])
        reference = LogisticRegression(l1_ratio=1, solver="saga", C=C, tol=1e-8, max_iter=50_000, random_state=0)
        reference.fit(X, y)
        theirs = objective(X, y, reference.coef_, reference.intercept_, C)
        assert objective(X, y, coefs[0], intercepts[0], C) == pytest.approx(theirs, rel=1e-8)
        np.testing.assert_array_equal(coefs[0] != 0, reference.coef_ != 0)


def test_one_indicator_column_has_a_closed_form():
    # x in {-1, 1}, balanced, positive in 8 of 10 at x = 1 and 2 of 10 at x = -1: with C x loss the optimum has
    # 20 C (0.8 - sigmoid(b)) = 1 and no intercept.
    x, y = np.repeat([1.0, -1.0], 10)[:, None], np.repeat([1, 0, 1, 0], [8, 2, 2, 8])
    _, coefs, intercepts = signature_path(x, y, Cs=[0.5])
    sigmoid = 0.8 - 1 / (20 * 0.5)
    assert coefs[0, 0, 0] == pytest.approx(np.log(sigmoid / (1 - sigmoid)), rel=1e-6)
    assert intercepts[0, 0] == pytest.approx(0, abs=1e-8)


def test_the_grid_starts_where_the_first_dimension_enters():
    X, y = problem()
    entering_C = 1 / np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max()
    grid = signature_path(X, y).Cs
    np.testing.assert_allclose(grid[[0, -1]], entering_C * np.array([1 / 0.9, 100]))
    before, after = signature_path(X, y, Cs=entering_C * np.array([1.001, 0.999])).coefs
    assert (before != 0).sum() == 0
    assert (after != 0).sum() == 1


def test_before_the_first_dimension_the_intercept_is_the_prior():
    X, y = problem()
    odds = y.mean() / (1 - y.mean())
    assert signature_path(X, y, Cs=[1e-9]).intercepts[0, 0] == pytest.approx(np.log(odds))
    X, y = problem(n_classes=3)
    intercept = signature_path(X, y, Cs=[1e-9]).intercepts[0]
    np.testing.assert_allclose(softmax(intercept), np.bincount(y) / len(y))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_weights_are_repetitions(n_classes):
    X, y = problem(n_classes=n_classes)
    weight = np.random.default_rng(3).integers(0, 4, len(y))
    weighted = signature_path(X, y, sample_weight=weight, n_Cs=7, tol=1e-8)
    repeated = signature_path(X.repeat(weight, axis=0), y.repeat(weight), n_Cs=7, tol=1e-8)
    for a, b in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(0.01, 100))
def test_scaling_the_weights_is_scaling_the_inverse_penalty(seed, factor):
    X, y = problem(n_samples=19, n_features=4, seed=seed)
    if y.min() == y.max():
        return
    one = signature_path(X, y, Cs=[0.2], tol=1e-9)
    other = signature_path(X, y, Cs=[0.2 / factor], sample_weight=np.full(19, factor), tol=1e-9)
    np.testing.assert_allclose(one.coefs, other.coefs, atol=1e-6)


def test_swapping_the_labels_flips_the_sign():
    X, y = problem()
    one, other = signature_path(X, y, n_Cs=5, tol=1e-8), signature_path(X, 1 - y, n_Cs=5, tol=1e-8)
    np.testing.assert_allclose(one.coefs, -other.coefs, atol=1e-6)
    np.testing.assert_allclose(one.intercepts, -other.intercepts, atol=1e-5)


def test_string_labels_are_taken_in_sorted_order():
    X, y = problem(n_classes=3)
    named = np.array(["lobular", "mucinous", "papillary"])[y]
    np.testing.assert_array_equal(signature_path(X, y, n_Cs=3).coefs, signature_path(X, named, n_Cs=3).coefs)


def test_separable_data_stay_finite_and_optimal():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 31))
    y = (X[:, 4] > 0).astype(int)
    with pytest.warns(UserWarning, match="every sample is on the side of its class"):
        path = signature_path(X, y)
    assert np.isfinite(path.coefs).all()
    assert np.isfinite(path.intercepts).all()
    assert kkt_residual(X, y, path.coefs[-1], path.intercepts[-1], path.Cs[-1]) < 2e-6
    assert (1 / (1 + np.exp(-(X @ path.coefs[-1, 0] + path.intercepts[-1]))) > 0.5).astype(int).tolist() == y.tolist()


def test_an_almost_unpenalised_separable_fit_is_finite_and_says_that_it_did_not_converge():
    X = np.linspace(-1, 1, 7)[:, None]
    with (
        pytest.warns(ConvergenceWarning, match=r"1 of 1 values of C .* optimality residual"),
        pytest.warns(UserWarning, match="every sample is on the side of its class"),
    ):
        path = signature_path(X, X[:, 0] > 0.1, Cs=[1e12], max_iter=3)
    assert np.isfinite(path.coefs).all()


def test_constant_columns_never_enter():
    X, y = problem()
    X[:, 3] = 0.1
    X[:, 5] = 0.0
    coefs = signature_path(X, y).coefs
    assert not coefs[:, :, [3, 5]].any()
    assert coefs[-1].any()
    assert not signature_path(np.full((7, 2), 0.3), [0, 1, 0, 1, 0, 1, 1], n_Cs=3).coefs.any()


@pytest.mark.filterwarnings("ignore:At C=.* every sample is on the side")
def test_a_cold_start_agrees_with_the_warm_path():
    X, y = problem(n_samples=31, n_features=60)
    path = signature_path(X, y, n_Cs=9, tol=1e-8)
    cold = signature_path(X, y, Cs=path.Cs[[7]], tol=1e-8)
    np.testing.assert_allclose(cold.coefs[0], path.coefs[7], atol=1e-5)


def test_grid_is_sorted_and_input_untouched():
    X, y = problem()
    before = X.copy()
    np.testing.assert_array_equal(signature_path(X, y, Cs=[1.0, 0.01]).Cs, [0.01, 1.0])
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("Cs", [[0.0, 1.0], [-1.0], [np.nan], [np.inf], []])
def test_a_grid_that_is_not_positive_is_refused(Cs):
    with pytest.raises(ValueError, match="finite numbers greater than 0"):
        signature_path(*problem(), Cs=Cs)


def test_one_class_is_refused():
    X, y = problem()
    with pytest.raises(ValueError, match="at least 2 classes"):
        signature_path(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"weight for \[1\] of \[0, 1\]"):
        signature_path(X, y, sample_weight=y)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("dtype", "order"), [(np.float32, "C"), (np.float32, "F"), (np.float64, "C")])
def test_single_precision_and_order_do_not_change_the_answer(dtype, order, n_classes):
    X, y = problem(n_samples=203, n_features=31, n_classes=n_classes)
    X = X.astype(np.float32)  # both see the same numbers
    path = signature_path(np.asfortranarray(X, dtype=np.float64), y, n_Cs=7)
    other = signature_path(np.asarray(X, dtype=dtype, order=order), y, n_Cs=7)
    for one, another in zip(path, other, strict=True):
        assert another.dtype == np.float64
        np.testing.assert_allclose(another, one, rtol=1e-5, atol=1e-7)


def test_every_other_row_of_a_larger_array_is_taken_as_it_is():
    X, y = problem(n_samples=94)
    copied = signature_path(X[::2].copy(), y[::2]).coefs
    np.testing.assert_allclose(signature_path(X[::2], y[::2]).coefs, copied, rtol=1e-9)


def test_a_large_mean_does_not_blur_the_screening():
    X, y = problem(n_samples=203, n_features=31)
    far = X + 1e4 * np.arange(31)
    for dtype, tolerance in ((np.float64, 1e-6), (np.float32, 0.05)):  # single precision keeps 3 digits of far
        coefs = signature_path(far.astype(dtype), y, n_Cs=7).coefs
        np.testing.assert_allclose(coefs, signature_path(X, y, n_Cs=7).coefs, atol=tolerance)


def test_the_path_does_not_write_into_its_input():
    X, y = problem()
    for order in "CF":
        X = np.asarray(X, order=order)
        before = X.copy()
        X.flags.writeable = False
        signature_path(X, y)
        np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("distance", [1e-4, 1e-7])
def test_near_copies_and_exact_copies_of_columns_converge(distance):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(61, 8))
        copies = np.hstack([X, X + distance * rng.normal(size=X.shape), X])
        label = Encoded((X[:, 0] + rng.normal(size=61) > 0).astype(int), np.arange(2))
        model = TrainingRows(label, weight=np.ones(61), X=copies).model()
        assert max(minimise(model, 1 / C, tol=1e-6, max_iter=60)[0] for C in default_grid(model, 8)) < 60


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_features=st.integers(1, 90), log_scale=st.floats(-4, 4))
@pytest.mark.filterwarnings("ignore:At C=.* every sample is on the side")
def test_every_problem_ends_optimal(seed, n_features, log_scale):
    X, y = problem(n_samples=37, n_features=n_features, n_classes=2 if n_features < 3 else 2 + seed % 2, seed=seed)
    X = (X - X.mean(axis=0)) * 10**log_scale
    if len(np.unique(y)) < y.max() + 1 or y.max() == 0:
        return
    path = signature_path(X, y, n_Cs=5)
    residuals = [kkt_residual(X, y, coef, b, C) for C, coef, b in zip(*path, strict=True)]
    assert max(residuals) < 1e-5


@pytest.mark.parametrize("max_features", [1, 2, 3, 5, 8])
def test_the_path_stops_at_the_last_fit_of_so_many_dimensions(max_features):
    X, y = problem(n_samples=211, n_features=40)
    path = signature_path(X, y, max_features=max_features)
    sizes = (path.coefs[:, 0] != 0).sum(axis=1)
    assert sizes[-1] == max_features  # dimensions enter one by one: bisection finds the last of them
    assert np.all(sizes <= max_features)
    assert np.all(np.diff(path.Cs) > 0)
    whole = signature_path(X, y)
    np.testing.assert_array_equal(path.Cs[:-1], whole.Cs[: len(path.Cs) - 1])
    assert kkt_residual(X, y, path.coefs[-1], path.intercepts[-1], path.Cs[-1]) < 1e-5


def test_a_path_that_never_holds_too_many_is_the_whole_path():
    X, y = problem()
    for one, another in zip(signature_path(X, y), signature_path(X, y, max_features=9), strict=True):
        np.testing.assert_array_equal(one, another)


def test_dimensions_that_enter_together_leave_nothing_below_them():
    x = np.random.default_rng(0).normal(size=(60, 1))
    y = (x[:, 0] + np.random.default_rng(1).normal(size=60) > 0).astype(int)
    three = np.hstack([x, x + 1e-12, -x])
    path = signature_path(three, np.column_stack([y, 1 - y])[:, 0], max_features=1)
    assert (path.coefs[-1] != 0).sum() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_features": 0}, "`max_features` must be an integer of at least 1, got 0"),
        ({"max_features": 3.5}, "`max_features` must be an integer of at least 1, got 3.5"),
        ({"n_Cs": 0}, "`n_Cs` must be an integer of at least 1, got 0"),
        ({"max_iter": -1}, "`max_iter` must be an integer of at least 1, got -1"),
        ({"tol": np.nan}, "`tol` must be a finite number greater than 0, got nan"),
        ({"tol": 0.0}, "`tol` must be a finite number greater than 0, got 0.0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        signature_path(*problem(), **options)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_numbers_beyond_single_precision_are_refused(scale):
    X, y = problem()
    with pytest.raises(ValueError, match=r"largest number of `X` is .*e[+-].* standardise `X`"):
        signature_path(X * scale, y)


@pytest.mark.parametrize("mean", [0.0, 10.0, 1e4])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_screening_errs_by_less_than_its_margin(dtype, order, mean):
    # labels in a row: partial sums grow long before they cancel
    rng = np.random.default_rng(0)
    X = np.asarray(mean + rng.normal(size=(20_000, 13)), dtype=dtype, order=order)
    residual = np.repeat([0.5, -0.5], 10_000)[:, None]
    columns = Columns(X, np.ones(20_000))
    error = np.abs(columns.coarse_gradient(residual) - (X.astype(float) - columns.center).T.dot(residual).T)
    margin = columns.rounding * np.linalg.norm(residual)
    assert np.all(error <= margin)
    assert np.all(margin < 0.1 * max(mean, 1))  # alpha is in the hundreds here


@pytest.mark.slow
def test_correlated_embeddings_converge_without_a_warning():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(400, 16))
    X = np.maximum(Z @ rng.normal(size=(16, 301)) / 4 + 0.7 * rng.normal(size=(400, 301)), 0)
    y = Z[:, 0] + 0.5 * Z[:, 1] + 0.5 * rng.normal(size=400) > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.filterwarnings("ignore", "At C=.* every sample is on the side of its class")
        path = signature_path((X - X.mean(axis=0)) / X.std(axis=0), y)
    assert (path.coefs[-1] != 0).sum() > 100
