"""The wavelet transform beside PyWavelets' own."""

import numpy as np
import pytest
import torch

from physkit.core.errors import InputError
from physkit.ops.dwt import BORDERS, wavedec, waverec

pywt = pytest.importorskip("pywt")


def signals(n: int, *, batch: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(batch, n, generator=torch.Generator().manual_seed(n), dtype=dtype)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("n", [8, 64, 100, 127, 128, 160, 300])
@pytest.mark.parametrize(("wavelet", "levels"), [("coif6", 3), ("db4", 2), ("haar", 1)])
@pytest.mark.filterwarnings("ignore:Level value")
def test_bands_are_those_of_pywavelets_and_give_the_signal_back(
    wavelet: str, levels: int, n: int, border: str
) -> None:
    x = signals(n)
    bands = wavedec(x, wavelet=wavelet, levels=levels, border=border)
    expected = pywt.wavedec(x.double().numpy(), wavelet, mode=border, level=levels)
    assert [band.shape for band in bands] == [band.shape for band in expected]
    for band, true_band in zip(bands, expected, strict=True):
        np.testing.assert_allclose(band.numpy(), true_band, rtol=0, atol=1e-5)
    back = waverec(bands, wavelet=wavelet, n=n)
    assert back.shape == x.shape
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("border", BORDERS)
def test_gradients_of_the_transform_and_of_its_inverse(border: str) -> None:
    x = signals(21, batch=2, dtype=torch.float64).requires_grad_()

    def bands(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(wavedec(x, wavelet="db2", levels=2, border=border))

    def back(*bands: torch.Tensor) -> torch.Tensor:
        return waverec(list(bands), wavelet="db2", n=21)

    assert torch.autograd.gradcheck(bands, (x,))
    assert torch.autograd.gradcheck(back, tuple(b.detach().requires_grad_() for b in bands(x)))


def test_signals_of_one_batch_do_not_mix() -> None:
    x = signals(100)
    alone = wavedec(x[1], wavelet="coif6", levels=3, border="symmetric")
    for band, single in zip(
        wavedec(x, wavelet="coif6", levels=3, border="symmetric"), alone, strict=True
    ):
        torch.testing.assert_close(band[1], single, rtol=0, atol=1e-6)


def test_an_unknown_wavelet_or_border_is_named() -> None:
    with pytest.raises(InputError, match="wavelet 'coif99': PyWavelets has no"):
        wavedec(signals(64), wavelet="coif99", levels=1, border="zero")
    with pytest.raises(InputError, match="border 'mirror': must be one of zero"):
        wavedec(signals(64), wavelet="db4", levels=1, border="mirror")
