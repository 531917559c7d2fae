"""Cut a stream anywhere: the classical methods answer the same, one sample a frame."""

import numpy as np
import pytest
import torch

from physkit.core.errors import InputError
from physkit.models import MODELS

CLASSICAL = ["green", "ica", "chrom", "pbv", "pos", "lgi", "omit"]
STREAMING = ["green", "chrom", "pos"]
N_FRAMES = 300


def faces(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two streams of 3x3 frames with a pulse, noise, jittered times and, in one, a long pause."""
    rng = np.random.default_rng(seed)
    dt_s = rng.uniform(0.015, 0.06, (2, N_FRAMES))
    dt_s[1, 140] = 4.0
    pulse = np.sin(2 * np.pi * 1.2 * np.cumsum(dt_s, axis=1))[..., None]
    colours = np.array([0.6, 0.45, 0.35]) * (1 - 0.01 * np.array([0.33, 0.77, 0.53]) * pulse)
    clip = colours[:, :, None, None] + rng.normal(0, 0.002, (2, N_FRAMES, 3, 3, 3))
    return torch.from_numpy(clip).float(), torch.from_numpy(dt_s).float()


def whole(name: str) -> torch.Tensor:
    clip, dt_s = faces()
    model = MODELS[name]()
    pulse, state = model(clip, dt_s)
    return torch.cat([pulse, model.finish(state)], dim=1)


@pytest.mark.parametrize("chunk", [1, 7, 64, 100])
@pytest.mark.parametrize("name", CLASSICAL)
def test_chunks_give_the_pulse_of_the_whole(name: str, chunk: int) -> None:
    clip, dt_s = faces()
    model, pieces = MODELS[name](), []
    state = model.init_state(2)
    for start in range(0, N_FRAMES, chunk):
        piece, state = model(clip[:, start : start + chunk], dt_s[:, start : start + chunk], state)
        assert piece.shape[1] <= chunk
        pieces.append(piece)
    pulse = torch.cat([*pieces, model.finish(state)], dim=1)
    assert pulse.shape == (2, N_FRAMES)
    torch.testing.assert_close(pulse, whole(name), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", CLASSICAL)
def test_steps_give_the_pulse_of_the_whole(name: str) -> None:
    clip, dt_s = faces()
    model, samples = MODELS[name](), []
    state = model.init_state(2)
    for t in range(N_FRAMES):
        sample, state = model.step(clip[:, t], state, dt_s=dt_s[:, t])
        assert sample.shape == (2,)
        samples.append(sample)
    answered = [sample for sample in samples if not sample.isnan().any()]
    owed = model.finish(state)
    assert len(answered) + owed.shape[1] == N_FRAMES
    assert bool(answered) == model.can_stream
    pulse = torch.cat([torch.stack(answered, dim=1), owed], dim=1) if answered else owed
    torch.testing.assert_close(pulse, whole(name), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_state_can_be_continued_twice(name: str) -> None:
    clip, dt_s = faces()
    model = MODELS[name]()
    _, state = model(clip[:, :150], dt_s[:, :150])
    twice = []
    for _ in range(2):
        pulse, after = model(clip[:, 150:], dt_s[:, 150:], state)
        twice.append(torch.cat([pulse, model.finish(after)], dim=1))
    torch.testing.assert_close(twice[0], twice[1], rtol=0, atol=0)


@pytest.mark.parametrize("name", CLASSICAL)
def test_streams_of_a_batch_do_not_mix(name: str) -> None:
    clip, dt_s = faces()
    model = MODELS[name]()
    for b in range(2):
        pulse, state = model(clip[b : b + 1], dt_s[b : b + 1])
        alone = torch.cat([pulse, model.finish(state)], dim=1)
        torch.testing.assert_close(alone[0], whole(name)[b], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["chrom", "pos"])
def test_an_answer_comes_one_window_late_and_then_at_every_frame(name: str) -> None:
    clip, _ = faces()
    model = MODELS[name]()
    state, given = model.init_state(2), []
    for t in range(N_FRAMES):
        sample, state = model.step(clip[:, t], state, dt_s=torch.full((2,), 1 / 30))
        given.append(not sample.isnan().any())
    first = given.index(True)
    assert 46 <= first <= 49  # 1.6 s at 30 frames/s
    assert all(given[first:])


@pytest.mark.parametrize("name", STREAMING)
def test_memory_does_not_grow_with_the_stream(name: str) -> None:
    clip, _ = faces()
    model = MODELS[name]()
    state = model.init_state(2)
    for _ in range(5):
        _, state = model(clip, torch.full((2, N_FRAMES), 1 / 30), state)
        assert model.finish(state).shape[1] <= 49


def test_the_answer_has_the_dtype_of_the_clip() -> None:
    clip, dt_s = faces()
    for name in CLASSICAL:
        model = MODELS[name]()
        pulse, state = model(clip.double(), dt_s.double())
        assert pulse.dtype == model.finish(state).dtype == torch.float64


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.1])
@pytest.mark.parametrize("name", ["pos", "ica"])
def test_impossible_frame_times_are_refused(name: str, wrong: float) -> None:
    clip, dt_s = faces()
    dt_s[0, 5] = wrong
    with pytest.raises(InputError, match="frame times"):
        MODELS[name]()(clip, dt_s)
