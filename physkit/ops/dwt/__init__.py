"""The discrete wavelet transform and its inverse. The maths is in README.md beside it."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from physkit.core.errors import InputError, MissingExtraError

BORDERS = ("zero", "constant", "symmetric", "reflect", "periodic")
"""Border modes, as PyWavelets names them."""


@cache
def filter_bank(wavelet: str) -> tuple[tuple[float, ...], ...]:
    """Low and high decomposition filters, then the reconstruction filters, by PyWavelets' name.

    Raises InputError for a wavelet that it does not know, MissingExtraError without PyWavelets.
    """
    try:
        import pywt
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "wavelets need the package 'PyWavelets': pip install 'physkit[llm]'"
        ) from error
    if wavelet not in pywt.wavelist(kind="discrete"):
        raise InputError(
            f"wavelet '{wavelet}': PyWavelets has no discrete wavelet of that name; take one of "
            "pywt.wavelist(kind='discrete'), such as coif6 or db4"
        )
    return tuple(tuple(taps) for taps in pywt.Wavelet(wavelet).filter_bank)


def wavedec(
    x: Float[Tensor, "*b n"], *, wavelet: str, levels: int, border: str
) -> list[Float[Tensor, "*b k"]]:
    """Bands of signals: the last approximation, then the details from coarse to fine."""
    low, high, _, _ = (x.new_tensor(taps) for taps in filter_bank(wavelet))
    # conv1d slides without turning its filter round
    split = torch.stack([low.flip(0), high.flip(0)])[:, None]
    bands: list[Tensor] = []
    rest = x.flatten(0, -2)[:, None] if x.ndim > 1 else x[None, None]
    for _ in range(levels):
        both = F.conv1d(_extended(rest, taps=low.shape[0], border=border), split, stride=2)
        rest = both[:, :1]
        bands.insert(0, both[:, 1].reshape(*x.shape[:-1], -1))
    return [rest[:, 0].reshape(*x.shape[:-1], -1), *bands]


def waverec(bands: list[Float[Tensor, "*b k"]], *, wavelet: str, n: int) -> Float[Tensor, "*b n"]:
    """The signals of n samples that have these bands."""
    _, _, low, high = (bands[0].new_tensor(taps) for taps in filter_bank(wavelet))
    join = torch.stack([low, high])[:, None]
    rest = bands[0]
    for number, detail in enumerate(bands[1:], 1):
        both = torch.stack([rest[..., : detail.shape[-1]], detail], dim=-2)
        whole = F.conv_transpose1d(both.reshape(-1, *both.shape[-2:]), join, stride=2)
        spare = low.shape[0] - 2
        whole = whole[:, 0, spare : whole.shape[-1] - spare]
        rest = whole.reshape(*detail.shape[:-1], -1)
        if number == len(bands) - 1:
            rest = rest[..., :n]
    return rest


def _extended(x: Float[Tensor, "b 1 n"], *, taps: int, border: str) -> Float[Tensor, "b 1 m"]:
    """A signal with as much beyond its ends as the filters reach."""
    n = x.shape[-1]
    n_values = (n + taps - 1) // 2
    at = torch.arange(2 - taps, 2 * n_values, device=x.device)
    if border == "zero":
        return F.pad(x, (taps - 2, 2 * n_values - n))
    return x[..., _mirrored(at, n=n, border=border)]


def _mirrored(at: Tensor, *, n: int, border: str) -> Tensor:
    """The sample that stands at each of these places, some of which lie beyond the ends."""
    if border == "constant":
        return at.clamp(0, n - 1)
    if border == "periodic":
        return at % n
    if border == "symmetric":
        at = at % (2 * n)
        return torch.minimum(at, 2 * n - 1 - at)
    if border == "reflect":
        at = at % max(2 * n - 2, 1)
        return torch.minimum(at, 2 * n - 2 - at).clamp(min=0)
    raise InputError(f"border '{border}': must be one of {', '.join(BORDERS)}")
