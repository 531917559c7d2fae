"""Clips through a network: one gradient, whatever is kept for it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from physkit.core.errors import InputError
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.nn.streaming import PulseModel, State
from physkit.train.clips import as_input, clip_pulse, stream_pulse
from physkit.train.memory import Clips, training_bytes

CONFIG = FacePhysConfig(height=8, width=8, channels=8, n_blocks=1, d_state=4, head_d_state=4)


class Whole(PulseModel[State]):
    """A network that reads clips whole, with a gain as its only weight."""

    can_stream = False

    def __init__(self, *, skips: int = 0) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))
        self.skips = skips

    def init_state(self, batch_size: int = 1) -> State:
        return {"last": torch.zeros(batch_size, 0)}

    def forward(self, clip: Tensor, dt_s: Tensor, state: Any = None) -> tuple[Tensor, State]:  # noqa: ARG002
        return (self.gain * clip.mean(dim=(2, 3, 4)))[:, self.skips :], self.init_state(len(clip))


def a_net() -> FacePhys:
    torch.manual_seed(0)
    return FacePhys(CONFIG).double()


def a_clip(t: int = 70) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    frames = torch.rand(2, t, 8, 8, 3, generator=g, dtype=torch.float64)
    return frames, torch.full((2, t), 1 / 30, dtype=torch.float64)


def gradients(checkpoint_frames: int | None) -> list[Tensor]:
    net = a_net()
    pulse = clip_pulse(net, *a_clip(), checkpoint_frames=checkpoint_frames)
    pulse.square().sum().backward()
    return [pulse.detach(), *(p.grad for p in net.parameters() if p.grad is not None)]


@pytest.mark.parametrize("checkpoint_frames", [1, 32, 70, 100])
def test_recomputing_blocks_changes_neither_pulse_nor_gradient(checkpoint_frames: int) -> None:
    torch.testing.assert_close(gradients(checkpoint_frames), gradients(None), rtol=1e-9, atol=1e-9)


def test_a_stream_in_chunks_is_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("physkit.train.clips.CHUNK_FRAMES", 16)
    net, (clip, dt_s) = a_net().eval(), a_clip()
    with torch.no_grad():
        torch.testing.assert_close(stream_pulse(net, clip, dt_s), net(clip, dt_s)[0])


def test_grey_levels_are_scaled_and_larger_crops_averaged() -> None:
    frames = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).reshape(1, 2, 4, 4, 3)
    halved = as_input(frames, (2, 2))
    assert halved.shape == (1, 2, 2, 2, 3)
    expected = frames[0, 1, 2:, :2].float().mean(dim=(0, 1)) / 255
    torch.testing.assert_close(halved[0, 1, 1, 0], expected)
    torch.testing.assert_close(as_input(frames, None), frames / 255)


def test_networks_that_cannot_be_trained_so_are_refused() -> None:
    with pytest.raises(InputError, match="Whole reads clips whole"):
        clip_pulse(Whole(), *a_clip(), checkpoint_frames=8)
    with pytest.raises(InputError, match="answers 60 of 70 frames"):
        clip_pulse(Whole(skips=10), *a_clip())


def test_memory_is_counted_in_proportion_to_what_is_kept() -> None:
    net = FacePhys(CONFIG)

    def mb(batch: int, frames: int, checkpoint_frames: int | None = None) -> float:
        clips = Clips(batch, frames, (8, 8), checkpoint_frames)
        return training_bytes(net, clips, precision="fp32") / 1e6

    fixed = mb(1, 128) - (mb(1, 256) - mb(1, 128))
    assert mb(1, 512) - fixed == pytest.approx(4 * (mb(1, 128) - fixed), rel=0.05)
    assert mb(4, 128) == pytest.approx(mb(1, 512), rel=0.05)
    assert mb(1, 512, 128) < mb(1, 256)


def test_the_published_network_is_estimated_at_what_it_was_measured_to_take() -> None:
    needed = training_bytes(FacePhys(), Clips(1, 128, (36, 36)), precision="fp32")
    assert needed / 2**20 == pytest.approx(561, rel=0.25)  # measured: see physkit/train/memory.py
