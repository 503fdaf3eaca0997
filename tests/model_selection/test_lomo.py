import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes HalvingGridSearchCV importable
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.model_selection import LeaveOneMagnificationOut, make_groups, refit_worst_magnification


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def make_design(n_patients=12, images=3, magnifications=(40, 100, 200), seed=0):
    """Features, alternating classes by patient, and metadata, in shuffled order."""
    patient, magnification = np.meshgrid(np.arange(n_patients), magnifications, indexing="ij")
    patient, magnification = np.repeat(patient.ravel(), images), np.repeat(magnification.ravel(), images)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(patient))
    y = patient[order] % 2
    X = rng.normal(size=(len(y), 5)) + y[:, None]
    return X, y, patient[order], magnification[order]


@st.composite
def designs(draw):
    """Any patients at any of 2 to 4 magnifications, and a splitter that may fit them."""
    n = draw(st.integers(7, 60))
    n_levels = draw(st.integers(2, 4))
    patient = np.array(draw(st.lists(st.integers(0, 9), min_size=n, max_size=n)))
    magnification = np.array(draw(st.lists(st.integers(0, n_levels - 1), min_size=n, max_size=n)))
    y = np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    shuffle = draw(st.booleans())
    seed = draw(st.integers(0, 9)) if shuffle else None
    cv = LeaveOneMagnificationOut(draw(st.integers(1, 4)), shuffle=shuffle, random_state=seed)
    return cv, y, patient, np.array([40, 100, 200, 400])[magnification]


def split_all(cv, y, patient, magnification):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return list(cv.split(y, y, patient=patient, magnification=magnification))


def split_feasible(design):
    try:
        return split_all(*design)
    except ValueError:  # too few patients or magnifications: another test's matter
        assume(False)


for_every_design = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@given(designs())
@for_every_design
def test_no_patient_and_no_magnification_is_in_both_sides(design):
    _, _, patient, magnification = design
    for train, test in split_feasible(design):
        assert not set(patient[train]) & set(patient[test])
        assert not set(magnification[train]) & set(magnification[test])
        assert len(set(magnification[test])) == 1


@given(designs())
@for_every_design
def test_train_is_everything_of_other_patients_at_other_magnifications(design):
    _, _, patient, magnification = design
    for train, test in split_feasible(design):
        others = ~np.isin(patient, patient[test]) & (magnification != magnification[test[0]])
        np.testing.assert_array_equal(train, np.flatnonzero(others))


@given(designs())
@for_every_design
def test_every_sample_is_tested_exactly_once_and_no_part_is_empty(design):
    splits = split_feasible(design)
    tested = np.concatenate([test for _, test in splits])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(design[1])))
    assert all(len(train) and len(test) for train, test in splits)


@given(designs())
@for_every_design
def test_number_of_splits_is_as_announced_and_repeats_exactly(design):
    cv, y, patient, magnification = design
    first, second = split_feasible(design), split_all(*design)
    assert len(first) == cv.get_n_splits(y, y, patient=patient, magnification=magnification)
    for (train_1, test_1), (train_2, test_2) in zip(first, second, strict=True):
        np.testing.assert_array_equal(train_1, train_2)
        np.testing.assert_array_equal(test_1, test_2)


@given(designs(), st.randoms(use_true_random=False))
@for_every_design
def test_permuting_rows_only_permutes_indices(design, random):
    cv, y, patient, magnification = design
    order = np.array(random.sample(range(len(y)), len(y)))
    permuted = split_all_or_none(cv, y[order], patient[order], magnification[order])
    assume(permuted is not None)
    for (train, test), (train_2, test_2) in zip(split_all(*design), permuted, strict=True):
        assert set(train) == set(order[train_2])
        assert set(test) == set(order[test_2])


@st.composite
def unequal_patients(draw):
    """Images of every patient at each of three magnifications: some have many times as many as others."""
    n_patients = draw(st.integers(4, 9))
    row = st.lists(st.sampled_from([0, 1, 2, 3, 40]), min_size=3, max_size=3)
    n_images = np.array(draw(st.lists(row, min_size=n_patients, max_size=n_patients)))
    assume(n_images.any(axis=0).all())
    return n_images


