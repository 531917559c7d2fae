"""ONNX artifacts of a small network in a session."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from physkit.core.artifact import METADATA_KEY, ArtifactCard
from physkit.core.errors import BackendError, InputError
from physkit.core.tensor_file import read_arrays, write_arrays
from physkit.export.target import Calibration, ExportRequest, write_states
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream
from physkit.runtime.session import Session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CONFIG = FacePhysConfig(height=5, width=6, channels=8, n_blocks=1, d_state=4, head_d_state=3)
SHA256 = "0" * 64
DT_S = 1 / 30


class Written(NamedTuple):
    net: FacePhys
    path: Path
    card: ArtifactCard


def _frames(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((n, 5, 6, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def net() -> FacePhys:
    torch.manual_seed(0)
    return FacePhys(CONFIG).eval().requires_grad_(False)


Writing = Callable[..., Written]


@pytest.fixture(scope="module")
def write(net: FacePhys) -> Writing:
    """Artifacts that share a graph where they can."""
    from physkit.export.onnx import OnnxTarget

    target = OnnxTarget()

    def into(folder: Path, **asked: object) -> Written:
        request = ExportRequest(weights_sha256=SHA256, **asked)
        path = folder / request.file_name(".onnx")
        card = target.write(net, request, path)
        write_states(folder, net, SHA256)
        return Written(net, path, card)

    return into


@pytest.fixture(scope="module")
def written(write: Writing, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("onnx"))


def _expected(net: FacePhys, frames: np.ndarray, dt_s: float = DT_S) -> np.ndarray:
    state, pulse = net.init_state(1), []
    for frame in torch.from_numpy(frames):
        sample, state = net.step(frame[None], state, dt_s=torch.full((1,), dt_s))
        pulse.append(float(sample))
    return np.array(pulse)


def _steps(session: Session, frames: np.ndarray) -> np.ndarray:
    return np.array([session.step(frame, DT_S) for frame in frames])


def test_the_card_is_in_the_file_and_the_graph_keeps_it(written: Written) -> None:
    model = onnx.load(written.path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    card = ArtifactCard.from_json(metadata[METADATA_KEY], path="")
    assert card == written.card == Session(written.path).card
    names = [spec.name for spec in card.states]
    assert [entry.name for entry in model.graph.input] == ["frames", "dt_s", *names]
    assert [entry.name for entry in model.graph.output] == ["pulse", *(f"new_{x}" for x in names)]


def test_no_trace_of_the_source_is_in_the_file(written: Written) -> None:
    assert b"onnx_step.py" not in written.path.read_bytes()


def test_steps_are_the_network(written: Written) -> None:
    frames = _frames(50)
    pulse = _steps(Session(written.path), frames)
    np.testing.assert_allclose(pulse, _expected(written.net, frames), atol=1e-5)


def test_a_saved_state_resumes_bit_by_bit(written: Written, tmp_path: Path) -> None:
    frames, session = _frames(9), Session(written.path)
    _steps(session, frames[:4])
    session.save_state(tmp_path / "state.safetensors")
    expected = _steps(session, frames[4:])
    other = Session(written.path)
    _steps(other, frames[:3])  # so that the other set of states is the next one
    other.load_state(tmp_path / "state.safetensors")
    np.testing.assert_array_equal(_steps(other, frames[4:]), expected)


def test_it_goes_on_from_a_state_of_torch(written: Written, tmp_path: Path) -> None:
    frames, stream = _frames(8), FacePhysStream(written.net).requires_grad_(False)
    state = stream.init_state()
    for frame in torch.from_numpy(frames[:5]):
        _, state = stream.step(frame[None], state, dt_s=torch.full((1,), DT_S))
    file, metadata = tmp_path / "state.safetensors", {"weights_sha256": SHA256}
    write_arrays(file, {name: x.numpy() for name, x in state.items()}, metadata)
    session = Session(written.path)
    session.load_state(file)
    expected = _expected(written.net, frames)[5:]
    np.testing.assert_allclose(_steps(session, frames[5:]), expected, atol=1e-5)


def test_chunks_are_steps(write: Writing, tmp_path: Path) -> None:
    artifact = write(tmp_path, form="chunk", n_frames=5)
    frames, times_s = _frames(20), np.arange(20) * DT_S
    session = Session(artifact.path)
    pulse = session.run(frames, times_s)
    np.testing.assert_allclose(pulse, _expected(artifact.net, frames), atol=1e-5)
    with pytest.raises(InputError, match="5 at once"):
        session.run(frames[:7], times_s[:7] + 1)


def test_reset_begins_anew_each_time(written: Written) -> None:
    frames, session = _frames(5), Session(written.path)
    first = _steps(session, frames)
    session.reset()
    np.testing.assert_array_equal(_steps(session, frames), first)


def test_half_precision_states_stay_half(write: Writing, tmp_path: Path) -> None:
    artifact = write(tmp_path, state_dtype="float16")
    frames, session = _frames(30), Session(artifact.path)
    pulse = _steps(session, frames)
    assert {x.dtype for x in session.states().values()} == {np.dtype("float16")}
    assert abs(pulse - _expected(artifact.net, frames)).max() < 0.1


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_smaller_weights_are_nearly_the_network(
    write: Writing, tmp_path: Path, precision: str
) -> None:
    frames = _frames(40)
    calibration = (Calibration(frames, np.full(len(frames), DT_S, np.float32)),)
    artifact = write(tmp_path, precision=precision, calibration=calibration)
    expected = _expected(artifact.net, frames)
    error = _steps(Session(artifact.path), frames) - expected
    assert error.std() < 0.1 * expected.std()


def test_int8_without_calibration_is_refused(write: Writing, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="calibrate"):
        write(tmp_path, precision="int8")
    assert not list(tmp_path.iterdir())


def test_an_unknown_device_is_refused(written: Written) -> None:
    with pytest.raises(BackendError, match="cpu"):
        Session(written.path, device="abacus")


def test_a_device_that_is_not_installed_is_refused(written: Written) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(BackendError, match="onnxruntime-gpu"):
        Session(written.path, device="cuda")


def _copy(written: Written, folder: Path) -> Path:
    for file in written.path.parent.iterdir():
        shutil.copy(file, folder)
    return folder / written.path.name


@pytest.mark.parametrize("content", [b"", b"not a model", None], ids=["empty", "text", "cut off"])
def test_a_damaged_file_is_one_error(
    written: Written, tmp_path: Path, content: bytes | None
) -> None:
    path = _copy(written, tmp_path)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(InputError, match="physkit export") as caught:
        Session(path)
    assert "\n" not in str(caught.value)


def test_a_model_of_others_is_one_error(written: Written, tmp_path: Path) -> None:
    path = _copy(written, tmp_path)
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(InputError, match="no card"):
        Session(path)


def test_a_graph_that_is_not_as_its_card_says_is_one_error(
    written: Written, tmp_path: Path
) -> None:
    path = _copy(written, tmp_path)
    model = onnx.load(path)
    model.graph.output.pop()
    onnx.save(model, path)
    with pytest.raises(InputError, match="not what its card says"):
        Session(path)


def test_states_of_the_wrong_shape_leave_the_session_usable(
    written: Written, tmp_path: Path
) -> None:
    frames, session = _frames(6), Session(written.path)
    expected = _steps(session, frames)
    session.reset()
    _steps(session, frames[:3])
    session.save_state(tmp_path / "state.safetensors")
    arrays, metadata = read_arrays(tmp_path / "state.safetensors")
    arrays["rows"] = arrays["rows"][:, 1:]
    write_arrays(tmp_path / "wrong.safetensors", arrays, metadata)
    with pytest.raises(InputError, match="rows"):
        session.load_state(tmp_path / "wrong.safetensors")
    np.testing.assert_array_equal(_steps(session, frames[3:]), expected[3:])


@pytest.mark.slow
def test_a_fixed_rate_takes_no_duration(write: Writing, tmp_path: Path) -> None:
    artifact = write(tmp_path, fixed_dt_s=DT_S)
    assert "dt_s" not in [entry.name for entry in onnx.load(artifact.path).graph.input]
    frames = _frames(20)
    pulse = _steps(Session(artifact.path), frames)
    np.testing.assert_allclose(pulse, _expected(artifact.net, frames), atol=1e-5)
    with pytest.raises(InputError, match="made for"):
        Session(artifact.path).step(frames[0], 1 / 25)
