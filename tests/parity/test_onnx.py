"""ONNX artifacts of the released weights against float64 torch, over a real face."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from physkit.export.target import Calibration, ExportRequest, write_states
from physkit.models.facephys.network import FacePhys
from physkit.runtime.session import Session
from physkit.signal.heart_rate import heart_rate_bpm
from physkit.weights.file import sha256
from physkit.weights.released import read_keras_weights

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow

LEFT, TOP, WIDTH, HEIGHT = 25, 18, 420, 512  # the box of the published comparison
FPS = 30
N_FRAMES = 700
Run = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def clip(assets: Path) -> np.ndarray:
    """(700 36 36 3) float32 in [0, 1]: face.mp4, over and over."""
    import av
    import cv2

    crops = []
    with av.open(str(assets / "videos" / "face.mp4")) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
            crops.append(cv2.resize(image, (36, 36), interpolation=cv2.INTER_AREA))
    return np.stack(crops)[np.arange(N_FRAMES) % len(crops)].astype(np.float32) / 255


@pytest.fixture(scope="module")
def expected(assets: Path, clip: np.ndarray) -> np.ndarray:
    """The pulse of the definition, in float64."""
    net = FacePhys()
    net.load_state_dict(read_keras_weights(assets / "facephys" / "FacePhys.weights.h5"))
    net = net.eval().double().requires_grad_(False)
    state, pulse = net.init_state(1), []
    dt_s = torch.full((1,), 1 / FPS, dtype=torch.float64)
    for frame in torch.from_numpy(clip).double():
        sample, state = net.step(frame[None], state, dt_s=dt_s)
        pulse.append(float(sample))
    return np.array(pulse)


@pytest.fixture(scope="module")
def pulse_of(assets: Path, clip: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Exports as asked for, and runs the clip, or its first frames."""
    from physkit.export.onnx import OnnxTarget

    weights, folder = assets / "facephys" / "FacePhys.weights.h5", tmp_path_factory.mktemp("onnx")
    checksum, net, target = sha256(weights), FacePhys(), OnnxTarget()
    net.load_state_dict(read_keras_weights(weights))
    net = net.eval().requires_grad_(False)
    write_states(folder, net, checksum)
    calibration = (Calibration(clip[:150], np.full(150, 1 / FPS, np.float32)),)

    def run(first: int = 300, **asked: object) -> np.ndarray:
        request = ExportRequest(weights_sha256=checksum, calibration=calibration, **asked)
        path = folder / request.file_name(".onnx")
        target.write(net, request, path)
        return Session(path).run(iter(clip[:first]), np.arange(first) / FPS)

    return run


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@pytest.mark.parametrize("n_frames", [1, 100])
def test_float32_is_the_network_at_every_frame(
    pulse_of: Run, expected: np.ndarray, n_frames: int
) -> None:
    form = "step" if n_frames == 1 else "chunk"
    assert abs(pulse_of(form=form, n_frames=n_frames) - expected[:300]).max() < 2e-4


def test_int8_reads_the_same_heart_rate(pulse_of: Run, expected: np.ndarray) -> None:
    pulse = pulse_of(N_FRAMES, precision="int8")  # a cold start's error weighs less and less
    assert _correlation(pulse, expected) >= 0.9995
    found_bpm = heart_rate_bpm(pulse.astype(np.float64), fps=FPS)
    assert abs(found_bpm - heart_rate_bpm(expected, fps=FPS)) <= 0.3


def test_half_precision_states_keep_the_pulse(pulse_of: Run, expected: np.ndarray) -> None:
    assert _correlation(pulse_of(state_dtype="float16"), expected[:300]) >= 0.999


def test_half_precision_weights_keep_the_pulse(pulse_of: Run, expected: np.ndarray) -> None:
    assert _correlation(pulse_of(precision="fp16"), expected[:300]) >= 0.9999
