import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedGroupKFold,
)

from sklearn_magdg.model_selection import LeaveOneMagnificationOut, audit_folds, audit_splits, read_samples

PATIENT = np.repeat(["ann", "bob", "cid", "dot"], 3)
MAGNIFICATION = np.tile([40, 100, 200], 4)
Y = np.repeat(["benign", "malignant"] * 2, 3)
X = np.arange(60.0).reshape(12, 5)


def audit(cv, X=X, **change):
    return audit_splits(cv, X, Y, **({"patient": PATIENT, "magnification": MAGNIFICATION} | change))


def test_numbers_agree_with_a_count_by_hand():
    result = audit([([0, 1, 2, 3], [4, 5])])
    assert result.frame.loc[0].to_dict() == {
        "n_train": 4,
        "n_test": 2,
        "train_benign": 3,
        "train_malignant": 1,
        "test_benign": 0,
        "test_malignant": 2,
        "shared_patients": 1,
        "shared_magnifications": 2,
        "shared_accessions": 0,
        "duplicates": 0,
        "empty_cells": 4,
    }
    assert result.shared_patients == (["bob"],)
    assert result.shared_magnifications == ([100, 200],)
    assert result.empty_cells == (
        [
            ("train", "malignant", 100),
            ("train", "malignant", 200),
            ("test", "benign", 100),
            ("test", "benign", 200),
        ],
    )
    assert result.affected.loc[0, ["shared_patients", "shared_magnifications"]].tolist() == [2, 2]


def test_our_splitter_shares_nothing():
    result = audit(LeaveOneMagnificationOut(2))
    assert len(result.frame) == 6
    assert not result.frame[["shared_patients", "shared_magnifications", "duplicates"]].to_numpy().any()
    result.raise_if_leaky(magnifications=True)


def test_leaving_a_group_of_magnification_out_shares_every_patient():
    result = audit(list(LeaveOneGroupOut().split(X, Y, MAGNIFICATION)))
    assert (result.frame["shared_patients"] == 4).all()
    with pytest.raises(ValueError, match=r"Fold 0 leaks .*4 patients on both sides .'ann', 'bob', 'cid', 'dot'"):
        result.raise_if_leaky()


@pytest.mark.parametrize("cv", [GroupKFold(2), StratifiedGroupKFold(2), LeaveOneGroupOut()])
def test_a_splitter_by_groups_gets_the_patients(cv):
    result = audit(cv)
    assert not result.frame["shared_patients"].any()
    assert (result.frame["shared_magnifications"] == 3).all()
    result.raise_if_leaky()
    with pytest.raises(ValueError, match="3 magnifications on both sides"):
        result.raise_if_leaky(magnifications=True)


@pytest.mark.parametrize("cv", [2, KFold(4), ShuffleSplit(2, random_state=0), PredefinedSplit(np.arange(12) % 3)])
def test_a_splitter_without_groups_is_audited_without_a_warning(cv):
    assert len(audit(cv).frame) >= 2


class OldFashioned:
    """A splitter that knows nothing of metadata routing."""

    def split(self, X, y, groups):
        yield np.flatnonzero(groups != "ann"), np.flatnonzero(groups == "ann")

    def get_n_splits(self, X, y, groups):
        return 1


def test_a_splitter_without_routing_gets_the_patients_by_its_signature():
    assert audit(OldFashioned()).frame.loc[0, "n_test"] == 3


images = np.random.default_rng(0).integers(0, 256, size=(12, 5, 7, 3), dtype=np.uint8)
images[6] = images[0]
rows = X.copy()
rows[6] = rows[0]


@pytest.mark.parametrize(
    "data",
    [
        images,
        rows,
        csr_array(rows),
        pd.DataFrame(rows),
        rows.astype(str).astype(object),
        rows.tolist(),
    ],
    ids=["images", "rows", "sparse", "frame", "objects", "list"],
)
def test_a_sample_that_stands_on_both_sides_is_counted(data):
    result = audit([(range(6), range(6, 12)), (range(1, 6), range(6, 12))], data)
    assert result.frame["duplicates"].tolist() == [1, 0]
    assert [pairs.tolist() for pairs in result.duplicates] == [[[6, 0]], []]


