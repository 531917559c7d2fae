"""A session carries one stream, refuses what cannot be read, and stays usable."""

import dataclasses
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from physkit.core.artifact import ArtifactCard
from physkit.core.errors import BackendError, InputError, MissingExtraError, PhyskitError
from physkit.core.tensor_file import read_arrays, write_arrays
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.runtime.session import Session
from physkit.weights.file import WeightsCard, save_weights

SIZE = {"height": 9, "width": 9, "channels": 8, "n_blocks": 2, "d_state": 6, "head_d_state": 4}
RNG = np.random.default_rng(0)
CLIP = RNG.random((30, 9, 9, 3), dtype=np.float32)
TIMES_S = np.arange(30) / 30


def weights_file(path: Path, seed: int = 0, **size: int) -> Path:
    torch.manual_seed(seed)
    size = {**SIZE, **size}
    net = FacePhys(FacePhysConfig(**size))
    save_weights(path, net.state_dict(), WeightsCard("facephys", size))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_file(tmp_path_factory.mktemp("session") / "small.safetensors")


@pytest.fixture
def session(weights: Path) -> Session:
    return Session(weights)


def test_run_is_step_after_step(session: Session) -> None:
    whole = session.run(CLIP, TIMES_S)
    session.reset()
    steps = [session.step(frame, 1 / 30) for frame in CLIP]
    np.testing.assert_allclose(whole, steps, atol=1e-6)
    session.reset()
    parts = [session.run(CLIP[:11], TIMES_S[:11]), session.run(CLIP[11:], TIMES_S[11:])]
    np.testing.assert_allclose(np.concatenate(parts), steps, atol=1e-6)


def test_bytes_and_fractions_are_the_same_frame(session: Session) -> None:
    crop = RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    pulse = session.step(crop, 1 / 30)
    for same in (crop / 255, (crop / 255).astype(np.float32)):
        session.reset()
        assert session.step(same, 1 / 30) == pytest.approx(pulse, abs=1e-6)


def test_a_saved_state_goes_on_bit_by_bit(session: Session, weights: Path, tmp_path: Path) -> None:
    session.run(CLIP[:20], TIMES_S[:20])
    session.save_state(tmp_path / "state.safetensors")
    expected = session.run(CLIP[20:], TIMES_S[20:])
    other = Session(weights)
    other.load_state(tmp_path / "state.safetensors")
    np.testing.assert_array_equal(other.run(CLIP[20:], TIMES_S[20:]), expected)
    for name, value in other.states().items():
        np.testing.assert_array_equal(value, session.states()[name])


def test_a_run_goes_on_from_steps_and_from_a_loaded_state(
    session: Session, weights: Path, tmp_path: Path
) -> None:
    whole = session.run(CLIP, TIMES_S)
    session.reset()
    for frame in CLIP[:10]:
        session.step(frame, 1 / 30)
    session.save_state(tmp_path / "state.safetensors")
    np.testing.assert_allclose(session.run(CLIP[10:], TIMES_S[10:]), whole[10:], atol=1e-6)
    other = Session(weights)
    other.load_state(tmp_path / "state.safetensors")
    np.testing.assert_allclose(other.run(CLIP[10:], TIMES_S[10:]), whole[10:], atol=1e-6)


def test_steps_between_runs_move_the_clock(session: Session) -> None:
    session.run(CLIP[:10], TIMES_S[:10])
    for frame in CLIP[10:]:
        session.step(frame, 1 / 30)
    refused(session, lambda: session.run(CLIP[:1], [TIMES_S[20]]), match="in order")


def test_an_artifact_of_one_rate_takes_no_other(session: Session) -> None:
    engine = session._engine
    engine.card = dataclasses.replace(engine.card, fixed_dt_s=1 / 30)
    session.run(CLIP, TIMES_S)
    refused(session, lambda: session.run(CLIP, 5 + TIMES_S / 2), match="made for")
    refused(session, lambda: session.step(CLIP[0], 1 / 60), match="made for")


