"""Triton kernels against their references: on a GPU where there is one, interpreted elsewhere.

The interpreter takes about 10 ms a frame and program, so sizes are small; test_triton_gpu.py has
the real ones.
"""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from test_ops import ssm_inputs, temporal_norm_inputs
from torch import Tensor

from physkit.ops import ssm_scan, temporal_norm

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Interpreted, a frame takes 10 ms: 300 of them are ten blocks, of which the last is not full.
LENGTHS = [1, 63, 64, 65, 300, *([1601] if DEVICE == "cuda" else [])]
ARGUMENTS = {
    "temporal_norm": ["x", "dt_s", "half_life_s", "gamma", "beta", "mean0", "var0"],
    "ssm_scan": ["x", "delta", "a_real", "a_imag", "b_in", "c_out", "real0", "imag0"],
}
BACKENDS = {"temporal_norm": temporal_norm.BACKENDS, "ssm_scan": ssm_scan.BACKENDS}
SINGLE = {  # one program: a frame costs least
    "temporal_norm": partial(temporal_norm_inputs, c=3, h=3, w=1),
    "ssm_scan": partial(ssm_inputs, heads=1, p=3, n=5),
}
SEVERAL = {  # tiles that are not full, in every direction
    "temporal_norm": partial(temporal_norm_inputs, c=67, h=1, w=2),
    "ssm_scan": partial(ssm_inputs, heads=2, p=3, n=5),
}


def a_loss(outputs: tuple[Tensor, ...]) -> Tensor:
    g = torch.Generator().manual_seed(0)
    # Whole numbers, which every precision holds: what reaches the ops is the same in all.
    weights = [torch.randint(-4, 5, o.shape, generator=g) for o in outputs]
    return sum((o * w.to(o)).sum() for o, w in zip(outputs, weights, strict=True))


def results(op: str, backend: str, inputs: list[Tensor]) -> dict[str, Tensor]:
    """Outputs, and gradients under their input's name, of inputs as they are."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    outputs = BACKENDS[op][backend](*leaves)
    grads = torch.autograd.grad(a_loss(outputs), leaves)
    named = zip(("output", "state 1", "state 2", *ARGUMENTS[op]), (*outputs, *grads), strict=True)
    return {name: x.detach() for name, x in named}


def one_clip(inputs: list[Tensor], op: str) -> list[Tensor]:
    per_clip = {"temporal_norm": (0, 1, 5, 6), "ssm_scan": (0, 1, 4, 5, 6, 7)}[op]
    return [x[:1] if i in per_clip else x for i, x in enumerate(inputs)]


def assert_as_reference(op: str, inputs: list[Tensor], *, output: float, gradient: float) -> None:
    """Largest error of each result, against float64, as a fraction of its largest value."""
    inputs = [x.detach().to(DEVICE) for x in inputs]
    exact = results(op, "reference", [x.double() for x in inputs])
    ours = results(op, "triton", inputs)
    for name, x in exact.items():
        error = (ours[name].double() - x).abs().max() / x.abs().max()
        assert error < (gradient if name in ARGUMENTS[op] else output), f"{name}: {error:.1e}"


@pytest.mark.parametrize("t", LENGTHS)
@pytest.mark.parametrize("op", BACKENDS)
def test_triton_agrees_with_reference_in_float32(op: str, t: int) -> None:
    inputs = [x.float() for x in one_clip(SINGLE[op](t), op)]
    assert_as_reference(op, inputs, output=1e-5, gradient=1e-4)


@pytest.mark.parametrize("op", BACKENDS)
def test_programs_share_clips_heads_and_tiles_without_overlap(op: str) -> None:
    assert_as_reference(op, SEVERAL[op](33), output=1e-12, gradient=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("op", BACKENDS)
def test_half_precision_is_rounded_at_the_ends_only(op: str, dtype: torch.dtype) -> None:
    inputs = [x.to(dtype) for x in one_clip(SINGLE[op](3), op)]
    rounding = torch.finfo(dtype).eps
    assert_as_reference(op, inputs, output=rounding, gradient=rounding)


@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
def test_any_memory_order_of_a_picture_is_right(memory: torch.memory_format) -> None:
    x, *others = SEVERAL["temporal_norm"](2)
    x = x.detach().flatten(0, 1).contiguous(memory_format=memory).unflatten(0, (2, 2))
    assert_as_reference("temporal_norm", [x, *others], output=1e-12, gradient=1e-12)


@pytest.mark.parametrize("seconds", [60.0, float("nan")])
def test_a_share_that_is_cut_passes_no_gradient_and_nan_is_not_hidden(seconds: float) -> None:
    x, dt_s, *others = one_clip(SINGLE["temporal_norm"](3), "temporal_norm")
    dt_s = dt_s.detach().clone()
    dt_s[:, 1] = seconds
    inputs = [x, dt_s, *others]
    ours, exact = (results("temporal_norm", name, inputs) for name in ("triton", "reference"))
    for name, expected in exact.items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("op", BACKENDS)
def test_torch_accepts_the_custom_ops(op: str) -> None:
    inputs = [x.detach().float().to(DEVICE) for x in SINGLE[op](2)]
    if op == "temporal_norm":  # pictures as (n c)
        inputs = [x.flatten(-2).mT.contiguous() if x.dim() > 3 else x for x in inputs]
    inputs = [x.requires_grad_() for x in inputs]
    torch.library.opcheck(getattr(torch.ops.physkit, f"{op}_triton").default, inputs)


@pytest.mark.parametrize("op", BACKENDS)
def test_forward_and_backward_compile_as_one_graph(op: str) -> None:
    inputs = [x.detach().float().to(DEVICE).requires_grad_() for x in SINGLE[op](2)]
    scan = BACKENDS[op]["triton"]
    loss = lambda *z: scan(*z)[0].square().sum()  # noqa: E731
    eager = torch.autograd.grad(loss(*inputs), inputs)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for ours, expected in zip(torch.autograd.grad(compiled(*inputs), inputs), eager, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("op", "argument"),
    [("temporal_norm", "dt_s"), ("temporal_norm", "gamma"), ("ssm_scan", "c_out")],
)
def test_a_shape_that_kernels_would_read_beyond_is_refused_by_name(op: str, argument: str) -> None:
    inputs = dict(zip(ARGUMENTS[op], SINGLE[op](2), strict=True))
    inputs[argument] = inputs[argument][..., :1]
    with pytest.raises(ValueError, match=rf"^{argument} has shape"):
        BACKENDS[op]["triton"](**inputs)


def a_process_without_interpreter(*argv: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, *argv]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_on_a_cpu_without_the_interpreter_the_error_names_the_fix() -> None:
    lines = ["import torch", "from physkit.core.errors import BackendError"]
    for op in BACKENDS:
        shapes = [list(x.shape) for x in SINGLE[op](2)]
        lines.append(f"from physkit.ops.{op}.triton import {op}")
        lines.append(f"try: {op}(*map(torch.ones, {shapes}))")
        lines.append("except BackendError as error: print(error)")
    run = a_process_without_interpreter("-c", "\n".join(lines))
    errors = run.stdout.splitlines()
    assert len(errors) == len(BACKENDS), run.stderr
    assert all("needs a GPU" in e and "TRITON_INTERPRET=1" in e for e in errors)


@pytest.mark.slow
def test_kernels_compile_for_gpus_that_are_not_at_hand() -> None:
    run = a_process_without_interpreter(str(Path(__file__).with_name("compile_triton.py")))
    assert run.returncode == 0, run.stderr
