import hashlib
import io

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from torchvision.models import DenseNet, SqueezeNet1_1_Weights, VisionTransformer

from sklearn_magdg.modules import build_backbone
from sklearn_magdg.modules._weights import fill, load_weights, read_weights
from tests.datasets.server import Fault, serving

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def shufflenet():
    torch.manual_seed(7)
    return models.shufflenet_v2_x0_5().state_dict()


def _without_head(state):
    return {name: values for name, values in state.items() if not name.startswith("fc.")}


def _assert_holds(net, state):
    loaded, wanted = net.state_dict(), _without_head(state)
    assert loaded.keys() == wanted.keys()
    assert all(torch.equal(loaded[name], values) for name, values in wanted.items())


STORED = {
    "a state dict": lambda state: state,
    "a checkpoint": lambda state: {"state_dict": state, "epoch": 3},
    "torchvision's training script": lambda state: {"model": state, "epoch": 3},
    "DataParallel": lambda state: {"state_dict": {f"module.{name}": values for name, values in state.items()}},
    "another number of classes": lambda state: _without_head(state) | {"fc.weight": torch.ones(2, 1024)},
    "a deeper head": lambda state: _without_head(state) | {"fc.0.weight": torch.ones(5), "fc.1.bias": torch.ones(2)},
    "no head": _without_head,
}


@pytest.mark.parametrize("stored", STORED)
def test_weights_are_found_however_they_were_stored(stored, shufflenet, tmp_path):
    torch.save(STORED[stored](shufflenet), tmp_path / "weights.pth")
    _, net, _ = build_backbone("shufflenet_v2_x0_5", tmp_path / "weights.pth", None, SHAPE)
    _assert_holds(net, shufflenet)


def test_weights_are_read_from_safetensors(tmp_path):
    torch.manual_seed(7)
    state = models.mnasnet0_5().state_dict()  # insists on a version, for which the format has no place
    save_file(state, tmp_path / "weights.safetensors")
    _, net, _ = build_backbone("mnasnet0_5", str(tmp_path / "weights.safetensors"), None, SHAPE)
    loaded = net.state_dict()
    assert state.keys() - loaded.keys() == {"classifier.1.weight", "classifier.1.bias"}
    assert all(torch.equal(values, state[name]) for name, values in loaded.items())


def test_old_names_inside_densenet_are_understood():
    tiny = {"growth_rate": 2, "block_config": (1, 2), "num_init_features": 4}
    torch.manual_seed(7)
    state = DenseNet(**tiny).state_dict()
    old = {name: values for name, values in state.items() if "denselayer" not in name}
    for name in state.keys() - old.keys():
        old[name.replace("norm", "norm.").replace("conv", "conv.")] = state[name]
    net = DenseNet(**tiny)
    assert not fill(net, "classifier", old)
    own = {name: values for name, values in net.state_dict().items() if not name.startswith("classifier")}
    assert any(".norm1." in name for name in own)
    assert all(torch.equal(values, state[name]) for name, values in own.items())


def test_weights_from_before_batch_norm_counted_batches_are_taken(shufflenet):
    net = models.shufflenet_v2_x0_5()
    old = {name: values for name, values in shufflenet.items() if "num_batches_tracked" not in name}
    assert not fill(net, "fc", old)
    _assert_holds(nn.ModuleDict({k: m for k, m in net.named_children() if k != "fc"}), shufflenet)


def test_positions_of_a_vision_transformer_are_stretched_over_another_grid():
    def transformer(side):
        return VisionTransformer(side, patch_size=8, num_layers=1, num_heads=1, hidden_dim=6, mlp_dim=5)

    net, trained = transformer(56), transformer(32).state_dict()  # 7 x 7 and 4 x 4 patches
    before = trained["encoder.pos_embedding"].clone()
    assert not fill(net, "heads.head", trained)
    token, grid = net.encoder.pos_embedding.detach().split([1, 49], dim=1)
    torch.testing.assert_close(token, before[:, :1])
    torch.testing.assert_close(grid.reshape(7, 7, 6)[::2, ::2], before[:, 1:].reshape(4, 4, 6))
    assert torch.equal(net.conv_proj.weight, trained["conv_proj.weight"])


