"""Networks of clips as ONNX, through the parity gate of `physkit export`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from physkit.cli import main
from physkit.models.tscan.config import TSCANConfig
from physkit.models.tscan.network import TSCAN
from physkit.weights.file import WeightsCard, save_weights

SMALL = {"size": 16, "frames": 32}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Weights of a small TS-CAN, and a clip of noise."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("export")
    net = TSCAN(TSCANConfig(**SMALL))
    save_weights(folder / "small.safetensors", net.state_dict(), WeightsCard("tscan", SMALL))
    noise = np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), np.uint8)
    np.savez(folder / "crops.npz", frames=noise, timestamps_s=np.arange(40) / 30)
    return ["--weights", str(folder / "small.safetensors"), "--clip", str(folder / "crops.npz")]


def test_a_network_of_clips_is_written_and_proven(words: list[str], tmp_path: Path) -> None:
    assert main(["export", "--out", str(tmp_path), *words]) == 0
    (file,) = json.loads((tmp_path / "parity.json").read_text())["files"]
    assert Path(file["path"]).name == "tscan_clip32_fp32.onnx"
    assert file["n_frames"] == SMALL["frames"]
    assert file["max_error"] < 1e-4
    assert file["failures"] == []


def test_what_it_cannot_be_written_as_is_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(tmp_path), *words, "--precisions", "int8"]) == 2
    assert (
        "tscan reads clips of 32 frames: it is exported as onnx in fp32" in capsys.readouterr().err
    )
