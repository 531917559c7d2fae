"""The state-space recurrence over a clip as matrix products; same function as reference.py.

Shape suffixes: b batch, n chunk, l or s moment inside a chunk, h head, k real and imaginary part,
p head_dim, d d_state.
"""

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

CHUNK_LENGTH = 64  # attention work a frame grows with it, state work shrinks; measured flat 32..64


def _decay(exponent: Tensor, like: Tensor) -> Tensor:
    """exp of float64 log-decays (.. l s), causal: entries with s > l become 0."""
    causal = torch.ones(exponent.shape[-2:], dtype=torch.bool, device=exponent.device).tril()
    return exponent.masked_fill(~causal, -torch.inf).to(like.dtype).exp()


def _rotate(z: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """z (.. k p) turned by the angle whose cosine and sine (..) are given."""
    real, imag = z.unbind(-2)
    cos, sin = cos[..., None], sin[..., None]
    return torch.stack([real * cos - imag * sin, real * sin + imag * cos], dim=-2)


def _border_states(
    chunk_states: Float[Tensor, "b n h k p d"],
    log_decay: Float[Tensor, "b n h"],
    state0: Float[Tensor, "b h k p d"],
) -> Float[Tensor, "b n1 h k p d"]:
    """The state before the first chunk and after each one, from what each chunk adds by itself."""
    states = torch.cat([state0[:, None], chunk_states], dim=1)
    total = pad(log_decay.cumsum(dim=1), (0, 0, 1, 0))
    total = rearrange(total, "b n h -> b h n")
    weights = _decay(total[..., :, None] - total[..., None, :], state0)
    return einsum(weights, states, "b h m n, b n h k p d -> b m h k p d")


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
    padding = n_chunks * chunk - length  # frames of zero duration leave the state as it is
    delta_l = rearrange(pad(delta, (0, 0, 0, padding)), "b (n l) h -> b n h l", l=chunk)
    b_l = rearrange(pad(b_in, (0, 0, 0, padding)), "b (n l) d -> b n l d", l=chunk)
    c_l = rearrange(pad(c_out, (0, 0, 0, padding)), "b (n l) d -> b n l d", l=chunk)

    elapsed = delta.double().cumsum(dim=1)
    theta = elapsed * a_imag.double()
    cos, sin = theta.cos().to(x.dtype), theta.sin().to(x.dtype)
    drive = torch.stack([x, torch.zeros_like(x)], dim=-2) * delta[..., None, None]
    drive = pad(_rotate(drive, cos, -sin), (0, 0, 0, 0, 0, 0, 0, padding))
    drive = rearrange(drive, "b (n l) h k p -> b n h l (k p)", l=chunk)

    log_decay = delta_l.double().cumsum(dim=-1) * a_real.double()[:, None]
    within = _decay(log_decay[..., :, None] - log_decay[..., None, :], x)
    attention = einsum(c_l, b_l, "b n l d, b n s d -> b n l s")[:, :, None] * within
    to_end = (log_decay[..., -1:] - log_decay).to(x.dtype).exp()
    added = einsum(drive * to_end[..., None], b_l, "b n h l q, b n l d -> b n h q d")
    borders = _border_states(
        rearrange(added, "b n h (k p) d -> b n h k p d", k=2),
        log_decay[..., -1],
        torch.stack([real0, imag0], dim=2),
    )
    before = rearrange(borders[:, :-1], "b n h k p d -> b n h (k p) d")
    carried = einsum(c_l, before, "b n l d, b n h q d -> b n h l q")
    y = attention @ drive + carried * log_decay.to(x.dtype).exp()[..., None]
    y = rearrange(y, "b n h l (k p) -> b (n l) h k p", k=2)[:, :length]
    y = _rotate(y, cos, sin)
    last = rearrange(borders[:, -1], "b h k p d -> b h p k d")
    turn_cos, turn_sin = (repeat(z[:, -1], "b h -> b h 1") for z in (cos, sin))
    real, imag = _rotate(last, turn_cos, turn_sin).unbind(-2)
    return y, real, imag