@given(unequal_patients(), st.integers(2, 4), st.sampled_from([None, 0, 1]))
@example(np.array([[40, 1, 40], [1, 40, 40]] * 4), 2, None)  # one after the other, folds would have 160 and 4 images
@for_every_design
def test_folds_differ_by_at_most_the_largest_patient_there_in_all_and_in_every_class(n_images, n_folds, seed):
    patient_class = np.arange(len(n_images)) // 2 % 2
    patient, column = (np.repeat(index.ravel(), n_images.ravel()) for index in np.indices(n_images.shape))
    y, magnification = patient_class[patient], np.array([40, 100, 200])[column]
    cv = LeaveOneMagnificationOut(n_folds, shuffle=seed is not None, random_state=seed)
    splits = split_feasible((cv, y, patient, magnification))
    tested = np.array([np.bincount(y[test], minlength=2) for _, test in splits]).reshape(3, n_folds, 2)
    assert (np.ptp(tested.sum(axis=2), axis=1) <= n_images.max(axis=0)).all()
    for label in (0, 1):
        largest = n_images[patient_class == label].max(axis=0)
        assert (np.ptp(tested[:, :, label], axis=1) <= largest).all()


def split_all_or_none(*design):
    try:
        return split_all(*design)
    except ValueError:
        return None


def test_shuffle_gives_other_folds_for_other_seeds():
    _, y, patient, magnification = make_design()
    tests = [
        tuple(split_all(LeaveOneMagnificationOut(3, shuffle=True, random_state=s), y, patient, magnification)[0][1])
        for s in range(5)
    ]
    assert len(set(tests)) > 1


def test_a_magnification_is_dealt_alike_whichever_others_are_held_out():
    _, y, patient, magnification = make_design()
    every = LeaveOneMagnificationOut(3, shuffle=True, random_state=7)
    one = LeaveOneMagnificationOut(3, shuffle=True, random_state=7, magnifications=[100])
    for (_, test), (_, test_2) in zip(
        split_all(every, y, patient, magnification)[3:6],
        split_all(one, y, patient, magnification),
        strict=True,
    ):
        np.testing.assert_array_equal(test, test_2)


@pytest.mark.parametrize("parameters", [{"n_patient_folds": 4, "shuffle": True}, {"patient_test_size": 0.25}])
def test_every_magnification_has_a_draw_of_its_own(parameters):
    _, y, patient, magnification = make_design(n_patients=20)
    splits = split_all(LeaveOneMagnificationOut(**parameters, random_state=0), y, patient, magnification)
    first = {magnification[test[0]]: frozenset(patient[test]) for _, test in reversed(splits)}
    assert len(first) == len(set(first.values())) == 3


def test_magnifications_are_held_out_in_numeric_order():
    _, y, patient, magnification = make_design()
    names = np.array([f"{m}X" for m in magnification])
    for given_order in (None, ["200X", "40X", "100X"]):
        cv = LeaveOneMagnificationOut(2, magnifications=given_order)
        held_out = [names[test[0]] for _, test in split_all(cv, y, patient, names)]
        assert held_out == ["40X", "40X", "100X", "100X", "200X", "200X"]


def test_training_uses_magnifications_that_are_never_held_out():
    _, y, patient, magnification = make_design()
    cv = LeaveOneMagnificationOut(2, magnifications=[200])
    train, test = split_all(cv, y, patient, magnification)[0]
    assert set(magnification[train]) == {40, 100}
    assert set(magnification[test]) == {200}
    assert cv.get_n_splits() == 2


