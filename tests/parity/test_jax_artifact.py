"""An artifact for JAX is the network that it was made of, and says what it is."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from physkit.core.artifact import ArtifactCard
from physkit.core.errors import BackendError, InputError
from physkit.export.target import ExportRequest, write_states
from physkit.media.open import open_frames
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.runtime.session import Session
from physkit.weights.load import load_model

pytest.importorskip("jax")

from physkit.export.jax.target import JaxTarget

SMALL = FacePhysConfig(height=9, width=8, channels=8, n_blocks=1, d_state=3, head_d_state=2)
SHA = "0" * 64
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Writes an artifact of a small network, its states beside it."""
    torch.manual_seed(0)
    net = FacePhys(SMALL).eval()

    def write(**request: object) -> Path:
        folder = tmp_path_factory.mktemp("jax")
        asked = ExportRequest(weights_sha256=SHA, **request)
        path = folder / asked.file_name(".jax")
        JaxTarget().write(net, asked, path)
        write_states(folder, net, SHA)
        return path

    return write


@pytest.fixture(scope="module")
def small(make: Make) -> Path:
    return make()


@pytest.fixture(scope="module")
def opened(small: Path) -> Session:
    return Session(small)


@pytest.fixture
def session(opened: Session) -> Session:
    """At the start of a stream; one for all tests, since opening is compiling."""
    opened.reset()
    return opened


def _frames(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((n, SMALL.height, SMALL.width, 3), dtype=np.float32)


def test_the_card_inside_is_the_contract(small: Path, session: Session) -> None:
    with zipfile.ZipFile(small) as file:
        card = ArtifactCard.from_json(file.read("card.json"), path="card")
    assert card == session.card
    assert (card.form, card.n_frames, card.precision, card.order) == ("step", 1, "fp32", "hwc")
    assert card.weights_sha256 == SHA
    assert card.states[0].shape == (SMALL.height, SMALL.width, SMALL.channels)


def test_a_chunk_gives_the_pulse_of_its_steps(session: Session, make: Make) -> None:
    chunk, frames, times_s = Session(make(form="chunk", n_frames=4)), _frames(8), np.arange(8) / 25
    expected = session.run(frames, times_s)
    np.testing.assert_allclose(chunk.run(frames, times_s), expected, rtol=0, atol=2e-5)


def test_a_fixed_rate_takes_no_durations(session: Session, make: Make) -> None:
    frames, times_s = _frames(5), np.arange(5) / 25
    fixed = Session(make(fixed_dt_s=0.04))
    expected = session.run(frames, times_s)
    np.testing.assert_allclose(fixed.run(frames, times_s), expected, rtol=0, atol=2e-5)
    with pytest.raises(InputError, match=r"made for 0\.04 s a frame"):
        fixed.step(frames[0], 0.03)


def test_half_precision_weights_and_states_are_near(session: Session, make: Make) -> None:
    frames, times_s = _frames(40), np.arange(40) / 25
    half = Session(make(precision="fp16", state_dtype="float16"))
    assert all(x.dtype == np.float16 for x in half.states().values())
    pulses = [x.run(frames, times_s) for x in (half, session)]
    assert np.corrcoef(*pulses)[0, 1] > 0.999


def test_a_saved_state_goes_on_bit_by_bit(small: Path, session: Session, tmp_path: Path) -> None:
    frames = _frames(6)
    begun = [session.step(frame, 0.04) for frame in frames[:3]]
    session.save_state(tmp_path / "moment.safetensors")
    held = session.states()
    expected = [session.step(frame, 0.04) for frame in frames[3:]]
    other = Session(small)
    other.load_state(tmp_path / "moment.safetensors")
    for name, x in other.states().items():
        np.testing.assert_array_equal(x, held[name])  # copies, which later steps left alone
    assert [other.step(frame, 0.04) for frame in frames[3:]] == expected
    other.reset()
    assert [other.step(frame, 0.04) for frame in frames[:3]] == begun


def test_int8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "int8.jax"
    with pytest.raises(InputError, match="use precision fp32 or fp16, or"):
        JaxTarget().write(FacePhys(SMALL), ExportRequest(SHA, precision="int8"), path)
    assert not path.exists()


def test_a_device_that_is_absent_is_refused(small: Path) -> None:
    with pytest.raises(BackendError, match="device tpu: not usable here"):
        Session(small, device="tpu")


@pytest.mark.parametrize(
    "damage", ["no zip", "no card", "no module", "garbled", "cut", "other card"]
)
def test_a_damaged_artifact_is_one_error(small: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.jax"
    with zipfile.ZipFile(small) as file:
        members = {name: file.read(name) for name in file.namelist()}
    if damage == "garbled":
        members["module.bin"] = bytes(1000)
    if damage == "other card":
        members["card.json"] = members["card.json"].replace(b'"height": 9', b'"height": 8')
    members.pop({"no card": "card.json", "no module": "module.bin"}.get(damage, ""), None)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    if damage == "no zip":
        path.write_bytes(b"pulse")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"bad.jax: .*make it again by physkit export"):
        Session(path)


def test_importing_the_engine_imports_no_torch() -> None:
    code = "import sys, physkit.runtime.engines.jax as e; assert 'torch' not in sys.modules, e"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@torch.no_grad()
def test_the_released_network_on_real_crops(assets: Path, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    net = load_model("facephys", assets / "facephys" / "FacePhys.weights.h5")
    path = tmp_path / "facephys.jax"
    JaxTarget().write(net, ExportRequest(SHA), path)
    write_states(tmp_path, net, SHA)
    session = Session(path)
    net, state = net.double(), net.double().init_state(1)
    with open_frames(assets / "videos" / "face.mp4") as source:
        for frame, _ in zip(source, range(60), strict=False):
            crop = cv2.resize(frame.rgb[18:530, 25:445], (36, 36), interpolation=cv2.INTER_AREA)
            dt_s = 1 / 30
            exact = torch.from_numpy(crop[None] / 255)
            pulse, state = net.step(exact, state, dt_s=exact.new_tensor([dt_s]))
            assert session.step(crop, dt_s) == pytest.approx(float(pulse), abs=2e-4)
