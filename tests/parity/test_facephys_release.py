"""Our FacePhys against the released ONNX file, over a real face, from the released state."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from physkit.models.facephys.network import FacePhys, FacePhysState
from physkit.weights.released import (
    arrays_from_state,
    read_keras_weights,
    read_state,
    state_from_arrays,
)

LEFT, TOP, WIDTH, HEIGHT = 25, 18, 420, 512  # the box of the published comparison
DT_S = 1 / 30


class Released(NamedTuple):
    pulse: np.ndarray
    states: list[np.ndarray]


@pytest.fixture(scope="session")
def face_crops(assets: Path) -> Tensor:
    """(1 t 36 36 3) in [0, 1], from face.mp4."""
    import av
    import cv2

    crops = []
    with av.open(str(assets / "videos" / "face.mp4")) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
            crops.append(cv2.resize(image, (36, 36), interpolation=cv2.INTER_AREA))
    assert len(crops) == 301
    return torch.from_numpy(np.stack(crops)[None].astype(np.float32) / 255)


@pytest.fixture(scope="session")
def warm_state(assets: Path) -> FacePhysState:
    return read_state(assets / "facephys" / "state.gz")


@pytest.fixture(scope="session")
def released(assets: Path, face_crops: Tensor, warm_state: FacePhysState) -> Released:
    """The pulse of `model.onnx` frame by frame, and its 46 states after the last."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(assets / "facephys" / "model.onnx"))
    names = [entry.name for entry in session.get_inputs()]
    states, pulse = arrays_from_state(warm_state), []
    for frame in face_crops[0].numpy():
        inputs = [frame[None, None], np.full(1, DT_S, np.float32), *states]
        sample, *states = session.run(None, dict(zip(names, inputs, strict=True)))
        pulse.append(float(sample.item()))
    return Released(np.array(pulse), states)


@pytest.fixture(scope="session")
def net(assets: Path) -> FacePhys:
    net = FacePhys()
    net.load_state_dict(read_keras_weights(assets / "facephys" / "FacePhys.weights.h5"))
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def net64(assets: Path) -> FacePhys:
    net = FacePhys()
    net.load_state_dict(read_keras_weights(assets / "facephys" / "FacePhys.weights.h5"))
    return net.eval().double().requires_grad_(False)


def to_float64(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.double()
    parts = [to_float64(part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def by_steps(net: FacePhys, clip: Tensor, state: FacePhysState) -> tuple[Tensor, FacePhysState]:
    pulse = []
    for frame in clip.unbind(1):
        sample, state = net.step(frame, state, dt_s=clip.new_full((1,), DT_S))
        pulse.append(sample)
    return torch.cat(pulse), state


def by_chunks(
    net: FacePhys, clip: Tensor, state: FacePhysState, length: int
) -> tuple[Tensor, FacePhysState]:
    pulse = []
    for chunk in clip.split(length, dim=1):
        samples, state = net(chunk, chunk.new_full(chunk.shape[:2], DT_S), state)
        pulse.append(samples[0])
    return torch.cat(pulse), state


def largest_difference(ours: Iterable[np.ndarray], theirs: Iterable[np.ndarray]) -> float:
    return max(float(abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


def test_every_step_and_all_46_final_states_equal_the_released_onnx(
    net: FacePhys, face_crops: Tensor, warm_state: FacePhysState, released: Released
) -> None:
    pulse, state = by_steps(net, face_crops, warm_state)
    assert abs(pulse.numpy() - released.pulse).max() < 2e-4
    assert largest_difference(arrays_from_state(state), released.states) < 1e-3


@pytest.mark.parametrize("length", [1, 7, 64, 100, 301])
def test_chunks_with_carried_state_equal_the_released_onnx(
    net: FacePhys,
    face_crops: Tensor,
    warm_state: FacePhysState,
    released: Released,
    length: int,
) -> None:
    pulse, state = by_chunks(net, face_crops, warm_state, length)
    assert abs(pulse.numpy() - released.pulse).max() < 2e-4
    assert largest_difference(arrays_from_state(state), released.states) < 1e-3


@pytest.mark.slow
def test_whole_chunks_and_steps_are_one_function_in_float64(
    net64: FacePhys, face_crops: Tensor, warm_state: FacePhysState
) -> None:
    # more than FacePhys reads at once
    clip, start = face_crops[:, :131].double(), to_float64(warm_state)
    whole, last = by_chunks(net64, clip, start, 131)
    ways = [by_chunks(net64, clip, start, length) for length in (1, 7, 64, 100)]
    for pulse, state in [*ways, by_steps(net64, clip, start)]:
        assert (pulse - whole).abs().max() < 1e-9
        assert largest_difference(arrays_from_state(state), arrays_from_state(last)) < 1e-9


def test_a_state_survives_the_way_to_the_released_order_and_back(
    warm_state: FacePhysState,
) -> None:
    arrays = arrays_from_state(warm_state)
    assert len(arrays) == 46
    assert largest_difference(arrays_from_state(state_from_arrays(arrays)), arrays) == 0
