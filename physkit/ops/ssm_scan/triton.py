"""The state-space recurrence on a GPU: a head's state in registers; same function as reference.py.

A program computes one head of one clip, frame by frame. The backward pass goes back through blocks
of frames; it recomputes each from the state that the forward pass kept before its first frame. The
maths is in README.md beside this file.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from physkit.ops.triton_launch import accumulator, launch, register_backward, require_shapes

BORDER_EVERY = 32  # frames; scratch of resident programs fits L2


@triton.jit
def _lanes(head_dim, d_state, block_p: tl.constexpr, block_n: tl.constexpr):
    """Indices of a head's parts and states, which of them exist, and offsets in its state (p n)."""
    p, n = tl.arange(0, block_p), tl.arange(0, block_n)
    has_p, has_n = p < head_dim, n < d_state
    return p, n, has_p, has_n, p[:, None] * d_state + n[None, :], has_p[:, None] & has_n[None, :]


@triton.jit
def _advance(real, imag, delta, x, b_in, a_real, a_imag):
    """The state (p n) after a frame, and the real and imaginary part of exp(delta A)."""
    decay, phase = tl.exp(delta * a_real), delta * a_imag
    cos, sin = decay * tl.cos(phase), decay * tl.sin(phase)
    drive = (delta * x)[:, None] * b_in[None, :]
    return real * cos - imag * sin + drive, real * sin + imag * cos, cos, sin