def test_a_mirrored_view_is_a_frame(session: Session) -> None:
    pulse = session.step(CLIP[0][:, ::-1, ::-1], 1 / 30)
    session.reset()
    assert session.step(CLIP[0][:, ::-1, ::-1].copy(), 1 / 30) == pulse


def test_after_a_gap_the_stream_begins_anew(session: Session) -> None:
    times_s = TIMES_S + np.where(np.arange(30) < 12, 0, 4.0)
    pulse = session.run(CLIP, times_s)
    session.reset()
    np.testing.assert_array_equal(pulse[12:], session.run(CLIP[12:], times_s[12:]))


@pytest.mark.parametrize("dt_s", [0.0, -0.03, float("nan"), float("inf"), 3.0])
def test_a_duration_that_no_frame_has_is_refused(session: Session, dt_s: float) -> None:
    refused(session, lambda: session.step(CLIP[0], dt_s), match="dt_s")


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (np.zeros((8, 9, 3), np.float32), "resize"),
        (np.zeros((9, 9), np.float32), "resize"),
        (np.full((9, 9, 3), 1.5, np.float32), "scale it"),
        (np.full((9, 9, 3), -0.1, np.float32), "scale it"),
        (np.full((9, 9, 3), np.nan, np.float32), "scale it"),
        (np.zeros((9, 9, 3), np.int64), "uint8"),
    ],
)
def test_a_frame_that_is_no_crop_is_refused(
    session: Session, frame: np.ndarray, match: str
) -> None:
    refused(session, lambda: session.step(frame, 1 / 30), match=match)


@pytest.mark.parametrize("times_s", [[0.0, 0.0], [0.1, 0.05], [0.0, float("nan")]])
def test_frames_out_of_order_are_refused(session: Session, times_s: list[float]) -> None:
    refused(session, lambda: session.run(CLIP[:2], times_s), match="timestamps_s")


def test_a_run_that_lies_before_the_last_is_refused(session: Session) -> None:
    session.run(CLIP, TIMES_S)
    refused(session, lambda: session.run(CLIP, TIMES_S), match="in order")


def test_times_without_frames_are_refused(session: Session) -> None:
    with pytest.raises(InputError, match="3 for 4 times"):
        session.run(iter(CLIP[:3]), TIMES_S[:4])


def refused(session: Session, call: object, *, match: str) -> None:
    """The call raises, and the session goes on as if it had not been."""
    before = session.states()
    with pytest.raises(InputError, match=match):
        call()  # type: ignore[operator]
    for name, value in session.states().items():
        np.testing.assert_array_equal(value, before[name])
    assert np.isfinite(session.step(CLIP[0], 1 / 30))


def test_states_of_another_shape_or_of_other_weights_are_refused(
    session: Session, tmp_path: Path
) -> None:
    file = tmp_path / "state.safetensors"
    session.save_state(file)
    arrays, _ = read_arrays(file)
    own = {"weights_sha256": session.card.weights_sha256}
    for damaged, match in (
        ({**arrays, "mean_0": arrays["mean_0"][1:]}, "mean_0"),
        ({name: x for name, x in arrays.items() if name != "phase"}, "phase"),
        ({**arrays, "rows": np.full_like(arrays["rows"], np.nan)}, "NaN"),
    ):
        write_arrays(file, damaged, own)
        refused(session, lambda: session.load_state(file), match=match)
    other = weights_file(tmp_path / "other.safetensors", seed=1)
    Session(other).save_state(file)
    refused(session, lambda: session.load_state(file), match="other weights")
    file.write_bytes(b"nothing")
    refused(session, lambda: session.load_state(file), match="damaged")
    refused(session, lambda: session.load_state(tmp_path / "none"), match="No such file")


def test_weights_of_another_model_and_unknown_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "physnet.safetensors"
    save_weights(file, {"weight": torch.zeros(1)}, WeightsCard("physnet", {}))
    for path, match in ((file, "physnet"), (tmp_path / "none.onnx", "no such file")):
        with pytest.raises(PhyskitError, match=match):
            Session(path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"physkit export"):
        Session(tmp_path / "notes.txt")
    with pytest.raises(PhyskitError, match="did you mean 'onnx'"):
        Session(file, runtime="onx")
    with pytest.raises(BackendError, match="cuda:9"):
        Session(weights_file(tmp_path / "small.safetensors"), device="cuda:9")


