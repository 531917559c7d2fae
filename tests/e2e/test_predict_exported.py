"""`physkit predict` by an exported file: the same pulse as by torch, live and not."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import physkit
from physkit.export.target import ExportRequest, write_states
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.weights.file import WeightsCard, save_weights

N, SIZE = 90, 6
CONFIG = FacePhysConfig(height=SIZE, width=SIZE, channels=8, n_blocks=1, d_state=4, head_d_state=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network as weights and as an ONNX artifact, and crops with a gap to read."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from physkit.export.onnx import OnnxTarget

    torch.manual_seed(0)
    net = FacePhys(CONFIG).eval().requires_grad_(False)
    root = tmp_path_factory.mktemp("exported")
    card = WeightsCard("facephys", dataclasses.asdict(CONFIG))
    save_weights(root / "net.safetensors", net.state_dict(), card)
    OnnxTarget().write(net, ExportRequest(weights_sha256="0" * 64), root / "net.onnx")
    write_states(root, net, "0" * 64)
    frames = np.random.default_rng(0).integers(0, 256, (N, SIZE, SIZE, 3), dtype=np.uint8)
    times_s = np.arange(N) / 30 + (np.arange(N) >= 70)
    np.savez(root / "crops.npz", frames=frames, timestamps_s=times_s)
    return root


@pytest.mark.parametrize("live", [False, True])
def test_an_exported_file_reads_what_its_weights_read(folder: Path, live: bool) -> None:
    crops = folder / "crops.npz"
    expected = physkit.predict(crops, weights=folder / "net.safetensors")
    result = physkit.predict(crops, weights=folder / "net.onnx", live=live)
    assert (expected.runtime, result.runtime) == ("torch", "onnx")
    if live and result.n_frames < N:
        pytest.skip("frames were dropped, since this machine is busy")
    np.testing.assert_allclose(result.pulse.samples, expected.pulse.samples, atol=1e-4)
