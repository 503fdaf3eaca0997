import pickle
import re
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.utils import Bunch

from sklearn_magdg.datasets._breakhis import load_breakhis, read_inventory
from sklearn_magdg.datasets._breakhis_inventory import read_slides
from sklearn_magdg.datasets._histology import make_histology
from sklearn_magdg.datasets._official import official_holdouts
from sklearn_magdg.metrics import patient_recognition_scorer

FOLDS = ["fold1", "fold2", "fold3", "fold4", "fold5"]


def bunch_of(cells):
    """A bunch of one image per row of `cells`."""
    return Bunch(
        data=np.arange(len(cells)).astype(str).astype(object),
        target=(cells["label"] == "malignant").to_numpy().astype(int),
        subtype=cells["subtype"].to_numpy(dtype=object),
        slide=cells["slide"].to_numpy(dtype=object),
        patient=cells["slide"].to_numpy(dtype=object),
    )


def holdouts(bunch):
    """The splitter and its warning."""
    with pytest.warns(UserWarning, match="official hold-outs") as caught:
        cv = official_holdouts(bunch)
    return cv, str(caught[0].message)


@pytest.fixture(scope="module")
def full():
    """One image of every slide at every magnification, in an order of their own."""
    return bunch_of(read_inventory().sample(frac=1, random_state=0))


def test_sides_are_the_published_ones_by_class_and_slide(full):
    cv, _ = holdouts(full)
    roles = read_slides().set_index(["subtype", "slide"])[FOLDS]
    pairs = np.array([f"{s}-{i}" for s, i in zip(full.subtype, full.slide, strict=True)])
    splits = list(cv.split(full.data))
    assert len(splits) == cv.get_n_splits() == 5
    for fold, (train, test) in zip(FOLDS, splits, strict=True):
        for side, rows in (("train", train), ("test", test)):
            published = roles.index[roles[fold] == side]
            assert set(pairs[rows]) == {f"{subtype}-{slide}" for subtype, slide in published}
            assert (np.diff(rows) > 0).all()
        assert sorted([*train, *test]) == list(range(82 * 4))


def test_they_are_no_partition(full):
    cv, message = holdouts(full)
    times = np.zeros(len(full.data), dtype=int)
    for _, test in cv.split(full.data):
        times[test] += 1
    pairs = {f"{s}-{i}": n for s, i, n in zip(full.subtype, full.slide, times, strict=True)}
    assert np.bincount(list(pairs.values())).tolist() == [13, 21, 30, 13, 5]
    assert "of 82 class-slide pairs 13 are never tested and 48 several times" in message


def leaks_in(message):
    """Ids on both sides by fold, for accessions and for slides, as the warning says."""
    parts = re.search(r"Accession numbers on both sides: (.*?)\. Slides on both sides: (.*?)\. ", message).groups()
    return [
        {int(number): set(ids.split(", ")) for number, ids in re.findall(r"fold (\d): ([^;]*)", part)} for part in parts
    ]


def test_the_warning_names_what_stands_on_both_sides_of_every_fold(full):
    cv, message = holdouts(full)
    accession = np.array([re.match(r"\d+-\d+", slide)[0] for slide in full.slide])
    by_accession, by_slide = leaks_in(message)
    assert set(by_accession) == {1, 2, 3, 4, 5}
    assert by_slide == {1: {"14-13412"}, 3: {"14-13412"}, 5: {"14-13412"}}
    for number, (train, test) in enumerate(cv.split(full.data), 1):
        assert by_accession[number] == set(accession[train]) & set(accession[test])
        assert by_slide.get(number, set()) == set(full.slide[train]) & set(full.slide[test])
    assert "LeaveOneMagnificationOut" in message
    assert "StratifiedGroupKFold" in message


def test_slides_apart_leave_nothing_to_name():
    cells = read_inventory().query("magnification == 40")
    cells = cells[cells["slide"].isin(["14-22549AB", "14-22704", "14-4364", "14-12204", "14-13413", "14-14926"])]
    _, message = holdouts(bunch_of(cells))
    assert leaks_in(message) == [{}, {}]
    assert "Accession numbers on both sides: none. Slides on both sides: none." in message


@pytest.mark.parametrize("routing", [False, True])
def test_goes_through_cross_validate(full, routing):
    cv, _ = holdouts(full)
    with sklearn.config_context(enable_metadata_routing=routing):
        scores = cross_validate(DummyClassifier(), full.data, full.target, cv=cv)
    expected = [full.target[test].mean() for _, test in cv.split(full.data)]
    np.testing.assert_allclose(scores["test_score"], expected)