def test_objects_of_equal_content_are_found_and_others_are_not():
    samples = [{"name": row, "pixels": np.arange(2000) + row} for row in range(12)]
    samples[7] = {"pixels": np.arange(2000) + 1, "name": 1}
    samples[8] = {"name": 2, "pixels": np.arange(2000) + 2}
    samples[8]["pixels"][1000] += 1  # far from both ends
    result = audit([(range(6), range(6, 12))], samples)
    assert result.duplicates[0].tolist() == [[7, 1]]


def test_identical_samples_raise():
    split = np.arange(6), np.arange(6, 12)
    with pytest.raises(ValueError, match=r"1 test sample with an identical one in training \(6 as 0\)"):
        audit([split], images).raise_if_leaky()


def test_without_a_search_for_duplicates_the_table_claims_nothing_about_them():
    result = audit([(range(6), range(6, 12))], images, duplicates=None)
    assert "duplicates" not in result.frame
    assert result.duplicates is None
    assert "not looked for" in str(result)
    result.raise_if_leaky()


ACCESSIONS = np.repeat(["14-22549AB", "14-22549CD", "14-30", "14-4364"], 3)


def test_an_accession_number_under_two_ids_is_named_and_raises_where_asked():
    result = audit(GroupKFold(4), patient=ACCESSIONS)
    of_accession = result.frame["shared_accessions"] > 0
    assert of_accession.sum() == 2
    assert result.affected["shared_accessions"].sum() == 6
    assert sorted(result.shared_accessions) == [[], [], ["14-22549"], ["14-22549"]]
    result.raise_if_leaky()
    with pytest.raises(ValueError, match=r"1 accession number on both sides \('14-22549'\)"):
        result.raise_if_leaky(accessions=True)


@pytest.mark.parametrize("ids", [(" 14-100A", "14-100"), ("14-100 ", "14-100A"), ("14-100A ", "14-100B")])
def test_white_space_around_an_id_hides_no_accession(ids):
    result = audit([([0, 3], [6, 9])], patient=np.repeat([ids[0], "P2", ids[1], "14-200"], 3))
    assert result.shared_accessions == (["14-100"],)


def test_the_same_id_on_both_sides_is_a_shared_patient_and_no_second_id():
    result = audit([([0, 3], [1, 6])], patient=ACCESSIONS)  # AB, CD | AB, 14-30
    assert result.shared_patients == (["14-22549AB"],)
    assert result.shared_accessions == (["14-22549"],)  # CD beside AB
    assert result.affected.loc[0, "shared_accessions"] == 1
    alone = audit([([0], [1, 6])], patient=ACCESSIONS)
    assert alone.shared_accessions == ([],)


@pytest.mark.parametrize(
    "ids",
    [
        ["P01", "P02", "P03", "P04"],
        ["ann", "anna", "annab", "x"],
        [1, 2, 3, 4],
        ["TCGA-A1-A0SB", "TCGA-A1-A0SD", "TCGA-A1-A0SX", "TCGA-A1-A0SY"],  # four people
        ["12A", "12B", "12C", "12D"],  # wells of a plate
        ["550e8400-e29b", "550e8400-e29c", "550e8400-e29d", "550e8400-e29e"],
    ],
    ids=["P01", "names", "numbers", "barcodes", "wells", "hexadecimal"],
)
def test_ids_of_another_grammar_share_no_accession(ids):
    assert not audit(GroupKFold(4), patient=np.repeat(ids, 3)).frame["shared_accessions"].any()


def test_a_training_part_of_one_class_is_a_caution_and_no_leak():
    result = audit([(range(3), range(3, 6)), (range(6), range(6, 12)), ([], range(3))])
    assert result.cautions == [
        "Fold 0 trains on 'benign' only: no classifier can be fitted.",
        "Fold 2 trains on no sample: no classifier can be fitted.",
    ]
    result.raise_if_leaky()
    assert result.cautions[0] in str(result)


def test_patients_that_differ_by_letter_case_only_are_a_caution_and_no_leak():
    result = audit(GroupKFold(2), patient=np.repeat(["P1", "P2", "p1", "Q"], 3))
    assert result.lookalike_patients == [("P1", "p1")]
    assert result.cautions[0] == "Patients that differ by letter case only count as several: 'P1' and 'p1'."
    assert result.cautions[0] in str(result)
    result.raise_if_leaky()


