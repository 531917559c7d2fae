"""The Mamba-2 block with complex poles as a layer: clip and one-frame forms.

Mamba-2: arXiv 2405.21060; complex poles and learned initial states: FacePhys, arXiv 2512.06275.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.ops.ssm_mixer import BACKENDS
from physkit.ops.ssm_mixer.composed import CONV_WIDTH, MAX_STEP, NORM_EPS
from physkit.ops.ssm_scan.reference import ssm_step

NOMINAL_FPS = 30  # the published scale of a step: one frame at 30 fps has length 1


class SSMState(NamedTuple):
    """State of an SSM: its complex state and the last inputs of its short convolution."""

    real: Float[Tensor, "b heads p n"]
    imag: Float[Tensor, "b heads p n"]
    rows: Float[Tensor, "b 4 c"]


class SSM(nn.Module):
    """Takes and returns d_model values a frame; d_inner = 2 d_model, d_inner / head_dim heads."""

    frames_a_second: Tensor
    norm_eps: Tensor
    mean_weight: Tensor

    def __init__(
        self, d_model: int, d_state: int, head_dim: int, *, backend: str = "chunked"
    ) -> None:
        super().__init__()
        self.use_backend(backend)
        self.d_inner = 2 * d_model
        self.d_state = d_state
        self.head_dim = head_dim
        self.n_heads = self.d_inner // head_dim
        conv_channels = self.d_inner + 2 * d_state
        self.in_proj = nn.Linear(
            d_model, 2 * self.d_inner + conv_channels + self.n_heads, bias=False
        )
        self.conv_weight = nn.Parameter(torch.empty(CONV_WIDTH, conv_channels).uniform_(-0.5, 0.5))
        self.conv_bias = nn.Parameter(torch.zeros(conv_channels))
        # Time constants of 0.3 s to 3 s, oscillating across 0.5 Hz to 3.5 Hz at unit steps.
        decay_s = torch.logspace(-0.5, 0.5, self.n_heads)[torch.randperm(self.n_heads)]
        self.a_log_real = nn.Parameter(-(NOMINAL_FPS * decay_s).log())
        frequency_hz = torch.linspace(0.5, 3.5, self.n_heads)
        self.a_imag = nn.Parameter(2 * torch.pi * frequency_hz / NOMINAL_FPS)
        self.dt_bias = nn.Parameter(torch.zeros(self.n_heads))
        # Ordered (head, part). The release keeps a skip for the imaginary half-heads too, whose
        # input is always 0.
        self.skip = nn.Parameter(torch.ones(2 * self.n_heads))
        self.norm_weight = nn.Parameter(torch.ones(2 * self.d_inner))
        self.out_proj = nn.Linear(2 * self.d_inner, d_model, bias=False)
        # Constants as tensors: every operator would convert a Python number again.
        for name, value in (
            ("frames_a_second", NOMINAL_FPS),
            ("norm_eps", NORM_EPS),
            ("mean_weight", 1 / (2 * self.d_inner)),
        ):
            self.register_buffer(name, torch.tensor(float(value)), persistent=False)
        self.rows0 = nn.Parameter(torch.zeros(CONV_WIDTH, conv_channels))
        self.real0 = nn.Parameter(torch.zeros(self.n_heads, head_dim, d_state))
        self.imag0 = nn.Parameter(torch.zeros(self.n_heads, head_dim, d_state))

    def use_backend(self, backend: str) -> None:
        """Choose the form that `forward` runs; see `ops/ssm_mixer/BACKENDS`."""
        self.op = BACKENDS[backend]

    def init_state(self, batch_size: int) -> SSMState:
        """The learned state before the first frame."""
        return SSMState(
            *(z.expand(batch_size, *z.shape).clone() for z in (self.real0, self.imag0, self.rows0))
        )

    def step(
        self, u: Float[Tensor, "b d"], dt_s: Float[Tensor, "b"], state: SSMState
    ) -> tuple[Float[Tensor, "b d"], SSMState]:
        """One frame. Written with few operators: calling one costs more than its arithmetic."""
        gate, new_row, dt = self._project(u)
        rows = torch.cat([state.rows[:, 1:], new_row.unsqueeze(1)], dim=1)
        mixed = torch.clamp((rows * self.conv_weight).sum(dim=1) + self.conv_bias, 0, 6)
        x, b_in, c_out = self._split(mixed)
        y, real, imag = ssm_step(
            x, self._delta(dt, dt_s), *self._poles(), b_in, c_out, state.real, state.imag
        )
        return self._read_out(x, y, gate), SSMState(real, imag, rows)

    def forward(
        self, u: Float[Tensor, "b t d"], dt_s: Float[Tensor, "b t"], state: SSMState
    ) -> tuple[Float[Tensor, "b t d"], SSMState]:
        """A clip. In float32 (or float64) even under autocast: a recurrence needs the precision."""
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.in_proj.weight.dtype)
            y, rows, real, imag = self.op(
                F.linear(u, self.in_proj.weight),
                dt_s * self.frames_a_second,
                *(self.conv_weight, self.conv_bias, self.dt_bias, *self._poles()),
                *(self.skip, self.norm_weight, state.rows, state.real, state.imag),
            )
            return F.linear(y, self.out_proj.weight), SSMState(real, imag, rows)

    def _project(self, u: Tensor) -> tuple[Tensor, ...]:
        """Gate (.. 2 d_inner), convolution input (.. c), raw step (.. heads)."""
        sizes = [2 * self.d_inner, self.d_inner + 2 * self.d_state, self.n_heads]
        return F.linear(u, self.in_proj.weight).split_with_sizes(sizes, dim=-1)

    def _split(self, mixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (.. heads head_dim), B and C (.. d_state)."""
        sizes = [self.d_inner, self.d_state, self.d_state]
        x, b_in, c_out = mixed.split_with_sizes(sizes, dim=-1)
        return x.reshape(*x.shape[:-1], self.n_heads, self.head_dim), b_in, c_out

    def _delta(self, dt: Tensor, dt_s: Tensor) -> Tensor:
        """Length of each head's step (.. heads)."""
        frames = (dt_s * self.frames_a_second).unsqueeze(-1)
        return (dt + self.dt_bias).exp().clamp(max=MAX_STEP) * frames

    def _poles(self) -> tuple[Tensor, Tensor]:
        return -self.a_log_real.exp(), self.a_imag

    def _read_out(self, x: Tensor, y: Tensor, gate: Tensor) -> Tensor:
        y.select(-2, 0).addcmul_(x, self.skip[::2, None])  # y is fresh, and nothing else reads it
        y = y.flatten(-3) * gate.clamp(0, 6)
        # RMSNorm by hand: the library's form is twice as many operators.
        square = torch.linalg.vecdot(y, y).unsqueeze(-1)
        scale = torch.addcmul(self.norm_eps, square, self.mean_weight).rsqrt()
        y = y * scale * self.norm_weight
        return F.linear(y, self.out_proj.weight)