def _renamed(state):
    return {name.replace("conv5", "conv6"): values for name, values in state.items()}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_renamed, r"missing conv5\.0\.weight, conv5\.1\.\w+, conv5\.1\.\w+, \.\.\.; unexpected conv6\.0\.weight, "),
        (lambda state: state | {"conv1.0.weight": torch.ones(3)}, r"size mismatch for conv1\.0\.weight"),
        (lambda state: state | {"conv1.0.weight": torch.full((24, 3, 3, 3), torch.nan)}, r"not finite conv1\.0\.wei"),
        (lambda state: {}, "missing conv1"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_three_faults_named(spoil, message, shufflenet, tmp_path):
    torch.save(spoil(shufflenet), tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=rf"weights\.pth' are not those of torchvision's 'shufflenet\w+': {message}"):
        build_backbone("shufflenet_v2_x0_5", tmp_path / "weights.pth", None, SHAPE)


class _Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file ran')",))


@pytest.mark.parametrize("harm", [_Harmful(), {"state_dict": {"conv1": _Harmful()}}, nn.Linear(2, 2)])
def test_code_in_a_file_of_weights_is_not_run(harm, tmp_path):
    torch.save(harm, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"holds more than tensors, .* may run code: save `net.state_dict\(\)` alone"):
        read_weights(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut off"])
def test_a_file_of_something_else_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"`weights` \S+{name} (is not a state dict|cannot be read as a state dict)"):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("stored", [torch.ones(2), [torch.ones(2)], {"lr": 0.1}])
def test_tensors_without_names_are_no_weights(stored, tmp_path):
    torch.save(stored, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="is not a state dict, names with their tensors"):
        read_weights(tmp_path / "weights.pth")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"the path of a state dict; there is no file \S+absent\.pth"):
        read_weights(tmp_path / "absent.pth")


@pytest.fixture
def publish(monkeypatch, tmp_path):
    """Have torchvision find its weights of SqueezeNet at an address, and keep them in an empty folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return lambda url: monkeypatch.setattr(SqueezeNet1_1_Weights.DEFAULT.value, "url", url)


@pytest.fixture(scope="module")
def squeezenet():
    """A state dict and its file."""
    torch.manual_seed(7)
    state, file = models.squeezenet1_1().state_dict(), io.BytesIO()
    torch.save(state, file)
    return state, file.getvalue()


def test_published_weights_are_downloaded_once(squeezenet, publish):
    state, content = squeezenet
    with serving(content) as server:
        publish(server.url(f"/squeezenet-{hashlib.sha256(content).hexdigest()[:8]}.pth"))
        nets = [build_backbone("squeezenet1_1", "imagenet", None, SHAPE)[1] for _ in range(2)]
    assert len(server.requests) == 1
    for net in nets:
        assert all(torch.equal(values, state[name]) for name, values in net.state_dict().items())


def test_a_download_that_is_not_what_was_published_is_refused_and_not_kept(squeezenet, publish, tmp_path):
    with serving(squeezenet[1]) as server:
        publish(server.url("/squeezenet-0badc0de.pth"))
        with pytest.raises(OSError, match=r"http://\S+0badc0de\.pth: invalid hash value .*give its path as `weights`"):
            build_backbone("squeezenet1_1", "imagenet", None, SHAPE)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_failing_download_says_where_from_and_the_way_out(publish):
    with serving(b"") as server:
        server.faults["/squeezenet-0badc0de.pth"] = [Fault(status=503)]
        publish(server.url("/squeezenet-0badc0de.pth"))
        with pytest.raises(OSError, match=r"could not be had from http://\S+: HTTP Error 503.*give its path as"):
            build_backbone("squeezenet1_1", "imagenet", None, SHAPE)


def test_code_in_a_download_is_not_run(publish):
    file = io.BytesIO()
    torch.save(_Harmful(), file)
    with serving(file.getvalue()) as server:
        publish(server.url(f"/squeezenet-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.pth"))
        with pytest.raises(OSError, match="could not be had from"):
            load_weights(models.squeezenet1_1(), "squeezenet1_1", "classifier.1", "imagenet")


def test_published_mobilenet_weights_load_strictly_and_are_embedded_as_torchvision_does(mobilenet_weights):
    model = models.mobilenet_v2()
    model.load_state_dict(torch.load(mobilenet_weights, weights_only=True), strict=True)
    input_layer, net, _ = build_backbone("mobilenet_v2", mobilenet_weights, None, (40, 40, 3))
    images = torch.randint(0, 256, (2, 40, 40, 3), dtype=torch.uint8)
    prepare = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms(crop_size=40, resize_size=40)
    with torch.inference_mode():
        expected = model.eval().features(prepare(images.permute(0, 3, 1, 2))).mean((2, 3))
        torch.testing.assert_close(net.eval()(input_layer(images)), expected, rtol=0, atol=1e-4)
