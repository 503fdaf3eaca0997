import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_magdg.modules import AUGMENTATIONS, HistologyAugment
from sklearn_magdg.modules._augment import random_view, resampling_weights, scale_stains

# Rows haematoxylin, eosin, DAB: `rgb_from_hed` of scikit-image (skimage/color/colorconv.py)
RGB_FROM_HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])

PLAIN = HistologyAugment(zoom=None, stain=0, flips=False)


def _stained(amounts):
    """Images (n, 3, h, w) in [0, 255] of stain amounts (n, h, w, 3): I = 255 exp(-amounts S)."""
    return torch.tensor(255 * np.exp(-amounts @ RGB_FROM_HED), dtype=torch.float32).permute(0, 3, 1, 2)


def _random_images(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def _zoomed(images, zoom):
    """Images (n, 3, h, w) about their centres, by the weights alone."""
    n, _, height, width = images.shape
    zooms, forward = torch.full((n,), zoom), torch.ones(n)
    rows = resampling_weights(zooms, torch.full((n,), height / 2), forward, height)
    columns = resampling_weights(zooms, torch.full((n,), width / 2), forward, width)
    return rows[:, None] @ images @ columns.mT[:, None]


def test_a_factor_multiplies_the_amount_of_its_own_stain_alone():
    rng = np.random.default_rng(0)
    amounts, factors = rng.random((3, 5, 7, 3)), rng.uniform(0.5, 1.5, (3, 3))
    expected = _stained(amounts * factors[:, None, None])
    scaled = scale_stains(_stained(amounts), torch.tensor(factors, dtype=torch.float32))
    torch.testing.assert_close(scaled, expected, rtol=1e-4, atol=1e-3)


def test_pure_haematoxylin_moves_along_its_own_line_of_optical_density():
    colour = _stained(np.array([[[[0.8, 0.0, 0.0]]]]))
    scaled = scale_stains(colour, torch.tensor([[1.25, 3.0, 5.0]]))
    density = -torch.log(scaled / 255).flatten()
    torch.testing.assert_close(density, torch.tensor(RGB_FROM_HED[0], dtype=torch.float32), rtol=1e-4, atol=1e-5)


def test_stain_factors_are_one_an_image_and_stain_and_lie_within_the_strength():
    torch.manual_seed(0)
    amounts = np.random.default_rng(0).uniform(0.1, 0.6, (40, 3, 5, 3))
    images = _stained(amounts).permute(0, 2, 3, 1).round().to(torch.uint8)
    before, after = (
        -np.log(x.double().numpy() / 255) @ np.linalg.inv(RGB_FROM_HED)
        for x in (images, HistologyAugment(zoom=None, stain=0.3, flips=False)(images))
    )
    factors = after / before  # (n, h, w, stain)
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1, :1], factors.shape), rtol=1e-3)
    drawn = factors[:, 0, 0]
    assert 0.7 <= drawn.min() < 0.75
    assert 1.25 < drawn.max() <= 1.3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.5


