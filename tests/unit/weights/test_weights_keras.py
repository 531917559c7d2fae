"""Keras files of published networks: the right ones are read exactly, the wrong ones refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor

from physkit.core.errors import WeightsError
from physkit.models import CONFIGS, MODELS
from physkit.weights import IMPORTERS, keras_tables
from physkit.weights.importers import WeightsImporter
from physkit.weights.keras import Entry
from physkit.weights.load import load_model

TABLES: dict[str, Callable[[], Iterator[Entry]]] = {
    name.removeprefix("open-rppg-"): getattr(keras_tables, name.removeprefix("open-rppg-"))
    for name in IMPORTERS
    if name.startswith("open-rppg-")
}


def importer_of(model: str) -> WeightsImporter:
    found: WeightsImporter = IMPORTERS[f"open-rppg-{model}"]
    return found


def published(model: str, path: Path, **config: Any) -> dict[str, Tensor]:
    """A file as Keras writes it, of a network with random weights, which are given back."""
    torch.manual_seed(0)
    net = MODELS[model](CONFIGS[model](**{**importer_of(model).config, **config}))
    weights: dict[str, Tensor] = net.state_dict()
    with h5py.File(path, "w") as file:
        for entry in TABLES[model]():
            ours, theirs = entry.axes.split("->")[::-1]
            array = rearrange(weights[entry.ours].numpy(), f"{ours} -> {theirs}")
            file[entry.theirs] = array - np.float32(entry.added)
    return weights


@pytest.mark.parametrize("model", [name for name in TABLES if name != "merppg"])
def test_every_tensor_of_a_network_is_read_to_its_place(model: str, tmp_path: Path) -> None:
    weights = published(model, tmp_path / "net.weights.h5")
    net = load_model(model, tmp_path / "net.weights.h5")
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=1e-6)


def test_me_rppg_needs_the_state_that_it_begins_with(tmp_path: Path) -> None:
    published("merppg", tmp_path / "net.weights.h5")
    with pytest.raises(WeightsError, match=r"not beside it; fetch both by physkit weights pull"):
        load_model("merppg", tmp_path / "net.weights.h5")
    (tmp_path / "state.pkl").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(WeightsError, match=r"state\.pkl: not the state of ME-rPPG \(it holds os"):
        load_model("merppg", tmp_path / "net.weights.h5")


def test_a_tensor_too_many_or_too_few_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    published("tscan", path)
    with h5py.File(path, "a") as file:
        file["inner/extra/vars/0"] = np.zeros(3)
    with pytest.raises(WeightsError, match=r"TS-CAN, it has a tensor of no use: 'inner/extra/v"):
        load_model("tscan", path)
    with h5py.File(path, "a") as file:
        del file["inner/extra"], file["inner/d/layers/dense/vars/1"]
    with pytest.raises(WeightsError, match=r"has no tensor 'inner/d/layers/dense/vars/1'"):
        load_model("tscan", path)


def test_another_networks_and_another_trainings_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    published("tscan", path)
    with pytest.raises(WeightsError, match="weights of 'tscan', not of 'efficientphys'"):
        load_model("efficientphys", path)
    published("tscan", path, size=72)
    with pytest.raises(WeightsError, match=r"another shape, first 'hidden\.weight'"):
        load_model("tscan", path)
    with h5py.File(path, "a") as file:
        del file["inner/d1/layers/conv2d/vars/0"]
        file["inner/d1/layers/conv2d/vars/0"] = np.zeros((3, 3))
    with pytest.raises(WeightsError, match=r"'inner/d1/layers/conv2d/vars/0' is float64 of shape"):
        load_model("tscan", path)


@pytest.mark.parametrize("layout", ["attribute", "group"])
def test_an_older_keras_layout_is_named(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        if layout == "attribute":
            file.attrs["layer_names"] = ["conv2d"]
        else:
            file["_layer_checkpoint_dependencies/conv/vars/0"] = np.zeros(3)
    with pytest.raises(WeightsError, match="an older Keras layout than that of Keras 3"):
        load_model("tscan", path)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "net.weights.h5"
    published("tscan", path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="download it again"):
        load_model("tscan", path)
