"""The one-frame step of a network as one CUDA graph: a single launch a frame."""

import torch
from jaxtyping import Float
from torch import Tensor

from physkit.runtime.compiled import StateT, Step, Steps, leaves_of

WARM_UP_STEPS = 3
"""Runs before the capture, in which libraries choose kernels and allocate memory."""


def capture_step(net: Steps[StateT], frame: Float[Tensor, "b h w 3"]) -> Step[StateT]:
    """`net.step` for frames of exactly the shape and dtype of `frame`, which is on a GPU.

    The graph keeps the state in its own buffers and returns these: passing them to the next call
    costs no copy; any other state is copied. So, unlike `net.step`, a call overwrites the state
    that the previous call returned.
    """
    state = net.init_state(frame.shape[0])
    frame, buffers = frame.clone(), leaves_of(state)
    duration_s = torch.full_like(frame[:, 0, 0, 0], 1 / 30)

    def advance() -> Tensor:
        pulse, after = net.step(frame, state, dt_s=duration_s)
        for buffer, new in zip(buffers, leaves_of(after), strict=True):
            buffer.copy_(new)
        return pulse

    with torch.no_grad():
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_STEPS):
                advance()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = advance()

    def step(new_frame: Tensor, new_state: StateT, *, dt_s: Tensor) -> tuple[Tensor, StateT]:
        frame.copy_(new_frame)
        duration_s.copy_(dt_s)
        if new_state is not state:
            for buffer, new in zip(buffers, leaves_of(new_state), strict=True):
                buffer.copy_(new)
        graph.replay()
        return answer.clone(), state

    return step
