"""FacePhys as a function: its three forms are one, in time, across batches and at any size."""

from typing import Any

import pytest
import torch
from torch import Tensor

from physkit.core.errors import InputError
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys, FacePhysState
from physkit.runtime.compiled import compile_step

SMALL = FacePhysConfig(height=9, width=7, channels=8, n_blocks=2, d_state=6, head_d_state=4)
TINY = FacePhysConfig(height=5, width=4, channels=8, n_blocks=1, d_state=4, head_d_state=4)
ODD = [SMALL, FacePhysConfig(height=25, width=31, channels=16, n_blocks=3, d_state=8)]


def leaves(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [x for part in state for x in leaves(part)]


def a_net(config: FacePhysConfig = SMALL, *, backend: str = "auto") -> FacePhys:
    """Random weights, float64, with every initial state away from zero."""
    torch.manual_seed(0)
    net = FacePhys(config, backend=backend).double().eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("mean0", "rows0", "real0", "imag0")):
                parameter.normal_(std=0.1)
    return net


def a_clip(config: FacePhysConfig = SMALL, *, b: int = 2, t: int = 23) -> tuple[Tensor, Tensor]:
    """Random frames, and times between them from 1/60 s to 1/10 s."""
    g = torch.Generator().manual_seed(1)
    clip = torch.rand(b, t, config.height, config.width, 3, generator=g, dtype=torch.float64)
    return clip, 1 / 60 + torch.rand(b, t, generator=g, dtype=torch.float64) / 12


def by_steps(net: FacePhys, clip: Tensor, dt_s: Tensor) -> tuple[Tensor, FacePhysState]:
    state, pulse = net.init_state(clip.shape[0]), []
    for t in range(clip.shape[1]):
        sample, state = net.step(clip[:, t], state, dt_s=dt_s[:, t])
        pulse.append(sample)
    return torch.stack(pulse, dim=1), state


@torch.no_grad()
@pytest.mark.parametrize("config", ODD)
def test_whole_equals_chunks_equals_steps_at_irregular_times_and_odd_sizes(
    config: FacePhysConfig,
) -> None:
    net, (clip, dt_s) = a_net(config), a_clip(config)
    whole, last = net(clip, dt_s)
    chunks, state = [], None
    for part, times in zip(clip.split(5, dim=1), dt_s.split(5, dim=1), strict=True):
        pulse, state = net(part, times, state)
        chunks.append(pulse)
    steps, stepped = by_steps(net, clip, dt_s)
    reference, _ = a_net(config, backend="reference")(clip, dt_s)
    for pulse in (torch.cat(chunks, dim=1), steps, reference):
        torch.testing.assert_close(pulse, whole, rtol=0, atol=1e-9)
    for other in (state, stepped):
        torch.testing.assert_close(leaves(other), leaves(last), rtol=0, atol=1e-9)


@torch.no_grad()
def test_streams_of_a_batch_do_not_touch_each_other() -> None:
    net, (clip, dt_s) = a_net(), a_clip(b=3)
    together, _ = net(clip, dt_s)
    for i in range(3):
        alone, _ = net(clip[i : i + 1], dt_s[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1], rtol=0, atol=1e-12)


@torch.no_grad()
def test_future_frames_do_not_change_past_pulse() -> None:
    net, (clip, dt_s) = a_net(), a_clip()
    before, _ = net(clip, dt_s)
    clip[:, 15:], dt_s[:, 15:] = 1.0, 0.5
    after, _ = net(clip, dt_s)
    torch.testing.assert_close(after[:, :15], before[:, :15], rtol=0, atol=1e-12)
    assert not torch.allclose(after[:, 15:], before[:, 15:])


@torch.no_grad()
def test_a_call_leaves_its_state_as_it_was() -> None:
    net, (clip, dt_s) = a_net(), a_clip()
    _, state = net(clip, dt_s)
    copies = [x.clone() for x in leaves(state)]
    once, _ = net.step(clip[:, 0], state, dt_s=dt_s[:, 0])
    net(clip, dt_s, state)
    torch.testing.assert_close(leaves(state), copies, rtol=0, atol=0)
    again, _ = net.step(clip[:, 0], state, dt_s=dt_s[:, 0])
    assert torch.equal(once, again)


