"""What `physkit bench train` and `bench chunk` time, each in a process that holds nothing else."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from physkit.bench.lap import SECONDS_A_FRAME, Lap, Watch

if TYPE_CHECKING:
    from physkit.models.facephys.network import FacePhys

ROOFLINE_FRAMES, SIDE, CHANNELS = 128, 36, 32
CONVOLUTION_FLOP = 2 * 9 * CHANNELS * CHANNELS * SIDE * SIDE
"""Of one bare convolution of one frame, forwards."""
LEAST_FRAMES = 256
"""Frames that a lap handles at the least."""


@dataclass(frozen=True)
class Setting:
    """How everything is run."""

    backend: str
    """Form of FacePhys' operators."""
    device: str
    """Torch device."""
    threads: int
    """Threads of torch."""
    checkpoint_frames: int | None = None
    """Frames between which the backward pass recomputes."""


def trained(setting: Setting, precision: str, length: int) -> Lap:
    """Training steps on one clip of random pixels."""
    step = _train_step(setting, precision, length)
    return _timed(step, length, setting)


def read(setting: Setting, precision: str, length: int) -> Lap:
    """Chunks read without gradients, the state carried from one to the next."""
    return _timed(_reading(setting, precision, length), length, setting)


def convolved(setting: Setting, *, backward: bool) -> Lap:
    """Bare 3x3 convolutions in float32 of the network's largest size, forwards or both ways."""
    return _timed(_convolution(setting, backward), ROOFLINE_FRAMES, setting)


def _timed(step: Callable[[], None], n_frames: int, setting: Setting) -> Lap:
    n_steps = -(-LEAST_FRAMES // n_frames)
    _wait_for(setting.device)
    watch = Watch()
    for _ in range(n_steps):
        step()
    _wait_for(setting.device)
    return watch.lap(n_steps * n_frames)


def _wait_for(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _network(setting: Setting) -> "FacePhys":
    import torch

    from physkit.core.machine import keep_freed_memory
    from physkit.inference.inference import usable_device
    from physkit.models.facephys.network import FacePhys

    keep_freed_memory()
    torch.set_num_threads(setting.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    net = FacePhys(backend=setting.backend)
    return net.to(usable_device(setting.device))


@functools.cache
def _train_step(setting: Setting, precision: str, length: int) -> Callable[[], None]:
    import torch

    from physkit.losses import LOSSES
    from physkit.train.clips import clip_pulse

    net = _network(setting)
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    side = net.config.height
    clip = torch.rand(1, length, side, side, 3, device=setting.device)
    label = torch.randn(1, length, device=setting.device)
    dt_s = torch.full_like(label, SECONDS_A_FRAME)
    fps = 1 / dt_s[:, 0]
    loss = LOSSES["mse"]
    mixed = precision == "bf16"

    def step() -> None:
        with torch.autocast(clip.device.type, torch.bfloat16, enabled=mixed):
            pulse = clip_pulse(net, clip, dt_s, checkpoint_frames=setting.checkpoint_frames)
        loss(pulse.float(), label, fps=fps).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


@functools.cache
def _reading(setting: Setting, precision: str, length: int) -> Callable[[], None]:
    import torch

    net = _network(setting).eval()
    side = net.config.height
    clip = torch.rand(1, length, side, side, 3, device=setting.device)
    dt_s = torch.full((1, length), SECONDS_A_FRAME, device=setting.device)
    state = net.init_state(1)
    mixed = precision == "bf16"

    def step() -> None:
        nonlocal state
        with (
            torch.inference_mode(),
            torch.autocast(clip.device.type, torch.bfloat16, enabled=mixed),
        ):
            _, state = net(clip, dt_s, state)

    return step


@functools.cache
def _convolution(setting: Setting, backward: bool) -> Callable[[], None]:
    import torch
    from torch.nn import functional

    from physkit.core.machine import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(setting.threads)
    shape = (ROOFLINE_FRAMES, CHANNELS, SIDE, SIDE)
    order = torch.channels_last
    x = torch.randn(shape, device=setting.device).to(memory_format=order)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3, device=setting.device).to(memory_format=order)
    y = functional.conv2d(x, weight, padding=1)
    padding, stride = [1, 1], [1, 1]

    def step() -> None:
        torch.conv2d(x, weight, None, 1, 1)
        if backward:
            torch.ops.aten.convolution_backward(
                *(y, x, weight, None, stride, padding, [1, 1]),
                *(False, [0, 0], 1, [True, True, False]),
            )

    return step