def test_stain_leaves_white_white_and_every_value_in_range():
    torch.manual_seed(0)
    augment = HistologyAugment(zoom=None, stain=0.9)
    assert (augment(torch.full((9, 5, 7, 3), 255, dtype=torch.uint8)) == 255).all()
    extreme = augment(_random_images(9, 5, 7, 3) // 128 * 255)  # only 0 and 255: all corners of the cube
    assert extreme.isfinite().all()
    assert extreme.min() >= 0
    assert extreme.max() <= 255


@pytest.mark.parametrize("zoom", [0.375, 0.5, 0.75, 1.5, 2.5])
def test_a_zoom_is_antialiased_interpolation_of_the_mirrored_image(zoom):
    images = torch.rand(2, 3, 8, 24, generator=torch.Generator().manual_seed(0))
    mirrored = np.pad(images.numpy(), ((0, 0), (0, 0), (36, 36), (36, 36)), mode="symmetric")
    height, width = round(80 * zoom), round(96 * zoom)  # even, so that the centre is one of the same kind
    whole = F.interpolate(torch.tensor(mirrored), size=(height, width), mode="bilinear", antialias=True)
    top, left = (height - 8) // 2, (width - 24) // 2
    expected = whole[:, :, top : top + 8, left : left + 24]
    torch.testing.assert_close(_zoomed(images, zoom), expected, rtol=1e-4, atol=1e-5)


def test_zooming_out_of_a_checkerboard_gives_its_mean_and_no_pattern():
    checkerboard = (torch.arange(13)[:, None] + torch.arange(13)) % 2.0
    seen = _zoomed(checkerboard.expand(1, 3, 13, 13), 0.5)[..., 4:9, 4:9]  # within the reflections
    torch.testing.assert_close(seen, torch.full_like(seen, 0.5), rtol=0, atol=1e-6)


def test_white_images_stay_white_at_any_zoom_and_no_whiter():
    white = torch.full((200, 3, 7, 5), 255.0)
    torch.manual_seed(0)
    views = random_view(white, 1 / 3, 4.0, flips=True)
    torch.testing.assert_close(views, white)
    assert views.max() <= 255


def test_zooming_in_shows_one_part_of_the_field_anywhere_in_it():
    torch.manual_seed(0)
    ramp = torch.arange(64.0).expand(1, 3, 64, 64).repeat(50, 1, 1, 1)
    views = random_view(ramp, 2.0, 2.0, flips=False)
    left, right = views[..., 0].mean((1, 2)), views[..., -1].mean((1, 2))
    torch.testing.assert_close(right - left, torch.full((50,), 31.5), rtol=0, atol=0.3)
    assert left.min() < 3
    assert right.max() > 60


def test_zooms_are_log_uniform_between_their_bounds():
    torch.manual_seed(0)
    ramp = torch.arange(64.0).expand(1, 3, 64, 64).repeat(400, 1, 1, 1)
    views = random_view(ramp, 1.0, 4.0, flips=False)
    zoom = 1 / (views[..., 33] - views[..., 30]).mean((1, 2)).div(3)
    quartiles = torch.quantile(zoom.log() / math.log(4), torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(quartiles, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]), rtol=0, atol=0.08)


def test_without_zoom_each_of_the_eight_turns_and_flips_occurs_and_moves_pixels_exactly():
    torch.manual_seed(0)
    image = _random_images(1, 7, 7, 3)
    ways = [torch.rot90(flipped, k, (1, 2))[0] for flipped in (image, image.flip(2)) for k in range(4)]
    out = HistologyAugment(zoom=None, stain=0)(image.repeat(200, 1, 1, 1))
    counts = [sum(torch.equal(view, way.float()) for view in out) for way in ways]
    assert sum(counts) == 200
    assert min(counts) >= 10  # 25 expected


def test_images_that_are_not_square_are_turned_by_180_degrees_and_mirrored():
    torch.manual_seed(0)
    image = _random_images(1, 5, 8, 3)
    ways = [image[0], image[0].flip(0), image[0].flip(1), image[0].flip(0, 1)]
    out = HistologyAugment(zoom=None, stain=0)(image.repeat(100, 1, 1, 1))
    counts = [sum(torch.equal(view, way.float()) for view in out) for way in ways]
    assert sum(counts) == 100
    assert min(counts) >= 10  # 25 expected


def test_with_every_part_off_images_pass_unchanged():
    images = _random_images(3, 5, 7, 3)
    assert torch.equal(PLAIN(images), images.float())


@pytest.mark.parametrize("part", [{"zoom": (0.6, 2.5)}, {"stain": 0.2}, {"flips": True}])
def test_each_part_draws_for_each_image_and_leaves_its_batch_alone(part):
    torch.manual_seed(0)
    images = _random_images(1, 9, 9, 3).repeat(5, 1, 1, 1)
    given = images.clone()
    out = HistologyAugment(**{"zoom": None, "stain": 0, "flips": False, **part})(images)
    assert len(torch.unique(out, dim=0)) > 1
    assert torch.equal(images, given)