def test_patient_test_size_sets_aside_a_stratified_share_once_per_magnification():
    _, y, patient, magnification = make_design(n_patients=20)
    cv = LeaveOneMagnificationOut(patient_test_size=0.2, random_state=0)
    splits = split_all(cv, y, patient, magnification)
    assert len(splits) == 3 == cv.get_n_splits(magnification=magnification)
    for train, test in splits:
        assert len(set(patient[test])) == 4
        assert len({p for p in patient[test] if p % 2}) == 2
        assert not set(patient[train]) & set(patient[test])


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "text array": np.array,
    "object array": lambda values: np.array(values, dtype=object),
    "Series": pd.Series,
    "shuffled index": lambda values: pd.Series(values, index=range(len(values))[::-1]),
    "one-column frame": lambda values: pd.DataFrame({"patient": values}),
    "categorical": lambda values: pd.Series(values, dtype="category"),
    "plain categorical": pd.Categorical,
    "arrow strings": lambda values: pd.Series(values).astype("string[pyarrow]"),
    "arrow type": lambda values: pd.Series(values).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.Series,
    "polars column": lambda values: pl.DataFrame({"patient": values})[["patient"]],
    "polars categorical": lambda values: pl.Series(values).cast(pl.String).cast(pl.Categorical),
}


def assert_same_splits(one, other):
    for (train, test), (train_2, test_2) in zip(one, other, strict=True):
        np.testing.assert_array_equal(train, train_2)
        np.testing.assert_array_equal(test, test_2)


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_metadata_may_come_in_any_container(make):
    _, y, patient, magnification = make_design()
    cv, expected = LeaveOneMagnificationOut(3), split_all(LeaveOneMagnificationOut(3), y, patient, magnification)
    text, levels = [f"p{p:02}" for p in patient], [f"{m}X" for m in magnification]
    assert_same_splits(split_all(cv, y, make(text), make(levels)), expected)
    assert_same_splits(cv.split(y, y, make_groups(make(text), make(levels))), expected)
    assert_same_splits(split_all(cv, make(y.tolist()), patient, magnification), expected)


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pl.Series])
def test_numbers_serve_as_text_does(make):
    _, y, patient, magnification = make_design()
    expected = split_all(LeaveOneMagnificationOut(3), y, patient, magnification)
    got = split_all(LeaveOneMagnificationOut(3), y, make(patient.tolist()), make(magnification.tolist()))
    assert_same_splits(got, expected)


def test_real_valued_or_missing_targets_are_not_stratified():
    _, y, patient, magnification = make_design()
    cv = LeaveOneMagnificationOut(3)
    plain = list(cv.split(y, None, patient=patient, magnification=magnification))
    real = list(cv.split(y, y + 0.5, patient=patient, magnification=magnification))
    for (_, test), (_, test_2) in zip(plain, real, strict=True):
        np.testing.assert_array_equal(test, test_2)


def test_make_groups_keeps_types_and_gives_the_same_splits():
    _, y, patient, magnification = make_design()
    groups = make_groups(patient, [f"{m}X" for m in magnification])
    assert groups.shape == (len(y), 2)
    assert isinstance(groups[0, 0], int)
    assert isinstance(groups[0, 1], str)
    cv = LeaveOneMagnificationOut(3)
    for (_, test), (_, test_2) in zip(cv.split(y, y, groups), split_all(cv, y, patient, magnification), strict=True):
        np.testing.assert_array_equal(test, test_2)


def test_routing_needs_no_request_for_a_bare_estimator_a_pipeline_and_a_nested_search(routing):
    X, y, patient, magnification = make_design()
    pipeline = make_pipeline(StandardScaler(), GaussianNB())
    search = GridSearchCV(
        pipeline,
        {"gaussiannb__var_smoothing": [1e-9, 1e-3]},
        cv=LeaveOneMagnificationOut(2),
        refit=refit_worst_magnification,
    )
    params = {"patient": patient, "magnification": magnification}
    for model in (GaussianNB(), pipeline, search):
        scores = cross_validate(model, X, y, cv=LeaveOneMagnificationOut(2), params=params, error_score="raise")[
            "test_score"
        ]
        assert scores.shape == (6,)
        assert np.isfinite(scores).all()


