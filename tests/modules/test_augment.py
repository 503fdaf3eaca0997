import math

import pytest
import torch

from sklearn_magdg.modules._augment import augment_histology, jitter_stain, random_magnification


def test_stain_jitter_multiplies_the_optical_density():
    torch.manual_seed(0)
    transmission = torch.rand(3, 3, 4, 4).clamp_min(0.1)
    factors = torch.log(jitter_stain(transmission, 0.2)) / torch.log(transmission)  # (3, 3, 4, 4)
    torch.testing.assert_close(factors, factors[:, :, :1, :1].expand_as(factors), rtol=1e-3, atol=1e-3)
    assert factors.std() > 0.01


def test_zoom_of_one_only_turns_and_flips():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 6, 6)
    turns = [torch.rot90(flipped, k, (2, 3)) for flipped in (image, image.flip(3)) for k in range(4)]
    out = random_magnification(image.repeat(40, 1, 1, 1), 1.0, 1.0)
    which = [min(range(8), key=lambda k, o=o: (turns[k][0] - o).abs().max()) for o in out]
    assert all(torch.allclose(turns[k][0], o, atol=1e-5) for k, o in zip(which, out, strict=True))
    assert len(set(which)) == 8  # every turn and flip occurs


def test_zoom_of_two_shows_half_the_field():
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 64).repeat(64, 1).expand(1, 3, 64, 64)
    spans = [float(o.amax() - o.amin()) for o in random_magnification(ramp.repeat(8, 1, 1, 1), 2.0, 2.0)]
    assert spans == pytest.approx([0.5] * 8, abs=0.02)


def test_augmented_batch_keeps_shape_and_range_and_varies_within_the_batch():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (1, 9, 9, 3), dtype=torch.uint8).repeat(5, 1, 1, 1)
    out = augment_histology(images)
    assert out.shape == images.shape
    assert out.min() >= 0
    assert out.max() <= 255
    assert all(not math.isclose(float(out[0].mean()), float(o.mean()), rel_tol=1e-4) for o in out[1:])
