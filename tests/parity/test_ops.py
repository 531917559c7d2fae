"""Every backend of every op against its reference: outputs, final states and all gradients."""

import pytest
import torch
from torch import Tensor

from physkit.ops import expand_pool, ssm_mixer, ssm_scan, temporal_norm

SMOOTH = ("temporal_norm", "ssm_scan")  # the others have kinks, where differences mislead
CPU_FORMS = ("chunked", "scan", "native")
LENGTHS = [1, 63, 64, 65, 300, 1601]


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


FEWEST: dict[str, dict[str, int]] = {  # a difference is taken for each number of each input
    "expand_pool": {"i": 2, "o": 3},
    "ssm_mixer": {"heads": 2, "p": 1, "n": 2},
    "temporal_norm": {"c": 2, "h": 1, "w": 2},
    "ssm_scan": {"heads": 2, "p": 1, "n": 2},
}


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
    inputs = make(t, **FEWEST[op])
    for name in ("reference",) if kind == "reference" else CPU_FORMS:
        if name in backends:
            assert torch.autograd.gradcheck(backends[name], inputs)


@pytest.mark.slow
@pytest.mark.parametrize("t", [63, 64, 65, 300])
@pytest.mark.parametrize(("op", "backend"), [f for f in FAST if f[0] in SMOOTH])
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
    for name in set(temporal_norm.BACKENDS) - {"triton"}:
        y, mean, var = temporal_norm.BACKENDS[name](x, late, *rest)
        assert torch.isfinite(y).all()
        torch.testing.assert_close(mean, x[:, -1])
        assert (var == 0).all()


@pytest.mark.parametrize("t", [1, 65, 1601])
@pytest.mark.parametrize(("op", "backend"), FAST)
def test_float32_agrees_with_reference_to_1e5_and_its_gradients_to_1e4(
    op: str, backend: str, t: int
) -> None:
    backends, make = OPS[op]
    results = []
    for name in ("reference", backend):
        inputs = [x.detach().float().requires_grad_() for x in make(t)]
        outputs = backends[name](*inputs)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        loss = sum((o * o).mean() for o in outputs)
        results.append((outputs, torch.autograd.grad(loss, inputs)))
    for ours, theirs, limit in zip(*reversed(results), (1e-5, 1e-4), strict=True):
        for x, y in zip(ours, theirs, strict=True):
            assert (x - y).abs().max() <= limit * max(1e-3, y.abs().max())


def published_size(op: str) -> list[Tensor]:
    """Inputs of the sizes that the compiled forms have fast paths for, but for odd pictures."""
    if op == "temporal_norm":
        return temporal_norm_inputs(37, c=32, h=5, w=7)
    if op == "expand_pool":
        return expand_pool_inputs(5, i=32, o=64, h=5, w=11)
    make = ssm_mixer_inputs if op == "ssm_mixer" else ssm_inputs
    return make(37, heads=4, p=4, n=128)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("op", OPS)
def test_the_native_form_agrees_at_the_published_sizes_and_in_half_precision(
    op: str, dtype: torch.dtype
) -> None:
    backends, _ = OPS[op]
    # what lies on a number of the coarse grid is the same in every precision
    x, *others = (z.detach().to(dtype).float() for z in published_size(op))
    results = []
    for name in ("reference", "native"):
        is_stored = name == "native" and op in ("temporal_norm", "expand_pool")
        given = x.to(dtype) if is_stored else x
        inputs = [z.clone().requires_grad_() for z in (given, *others)]
        outputs = backends[name](*inputs)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        loss = sum(o.float().square().mean() for o in outputs)
        results.append((*outputs, *torch.autograd.grad(loss, inputs)))
    limit = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-3}[dtype]
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert (ours.float() - theirs).abs().max() <= limit * theirs.abs().max()


@pytest.mark.parametrize("op", OPS)
def test_the_native_form_is_a_custom_op_that_compile_sees_through(op: str) -> None:
    backends, make = OPS[op]
    inputs = [x.detach().requires_grad_() for x in make(9)]
    compiled = torch.compile(backends["native"], fullgraph=True, backend="aot_eager")
    for ours, theirs in zip(compiled(*inputs), backends["native"](*inputs), strict=True):
        torch.testing.assert_close(ours, theirs)
