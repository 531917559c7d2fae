"""Every backend of every op against its reference: outputs, final states and all gradients."""

import pytest
import torch
from torch import Tensor

from physkit.ops import expand_pool, ssm_mixer, ssm_scan, temporal_norm

CPU_FORMS = ("chunked", "scan", "native")
LENGTHS = [1, 63, 64, 65, 300]


def temporal_norm_inputs(t: int, *, c: int = 3, h: int = 2, w: int = 3) -> list[Tensor]:
    g = torch.Generator().manual_seed(t)
    rand = lambda *shape: torch.rand(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    inputs = [
        torch.randn(2, t, c, h, w, generator=g, dtype=torch.float64),
        0.01 + 0.08 * rand(2, t),
        0.2 + 3 * rand(c),
        1 + rand(c),
        rand(c),
        rand(2, c, h, w),
        0.05 + rand(2, c, h, w),
    ]
    return [x.requires_grad_() for x in inputs]


def ssm_inputs(t: int, *, heads: int = 3, p: int = 2, n: int = 5) -> list[Tensor]:
    g = torch.Generator().manual_seed(t)
    randn = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    inputs = [
        randn(2, t, heads, p),
        3 * randn(2, t, heads).abs(),
        -0.02 - randn(heads).abs(),
        randn(heads),
        randn(2, t, n),
        randn(2, t, n),
        randn(2, heads, p, n),
        randn(2, heads, p, n),
    ]
    return [x.requires_grad_() for x in inputs]


def expand_pool_inputs(t: int, *, i: int = 3, o: int = 5, h: int = 2, w: int = 3) -> list[Tensor]:
    g = torch.Generator().manual_seed(t)
    randn = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    inputs = [randn(2, t, i, h, w), 2 * randn(o, i), 1 + randn(o)]
    return [x.requires_grad_() for x in inputs]


def ssm_mixer_inputs(t: int, *, heads: int = 3, p: int = 2, n: int = 5) -> list[Tensor]:
    g = torch.Generator().manual_seed(t)
    randn = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    d, c = heads * p, heads * p + 2 * n
    inputs = [
        randn(2, t, 2 * d + c + heads),
        0.5 + randn(2, t).abs(),
        randn(4, c),
        1 + randn(c),
        randn(heads),
        -0.02 - randn(heads).abs(),
        randn(heads),
        randn(2 * heads),
        1 + randn(2 * d),
        randn(2, 4, c),
        randn(2, heads, p, n),
        randn(2, heads, p, n),
    ]
    return [x.requires_grad_() for x in inputs]


OPS = {
    "expand_pool": (expand_pool.BACKENDS, expand_pool_inputs),
    "ssm_mixer": (ssm_mixer.BACKENDS, ssm_mixer_inputs),
    "temporal_norm": (temporal_norm.BACKENDS, temporal_norm_inputs),
    "ssm_scan": (ssm_scan.BACKENDS, ssm_inputs),
}
FAST = [
    (op, b)
    for op, (backends, _) in OPS.items()
    for b in backends
    if b not in ("reference", "triton")
]


@pytest.mark.parametrize("t", LENGTHS)
@pytest.mark.parametrize(("op", "backend"), FAST)
def test_backend_agrees_with_reference_in_outputs_states_and_every_gradient(
    op: str, backend: str, t: int
) -> None:
    backends, make = OPS[op]
    inputs = make(t)
    results = {}
    for name in ("reference", backend):
        outputs = backends[name](*inputs)
        g = torch.Generator().manual_seed(0)
        loss = sum((o * torch.randn(o.shape, generator=g, dtype=o.dtype)).sum() for o in outputs)
        results[name] = (outputs, torch.autograd.grad(loss, inputs))
    for ours, theirs in zip(results[backend], results["reference"], strict=True):
        for x, y in zip(ours, theirs, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", [1, 2, 5])
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("kind", ["reference", "fast"])
def test_gradients_equal_finite_differences(op: str, kind: str, t: int) -> None:
    backends, make = OPS[op]
    inputs = make(t)
    for name in ("reference",) if kind == "reference" else CPU_FORMS:
        if name in backends:
            assert torch.autograd.gradcheck(backends[name], inputs)


@pytest.mark.slow
@pytest.mark.parametrize("t", [63, 64, 65, 300])
@pytest.mark.parametrize(("op", "backend"), FAST)
def test_gradients_equal_finite_differences_at_odd_lengths(op: str, backend: str, t: int) -> None:
    backends, _ = OPS[op]
    if op == "temporal_norm":
        inputs = temporal_norm_inputs(t, c=1, h=1, w=1)
    else:
        inputs = ssm_inputs(t, heads=1, p=1, n=2)
    assert torch.autograd.gradcheck(backends[backend], inputs, fast_mode=True)


@pytest.mark.parametrize(("op", "backend"), FAST)
def test_float32_stays_close_to_float64_over_long_clips(op: str, backend: str) -> None:
    backends, make = OPS[op]
    exact = [x.detach() for x in make(1601)]
    y64 = backends["reference"](*exact)[0]
    y32 = backends[backend](*[x.float() for x in exact])[0]
    assert (y32 - y64).abs().max() < 2e-5 * y64.abs().max()


def test_a_frame_that_comes_seconds_late_forgets_instead_of_diverging() -> None:
    x, dt_s, *rest = (z.detach() for z in temporal_norm_inputs(20))
    late = torch.full_like(dt_s, 60.0)
    for name in temporal_norm.BACKENDS:
        y, mean, var = temporal_norm.BACKENDS[name](x, late, *rest)
        assert torch.isfinite(y).all()
        torch.testing.assert_close(mean, x[:, -1])
        assert (var == 0).all()
