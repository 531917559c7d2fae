"""TemporalNorm on a GPU: one pass over memory, statistics in registers; as reference.py.

A program computes a tile of positions and channels, frame by frame. The backward pass goes back
through blocks of frames; it recomputes each from the statistics that the forward pass kept before
its first frame. The maths is in README.md beside this file.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from physkit.ops.temporal_norm.reference import EPS, LN2
from physkit.ops.triton_launch import accumulator, launch, register_backward, require_shapes

BORDER_EVERY = 32  # frames; statistics kept are 2/32 of x, scratch of resident programs fits L2
TILE = 64  # values of a frame in a program: two a lane of a warp, so that small batches fill a GPU
_EPS = tl.constexpr(EPS)
_LN2 = tl.constexpr(LN2)


@triton.jit
def _tile(n_positions, n_channels, block_n: tl.constexpr, block_c: tl.constexpr):
    """Offsets of the program's tile in a frame (n c), its channels, and which of both exist."""
    n = tl.program_id(0) * block_n + tl.arange(0, block_n)
    c = tl.program_id(1) * block_c + tl.arange(0, block_c)
    has_c = c < n_channels
    inside = (n < n_positions)[:, None] & has_c[None, :]
    return n[:, None] * n_channels + c[None, :], c, has_c, inside


@triton.jit
def _advance(x, dt_s, per_s, mean, var):
    """The frame's centred values, the statistics that include it, its share and what is kept."""
    raw = dt_s * per_s
    share = tl.where(raw > 1, 1.0, raw)  # not a minimum, which would turn NaN into 1
    keep = 1 - share
    mean = keep * mean + share * x
    centred = x - mean
    return centred, mean, keep * var + share * (centred * centred), share, keep


