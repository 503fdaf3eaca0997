import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sklearn_magdg.datasets._breakhis import load_breakhis
from sklearn_magdg.datasets._damaged import keep_readable
from sklearn_magdg.datasets._manifest import load_manifest

COLUMNS = ("data", "target", "patient", "slide", "magnification", "subtype")


def damage(file):
    """Cut a file in the middle of its pixels."""
    Image.effect_noise((31, 17), 50).save(file)
    file.write_bytes(file.read_bytes()[:200])


@pytest.fixture
def table(tmp_path):
    """Seven images, the third and the last of which are damaged."""
    for i in range(7):
        Image.new("RGB", (5, 3)).save(tmp_path / f"{i}.png")
    damage(tmp_path / "2.png")
    (tmp_path / "6.png").write_bytes(b"")
    classes = ["a", "b", "a", "b", "a", "b", "c"]
    return pd.DataFrame({"path": [f"{i}.png" for i in range(7)], "target": classes, "patient": range(7)}).assign(
        magnification=[40, 100, 200, 40, 100, 200, 400]
    )


def test_images_are_not_opened_unless_asked(table, tmp_path, root):
    assert len(load_manifest(table, root=tmp_path).data) == 7
    for file in root.rglob("SOB*.png"):
        damage(file)
    assert len(load_breakhis(root).data) == 22


def test_a_manifest_with_damaged_files_is_refused_by_their_rows(table, tmp_path):
    with pytest.raises(
        ValueError,
        match=r"cannot be read: rows 3, 7 \(.*2\.png, .*6\.png\), the first because .*trunc.*; get.*\"skip\"",
    ):
        load_manifest(table, root=tmp_path, on_damaged="raise")
    whole = table.iloc[[0, 1, 3]]
    assert len(load_manifest(whole, root=tmp_path, on_damaged="raise").data) == 3


def test_damaged_rows_of_a_manifest_are_left_out_of_every_column(table, tmp_path):
    with pytest.warns(UserWarning, match=r"2 of 7 image files cannot be read.*2\.png.*6\.png"):
        bunch = load_manifest(table, root=tmp_path, on_damaged="skip")
    expected = load_manifest(table.iloc[[0, 1, 3, 4, 5]], root=tmp_path)
    for name in COLUMNS:
        np.testing.assert_array_equal(bunch[name], expected[name])
    pd.testing.assert_frame_equal(bunch.frame, expected.frame)
    assert (bunch.target_names.tolist(), bunch.DESCR) == (["a", "b"], expected.DESCR)


def test_damaged_files_of_breakhis_are_refused_by_name(root):
    damage(next(root.rglob("*DC-14-4364-100-007.png")))
    with pytest.raises(ValueError, match=r"cannot be read: 1 image files \(.*DC-14-4364-100-007\.png\)"):
        load_breakhis(root, on_damaged="raise")
    assert len(load_breakhis(root, on_damaged="raise", magnifications=200).data) == 10


@pytest.mark.parametrize("verify", [True, False])
def test_the_description_names_what_was_left_out(root, verify):
    damage(next(root.rglob("*DC-14-4364-100-007.png")))
    with pytest.warns(UserWarning, match="1 of 22"):
        bunch = load_breakhis(root, on_damaged="skip", verify=verify)
    words = "\nLeft out because they cannot be read (1): SOB_M_DC-14-4364-100-007.png.\n"
    assert bunch.DESCR.endswith(words)
    assert words not in load_breakhis(root, verify=verify).DESCR


def test_damaged_files_of_breakhis_are_left_out_and_missing_in_the_inventory(root):
    file = next(root.rglob("*DC-14-4364-100-007.png"))
    damage(file)
    with pytest.warns(UserWarning, match="1 of 22 image files cannot be read"):
        bunch = load_breakhis(root, on_damaged="skip", as_frame=True)
    file.unlink()
    expected = load_breakhis(root, as_frame=True)
    pd.testing.assert_frame_equal(bunch.frame, expected.frame)
    pd.testing.assert_frame_equal(bunch.inventory, expected.inventory)
    assert bunch.DESCR.startswith(expected.DESCR)
    assert "DC-14-4364 (3 of" in bunch.DESCR


def test_a_magnification_of_damaged_files_alone_is_absent(root):
    damage(next(root.rglob("*-400-001.png")))
    with (
        pytest.warns(UserWarning, match="1 of 22 image files"),
        pytest.raises(ValueError, match=r"no image at magnification \[400\]"),
    ):
        load_breakhis(root, on_damaged="skip")


def test_nothing_left_is_refused(tmp_path):
    damage(tmp_path / "0.png")
    paths = np.array([str(tmp_path / "0.png")], dtype=object)
    with (
        pytest.warns(UserWarning, match="1 of 1"),
        pytest.raises(ValueError, match="None of the 1 image files can be read"),
    ):
        keep_readable(paths, "skip")


@pytest.mark.parametrize("wrong", ["drop", True, "Raise"])
def test_another_choice_is_refused(table, tmp_path, root, wrong):
    with pytest.raises(ValueError, match="`on_damaged` must be None, 'raise' or 'skip'"):
        load_manifest(table, root=tmp_path, on_damaged=wrong)
    with pytest.raises(ValueError, match="`on_damaged` must be None, 'raise' or 'skip'"):
        load_breakhis(root, on_damaged=wrong)


def test_the_real_images_are_whole(breakhis_root, breakhis_tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bunch = load_breakhis(breakhis_root, magnifications=40, on_damaged="raise")
    assert len(bunch.data) == (breakhis_tree["magnification"] == 40).sum()