def test_gives_the_patient_recognition_rate_of_the_literature(full):
    cv, _ = holdouts(full)
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_validate(
            DummyClassifier(strategy="constant", constant=1),
            full.data,
            full.target,
            cv=cv,
            scoring=patient_recognition_scorer,
            params={"patient": full.patient},
        )
    tested = read_slides().set_index("label")[FOLDS] == "test"
    expected = tested.loc["malignant"].sum() / tested.sum()
    np.testing.assert_allclose(scores["test_score"], expected)


def test_clones_pickles_and_says_what_it_is(full):
    cv, _ = holdouts(full)
    search = clone(GridSearchCV(DummyClassifier(), {"strategy": ["prior", "uniform"]}, cv=cv))
    for copy in (search.cv, pickle.loads(pickle.dumps(cv))):
        for ours, theirs in zip(cv.split(full.data), copy.split(full.data), strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])
    assert repr(cv) == "<5 official hold-outs of 328 BreaKHis images>"
    search.fit(np.zeros((len(full.data), 1)), full.target)
    assert search.n_splits_ == 5


def test_samples_of_another_length_are_refused(full):
    cv, _ = holdouts(full)
    with pytest.raises(ValueError, match="of 328 images, got 327 samples"):
        cv.split(full.data[1:])


@pytest.mark.parametrize(
    ("bunch", "words"),
    [
        (Bunch(data=[], target=[]), r"must have `subtype` and `slide`.*got Bunch with \['data', 'target'\]"),
        ((np.zeros(3), np.zeros(3)), r"must have `subtype` and `slide`.*got tuple"),
        (Bunch(subtype=["A"], slide=["14-13412"]), "BreaKHis has no slide A-14-13412"),
        (Bunch(subtype=["A"] * 7, slide=list("abcdefg")), r"A-a, A-b, A-c, A-d, A-e, \.\.\. \(7 in all\)"),
        (Bunch(subtype=["A"], slide=["14-22549AB"]), "no image on the test side of fold 1, 2, 3:"),
        (Bunch(subtype=["A"], slide=["14-22549G"]), "no image on the test side of fold 3, 4, 5:"),
    ],
)
def test_what_is_no_breakhis_or_has_an_empty_side_is_refused(bunch, words):
    with pytest.raises(ValueError, match=words):
        official_holdouts(bunch)


def test_rendered_tissue_is_refused():
    with pytest.raises(ValueError, match="BreaKHis has no slide"):
        official_holdouts(make_histology(2, images_per_cell=1, image_size=8, random_state=0))


def test_an_empty_training_side_is_refused():
    with pytest.raises(ValueError, match="no image on the train side of fold 1:"):
        official_holdouts(bunch_of(read_slides().query("fold1 == 'test'")))


def on_both_sides(ids, roles):
    """Ids of images on both sides by fold, where there are any."""
    both = roles.groupby(ids).nunique() > 1
    return {number: set(both.index[both[fold]]) for number, fold in enumerate(FOLDS, 1) if both[fold].any()}


def test_the_warning_names_what_the_real_part_leaks(breakhis_root, breakhis_tree):
    bunch = load_breakhis(breakhis_root)
    cv, message = holdouts(bunch)
    roles = breakhis_tree.merge(read_slides(), how="left", on=["subtype", "slide"])[FOLDS]
    assert [len(test) for _, test in cv.split(bunch.data)] == (roles == "test").sum().tolist()
    by_accession, by_slide = leaks_in(message)
    assert by_slide == on_both_sides(breakhis_tree["slide"], roles)
    assert by_accession == on_both_sides(breakhis_tree["accession"], roles)
    assert by_accession[2] >= {"14-16184", "14-18842", "14-29960"}
    for number, (train, test) in enumerate(cv.split(bunch.data), 1):
        assert by_accession[number] == set(bunch.patient[train]) & set(bunch.patient[test])


def test_frames_are_taken_as_well(breakhis_root):
    bunch = load_breakhis(breakhis_root, magnifications=200, as_frame=True)
    cv, _ = holdouts(bunch)
    other, _ = holdouts(bunch.frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ours, theirs in zip(cv.split(bunch.data), other.split(bunch.data), strict=True):
            np.testing.assert_array_equal(ours[1], theirs[1])