def test_the_published_size_has_the_published_number_of_parameters() -> None:
    assert sum(x.numel() for x in FacePhys().parameters()) == 1_221_137


@torch.no_grad()
def test_random_weights_give_a_finite_pulse_that_varies() -> None:
    torch.manual_seed(3)
    net, g = FacePhys(), torch.Generator().manual_seed(0)
    pulse, state = net(torch.rand(1, 64, 36, 36, 3, generator=g), torch.full((1, 64), 1 / 30))
    assert all(torch.isfinite(x).all() for x in [pulse, *leaves(state)])
    assert pulse.std() > 0


@pytest.mark.parametrize("form", ["steps", "whole", "reference"])
def test_gradients_reach_every_parameter_and_agree_between_forms(form: str) -> None:
    clip, dt_s = a_clip(t=9)
    gradients = {}
    for name in ("whole", form):
        net = a_net(backend="reference" if name == "reference" else "auto")
        pulse, _ = by_steps(net, clip, dt_s) if name == "steps" else net(clip, dt_s)
        pulse.square().sum().backward()
        gradients[name] = {key: x.grad for key, x in net.named_parameters()}
    for key, gradient in gradients[form].items():
        assert gradient is not None, key
        assert gradient.abs().sum() > 0, key
        torch.testing.assert_close(gradient, gradients["whole"][key], rtol=1e-7, atol=1e-9)


@pytest.mark.slow
@torch.no_grad()
def test_step_and_forward_compile_as_one_graph_and_answer_as_eager_does() -> None:
    net, (clip, dt_s) = a_net(TINY), a_clip(TINY, t=6)
    step, forward = (torch.compile(f, fullgraph=True) for f in (net.step, net.forward))
    state = net.init_state(2)
    pulse, after = net.step(clip[:, 0], state, dt_s=dt_s[:, 0])
    compiled_pulse, compiled_after = step(clip[:, 0], state, dt_s=dt_s[:, 0])
    torch.testing.assert_close(compiled_pulse, pulse, rtol=0, atol=1e-9)
    torch.testing.assert_close(leaves(compiled_after), leaves(after), rtol=0, atol=1e-9)
    pulse, after = net(clip, dt_s, state)
    compiled_pulse, compiled_after = forward(clip, dt_s, state)
    torch.testing.assert_close(compiled_pulse, pulse, rtol=0, atol=1e-9)
    torch.testing.assert_close(leaves(compiled_after), leaves(after), rtol=0, atol=1e-9)


@pytest.mark.slow
@torch.no_grad()
def test_the_step_compiled_for_deployment_answers_as_eager_does_from_any_state() -> None:
    net, (clip, dt_s) = a_net(TINY), a_clip(TINY)
    step = compile_step(net, clip[:, 0])
    state = compiled_state = net.init_state(2)
    for t in range(clip.shape[1]):
        pulse, state = net.step(clip[:, t], state, dt_s=dt_s[:, t])
        compiled_pulse, compiled_state = step(clip[:, t], compiled_state, dt_s=dt_s[:, t])
        torch.testing.assert_close(compiled_pulse, pulse, rtol=0, atol=1e-9)
    with pytest.raises(InputError, match="compiled for"):
        step(clip[:1, 0], net.init_state(1), dt_s=dt_s[:1, 0])
    assert type(compiled_state) is FacePhysState
    torch.testing.assert_close(leaves(compiled_state), leaves(state), rtol=0, atol=1e-9)


def test_a_state_keeps_no_more_memory_alive_than_it_holds() -> None:
    net = FacePhys(FacePhysConfig(height=8, width=8, channels=8, n_blocks=1, d_state=4))
    with torch.no_grad():
        _, state = net(torch.rand(1, 50, 8, 8, 3), torch.full((1, 50), 1 / 30))
    leaves = [z for conv in state.convs for part in conv for z in part]
    leaves += [z for ssm in state.head for z in ssm]
    for leaf in leaves:
        assert leaf.untyped_storage().nbytes() <= 2 * leaf.numel() * leaf.element_size()
