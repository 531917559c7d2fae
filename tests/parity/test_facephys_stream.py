"""The deployed form of FacePhys is FacePhys."""

import pytest
import torch

from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream

SIZES = {
    "published": FacePhysConfig(),
    "odd": FacePhysConfig(height=11, width=14, channels=16, n_blocks=3, d_state=9, head_d_state=5),
    "one block": FacePhysConfig(height=5, width=5, channels=8, n_blocks=1, d_state=4),
}


def _any_weights(config: FacePhysConfig) -> FacePhys:
    torch.manual_seed(0)
    net = FacePhys(config).double().eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return net


@pytest.mark.parametrize("order", ["hwc", "chw"])
@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES)
@torch.no_grad()
def test_the_deployed_step_is_the_step(config: FacePhysConfig, order: str) -> None:
    net = _any_weights(config)
    stream = FacePhysStream(net, order=order)
    state, own = net.init_state(1), stream.init_state()
    for _ in range(40):
        frame = torch.rand(1, config.height, config.width, 3, dtype=torch.float64)
        dt_s = 0.005 + 0.3 * torch.rand(1, dtype=torch.float64)
        expected, state = net.step(frame, state, dt_s=dt_s)
        pulse, own = stream.step(frame, own, dt_s=dt_s)
        torch.testing.assert_close(pulse, expected, rtol=0, atol=1e-9)
    for mine, theirs in zip(stream.to_canonical(own).convs, state.convs, strict=True):
        torch.testing.assert_close(mine.norm, theirs.norm, rtol=0, atol=1e-9)
        for part in ("real", "imag"):
            torch.testing.assert_close(
                getattr(mine.ssm, part), getattr(theirs.ssm, part), rtol=0, atol=1e-9
            )
        torch.testing.assert_close(mine.ssm.rows[:, 1:], theirs.ssm.rows[:, 1:], rtol=0, atol=1e-9)


@torch.no_grad()
def test_a_state_goes_over_from_the_step_and_back() -> None:
    net = _any_weights(SIZES["odd"])
    stream, state = FacePhysStream(net), net.init_state(1)
    frames = torch.rand(9, 1, 11, 14, 3, dtype=torch.float64)
    dt_s = torch.full((1,), 0.03, dtype=torch.float64)
    for frame in frames[:3]:
        _, state = net.step(frame, state, dt_s=dt_s)
    own = stream.from_canonical(state)
    for frame in frames[3:6]:
        _, own = stream.step(frame, own, dt_s=dt_s)
        _, state = net.step(frame, state, dt_s=dt_s)
    back = stream.to_canonical(own)
    for frame in frames[6:]:
        pulse, back = net.step(frame, back, dt_s=dt_s)
        expected, state = net.step(frame, state, dt_s=dt_s)
        torch.testing.assert_close(pulse, expected, rtol=0, atol=1e-9)


def test_the_published_size_carries_two_megabytes() -> None:
    state = FacePhysStream(FacePhys()).init_state()
    assert sum(x.numel() for x in state.values()) * 4 <= 2_000_000