@triton.jit(do_not_specialize=["length"])
def _forward_kernel(
    x, delta, a_real, a_imag, b_in, c_out, real0, imag0,
    y, real_out, imag_out, borders,
    length, n_heads, head_dim, d_state,
    every: tl.constexpr, block_p: tl.constexpr, block_n: tl.constexpr,
):  # fmt: skip
    p, n, has_p, has_n, offsets, inside = _lanes(head_dim, d_state, block_p, block_n)
    head, batch = tl.program_id(0), tl.program_id(1).to(tl.int64)
    size = tl.cast(head_dim, tl.int64) * d_state
    state, at = (batch * n_heads + head) * size + offsets, batch * length * n_heads + head
    real = tl.load(real0 + state, mask=inside, other=0)
    imag = tl.load(imag0 + state, mask=inside, other=0)
    pole_real, pole_imag = tl.load(a_real + head), tl.load(a_imag + head)
    # From here on a pointer is at this clip, head and lane; a frame is a row further.
    row = n_heads * head_dim
    x += at * head_dim + p
    y += at * 2 * head_dim + p
    delta += at
    b_in += batch * length * d_state + n
    c_out += batch * length * d_state + n
    borders += (batch * tl.cdiv(length, every) * n_heads + head) * 2 * size + offsets
    for t in tl.range(0, length, num_stages=4):
        x_t, delta_t = tl.load(x + t * row, mask=has_p, other=0), tl.load(delta + t * n_heads)
        b_t = tl.load(b_in + t * d_state, mask=has_n, other=0)
        c_t = tl.load(c_out + t * d_state, mask=has_n, other=0)
        # A mask instead of a branch or a loop over blocks, which would drain the pipeline.
        kept, at_border = borders + size * (t // every * 2 * n_heads), inside & (t % every == 0)
        tl.store(kept, real, mask=at_border)
        tl.store(kept + size, imag, mask=at_border)
        real, imag, _, _ = _advance(real, imag, delta_t, x_t, b_t, pole_real, pole_imag)
        y_t = y + t * 2 * row
        tl.store(y_t, tl.sum(real * c_t[None, :], axis=1), mask=has_p)
        tl.store(y_t + head_dim, tl.sum(imag * c_t[None, :], axis=1), mask=has_p)
    tl.store(real_out + state, real, mask=inside)
    tl.store(imag_out + state, imag, mask=inside)


@triton.jit
def _recompute(
    x, delta, b_in, pole_real, pole_imag, border, scratch, has_p, has_n, inside,
    n_frames, n_heads, row, d_state, size,
):  # fmt: skip
    """Write the state before each frame of a block to scratch; pointers are at its first frame."""
    real = tl.load(border, mask=inside, other=0)
    imag = tl.load(border + size, mask=inside, other=0)
    for t in tl.range(0, n_frames, num_stages=4):
        x_t, delta_t = tl.load(x + t * row, mask=has_p, other=0), tl.load(delta + t * n_heads)
        b_t = tl.load(b_in + t * d_state, mask=has_n, other=0)
        before = scratch + size * (2 * t)
        tl.store(before, real, mask=inside)
        tl.store(before + size, imag, mask=inside)
        real, imag, _, _ = _advance(real, imag, delta_t, x_t, b_t, pole_real, pole_imag)


@triton.jit(do_not_specialize=["length"])
def _backward_kernel(
    x, delta, a_real, a_imag, b_in, c_out, borders, scratch, grad_y, grad_real_out, grad_imag_out,
    grad_x, grad_real0, grad_imag0, partial_delta, partial_poles, partial_b, partial_c,
    length, n_heads, head_dim, d_state,
    every: tl.constexpr, block_p: tl.constexpr, block_n: tl.constexpr,
):  # fmt: skip
    p, n, has_p, has_n, offsets, inside = _lanes(head_dim, d_state, block_p, block_n)
    head, batch = tl.program_id(0), tl.program_id(1).to(tl.int64)
    size = tl.cast(head_dim, tl.int64) * d_state
    program, at = batch * n_heads + head, batch * length * n_heads + head
    state = program * size + offsets
    grad_real = tl.load(grad_real_out + state, mask=inside, other=0)
    grad_imag = tl.load(grad_imag_out + state, mask=inside, other=0)
    pole_real, pole_imag = tl.load(a_real + head), tl.load(a_imag + head)
    n_blocks = tl.cdiv(length, every)
    # From here on a pointer is at this clip, head and lane; a frame is a row further.
    row = n_heads * head_dim
    x += at * head_dim + p
    grad_x += at * head_dim + p
    partial_delta += at * head_dim + p
    grad_y += at * 2 * head_dim + p
    delta += at
    b_in += batch * length * d_state + n
    c_out += batch * length * d_state + n
    partial_b += program * length * d_state + n
    partial_c += program * length * d_state + n
    scratch += program * every * 2 * size + offsets
    borders += (batch * n_blocks * n_heads + head) * 2 * size + offsets
    to_pole_real = tl.zeros((block_p,), pole_real.dtype)
    to_pole_imag = tl.zeros((block_p,), pole_real.dtype)
    for back in range(n_blocks):
        block = n_blocks - 1 - back
        first = block * every
        n_frames = tl.minimum(length - first, every)
        _recompute(
            x + first * row, delta + first * n_heads, b_in + first * d_state,
            pole_real, pole_imag, borders + size * (block * 2 * n_heads), scratch,
            has_p, has_n, inside, n_frames, n_heads, row, d_state, size,
        )  # fmt: skip
        tl.debug_barrier()  # other lanes than those that wrote scratch may read it
        for i in tl.range(0, n_frames, num_stages=3):
            in_block = n_frames - 1 - i
            t = first + in_block
            before = scratch + size * (2 * in_block)
            real = tl.load(before, mask=inside, other=0)
            imag = tl.load(before + size, mask=inside, other=0)
            x_t, delta_t = tl.load(x + t * row, mask=has_p, other=0), tl.load(delta + t * n_heads)
            b_t = tl.load(b_in + t * d_state, mask=has_n, other=0)
            c_t = tl.load(c_out + t * d_state, mask=has_n, other=0)
            y_t = grad_y + t * 2 * row
            y_real = tl.load(y_t, mask=has_p, other=0)[:, None]
            y_imag = tl.load(y_t + head_dim, mask=has_p, other=0)[:, None]
            real_now, imag_now, cos, sin = _advance(
                real, imag, delta_t, x_t, b_t, pole_real, pole_imag
            )
            to_c = tl.sum(real_now * y_real + imag_now * y_imag, axis=0)
            grad_real += y_real * c_t[None, :]
            grad_imag += y_imag * c_t[None, :]
            to_b = tl.sum(grad_real * (delta_t * x_t)[:, None], axis=0)
            to_drive = tl.sum(grad_real * b_t[None, :], axis=1)
            grad_real, grad_imag = (
                grad_real * cos + grad_imag * sin,
                grad_imag * cos - grad_real * sin,
            )
            to_decay = tl.sum(real * grad_real + imag * grad_imag, axis=1)
            to_phase = tl.sum(real * grad_imag - imag * grad_real, axis=1)
            to_pole_real += delta_t * to_decay
            to_pole_imag += delta_t * to_phase
            to_delta = x_t * to_drive + pole_real * to_decay + pole_imag * to_phase
            tl.store(grad_x + t * row, delta_t * to_drive, mask=has_p)
            tl.store(partial_delta + t * row, to_delta, mask=has_p)
            tl.store(partial_b + t * d_state, to_b, mask=has_n)
            tl.store(partial_c + t * d_state, to_c, mask=has_n)
        tl.debug_barrier()
    tl.store(grad_real0 + state, grad_real, mask=inside)
    tl.store(grad_imag0 + state, grad_imag, mask=inside)
    partial_poles += program * 2 * head_dim + p
    tl.store(partial_poles, to_pole_real, mask=has_p)
    tl.store(partial_poles + head_dim, to_pole_imag, mask=has_p)


def _blocks(head_dim: int, d_state: int) -> dict[str, Any]:
    """Compile-time sizes: the whole state of a head, four complex values a lane."""
    block_p, block_n = triton.next_power_of_2(head_dim), triton.next_power_of_2(d_state)
    num_warps = min(max(block_p * block_n // 128, 1), 8)
    return {"every": BORDER_EVERY, "block_p": block_p, "block_n": block_n, "num_warps": num_warps}


@torch.library.custom_op(
    "physkit::ssm_scan_triton",
    mutates_args=(),
    schema="(Tensor x, Tensor delta, Tensor a_real, Tensor a_imag, Tensor b_in, Tensor c_out, "
    "Tensor real0, Tensor imag0) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _forward_op(*inputs: Tensor) -> tuple[Tensor, ...]:
    """y (b t h 2 p), the state (b h p n), and that before every 32nd frame (b borders h 2 p n)."""
    x, *_, imag0 = inputs
    batch, length, n_heads, head_dim = x.shape
    d_state = imag0.shape[-1]
    out: tuple[Tensor, ...] = _forward_fake(*inputs)
    launch(
        _forward_kernel, (n_heads, batch), *inputs, *out, length, n_heads, head_dim, d_state,
        **_blocks(head_dim, d_state),
    )  # fmt: skip
    return out


@_forward_op.register_fake
def _forward_fake(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    *_, real0, imag0 = others
    batch, length, n_heads, head_dim = x.shape
    n_borders = -(-length // BORDER_EVERY)
    borders = x.new_empty((batch, n_borders, n_heads, 2, head_dim, real0.shape[-1]))
    y = x.new_empty((batch, length, n_heads, 2, head_dim))
    return y, torch.empty_like(real0), torch.empty_like(imag0), borders


@torch.library.custom_op(
    "physkit::ssm_scan_triton_backward",
    mutates_args=(),
    schema="(Tensor x, Tensor delta, Tensor a_real, Tensor a_imag, Tensor b_in, Tensor c_out, "
    "Tensor borders, Tensor grad_y, Tensor grad_real, Tensor grad_imag) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _backward_op(*inputs: Tensor) -> tuple[Tensor, ...]:
    """Gradients to the eight inputs of the forward op, in their order."""
    x, *_, borders, _, grad_real, grad_imag = inputs
    batch, length, n_heads, head_dim = x.shape
    d_state = grad_real.shape[-1]
    scratch = borders.new_empty((batch, n_heads, BORDER_EVERY, 2, head_dim, d_state))
    grad_x, *grad_states = (torch.empty_like(z) for z in (x, grad_real, grad_imag))
    # Partial sums of programs and lanes are added afterwards: atomics are not reproducible.
    to_delta = x.new_empty((batch, length, n_heads, head_dim))
    to_poles = x.new_empty((batch, n_heads, 2, head_dim))
    to_b, to_c = (x.new_empty((batch, n_heads, length, d_state)) for _ in range(2))
    launch(
        _backward_kernel, (n_heads, batch),
        *inputs[:7], scratch, *inputs[7:], grad_x, *grad_states, to_delta, to_poles, to_b, to_c,
        length, n_heads, head_dim, d_state, **_blocks(head_dim, d_state),
    )  # fmt: skip
    poles = (to_poles[:, :, part].sum(dim=(0, -1)) for part in range(2))
    return grad_x, to_delta.sum(dim=-1), *poles, to_b.sum(dim=1), to_c.sum(dim=1), *grad_states


@_backward_op.register_fake
def _backward_fake(*inputs: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(z) for z in (*inputs[:6], *inputs[-2:]))


register_backward(_forward_op, _backward_op, n_kept=6)


def ssm_scan(
    x: Float[Tensor, "b t h p"],
    delta: Float[Tensor, "b t h"],
    a_real: Float[Tensor, "h"],
    a_imag: Float[Tensor, "h"],
    b_in: Float[Tensor, "b t n"],
    c_out: Float[Tensor, "b t n"],
    real0: Float[Tensor, "b h p n"],
    imag0: Float[Tensor, "b h p n"],
) -> tuple[Tensor, Tensor, Tensor]:
    """A clip: y (b t h 2 p), then the state (b h p n) after its last frame.

    Half-precision inputs are computed in float32. Raises BackendError where Triton cannot run.
    """
    batch, length, n_heads, head_dim = x.shape
    d_state = b_in.shape[-1]
    frames, state = (batch, length, d_state), (batch, n_heads, head_dim, d_state)
    require_shapes(
        delta=(delta, (batch, length, n_heads)),
        a_real=(a_real, (n_heads,)),
        a_imag=(a_imag, (n_heads,)),
        b_in=(b_in, frames),
        c_out=(c_out, frames),
        real0=(real0, state),
        imag0=(imag0, state),
    )
    # Small, and mostly slices that must be copied: so copied to the dtype of the kernels.
    inputs = (x, delta, a_real, a_imag, b_in, c_out, real0, imag0)
    acc = accumulator(*inputs)
    y, real, imag, _ = _forward_op(*(z.to(acc).contiguous() for z in inputs))
    return y.to(x.dtype), real.to(real0.dtype), imag.to(imag0.dtype)