def test_a_class_that_is_tested_and_never_trained_is_a_caution():
    result = audit_splits(
        [(range(8), range(8, 12))],
        X,
        np.repeat(["a", "b", "c"], 4),
        patient=np.arange(12),
        magnification=MAGNIFICATION,
    )
    assert result.cautions == ["Fold 0 tests 'c', which training lacks."]


def test_the_summary_counts_folds_and_tests_of_samples():
    result = audit([(range(5), range(5, 12)), (range(6), range(6, 12))])
    summary = result.summary
    assert summary[["n_folds", "n_tested", "shared_patients", "shared_patients_samples"]].tolist() == [2, 13, 1, 1]
    assert summary[["shared_magnifications", "shared_magnifications_samples"]].tolist() == [2, 13]
    assert summary[["duplicates", "duplicates_samples", "empty_cells"]].tolist() == [0, 0, 1]


def test_text_says_what_leaks_and_marks_it():
    text = str(audit(KFold(2, shuffle=True, random_state=0)))
    assert text.startswith("Leak: on both sides stand patients in 2 of 2 folds (12 test samples).")
    assert "On both sides stand magnifications in 2 of 2 folds (12 test samples)." in text
    assert re.search(r"^ +fold +train \(benign \+ malignant\) +test", text, re.MULTILINE)
    assert re.search(r"^ +0 +6 \(\d \+ \d\) +6 \(\d \+ \d\) +\d! +3 +0 +0 +\d$", text, re.MULTILINE)


def test_text_of_a_clean_split_says_so():
    text = str(audit(LeaveOneMagnificationOut(2)))
    assert text.startswith("No leak: no patients or identical samples stand on both sides.\nNo magnifications or acc")
    assert "!" not in text


def test_the_web_page_marks_leaks_by_more_than_colour_and_escapes_names():
    patient = np.where(PATIENT == "ann", "<script>ann", PATIENT)
    page = audit([([0, 3], [1, 6])], patient=patient)._repr_html_()
    assert "<b>&#9650; 1</b>" in page
    assert "&lt;script&gt;ann" in page
    assert "<script" not in page


def test_many_folds_are_cut_in_text_and_page():
    result = audit([([0, 3], [7])] * 53)
    for shown in (str(result), result._repr_html_()):
        assert "3 more are in `frame`" in shown
        assert "3 more such folds" not in shown
    assert str(result).count("\n") < 60


def test_many_classes_leave_only_totals():
    result = audit_splits(2, X, np.tile(list("abcd"), 3), patient=PATIENT, magnification=MAGNIFICATION)
    assert re.search(r"fold +train +test +patients", str(result))


def test_audits_compare_by_identity_and_go_into_sets():
    one, other = audit(2), audit(2)
    assert one != other
    assert len({one, other, one}) == 2


def test_masks_are_read_as_positions():
    mask = np.arange(12) < 7
    assert audit([(mask, ~mask)]).frame.equals(audit([(range(7), range(7, 12))]).frame)