def test_groups_serve_where_routing_is_off_also_in_a_nested_search():
    X, y, patient, magnification = make_design()
    groups = make_groups(patient, magnification)
    cv = LeaveOneMagnificationOut(2)
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=cv, refit=refit_worst_magnification)
    plain = cross_validate(GaussianNB(), X, y, cv=cv, groups=groups)
    nested = cross_validate(search, X, y, cv=cv, groups=groups, params={"groups": groups}, error_score="raise")
    assert plain["test_score"].shape == nested["test_score"].shape == (6,)
    with pytest.raises(ValueError, match=r'itself cross-validated needs routing on, or params=."groups"'):
        cross_validate(search, X, y, cv=cv, groups=groups, error_score="raise")


def test_permutation_test_without_routing_fails_as_the_notes_of_make_groups_say():
    X, y, patient, magnification = make_design()
    for names, error in ((patient, IndexError), ([f"p{p}" for p in patient], TypeError)):
        groups = make_groups(names, magnification)
        with pytest.raises(error):
            permutation_test_score(GaussianNB(), X, y, cv=LeaveOneMagnificationOut(2), groups=groups)


def test_cross_val_predict_works_where_all_are_held_out_and_refuses_a_subset():
    X, y, patient, magnification = make_design()
    groups = make_groups(patient, magnification)
    cv = LeaveOneMagnificationOut(2)
    assert cross_val_predict(GaussianNB(), X, y, cv=cv, groups=groups).shape == y.shape
    with pytest.raises(ValueError, match="partitions"):
        cross_val_predict(GaussianNB(), X, y, cv=LeaveOneMagnificationOut(2, magnifications=[40]), groups=groups)


GRID = {"var_smoothing": [1e-9, 1e-3]}


def search_score(search, X, y, groups=None, params=None):
    """Mean test score of the best candidate, whichever way metadata come."""
    return search.fit(X, y, **(params or {"groups": groups})).cv_results_["mean_test_score"]


def halving_score(model, X, y, cv, **given_metadata):
    search = HalvingGridSearchCV(model, GRID, cv=cv, min_resources=60, random_state=0, error_score="raise")
    return search_score(search, X, y, **given_metadata)


def randomized_score(model, X, y, cv, **given_metadata):
    search = RandomizedSearchCV(model, GRID, n_iter=2, cv=cv, random_state=0, error_score="raise")
    return search_score(search, X, y, **given_metadata)


TOOLS = {
    "cross_val_score": cross_val_score,
    "cross_val_predict": cross_val_predict,
    "learning_curve": lambda *args, **rest: learning_curve(*args, **rest, train_sizes=[0.5, 1.0])[2],
    "validation_curve": lambda *args, **rest: validation_curve(
        *args, **rest, param_name="var_smoothing", param_range=[1e-9, 1.0]
    )[1],
    "RandomizedSearchCV": randomized_score,
    "HalvingGridSearchCV": halving_score,
    "two processes": lambda *args, **rest: cross_val_score(*args, **rest, n_jobs=2),
}


@pytest.mark.parametrize(
    "tool",
    [pytest.param(tool, id=name, marks=[pytest.mark.slow] * (name == "two processes")) for name, tool in TOOLS.items()],
)
def test_tools_score_the_splits_of_the_splitter_with_routing_and_without(tool):
    X, y, patient, magnification = make_design()
    cv = LeaveOneMagnificationOut(2, shuffle=True, random_state=3)
    expected = tool(GaussianNB(), X, y, cv=list(cv.split(X, y, patient=patient, magnification=magnification)))
    plain = tool(GaussianNB(), X, y, cv=cv, groups=make_groups(patient, magnification))
    with sklearn.config_context(enable_metadata_routing=True):
        routed = tool(GaussianNB(), X, y, cv=cv, params={"patient": patient, "magnification": magnification})
    np.testing.assert_array_equal(plain, expected)
    np.testing.assert_array_equal(routed, expected)


