"""The state-space recurrence over a clip as matrix products; same function as reference.py.

Shape suffixes: b batch, n chunk, l or s frame inside a chunk, h head, k real and imaginary part,
p head_dim, d d_state.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

CHUNK_LENGTH = 32  # as fast as 64; in float32 the gradient of a_imag has half a digit more


def _decay(exponent: Tensor, like: Tensor) -> Tensor:
    """exp of float64 log-decays (.. l s), causal: entries with s > l become 0."""
    causal = torch.ones(exponent.shape[-2:], dtype=torch.bool, device=exponent.device).tril()
    return exponent.masked_fill(~causal, -torch.inf).to(like.dtype).exp()


def _rotate(z: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """z (.. k p) rotated by the angle whose cosine and sine (..) are given."""
    real, imag = z.unbind(-2)
    cos, sin = cos[..., None], sin[..., None]
    return torch.stack([real * cos - imag * sin, real * sin + imag * cos], dim=-2)


def _border_states(
    chunk_states: Float[Tensor, "b n h k p d"],
    log_decay: Float[Tensor, "b n h"],
    angle: Float[Tensor, "b n h"],
    state0: Float[Tensor, "b h k p d"],
) -> Float[Tensor, "b n1 h k p d"]:
    """The state before the first chunk and after each chunk, from what each chunk alone adds."""
    states = torch.cat([state0[:, None], chunk_states], dim=1)
    shrunk, turned = (
        rearrange(pad(z.cumsum(dim=1), (0, 0, 1, 0)), "b n h -> b h n") for z in (log_decay, angle)
    )
    weights = _decay(shrunk[..., :, None] - shrunk[..., None, :], state0)
    turns = turned[..., :, None] - turned[..., None, :]
    real, imag = states.unbind(dim=3)
    crossed = torch.stack([-imag, real], dim=3)
    along, across = (
        einsum(weights * part.to(weights.dtype), z, "b h m n, b n h k p d -> b m h k p d")
        for part, z in ((turns.cos(), states), (turns.sin(), crossed))
    )
    return along + across


def ssm_scan(
    x: Float[Tensor, "b t h p"],
    delta: Float[Tensor, "b t h"],
    a_real: Float[Tensor, "h"],
    a_imag: Float[Tensor, "h"],
    b_in: Float[Tensor, "b t d"],
    c_out: Float[Tensor, "b t d"],
    real0: Float[Tensor, "b h p d"],
    imag0: Float[Tensor, "b h p d"],
) -> tuple[Tensor, Tensor, Tensor]:
    """A clip: y (b t h 2 p), then the state (b h p d) after its last frame."""
    length = x.shape[1]
    n_chunks = -(-length // CHUNK_LENGTH)
    chunk = -(-length // n_chunks)
    padding = n_chunks * chunk - length  # frames of zero duration do not change the state
    delta_l = rearrange(pad(delta, (0, 0, 0, padding)), "b (n l) h -> b n h l", l=chunk)
    b_l = rearrange(pad(b_in, (0, 0, 0, padding)), "b (n l) d -> b n l d", l=chunk)
    c_l = rearrange(pad(c_out, (0, 0, 0, padding)), "b (n l) d -> b n l d", l=chunk)

    elapsed = delta_l.double().cumsum(dim=-1)  # since the chunk's start
    theta = elapsed * a_imag.double()[:, None]
    cos, sin = theta.cos().to(x.dtype), theta.sin().to(x.dtype)
    drive = torch.stack([x, torch.zeros_like(x)], dim=-2) * delta[..., None, None]
    drive = pad(drive, (0, 0, 0, 0, 0, 0, 0, padding))
    drive = _rotate(rearrange(drive, "b (n l) h k p -> b n h l k p", l=chunk), cos, -sin)
    drive = rearrange(drive, "b n h l k p -> b n h l (k p)")

    log_decay = elapsed * a_real.double()[:, None]
    within = _decay(log_decay[..., :, None] - log_decay[..., None, :], x)
    attention = einsum(c_l, b_l, "b n l d, b n s d -> b n l s")[:, :, None] * within
    to_end = (log_decay[..., -1:] - log_decay).to(x.dtype).exp()
    added = einsum(drive * to_end[..., None], b_l, "b n h l q, b n l d -> b n h q d")
    added = _rotate(
        rearrange(added, "b n h (k p) d -> b n h d k p", k=2), cos[..., -1:], sin[..., -1:]
    )
    borders = _border_states(
        rearrange(added, "b n h d k p -> b n h k p d"),
        log_decay[..., -1],
        theta[..., -1],
        torch.stack([real0, imag0], dim=2),
    )
    before = rearrange(borders[:, :-1], "b n h k p d -> b n h (k p) d")
    carried = einsum(c_l, before, "b n l d, b n h q d -> b n h l q")
    y = attention @ drive + carried * log_decay.to(x.dtype).exp()[..., None]
    y = _rotate(rearrange(y, "b n h l (k p) -> b n h l k p", k=2), cos, sin)
    y = rearrange(y, "b n h l k p -> b (n l) h k p")[:, :length]
    real, imag = borders[:, -1].unbind(dim=2)
    return y, real, imag
