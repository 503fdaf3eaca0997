import os
import struct
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image, PngImagePlugin

from sklearn_magdg.images import read_image, readable_images, resize_images

RNG = np.random.default_rng(0)


def random_image(height=7, width=5):
    return RNG.integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def save(tmp_path, image, name="image.png", **options):
    file = tmp_path / name
    image.save(file, **options)
    return file


# --- pixels ---


def test_an_image_of_the_asked_size_comes_back_unchanged(tmp_path):
    pixels = random_image(5, 5)
    np.testing.assert_array_equal(read_image(save(tmp_path, Image.fromarray(pixels)), 5), pixels)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30))
@settings(deadline=None, max_examples=30)
def test_arrays_and_paths_agree_bit_for_bit(tmp_path_factory, height, width, size):
    pixels = random_image(height, width)
    file = save(tmp_path_factory.mktemp("images"), Image.fromarray(pixels))
    np.testing.assert_array_equal(read_image(file, size), resize_images(pixels[None], size)[0])


def test_reduction_is_antialiased(tmp_path):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    reduced = read_image(save(tmp_path, Image.fromarray(stripes)), 8)
    assert np.all(np.abs(reduced[:, 1:-1].astype(int) - 127) < 10)  # a plain bicubic would show 0 or 255


def test_resizing_to_the_same_size_gives_the_array_itself():
    pixels = np.stack([random_image(5, 5)] * 3)
    assert resize_images(pixels, 5) is pixels


# What turns the stored pixels upright, by the EXIF standard's eight orientations (CIPA DC-008, 4.6.4).
UPRIGHT = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photograph_is_turned_upright(tmp_path, orientation):
    stored = random_image(5, 5)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = save(tmp_path, Image.fromarray(stored), exif=exif)
    np.testing.assert_array_equal(read_image(file, 5), UPRIGHT[orientation](stored))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "RGBA", "PA", "I;16", "I"])
def test_every_mode_of_grey_100_reads_as_grey_100(tmp_path, mode):
    grey = Image.new("RGB", (7, 5), (100, 100, 100))
    if mode == "1":
        image, expected = Image.new("1", (7, 5), 1), 255
    elif mode.startswith("I"):
        image, expected = Image.fromarray(np.full((5, 7), 100 * 256 + 9, np.uint16)).convert(mode), 100
    else:
        # quantize() keeps the colour, where convert("P") takes the nearest of a fixed palette
        image, expected = (grey.quantize() if mode.startswith("P") else grey).convert(mode), 100
    file = save(tmp_path, image, "image.tif" if mode in {"CMYK", "YCbCr", "PA", "I"} else "image.png")
    with Image.open(file) as saved:
        assert saved.mode == mode
    pixels = read_image(file, 3)
    assert pixels.shape == (3, 3, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), expected, atol=1)


def test_a_jpeg_for_print_reads_as_the_colour_it_was_made_of(tmp_path):
    file = save(tmp_path, Image.new("RGB", (9, 7), (200, 30, 90)).convert("CMYK"), "image.jpg", quality=95)
    with Image.open(file) as saved:
        assert saved.mode == "CMYK"
    np.testing.assert_allclose(read_image(file, 1)[0, 0].astype(int), [200, 30, 90], atol=4)


