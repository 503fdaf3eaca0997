import torch

from sklearn_magdg.modules import FeatureInput, ImageInput


def test_image_input_standardises_stored_images():
    images = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    out = ImageInput(mean=mean, std=std)(images)
    expected = (images.float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(out, expected.permute(0, 3, 1, 2))
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_image_input_augments_in_training_alone():
    layer = ImageInput(augment=torch.zeros_like, mean=(0, 0, 0), std=(1, 1, 1))
    images = torch.full((1, 4, 4, 3), 255, dtype=torch.uint8)
    assert layer.train()(images).abs().max() == 0
    assert layer.eval()(images).min() == 1


def test_feature_input_is_undone_by_its_inverse_and_leaves_constants_at_zero():
    features = torch.cat([torch.randn(9, 2) * 3 + 5, torch.full((9, 1), 4.0)], dim=1)
    layer = FeatureInput(3).measure(features)
    out = layer(features)
    torch.testing.assert_close(out[:, :2].std(0, unbiased=False), torch.ones(2))
    assert not out[:, 2].any()
    torch.testing.assert_close(layer.inverse(out), features)
