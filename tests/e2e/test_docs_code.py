"""The Python code of the README and the docs runs as it stands."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stores import small_store

import physkit
from physkit.evaluate.predictions import PredictedRecording, write_predictions
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.weights.file import WeightsCard, save_weights

REPOSITORY = Path(__file__).parents[2]
PAGES = ("README.md", "docs/deploy.md", "docs/synthetic.md")
SMALL = {"channels": 8, "n_blocks": 1}


def blocks(page: str) -> list[str]:
    text = (REPOSITORY / page).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the code names, small ones."""
    folder = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    small_store(folder / "ubfc.zarr", {"subject1": 72.0})
    (folder / "ubfc.zarr" / "subject1_1").rename(folder / "ubfc.zarr" / "subject1")
    label = np.sin(2 * np.pi * 1.2 * np.arange(1800) / 30)
    predicted = PredictedRecording("r", "s", 30.0, label, label, "waveform")
    write_predictions([predicted], folder / "predictions.parquet")
    net = FacePhys(FacePhysConfig(**SMALL))
    weights = folder / "small.safetensors"
    save_weights(weights, net.state_dict(), WeightsCard("facephys", SMALL))
    crops = rng.integers(0, 256, (60, 36, 36, 3), np.uint8)
    np.savez(folder / "crops.npz", frames=crops, timestamps_s=np.arange(60) / 30)
    physkit.export_model(
        weights,
        folder / "deployed",
        targets=["onnx"],
        precisions=["fp32"],
        clip=str(folder / "crops.npz"),
        frames=60,
    )
    (folder / "deployed" / "facephys_step_fp32.onnx").rename(
        folder / "deployed" / "facephys_step_int8.onnx"
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_code_of_the_docs_runs(
    page: str, folder: Path, assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for name, source in (
        ("me.mp4", assets / "videos" / "face.mp4"),
        ("FacePhys.weights.h5", assets / "facephys" / "FacePhys.weights.h5"),
    ):
        if not Path(name).exists():
            Path(name).symlink_to(source)
    rng = np.random.default_rng(1)
    names: dict[str, Any] = {"physkit": physkit, "times_s": np.arange(300) / 30}
    found = blocks(page)
    assert found
    for code in found:
        given: Callable[..., Any] = torch.tensor if "load(" in code else np.array
        is_torch = given is torch.tensor
        names |= {
            "frame": given(rng.random((1, 36, 36, 3) if is_torch else (36, 36, 3), np.float32)),
            "clip": torch.rand(1, 4, 36, 36, 3),
            "frames": rng.random((4, 36, 36, 3), np.float32),
            "timestamps_s": 1 + np.arange(4) / 30,
            "dt_s": torch.tensor([1 / 30]) if is_torch else 1 / 30,
        }
        code = code.replace("net(clip, dt_s,", "net(clip, dt_s.expand(1, 4),")
        exec(compile(code.replace(".tflite", ".onnx"), page, "exec"), names)