def png_of_16_bits(pixels):
    """A PNG of 16 bits per channel, which Pillow reads and cannot write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    parts = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_colour_of_16_bits_keeps_its_upper_byte(tmp_path):
    deep = RNG.integers(0, 2**16, (5, 5, 3))
    file = tmp_path / "deep.png"
    file.write_bytes(png_of_16_bits(deep))
    np.testing.assert_array_equal(read_image(file, 5), deep >> 8)


@pytest.mark.parametrize("suffix", ["tif", "gif"])
def test_of_several_frames_the_first_is_taken(tmp_path, suffix):
    frames = [Image.new("RGB", (7, 5), (grey, grey, grey)) for grey in (0, 100, 255)]
    file = save(tmp_path, frames[0], f"frames.{suffix}", save_all=True, append_images=frames[1:])
    with Image.open(file) as saved:
        assert saved.n_frames == 3
    assert (read_image(file, 3) == 0).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_stand_on_white(tmp_path, mode):
    image = Image.new("RGBA", (6, 6), (0, 0, 0, 0))
    if mode == "P":
        file = save(tmp_path, Image.new("RGB", (6, 6)).quantize(), transparency=0)
    else:
        file = save(tmp_path, image.convert(mode))
    assert (read_image(file, 6) == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_a_half_transparent_pixel_is_mixed_with_white(tmp_path, mode):
    if mode == "P":
        file = save(tmp_path, Image.new("RGB", (2, 2)).quantize(), transparency=bytes([128] * 256))
    else:
        file = save(tmp_path, Image.new("RGBA", (2, 2), (0, 0, 0, 128)).convert(mode), "image.tif")
    with Image.open(file) as saved:
        assert saved.mode == mode
    np.testing.assert_allclose(read_image(file, 2).astype(int), 127, atol=1)


# --- files that are refused ---


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "gif", "webp"])
def test_a_file_cut_off_in_the_middle_is_refused_by_name(tmp_path, suffix):
    content = save(tmp_path, Image.fromarray(random_image(50, 50)), f"whole.{suffix}").read_bytes()
    (tmp_path / f"half.{suffix}").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"half\.{suffix}' as an image .*on_damaged=\"skip\".*readable_images"):
        read_image(tmp_path / f"half.{suffix}", 5)


@pytest.mark.filterwarnings("ignore:.*EXIF data:UserWarning", "ignore:Truncated File Read:UserWarning")  # of TIFF
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "gif", "webp"])
def test_wherever_a_file_is_cut_off_no_part_of_a_picture_is_read(tmp_path, suffix):
    file = save(tmp_path, Image.fromarray(random_image(31, 31)), f"image.{suffix}")
    content, whole = file.read_bytes(), read_image(file, 31)
    for length in [*range(0, len(content), 41), *range(len(content) - 20, len(content))]:
        file.write_bytes(content[:length])
        try:
            pixels = read_image(file, 31)
        except ValueError:
            continue
        np.testing.assert_array_equal(pixels, whole)  # only the end mark is missing


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 9)])
def test_files_that_are_no_images_are_refused_by_name(tmp_path, content):
    file = tmp_path / "notes.png"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.png"):
        read_image(file, 5)


@pytest.mark.skipif(os.name == "nt", reason="Ghostscript has other names on Windows")
def test_no_other_program_is_started_for_a_file_that_is_no_image(tmp_path, monkeypatch):
    ghostscript, mark = tmp_path / "gs", tmp_path / "mark"
    ghostscript.write_text(f"#!/bin/sh\necho started >> '{mark}'\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # not yet looked for
    file = save(tmp_path, Image.new("RGB", (7, 5)), "drawing.eps").rename(tmp_path / "image.png")
    with pytest.raises(ValueError, match=r"image\.png' as an image \(it does not begin as PNG, JPEG,.*or PPM does\)"):
        read_image(file, 5)
    assert not mark.exists()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "MPO", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM"])
def test_a_format_is_told_by_content_whatever_the_name(tmp_path, format):
    frames = [Image.new("RGB", (7, 5), (90, 90, 90))] * 2
    several = {"save_all": True, "append_images": frames[1:]} if format == "MPO" else {}
    file = save(tmp_path, frames[0], "image.dat", format=format, **several)
    with Image.open(file) as saved:
        assert saved.format == format
    np.testing.assert_allclose(read_image(file, 3).astype(int), 90, atol=1)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, AttributeError, AssertionError, UserWarning])
@pytest.mark.parametrize("step", ["_open", "load"])
def test_whatever_a_decoder_raises_the_file_is_named(tmp_path, monkeypatch, step, error):
    def fail(*_):
        raise error("decoder failed")

    file = save(tmp_path, Image.new("RGB", (7, 5)))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, step, fail)
    with pytest.raises(ValueError, match=r"image\.png' as an image \(decoder failed\)"):
        read_image(file, 5)
    with pytest.warns(UserWarning, match=r"image\.png' \(decoder failed\)"):
        assert readable_images([file, save(tmp_path, Image.new("RGB", (7, 5)), "whole.bmp")]).tolist() == [False, True]


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_no_fault_of_the_file_is_not_called_one(tmp_path, monkeypatch, error):
    def fail(_):
        raise error

    file = save(tmp_path, Image.new("RGB", (7, 5)))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(error):
        readable_images([file])


def test_a_folder_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"as an image \(it is no regular file"):
        read_image(tmp_path, 5)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes on Windows")
def test_a_pipe_is_refused_at_once(tmp_path):
    pipe, faults = tmp_path / "pipe.png", []
    os.mkfifo(pipe)

    def read():
        with pytest.raises(ValueError, match="no regular file"):
            read_image(pipe, 5)
        faults.append("refused")

    reader = threading.Thread(target=read, daemon=True)  # so that a hanging one does not hold up the others
    reader.start()
    reader.join(timeout=5)
    assert faults == ["refused"]


@pytest.mark.parametrize("name", ["absent.png", np.str_("absent.png"), "dangling.png"])
def test_a_missing_file_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    with pytest.raises(FileNotFoundError, match=rf"no image file '{name}'"):
        read_image(name, 5)


@pytest.mark.parametrize("name", ["Gewebe ß 組織 🔬.png", "x" * 251 + ".png", os.fsdecode(b"\xff\xfe.png")])
def test_unusual_names_are_read(tmp_path, name):
    pixels = random_image(5, 5)
    file = save(tmp_path, Image.fromarray(pixels), name)
    np.testing.assert_array_equal(read_image(str(file), 5), pixels)


@pytest.mark.parametrize("name", ["x" * 256 + ".png", "a\0b.png"])
def test_impossible_names_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="as an image"):
        read_image(os.path.join(tmp_path, name), 5)


@pytest.mark.parametrize("limit", [100, 60])
def test_decompression_bombs_are_refused(tmp_path, monkeypatch, limit):
    file = save(tmp_path, Image.new("RGB", (13, 11)))  # 143 pixels: above the limit, or above twice the limit
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match="image"):
        read_image(file, 5)


def test_a_bomb_is_refused_where_warnings_pass(tmp_path, monkeypatch):
    file = save(tmp_path, Image.new("RGB", (13, 11)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(ValueError, match="13 x 11 pixels"):
        read_image(file, 5)


def test_pixels_of_unknown_range_are_refused(tmp_path):
    for value, dtype in ((0.5, np.float32), (70_000, np.int32)):
        file = save(tmp_path, Image.fromarray(np.full((5, 7), value, dtype)), "deep.tif")
        with pytest.raises(ValueError, match=r"deep\.tif.*its pixels"):
            read_image(file, 5)


def test_a_link_is_read_as_what_it_points_to(tmp_path):
    pixels = random_image(5, 5)
    save(tmp_path, Image.fromarray(pixels), "target.png")
    (tmp_path / "link.png").symlink_to("target.png")
    np.testing.assert_array_equal(read_image(tmp_path / "link.png", 5), pixels)
    assert readable_images([tmp_path / "link.png"]).all()


@pytest.mark.parametrize("bad", [np.zeros((2, 5, 5, 3)), np.zeros((5, 5, 3), np.uint8)])
def test_arrays_that_are_no_images_are_refused(bad):
    with pytest.raises(ValueError, match="uint8 of shape"):
        resize_images(bad, 5)
