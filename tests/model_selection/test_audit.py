import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedGroupKFold,
)

from sklearn_magdg.model_selection import LeaveOneMagnificationOut, audit_splits

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
        "duplicates": 0,
    }
    assert result.shared_patients == (["bob"],)


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
paths = [f"{i}.png" for i in range(12)]
paths[6] = "./0.png"


@pytest.mark.parametrize(
    "data",
    [
        images,
        rows,
        csr_array(rows),
        pd.DataFrame(rows),
        paths,
        rows.astype(str).astype(object),
        rows.tolist(),
    ],
    ids=["images", "rows", "sparse", "frame", "paths", "objects", "list"],
)
def test_a_sample_that_stands_on_both_sides_is_counted(data):
    result = audit([(range(6), range(6, 12)), (range(1, 6), range(6, 12))], data)
    assert result.frame["duplicates"].tolist() == [1, 0]


def test_identical_samples_raise():
    split = np.arange(6), np.arange(6, 12)
    with pytest.raises(ValueError, match="1 test samples with an identical one in training"):
        audit([split], images).raise_if_leaky()


def test_it_reads_as_text_and_as_a_web_page():
    result = audit(KFold(2))
    assert "2 folds: 0 share patients, 2 share magnifications" in str(result)
    assert "<table" in result._repr_html_()


def test_metadata_of_another_length_is_refused():
    with pytest.raises(ValueError, match="`patient` has 3 values for 12 samples"):
        audit(2, patient=[1, 2, 3])
