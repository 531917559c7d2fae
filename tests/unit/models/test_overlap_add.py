"""Clips of a fixed length, over streams of any length."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from physkit.core.errors import InputError
from physkit.nn.overlap_add import DURATIONS, FRAMES, OverlapAdd


class Clips(OverlapAdd):
    """Says of each frame its own value plus what depends on where in the clip it stands."""

    clip_frames = 8

    def __init__(self, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def read_clip(self, inputs: Mapping[str, Tensor]) -> Tensor:
        assert all(rows.shape[1] == self.clip_frames for rows in inputs.values())
        pulse = inputs[FRAMES].mean(dim=(-3, -2, -1))
        return pulse + self.slope * torch.arange(self.clip_frames) + 0 * inputs[DURATIONS]


def stream(n: int, *, b: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    return torch.rand(b, n, 2, 2, 3, generator=generator), torch.full((b, n), 1 / 30)


@pytest.mark.parametrize("n", [1, 3, 7, 8, 9, 11, 12, 13, 16, 25, 40])
@pytest.mark.parametrize("cut", [1, 3, 8, 11])
def test_the_pulse_does_not_depend_on_how_a_stream_is_cut(n: int, cut: int) -> None:
    model = Clips(slope=0.1).eval()
    clip, dt_s = stream(n)
    whole = model.whole_pulse(clip, dt_s)
    state, pieces = None, []
    for at in range(0, n, cut):
        piece, state = model(clip[:, at : at + cut], dt_s[:, at : at + cut], state)
        assert piece.shape[1] <= cut
        pieces.append(piece)
    assert state is not None
    pieces.append(model.finish(state))
    assert whole.shape == (2, n)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)


@pytest.mark.parametrize("n", [8, 9, 12, 14, 30])
def test_what_all_clips_agree_on_stays_as_it_is(n: int) -> None:
    clip, dt_s = stream(n)
    pulse = Clips().eval().whole_pulse(clip, dt_s)
    torch.testing.assert_close(pulse, clip.mean(dim=(-3, -2, -1)))


def test_a_state_can_be_continued_from_twice() -> None:
    model = Clips(slope=0.1).eval()
    clip, dt_s = stream(30)
    _, state = model(clip[:, :13], dt_s[:, :13])
    once, _ = model(clip[:, 13:], dt_s[:, 13:], state)
    again, _ = model(clip[:, 13:], dt_s[:, 13:], state)
    torch.testing.assert_close(once, again)


def test_training_takes_whole_clips_and_no_state() -> None:
    model = Clips(slope=0.1).train()
    clip, dt_s = stream(8)
    pulse, state = model(clip, dt_s)
    assert pulse.shape == (2, 8)
    with pytest.raises(InputError, match="trains on whole clips of 8 frames"):
        model(clip, dt_s, state)
    with pytest.raises(InputError, match="and was given 7; give clips of that length"):
        model(clip[:, :7], dt_s[:, :7])
