"""Which model reads, and what runs it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from physkit.core.artifact import ArtifactCard
from physkit.core.errors import InputError
from physkit.inference.crops import TimedCrop
from physkit.inference.readers import Choice, SessionReader, choose_reader
from physkit.inference.stream import ModelReader, PulseStream
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.runtime.engines.torch_eager import TorchEngine
from physkit.weights.file import WeightsCard, save_weights

SIZE = 8


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    config = FacePhysConfig(
        height=SIZE, width=SIZE, channels=8, n_blocks=2, d_state=4, head_d_state=2
    )
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(
        path, FacePhys(config).state_dict(), WeightsCard("facephys", dataclasses.asdict(config))
    )
    return path


def chosen(
    weights: Path | str | None,
    *,
    model: str = "auto",
    runtime: str = "auto",
    frame_by_frame: bool = True,
) -> Choice:
    return choose_reader(
        model,
        None if weights is None else str(weights),
        runtime,
        threads=1,
        device="cpu",
        frame_by_frame=frame_by_frame,
    )


def test_a_session_reads_as_the_model_does_over_gaps_and_new_faces(weights: Path) -> None:
    rng = np.random.default_rng(0)
    items = [
        TimedCrop(
            index / 30 + (1.0 if index >= 100 else 0.0),
            None if index in (80, 81) else rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
            0 if index < 130 else 1,
        )
        for index in range(200)
    ]
    pulses = []
    for frame_by_frame, kind in ((True, SessionReader), (False, ModelReader)):
        choice = chosen(weights, frame_by_frame=frame_by_frame)
        assert isinstance(choice.reader, kind)
        assert (choice.model, choice.runtime, choice.size_px) == ("facephys", "torch", SIZE)
        stream = PulseStream(choice.reader, chunk_frames=16)
        for item in items:
            stream.push(item)
        pulses.append(stream.finish().samples)
    np.testing.assert_allclose(pulses[0], pulses[1], atol=2e-5)
    assert np.isnan(pulses[0]).sum() == 2


def test_classical_methods_are_read_by_torch_live_or_not() -> None:
    for frame_by_frame in (True, False):
        choice = chosen(None, model="pos", frame_by_frame=frame_by_frame)
        assert isinstance(choice.reader, ModelReader)
        assert choice.runtime == "torch"


@pytest.mark.parametrize(
    ("weights_file", "options", "message"),
    [
        (None, {"runtime": "litert"}, r"give --weights FILE\.tflite"),
        ("a.safetensors", {"runtime": "onnx"}, r"give --weights FILE\.onnx"),
        ("a.onnx", {"runtime": "torch"}, "runs by onnx, not by torch"),
        ("a.tflite", {"runtime": "onnx"}, "runs by litert, not by onnx"),
        ("a.jax", {}, r"a\.jax: no such file"),
        (None, {"model": "pos", "runtime": "torch-compiled"}, "runs facephys, not pos"),
    ],
)
def test_what_does_not_go_together_is_told(
    weights_file: str | None, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        chosen(weights_file, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "facephys", "n_frames": 16, "form": "chunk"}, "takes 16 frames at once"),
        ({"fixed_dt_s": 1 / 30}, "was made for 0.03333 s a frame"),
        ({"width": 12}, "reads 12x8 pixels"),
    ],
)
def test_an_artifact_that_cannot_be_read_live_is_told(
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    message: str,
) -> None:
    class OtherEngine(TorchEngine):
        def __init__(self, path: Path, *, threads: int, device: str) -> None:  # noqa: ARG002
            super().__init__(weights, threads=threads, device=device)
            self.card: ArtifactCard = dataclasses.replace(self.card, **changes)  # type: ignore[arg-type]

    path = tmp_path / "a.tflite"
    path.touch()
    monkeypatch.setattr("physkit.runtime.session.ENGINES", {"litert": OtherEngine})
    with pytest.raises(InputError, match=message):
        chosen(path)
    with pytest.raises(InputError, match="holds a facephys, not a pos"):
        chosen(path, model="pos")