@pytest.mark.parametrize(
    ("cv", "change", "message"),
    [
        (2, {"patient": [1, 2, 3]}, "`patient` has 3 values for 12 samples"),
        (2, {"patient": np.repeat(["a", "b", "a ", "c"], 3)}, r"differ by white space only, \['a', 'a '\]"),
        (2, {"patient": np.repeat(["a", "b", "", "c"], 3)}, "`patient` is blank text for 3 samples"),
        (KFold, {}, r"`cv` is the class KFold itself; give a splitter made of it, KFold\(...\)"),
        (2, {"duplicates": "paths"}, '`duplicates` must be "identical", "near" or None'),
        (2, {"near_distance": 128}, "`near_distance` must be an integer from 0 to 127"),
        (2, {"duplicates": "near"}, r"must hold paths or be of shape .* got \(12, 5\); use duplicates=\"identical\""),
        ([(range(5), range(5, 13))], {}, "Fold 0 of `cv` names positions from 5 to 12, the data have 0 to 11"),
        ([([-1], [0])], {}, "positions from -1 to -1"),
        ([([0.5], [0])], {}, "Fold 0 of `cv` must be positions of samples, got float64"),
        ([], {}, "`cv` gave no split to audit"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(cv, change, message):
    with pytest.raises(ValueError, match=message):
        audit(cv, **change)


@pytest.mark.parametrize("cv", ["kfold", KFold, LeaveOneMagnificationOut(5)])
def test_a_bad_splitter_is_refused_before_any_file_is_opened(cv):
    with pytest.raises(ValueError, match=r"kfold|KFold|fewer than 5 folds"):
        audit(cv, [f"nowhere/{row}.png" for row in range(12)])


IDS = ["14-100A", "14-100B", "14-100", "14-200C", "ann"]


@st.composite
def designs(draw):
    """Rows (patient, magnification, class, feature) and splits of them, which may overlap."""
    n = draw(st.integers(2, 12))
    row = st.tuples(st.sampled_from(IDS), st.sampled_from([40, 100, 200]), st.sampled_from("bm"), st.integers(0, 4))
    side = st.lists(st.integers(0, n - 1), unique=True)
    return draw(st.lists(row, min_size=n, max_size=n)), draw(st.lists(st.tuples(side, side), min_size=1, max_size=3))


def audit_design(rows, splits):
    patient, magnification, y, feature = zip(*rows, strict=True)
    X = np.array(feature, dtype=float)[:, None]
    return audit_splits(splits, X, list(y), patient=list(patient), magnification=list(magnification))


def count_by_hand(rows, train, test):
    train, test = [rows[i] for i in train], [rows[i] for i in test]
    accession = {name: name[:6] if name != "ann" else name for name in IDS}
    twins = [s for s in test if any(accession[s[0]] == accession[t[0]] and s[0] != t[0] for t in train)]
    empty = [
        (magnification, label)
        for side in (train, test)
        for magnification in {row[1] for row in side}
        for label in {row[2] for row in rows}
        if not any(row[1:3] == (magnification, label) for row in side)
    ]
    return {
        "n_train": len(train),
        "n_test": len(test),
        "shared_patients": len({s[0] for s in test} & {t[0] for t in train}),
        "shared_magnifications": len({s[1] for s in test} & {t[1] for t in train}),
        "shared_accessions": len({accession[s[0]] for s in twins}),
        "duplicates": sum(any(s[3] == t[3] for t in train) for s in test),
        "empty_cells": len(empty),
    }


@given(designs())
def test_counts_are_those_of_a_count_one_by_one(design):
    rows, splits = design
    frame = audit_design(rows, splits).frame
    for fold, (train, test) in enumerate(splits):
        expected = count_by_hand(rows, train, test)
        assert frame.loc[fold, list(expected)].to_dict() == expected


@given(designs(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_number(design, random):
    rows, splits = design
    order = random.sample(range(len(rows)), len(rows))
    moved = np.argsort(order)  # where each row went
    there = [tuple(moved[np.array(side, dtype=int)] for side in split) for split in splits]
    before, after = audit_design(rows, splits), audit_design([rows[i] for i in order], there)
    pd.testing.assert_frame_equal(before.frame, after.frame)
    pd.testing.assert_frame_equal(before.affected, after.affected)
    assert before.shared_accessions == after.shared_accessions


@given(designs(), st.data())
def test_samples_read_once_serve_for_an_audit_of_some_of_them(design, data):
    rows, _ = design
    kept = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=2, unique=True)))
    patient, magnification, y, feature = zip(*rows, strict=True)
    samples = read_samples(np.array(feature)[:, None], list(y), list(patient), list(magnification))
    half = len(kept) // 2
    splits = [(range(half), range(half, len(kept)))]
    some = audit_folds(splits, samples.take(kept))
    alone = audit_design([rows[row] for row in kept], splits)
    columns = ["n_train", "n_test", "shared_patients", "shared_magnifications", "shared_accessions", "duplicates"]
    pd.testing.assert_frame_equal(some.frame[columns], alone.frame[columns])
    pd.testing.assert_frame_equal(some.affected, alone.affected)
    assert [pairs.tolist() for pairs in some.duplicates] == [pairs.tolist() for pairs in alone.duplicates]
    assert (some.shared_patients, some.shared_accessions) == (alone.shared_patients, alone.shared_accessions)


def test_accessions_are_known_for_every_sample():
    samples = read_samples(X, Y, np.repeat(["14-22549AB", "14-22549CD", " 14-30", "x"], 3), MAGNIFICATION)
    assert samples.accession.values().tolist() == np.repeat(["14-22549", "14-22549", "14-30", "x"], 3).tolist()
