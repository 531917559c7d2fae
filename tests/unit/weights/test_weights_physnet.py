"""PhysNet's published checkpoints: read as tensors by their names, or refused in one line."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from physkit.core.errors import WeightsError
from physkit.models.physnet.config import PhysNetConfig
from physkit.models.physnet.network import PhysNet
from physkit.weights.file import WeightsCard, read_weights, save_weights
from physkit.weights.load import load_model, read_any_weights
from physkit.weights.toolbox import PARALLEL, published_names


@pytest.fixture
def net() -> PhysNet:
    torch.manual_seed(0)
    return PhysNet()


@pytest.fixture
def published(net: PhysNet, tmp_path: Path) -> Path:
    """Random weights as rPPG-Toolbox would publish them."""
    path = tmp_path / "Random_PhysNet.pth"
    torch.save(by_their_names(net), path)
    return path


def by_their_names(net: PhysNet) -> dict[str, torch.Tensor]:
    ours = net.state_dict()
    return {theirs: ours[name] for theirs, name in published_names().items()}


@pytest.mark.parametrize("prefix", ["", PARALLEL])
def test_published_tensors_go_where_they_belong(net: PhysNet, tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "x.pth"
    torch.save({prefix + name: value for name, value in by_their_names(net).items()}, path)
    card, _ = read_any_weights(path)
    assert card.model == "physnet"
    assert card.provenance.keys() == {"source", "sha256", "format"}
    loaded = load_model("physnet", path)
    assert not loaded.training
    for name, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_weights_of_a_smaller_input_come_back_with_it(tmp_path: Path) -> None:
    config = {"height": 36, "width": 36, "frames": 64, "output": "pulse"}
    net = PhysNet(PhysNetConfig(**config))
    save_weights(tmp_path / "x.safetensors", net.state_dict(), WeightsCard("physnet", config))
    assert load_model("physnet", tmp_path / "x.safetensors").config == PhysNetConfig(**config)


def test_each_model_refuses_the_others_weights(published: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="weights of 'physnet', not of 'facephys'; change"):
        load_model("facephys", published)
    with pytest.raises(WeightsError, match="'pos' has no weights"):
        load_model("pos", published)
    save_weights(tmp_path / "x.safetensors", {"x": torch.zeros(1)}, WeightsCard("facephys", {}))
    with pytest.raises(WeightsError, match="weights of 'facephys', not of 'physnet'; change"):
        load_model("physnet", tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="physkit weights pull physnet"):
        load_model("physnet")


def test_a_torch_file_with_other_names_names_one(net: PhysNet, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    tensors = by_their_names(net)
    torch.save(tensors | {"ConvBlock11.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"'ConvBlock11\.weight' is no tensor of PhysNet"):
        load_model("physnet", path)
    del tensors["upsample.0.bias"]
    torch.save(tensors, path)
    with pytest.raises(WeightsError, match=r"'upsample\.0\.bias' is missing"):
        load_model("physnet", path)


def test_a_tensor_of_another_shape_is_named(net: PhysNet, tmp_path: Path) -> None:
    tensors = by_their_names(net) | {"ConvBlock10.bias": torch.zeros(2)}
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"of another shape, first 'head\.bias'"):
        load_model("physnet", tmp_path / "x.pth")


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"state_dict": {"x": torch.zeros(1)}}, 7])
def test_what_is_no_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="more than named tensors"):
        load_model("physnet", tmp_path / "x.pth")


def test_nan_is_refused(net: PhysNet, tmp_path: Path) -> None:
    tensors = by_their_names(net) | {"ConvBlock10.bias": torch.tensor([torch.nan])}
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="NaN"):
        load_model("physnet", tmp_path / "x.pth")


def test_a_whole_model_is_code_and_never_opened(net: PhysNet, tmp_path: Path) -> None:
    torch.save(net, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="able to run code when opened; it was not opened"):
        load_model("physnet", tmp_path / "x.pth")


def test_a_torch_file_of_the_old_kind_is_not_opened(net: PhysNet, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(by_their_names(net), path, _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError, match="it was not opened"):
        load_model("physnet", path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9999])
def test_a_truncated_file_is_refused(published: Path, share: float) -> None:
    content = published.read_bytes()
    published.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"Random_PhysNet\.pth: "):
        load_model("physnet", published)


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_never_end_in_a_traceback(published: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(published.read_bytes())
    # the pickle lies at the start, the list of the zip file's parts at the end
    for place in rng.integers(
        [0, len(content) - 4096, 0], [8192, len(content), len(content)], (9, 3)
    ):
        for where in place:
            content[where] = rng.integers(256)
    published.write_bytes(content)
    with contextlib.suppress(WeightsError):
        load_model("physnet", published)


def test_importing_keeps_origin_and_licence(assets: Path, tmp_path: Path) -> None:
    from physkit.pipelines.weights import ImportConfig, import_weights

    source = assets / "physnet" / "PURE_PhysNet_DiffNormalized.pth"
    written = import_weights(ImportConfig(str(source), str(tmp_path / "pure.safetensors")))
    assert written.model == "physnet"
    card, tensors = read_weights(tmp_path / "pure.safetensors")
    assert card.config == {
        "height": 72,
        "width": 72,
        "frames": 128,
        "input": "change",
        "output": "diff",
    }
    assert "RAIL" in card.provenance["licence"]
    assert "rPPG-Toolbox" in card.provenance["origin"]
    again, first = (
        load_model("physnet", tmp_path / "pure.safetensors"),
        load_model("physnet", source),
    )
    assert tensors.keys() == first.state_dict().keys()
    for name, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