@triton.jit(do_not_specialize=["length"])
def _forward_kernel(
    x, dt_s, half_life_s, gamma, beta, mean0, var0,
    y, mean_out, var_out, borders,
    length, n_positions, n_channels,
    every: tl.constexpr, block_n: tl.constexpr, block_c: tl.constexpr,
):  # fmt: skip
    offsets, c, has_c, inside = _tile(n_positions, n_channels, block_n, block_c)
    batch = tl.program_id(2).to(tl.int64)
    size = tl.cast(n_positions, tl.int64) * n_channels
    per_s = _LN2 / tl.load(half_life_s + c, mask=has_c, other=1)[None, :]
    scale = tl.load(gamma + c, mask=has_c, other=0)[None, :]
    shift = tl.load(beta + c, mask=has_c, other=0)[None, :]
    state = batch * size + offsets
    mean = tl.load(mean0 + state, mask=inside, other=0)
    var = tl.load(var0 + state, mask=inside, other=0)
    # From here on a pointer is at this clip and tile.
    x += batch * length * size + offsets
    y += batch * length * size + offsets
    dt_s += batch * length
    borders += batch * tl.cdiv(length, every) * 2 * size + offsets
    for t in tl.range(0, length, num_stages=8):
        x_t = tl.load(x + size * t, mask=inside, other=0).to(mean.dtype)
        dt_t = tl.load(dt_s + t)
        # A mask instead of a branch or a loop over blocks, which would drain the pipeline.
        kept, at_border = borders + size * (t // every * 2), inside & (t % every == 0)
        tl.store(kept, mean, mask=at_border)
        tl.store(kept + size, var, mask=at_border)
        centred, mean, var, _, _ = _advance(x_t, dt_t, per_s, mean, var)
        tl.store(y + size * t, centred * scale / tl.sqrt(var + _EPS) + shift, mask=inside)
    tl.store(mean_out + state, mean, mask=inside)
    tl.store(var_out + state, var, mask=inside)


@triton.jit
def _recompute(x, dt_s, per_s, border, scratch, inside, size, n_frames):
    """Write the statistics before each frame of a block to scratch; pointers are at its first."""
    mean = tl.load(border, mask=inside, other=0)
    var = tl.load(border + size, mask=inside, other=0)
    for t in tl.range(0, n_frames, num_stages=4):
        x_t = tl.load(x + size * t, mask=inside, other=0).to(mean.dtype)
        dt_t = tl.load(dt_s + t)
        before = scratch + size * (2 * t)
        tl.store(before, mean, mask=inside)
        tl.store(before + size, var, mask=inside)
        _, mean, var, _, _ = _advance(x_t, dt_t, per_s, mean, var)


@triton.jit(do_not_specialize=["length"])
def _backward_kernel(
    x, dt_s, half_life_s, gamma, borders, scratch, grad_y, grad_mean_out, grad_var_out,
    grad_x, grad_mean0, grad_var0, partial_dt, partial_per_s, partial_gamma, partial_beta,
    length, n_positions, n_channels,
    every: tl.constexpr, block_n: tl.constexpr, block_c: tl.constexpr,
):  # fmt: skip
    offsets, c, has_c, inside = _tile(n_positions, n_channels, block_n, block_c)
    batch = tl.program_id(2).to(tl.int64)
    size = tl.cast(n_positions, tl.int64) * n_channels
    per_s = _LN2 / tl.load(half_life_s + c, mask=has_c, other=1)[None, :]
    scale = tl.load(gamma + c, mask=has_c, other=0)[None, :]
    state = batch * size + offsets
    grad_mean = tl.load(grad_mean_out + state, mask=inside, other=0)
    grad_var = tl.load(grad_var_out + state, mask=inside, other=0)
    n_blocks = tl.cdiv(length, every)
    # From here on a pointer is at this clip and tile.
    x += batch * length * size + offsets
    grad_y += batch * length * size + offsets
    grad_x += batch * length * size + offsets
    scratch += batch * every * 2 * size + offsets
    borders += batch * n_blocks * 2 * size + offsets
    dt_s += batch * length
    tile = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    partial_dt += (batch * tl.num_programs(0) * tl.num_programs(1) + tile) * length
    to_per_s = tl.zeros((block_n, block_c), grad_mean.dtype)
    to_gamma = tl.zeros((block_n, block_c), grad_mean.dtype)
    to_beta = tl.zeros((block_n, block_c), grad_mean.dtype)
    for back in range(n_blocks):
        block = n_blocks - 1 - back
        first = block * every
        n_frames = tl.minimum(length - first, every)
        _recompute(
            x + size * first, dt_s + first, per_s, borders + size * (2 * block), scratch,
            inside, size, n_frames,
        )  # fmt: skip
        tl.debug_barrier()  # other lanes than those that wrote scratch may read it
        for i in tl.range(0, n_frames, num_stages=4):
            in_block = n_frames - 1 - i
            t = first + in_block
            before = scratch + size * (2 * in_block)
            mean = tl.load(before, mask=inside, other=0)
            var = tl.load(before + size, mask=inside, other=0)
            x_t = tl.load(x + size * t, mask=inside, other=0).to(mean.dtype)
            y_t = tl.load(grad_y + size * t, mask=inside, other=0).to(mean.dtype)
            dt_t = tl.load(dt_s + t)
            centred, _, var_now, share, keep = _advance(x_t, dt_t, per_s, mean, var)
            rsqrt = 1 / tl.sqrt(var_now + _EPS)
            unit = centred * rsqrt
            pull = y_t * scale * rsqrt
            grad_var -= 0.5 * pull * unit * rsqrt
            grad_centred = pull + 2 * grad_var * share * centred
            grad_mean -= grad_centred
            grad_share = grad_mean * (x_t - mean) + grad_var * (centred * centred - var)
            grad_share = tl.where(dt_t * per_s <= 1, grad_share, 0.0)  # 0 where it was cut
            tl.store(grad_x + size * t, grad_centred + share * grad_mean, mask=inside)
            tl.store(partial_dt + t, tl.sum(grad_share * per_s))
            to_per_s += grad_share * dt_t
            to_gamma += y_t * unit
            to_beta += y_t
            grad_mean *= keep
            grad_var *= keep
        tl.debug_barrier()
    tl.store(grad_mean0 + state, grad_mean, mask=inside)
    tl.store(grad_var0 + state, grad_var, mask=inside)
    row = (batch * tl.num_programs(0) + tl.program_id(0)) * n_channels + c
    tl.store(partial_per_s + row, tl.sum(to_per_s, axis=0), mask=has_c)
    tl.store(partial_gamma + row, tl.sum(to_gamma, axis=0), mask=has_c)
    tl.store(partial_beta + row, tl.sum(to_beta, axis=0), mask=has_c)


def _blocks(n_positions: int, n_channels: int) -> tuple[tuple[int, int], dict[str, Any]]:
    """Tiles along positions and channels, and the compile-time sizes; by shape alone.

    Not tuned at run time: the rounding of sums over tiles would depend on the result, and runs
    would not be reproducible.
    """
    block_c = min(triton.next_power_of_2(n_channels), TILE)
    block_n = min(triton.next_power_of_2(n_positions), TILE // block_c)
    tiles = triton.cdiv(n_positions, block_n), triton.cdiv(n_channels, block_c)
    return tiles, {"every": BORDER_EVERY, "block_n": block_n, "block_c": block_c, "num_warps": 1}


@torch.library.custom_op(
    "physkit::temporal_norm_triton",
    mutates_args=(),
    schema="(Tensor x, Tensor dt_s, Tensor half_life_s, Tensor gamma, Tensor beta, Tensor mean0, "
    "Tensor var0) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _forward_op(*inputs: Tensor) -> tuple[Tensor, ...]:
    """y (b t n c), mean and var (b n c), and both before every 32nd frame (b borders 2 n c).

    x may be half-precision; everything else is in the dtype of the recurrence.
    """
    batch, length, n_positions, n_channels = inputs[0].shape
    out: tuple[Tensor, ...] = _forward_fake(*inputs)
    tiles, options = _blocks(n_positions, n_channels)
    launch(
        _forward_kernel, (*tiles, batch), *inputs, *out, length, n_positions, n_channels, **options,
    )  # fmt: skip
    return out


@_forward_op.register_fake
def _forward_fake(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    *_, mean0, var0 = others
    batch, length, *frame = x.shape
    n_borders = -(-length // BORDER_EVERY)
    borders = x.new_empty((batch, n_borders, 2, *frame), dtype=mean0.dtype)
    return torch.empty_like(x), torch.empty_like(mean0), torch.empty_like(var0), borders


@torch.library.custom_op(
    "physkit::temporal_norm_triton_backward",
    mutates_args=(),
    schema="(Tensor x, Tensor dt_s, Tensor half_life_s, Tensor gamma, Tensor borders, "
    "Tensor grad_y, Tensor grad_mean, Tensor grad_var) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _backward_op(*inputs: Tensor) -> tuple[Tensor, ...]:
    """Gradients to the seven inputs of the forward op, in their order."""
    x, _, half_life_s, _, borders, _, grad_mean, grad_var = inputs
    batch, length, n_positions, n_channels = x.shape
    tiles, options = _blocks(n_positions, n_channels)
    scratch = borders.new_empty((batch, BORDER_EVERY, 2, n_positions, n_channels))
    grad_x, *grad_states = (torch.empty_like(z) for z in (x, grad_mean, grad_var))
    # Partial sums of programs are added afterwards: atomics are not reproducible.
    to_dt = borders.new_empty((batch, tiles[0] * tiles[1], length))
    to_channels = borders.new_empty((3, batch, tiles[0], n_channels))
    launch(
        _backward_kernel, (*tiles, batch),
        *inputs[:5], scratch, *inputs[5:], grad_x, *grad_states, to_dt, *to_channels,
        length, n_positions, n_channels, **options,
    )  # fmt: skip
    to_per_s, *to_affine = (partial.sum(dim=(0, 1)) for partial in to_channels)
    to_half_life = to_per_s * (-LN2 / half_life_s.square())
    return grad_x, to_dt.sum(dim=1), to_half_life, *to_affine, *grad_states


@_backward_op.register_fake
def _backward_fake(
    x: Tensor, dt_s: Tensor, half_life_s: Tensor, gamma: Tensor, *others: Tensor
) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(z) for z in (x, dt_s, half_life_s, gamma, gamma, *others[-2:]))


register_backward(_forward_op, _backward_op, n_kept=4)


def temporal_norm(
    x: Float[Tensor, "b t c h w"],
    dt_s: Float[Tensor, "b t"],
    half_life_s: Float[Tensor, "c"],
    gamma: Float[Tensor, "c"],
    beta: Float[Tensor, "c"],
    mean0: Float[Tensor, "b c h w"],
    var0: Float[Tensor, "b c h w"],
) -> tuple[Float[Tensor, "b t c h w"], Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
    """A clip standardised causally: y, and the mean and variance after its last frame.

    Half-precision inputs are computed in float32. Raises BackendError where Triton cannot run.
    """
    batch, length, channels, height, width = x.shape
    state = (batch, channels, height, width)
    per_channel = {"half_life_s": half_life_s, "gamma": gamma, "beta": beta}
    require_shapes(dt_s=(dt_s, (batch, length)), mean0=(mean0, state), var0=(var0, state))
    require_shapes(**{name: (z, (channels,)) for name, z in per_channel.items()})
    acc = accumulator(x, dt_s, *per_channel.values(), mean0, var0)
    states = (rearrange(z, "b c h w -> b (h w) c") for z in (mean0, var0))
    small = (dt_s, *per_channel.values(), *states)
    flat = rearrange(x, "b t c h w -> b t (h w) c").contiguous()
    y, mean, var, _ = _forward_op(flat, *(z.to(acc).contiguous() for z in small))
    return (
        rearrange(y, "b t (h w) c -> b t c h w", h=height),
        rearrange(mean.to(mean0.dtype), "b (h w) c -> b c h w", h=height),
        rearrange(var.to(var0.dtype), "b (h w) c -> b c h w", h=height),
    )