def test_permutation_test_and_calibration_take_the_metadata_with_routing(routing):
    X, y, patient, magnification = make_design()
    params, cv = {"patient": patient, "magnification": magnification}, LeaveOneMagnificationOut(2)
    score, permuted, _ = permutation_test_score(GaussianNB(), X, y, cv=cv, n_permutations=3, params=params)
    assert score == cross_val_score(GaussianNB(), X, y, cv=cv, params=params).mean()
    assert permuted.shape == (3,)
    calibrated = CalibratedClassifierCV(GaussianNB(), cv=cv, method="sigmoid").fit(X, y, **params)
    assert len(calibrated.calibrated_classifiers_) == 6


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_data_frames_and_their_columns_go_through_cross_validate(library, routing):
    X, y, patient, magnification = make_design()
    params = {
        "patient": library.Series([f"p{p}" for p in patient]),
        "magnification": library.Series([f"{m}X" for m in magnification]),
    }
    cv = LeaveOneMagnificationOut(2)
    frame = library.DataFrame(dict(zip("abcde", X.T, strict=True)))
    got = cross_validate(GaussianNB(), frame, library.Series(y), cv=cv, params=params, error_score="raise")
    with sklearn.config_context(enable_metadata_routing=False):
        expected = cross_validate(GaussianNB(), X, y, cv=split_all(cv, y, *params.values()))
    np.testing.assert_array_equal(got["test_score"], expected["test_score"])


def test_splitter_clones_pickles_and_shows_its_parameters():
    cv = LeaveOneMagnificationOut(3, magnifications=(40, 100), shuffle=True, random_state=5)
    _, y, patient, magnification = make_design()
    within_search = clone(GridSearchCV(GaussianNB(), GRID, cv=cv)).cv
    for copy in (pickle.loads(pickle.dumps(cv)), clone(cv, safe=False), within_search):
        assert vars(copy) == vars(cv)
        assert_same_splits(split_all(copy, y, patient, magnification), split_all(cv, y, patient, magnification))
    assert repr(cv) == (
        "LeaveOneMagnificationOut(magnifications=(40, 100), n_patient_folds=3,\n"
        "             patient_test_size=None, random_state=5, shuffle=True)"
    )


def warnings_of(cv, y, patient, magnification):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(cv.split(y, y, patient=patient, magnification=magnification))
    return [str(each.message) for each in caught]


def test_a_part_of_one_class_warns_and_is_named():
    y, patient, magnification = [0, 0, 1, 1, 0, 0], [1, 1, 2, 2, 3, 3], [40, 100] * 3
    training, test = warnings_of(LeaveOneMagnificationOut(3), y, patient, magnification)
    assert "6 test parts have images of one class only (magnification 40 fold 0, magnification 40 fold 1" in test
    assert "AUC is undefined" in test
    # without patient 2 there is no class 1 to learn
    assert "2 training parts" in training
    assert "(magnification 40 fold 1, magnification 100 fold 1): no classifier can be fitted" in training


def test_a_test_magnification_of_one_class_says_nothing_of_the_training_parts():
    _, y, patient, magnification = make_design()
    y = np.where(magnification == 200, 0, y)
    (message,) = warnings_of(LeaveOneMagnificationOut(3), y, patient, magnification)
    assert "lower `n_patient_folds` or use a score" in message
    assert message.startswith("3 test parts have images of one class only (magnification 200 fold 0, magnification 200")