def test_an_image_gets_the_same_augmentation_whatever_its_neighbours_are():
    one, other = _random_images(4, 9, 9, 3, seed=1), _random_images(4, 9, 9, 3, seed=2)
    mixed = torch.cat([one[:2], other[2:]])
    outs = []
    for images in (one, mixed):
        torch.manual_seed(0)
        outs.append(HistologyAugment()(images))
    assert torch.equal(outs[0][:2], outs[1][:2])
    assert not torch.equal(outs[0][2:], outs[1][2:])


@pytest.mark.parametrize("shape", [(5, 11, 11, 3), (1, 5, 8, 3), (0, 7, 7, 3)])
def test_a_batch_keeps_its_shape_and_range(shape):
    torch.manual_seed(0)
    out = AUGMENTATIONS["histology"](_random_images(*shape))
    assert out.shape == shape
    assert out.dtype == torch.float32
    assert ((out >= 0) & (out <= 255)).all()


def test_one_seed_gives_one_batch():
    images, outs = _random_images(6, 13, 13, 3), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outs.append(HistologyAugment()(images))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])


def test_images_stay_on_their_device_and_all_draws_are_the_cpu_generators():
    images, states = _random_images(6, 7, 7, 3), []
    for device in ("cpu", "meta"):  # meta computes shapes alone: any detour over the CPU fails
        torch.manual_seed(0)
        out = HistologyAugment()(images.to(device))
        states.append(torch.get_rng_state())
        assert out.device.type == device
        assert out.shape == images.shape
    assert torch.equal(*states)


@pytest.mark.parametrize(
    ("magnifications", "zoom"),
    [
        ([40, 100, 200], (1 / 2.5, 2.5)),
        ([400, 200, 100, 200], (1 / 2, 2)),
        (["100X", "40X"], (1 / 2.5, 2.5)),
        ([20, 9, 16], (9 / 16, 16 / 9)),
        ((40, 100, 400), (1 / 3, 4)),
    ],
)
def test_a_span_reaches_the_farthest_neighbour_and_no_further_out_than_a_third(magnifications, zoom):
    augment = HistologyAugment.spanning(magnifications, stain=0.1)
    assert augment.zoom == pytest.approx(zoom)
    assert augment.stain == 0.1


@pytest.mark.parametrize(
    ("magnifications", "words"),
    [
        ([40, 40], "at least two different positive numbers.*got 40\\."),
        ([40, "low"], "got 40, low"),
        ([0, 40], "positive"),
        ([40, math.nan], "positive"),
    ],
)
def test_magnifications_without_a_span_are_refused(magnifications, words):
    with pytest.raises(ValueError, match=words):
        HistologyAugment.spanning(magnifications)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"zoom": 2.0}, "`zoom` must be None or a pair .* got 2.0"),
        ({"zoom": (2.0, 0.5)}, "low <= high"),
        ({"zoom": (0.2, 2)}, "1/3 <= low"),
        ({"zoom": (1, math.inf)}, "`zoom`"),
        ({"zoom": (1, math.nan)}, "`zoom`"),
        ({"zoom": "wide"}, "`zoom`"),
        ({"stain": 1.0}, r"`stain` must be a number in \[0, 1\), got 1.0"),
        ({"stain": -0.1}, "`stain`"),
        ({"stain": None}, "`stain` .* 0 leaves the colours"),
        ({"flips": "no"}, "`flips` must be True or False, got 'no'"),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(parameters, words):
    with pytest.raises(ValueError, match=words):
        HistologyAugment(**parameters)


@pytest.mark.parametrize("images", [torch.rand(2, 7, 7, 3), _random_images(2, 3, 7, 7), _random_images(7, 7, 3)])
def test_what_is_no_batch_of_uint8_images_is_refused(images):
    with pytest.raises(ValueError, match=r"uint8 tensor \(n, height, width, 3\), got torch"):
        HistologyAugment()(images)


def test_equal_parameters_compare_equal_and_survive_copies_and_pickles():
    augment = HistologyAugment(zoom=[0.8, 2], stain=0.1)
    assert augment == HistologyAugment(zoom=(0.8, 2.0), stain=0.1) != HistologyAugment(zoom=None, stain=0.1)
    assert copy.deepcopy(augment) == pickle.loads(pickle.dumps(augment)) == augment
    assert eval(repr(augment)) == augment
