"""Every form of the selective scan: the same answers and gradients as a loop over time."""

import pytest
import torch
from torch import Tensor

from physkit.ops.selective_scan import BACKENDS
from physkit.ops.selective_scan.scan import NEGLIGIBLE

LENGTHS = [1, 63, 64, 65, 300]
FLOORS = [0.0, 1e-12]


def inputs(t: int, *, b: int = 2, d: int = 3, n: int = 4, dtype: torch.dtype) -> list[Tensor]:
    g = torch.Generator().manual_seed(t)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    a = -torch.arange(1.0, n + 1, dtype=torch.float64).repeat(d, 1)
    values = [drawn(b, t, d), drawn(b, t, d).exp() / 3, a, drawn(b, t, n), drawn(b, t, n), drawn(d)]
    return [x.to(dtype).requires_grad_() for x in values]


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("t", LENGTHS)
@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "reference"])
def test_answers_and_gradients_are_those_of_the_loop(
    name: str, t: int, floor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("physkit.ops.selective_scan.scan.PIECE_VALUES", 24 * 50)
    given = inputs(t, dtype=torch.float64)
    weight = torch.randn(2, t, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = []
    for form in (name, "reference"):
        y = BACKENDS[form](*given, floor=floor)
        found.append([y, *torch.autograd.grad((y * weight).sum(), given, allow_unused=True)])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=10 * NEGLIGIBLE)


@pytest.mark.parametrize("t", LENGTHS)
def test_what_is_exported_answers_as_the_loop_does(t: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [x.detach() for x in inputs(t, dtype=torch.float64)]
    truth = BACKENDS["reference"](*given, floor=1e-12)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(BACKENDS["scan"](*given, floor=1e-12), truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", list(BACKENDS))
def test_gradients_are_right(name: str) -> None:
    given = inputs(5, b=1, d=2, n=2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *x: BACKENDS[name](*x, floor=1e-2), given)


def test_float32_is_exact_where_decays_vanish() -> None:
    given = inputs(3000, b=1, n=16, dtype=torch.float32)
    exact = [x.detach().double() for x in given]
    for floor in FLOORS:
        y = BACKENDS["scan"](*given, floor=floor)
        truth = BACKENDS["reference"](*exact, floor=floor)
        assert (y - truth).abs().max() < 1e-5 * truth.abs().max()


def test_the_floor_is_what_the_published_quotient_does() -> None:
    u, delta, a, b_in, c_out, skip = (x.detach() for x in inputs(80, dtype=torch.float64))
    log = torch.einsum("btd,dn->btdn", delta, a)
    left = (log.flip(1).cumsum(1).flip(1) - log).exp()
    driven = torch.einsum("btd,btn->btdn", delta * u, b_in) * left
    published = torch.einsum("btdn,btn->btd", driven.cumsum(1) / (left + 1e-12), c_out) + skip * u
    mine = BACKENDS["scan"](u, delta, a, b_in, c_out, skip, floor=1e-12)
    torch.testing.assert_close(mine, published, rtol=1e-6, atol=1e-8)
