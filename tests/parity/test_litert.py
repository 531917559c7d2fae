"""A .tflite of FacePhys is FacePhys, and says so."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from physkit.core.artifact import ArtifactCard
from physkit.core.errors import BackendError, InputError
from physkit.export.target import ExportRequest, write_states
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream
from physkit.runtime.session import Session
from physkit.weights.load import load_model

pytest.importorskip("litert_torch")
pytest.importorskip("ai_edge_quantizer")
pytest.importorskip("ai_edge_litert")

SMALL = FacePhysConfig(height=11, width=14, channels=16, n_blocks=2, d_state=9, head_d_state=5)
TINY = FacePhysConfig(height=5, width=6, channels=8, n_blocks=1, d_state=4, head_d_state=3)
WEIGHTS = "a" * 64
DT_S = 1 / 30
N_FRAMES = 24


def any_weights(config: FacePhysConfig) -> FacePhys:
    torch.manual_seed(0)
    net = FacePhys(config).double().eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return net


@pytest.fixture(scope="module")
def net() -> FacePhys:
    return any_weights(SMALL)


@pytest.fixture(scope="module")
def tiny() -> FacePhys:
    return any_weights(TINY)


@pytest.fixture(scope="module", autouse=True)
def convert_once() -> Iterator[None]:
    """Conversion takes seconds, and is the same for every precision and length."""
    from physkit.export.litert import target

    plain, known = target._convert, {}

    def convert(module: torch.nn.Module, sample: dict[str, torch.Tensor]) -> bytes:
        inputs = tuple((k, x.dtype, tuple(x.shape)) for k, x in sample.items())
        key = (inputs, module.project.sum().item())
        if key not in known:
            known[key] = plain(module, sample)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, "_convert", convert)
        yield


def export(net: FacePhys, folder: Path, **asked: object) -> tuple[Path, ArtifactCard]:
    from physkit.export.litert.target import LiteRTTarget

    request = ExportRequest(weights_sha256=WEIGHTS, **asked)
    path = folder / request.file_name(".tflite")
    write_states(folder, net, WEIGHTS)
    return path, LiteRTTarget().write(net, request, path)


@pytest.fixture(scope="module")
def step(net: FacePhys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(net.float(), tmp_path_factory.mktemp("litert"))[0]


def noise(config: FacePhysConfig) -> np.ndarray:
    size = (N_FRAMES, config.height, config.width, 3)
    return np.random.default_rng(0).random(size, np.float32)


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return noise(SMALL)


@torch.no_grad()
def true_pulse(net: FacePhys, clip: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
    net = net.double()
    state, pulse = net.init_state(1), []
    for frame, duration_s in zip(clip, dt_s, strict=True):
        sample, state = net.step(
            torch.from_numpy(frame[None]).double(),
            state,
            dt_s=torch.tensor([duration_s], dtype=torch.float64),
        )
        pulse.append(sample.item())
    return np.array(pulse)


def run(session: Session, clip: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
    return np.array([session.step(x, float(t)) for x, t in zip(clip, dt_s, strict=True)])


@pytest.mark.parametrize("fixed_dt_s", [None, 0.04])
@torch.no_grad()
def test_the_lowered_step_is_the_step(fixed_dt_s: float | None) -> None:
    from physkit.export.litert.lowered import LoweredStep

    request = ExportRequest(weights_sha256=WEIGHTS, fixed_dt_s=fixed_dt_s)
    stream = FacePhysStream(any_weights(SMALL))
    expected, state = stream.init_state(), stream.init_state()
    lowered = LoweredStep(any_weights(SMALL), request)
    lowered.state_dtype = torch.float64
    fixed = torch.tensor([fixed_dt_s or 0], dtype=torch.float64)
    for _ in range(20):
        frame = torch.rand(1, SMALL.height, SMALL.width, 3, dtype=torch.float64)
        dt_s = torch.rand(1, dtype=torch.float64) if fixed_dt_s is None else fixed
        pulse, expected = stream.step(frame, expected, dt_s=dt_s)
        out = lowered(frame, None if fixed_dt_s else dt_s, **state)
        state = {name: out[f"new_{name}"] for name in state}
        torch.testing.assert_close(out["pulse"], pulse, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_a_session_agrees_with_float64(net: FacePhys, step: Path, clip: np.ndarray) -> None:
    dt_s = np.random.default_rng(1).uniform(0.01, 0.4, N_FRAMES).astype(np.float32)
    pulse = run(Session(step), clip, dt_s)
    np.testing.assert_allclose(pulse, true_pulse(net, clip, dt_s), atol=2e-4)


@pytest.mark.slow
def test_the_file_carries_its_card(net: FacePhys, step: Path, tmp_path: Path) -> None:
    for precision in ("fp32", "fp16", "int8"):
        path, card = export(net.float(), tmp_path, precision=precision)
        assert Session(path).card == card
        assert card.precision == precision
    assert path.stat().st_size < step.stat().st_size


@pytest.mark.slow
def test_a_chunk_is_its_steps(net: FacePhys, step: Path, clip: np.ndarray, tmp_path: Path) -> None:
    path, _ = export(net.float(), tmp_path, form="chunk", n_frames=6)
    times_s = 3.0 + DT_S * np.arange(N_FRAMES)
    chunks, steps = Session(path), Session(step)
    np.testing.assert_allclose(
        chunks.run(clip, times_s), steps.run(clip, times_s), rtol=0, atol=2e-4
    )
    for name, state in steps.states().items():
        np.testing.assert_allclose(chunks.states()[name], state, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_a_rate_may_be_fixed_and_states_be_half_as_large(tiny: FacePhys, tmp_path: Path) -> None:
    path, card = export(tiny.float(), tmp_path, fixed_dt_s=DT_S, state_dtype="float16")
    clip, session, dt_s = noise(TINY), Session(path), np.full(N_FRAMES, DT_S)
    assert card.fixed_dt_s == DT_S
    with pytest.raises(InputError, match="was made for"):
        session.step(clip[0], 2 * DT_S)
    pulse = run(session, clip, dt_s)
    assert {x.dtype for x in session.states().values()} == {np.dtype(np.float16)}
    assert np.corrcoef(pulse, true_pulse(tiny, clip, dt_s))[0, 1] > 0.999


@pytest.mark.slow
def test_a_saved_moment_goes_on_bit_by_bit(step: Path, clip: np.ndarray, tmp_path: Path) -> None:
    first, second = Session(step), Session(step)
    dt_s = np.full(N_FRAMES, DT_S)
    run(first, clip, dt_s)
    first.save_state(tmp_path / "moment.safetensors")
    second.load_state(tmp_path / "moment.safetensors")
    np.testing.assert_array_equal(run(first, clip, dt_s), run(second, clip, dt_s))
    first.reset()
    np.testing.assert_array_equal(run(first, clip, dt_s), run(Session(step), clip, dt_s))


@pytest.mark.slow
def test_a_session_outlives_bad_input(step: Path, clip: np.ndarray, tmp_path: Path) -> None:
    session, other = Session(step), Session(step)
    with pytest.raises(InputError, match="crops"):
        session.step(clip[0, :5], DT_S)
    (tmp_path / "bad").write_bytes(b"nothing")
    with pytest.raises(InputError, match="bad"):
        session.load_state(tmp_path / "bad")
    assert session.step(clip[0], DT_S) == other.step(clip[0], DT_S)


@pytest.mark.slow
def test_what_is_no_artifact_is_refused(step: Path, tmp_path: Path) -> None:
    whole = step.read_bytes()
    (tmp_path / "facephys.states.safetensors").write_bytes(
        (step.parent / "facephys.states.safetensors").read_bytes()
    )
    bad = {"empty": b"", "text": b"hello, world", "cut": whole[: len(whole) // 2]}
    for name, content in bad.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(content)
        with pytest.raises(InputError, match=name):
            Session(path)
    with pytest.raises(BackendError, match="cuda"):
        Session(step, device="cuda")


@pytest.mark.slow
def test_states_of_other_weights_are_refused(net: FacePhys, step: Path, tmp_path: Path) -> None:
    path = tmp_path / step.name
    path.write_bytes(step.read_bytes())
    with pytest.raises(InputError, match="belongs beside"):
        Session(path)
    write_states(tmp_path, net.float(), "b" * 64)
    with pytest.raises(InputError, match="other weights"):
        Session(path)


def test_a_foreign_model_is_refused(assets: Path) -> None:
    with pytest.raises(InputError, match="carries no card"):
        Session(assets / "facephys" / "model.tflite")


@pytest.mark.slow
def test_the_published_weights_on_a_face(assets: Path, tmp_path: Path) -> None:
    weights = assets / "facephys" / "FacePhys.weights.h5"
    net, clip = load_model("facephys", weights), face_crops(assets)
    dt_s = np.full(len(clip), DT_S)
    expected = true_pulse(net, clip, dt_s)
    exact, _ = export(net.float(), tmp_path)
    np.testing.assert_allclose(run(Session(exact), clip, dt_s), expected, rtol=0, atol=2e-4)
    small, _ = export(net.float(), tmp_path, precision="int8")
    assert small.stat().st_size <= 1_000_000
    assert np.corrcoef(run(Session(small), clip, dt_s), expected)[0, 1] > 0.9995


def face_crops(assets: Path) -> np.ndarray:
    """(t 36 36 3) in [0, 1], from face.mp4, in the box of the published comparison."""
    import av
    import cv2

    crops = []
    with av.open(str(assets / "videos" / "face.mp4")) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")[18:530, 25:445]
            crops.append(cv2.resize(image, (36, 36), interpolation=cv2.INTER_AREA))
    return np.stack(crops).astype(np.float32) / 255