@pytest.mark.parametrize("y", [np.zeros(72), None])
def test_data_of_one_class_or_none_do_not_warn(y):
    _, _, patient, magnification = make_design(images=2)
    assert not warnings_of(LeaveOneMagnificationOut(2), np.zeros(72), patient, magnification)
    assert list(LeaveOneMagnificationOut(2).split(patient, y, patient=patient, magnification=magnification))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"magnification": [40] * 6}, r"at least 2 magnifications, got 1: \[40\]"),
        ({"magnification": [40] * 5}, "5 values for 6 samples"),
        ({"magnification": [40, 100, 40, 100, 40, None]}, "`magnification` is missing for 1 samples"),
        ({"magnification": [40, 100, 40, 100, 40, np.nan]}, "missing for 1 samples .the first at position 5"),
        ({"magnification": ["40", "100", "40X", "100", "40", "100"]}, r"several ways, \['40', '40X'\]"),
        ({"patient": ["a", "a", "b", "b", None, "c"]}, "`patient` is missing for 1 samples"),
        ({"patient": ["7", "7", 7, 7, 8, 8]}, "mixes text"),
        ({"patient": np.zeros((6, 2))}, "one value per sample"),
        ({"patient": None}, "needs `patient`.*params=.*make_groups"),
        ({"magnification": None}, "needs `magnification`.*params=.*make_groups"),
        ({"patient": None, "magnification": None}, "params=.*groups=make_groups"),
        ({"patient": None, "magnification": None, "groups": [1, 1, 2, 2, 3, 3]}, "make_groups"),
        (
            {"patient": [1, 1, 1, 1, 2, 2]},
            "Magnification 40 has 2 patients.*lower `n_patient_folds` to at most 2, hold out only others "
            ".`magnifications`., or add patients",
        ),
        ({"patient": [1] * 6}, "Magnification 40 has 1 patient, fewer than 3 folds; hold out only others"),
        ({"patient": ["a", "a", "b", "b", "a ", "c"]}, r"white space only, \['a', 'a '\]"),
        ({"y": [0, 1, None, 1, 0, 1]}, "`y` is missing"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, words):
    given_input = {"y": [0, 0, 1, 1, 0, 0], "patient": [1, 1, 2, 2, 3, 3], "magnification": [40, 100] * 3}
    with pytest.raises(ValueError, match=words):
        LeaveOneMagnificationOut(3).split(np.zeros(6), **(given_input | change))


def test_unknown_held_out_magnification_is_refused():
    _, y, patient, magnification = make_design()
    with pytest.raises(ValueError, match=r"holds out \[400\], but the data have \[40, 100, 200\]"):
        split_all(LeaveOneMagnificationOut(2, magnifications=[40, 400]), y, patient, magnification)


def test_empty_train_is_refused():
    words = "Nothing is left to train on when fold 0 at magnification 40.*; raise `n_patient_folds`, or add patients"
    with pytest.raises(ValueError, match=words):
        LeaveOneMagnificationOut(1).split([1, 1], patient=["a", "a"], magnification=[40, 100])


def test_a_hold_out_with_a_part_of_one_class_is_told_to_change_its_share():
    patient, magnification, y = list("aabbc"), [40, 100, 40, 100, 40], [0, 0, 0, 0, 1]
    training, test = warnings_of(
        LeaveOneMagnificationOut(patient_test_size=0.5, random_state=0), y, patient, magnification
    )
    assert "fitted there; lower `patient_test_size`, or add patients." in training
    assert "undefined there; raise `patient_test_size` or use a score" in test


def test_a_hold_out_of_all_that_could_be_trained_on_is_told_to_change_its_share():
    patient, magnification = list("abcdab"), [40, 40, 40, 40, 100, 100]
    # this seed draws "a" and "b", as one in six does
    cv = LeaveOneMagnificationOut(magnifications=[40], patient_test_size=0.5, random_state=8)
    with pytest.raises(ValueError, match=r"Nothing is left to train on.*; lower `patient_test_size`, or add patients"):
        cv.split(patient, patient=patient, magnification=magnification)


def test_hold_out_of_single_patients_is_refused():
    cv = LeaveOneMagnificationOut(patient_test_size=0.5)
    with pytest.raises(ValueError, match="Magnification 40 has no class with 2 patients"):
        cv.split([0, 0, 1, 1], [0, 0, 1, 1], patient=list("aabb"), magnification=[40, 100] * 2)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_patient_folds": 0},
        {"n_patient_folds": 2.5},
        {"patient_test_size": 1.0},
        {"magnifications": []},
        {"magnifications": "40X"},
        {"magnifications": [40, 40]},
        {"random_state": 0},
    ],
)
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        LeaveOneMagnificationOut(**parameters)


def test_number_of_splits_needs_the_magnifications():
    with pytest.raises(ValueError, match="make_groups"):
        LeaveOneMagnificationOut().get_n_splits()
    groups = make_groups([1, 2, 3], [40, 100, 200])
    assert LeaveOneMagnificationOut(4).get_n_splits(groups=groups) == 12