def test_a_runtime_that_is_not_installed_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix, package, extra in (
        (".onnx", "onnxruntime", "onnx"),
        (".tflite", "ai_edge_litert", "litert"),
        (".jax", "jax", "jax"),
    ):
        file = tmp_path / f"facephys{suffix}"
        file.write_bytes(b"")
        for name in [n for n in sys.modules if n.startswith("physkit.runtime.engines.")]:
            monkeypatch.delitem(sys.modules, name)
        for name in [package, *(n for n in sys.modules if n.startswith(f"{package}."))]:
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingExtraError, match=rf"physkit\[{extra}\]"):
            Session(file)


def test_a_card_of_another_version_says_what_to_do(session: Session) -> None:
    card = json.loads(session.card.to_json())
    assert ArtifactCard.from_json(session.card.to_json(), path="x") == session.card
    for change, match in (
        ({"artifact_format": 0}, "older version.*physkit export"),
        ({"artifact_format": 99}, "newer version.*upgrade"),
        ({"artifact_format": "new"}, "no card"),
        ({"artifact_format": None}, "no card"),
        ({"surprise": 1}, "damaged"),
    ):
        with pytest.raises(InputError, match=match):
            ArtifactCard.from_json(json.dumps(card | change), path="old.onnx")
    with pytest.raises(InputError, match="no card"):
        ArtifactCard.from_json(None, path="foreign.onnx")


def test_a_session_imports_numpy_alone() -> None:
    code = (
        "import sys; from physkit import Session\n"
        "print(sorted({n.split('.')[0] for n in sys.modules}"
        " & {'torch', 'scipy', 'jaxtyping', 'einops', 'safetensors', 'av', 'jax', 'onnxruntime'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("length", [0, 3, 8, 40, 2**62])
def test_a_damaged_file_of_arrays_is_one_error(tmp_path: Path, length: int) -> None:
    file = tmp_path / "a.safetensors"
    write_arrays(file, {"x": np.ones(3, np.float32)}, {"a": "b"})
    whole = file.read_bytes()
    file.write_bytes(struct.pack("<Q", length) + whole[8:] if length > 40 else whole[:length])
    with pytest.raises(InputError, match="damaged"):
        read_arrays(file)
    file.write_bytes(whole)
    arrays, metadata = read_arrays(file)
    assert metadata == {"a": "b"}
    np.testing.assert_array_equal(arrays["x"], np.ones(3, np.float32))


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}',
        b'{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}',
        b'{"x":{"dtype":"F32","shape":[4611686018427387904,9],"data_offsets":[0,8]}}',
        b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
        b'{"x":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}',
        b'{"x":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}',
        b'{"__metadata__":{"a":1},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    ],
)
def test_a_header_that_cannot_be_is_one_error(tmp_path: Path, header: bytes) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(InputError, match="damaged") as caught:
        read_arrays(file)
    assert "\n" not in str(caught.value)


def test_arrays_of_any_strides_and_no_axes_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    arrays = {"turned": np.arange(6.0).reshape(2, 3).T, "one": np.float32(3).reshape(())}
    write_arrays(file, arrays)
    for name, read in read_arrays(file)[0].items():
        np.testing.assert_array_equal(read, arrays[name])
        assert read.shape == arrays[name].shape


@pytest.mark.slow
def test_the_compiled_session_answers_as_the_eager_one(weights: Path) -> None:
    eager, compiled = Session(weights), Session(weights, runtime="torch-compiled")
    np.testing.assert_allclose(
        compiled.run(CLIP, TIMES_S), eager.run(CLIP, TIMES_S), rtol=0, atol=1e-5
    )
    for name, value in compiled.states().items():
        np.testing.assert_allclose(value, eager.states()[name], rtol=0, atol=1e-5)
