"""Compiles every Triton kernel for GPUs that need not be here; run without TRITON_INTERPRET."""

from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from physkit.ops.ssm_scan import triton as ssm_scan
from physkit.ops.temporal_norm import triton as temporal_norm

TARGET = GPUTarget("cuda", 90, 32)
IN_HALF = ("x", "y", "grad_x", "grad_y")


def compile_kernel(kernel: Any, x: str, acc: str, sizes: dict[str, int], **options: Any) -> None:
    """Compile as a launch would: sizes that are 1 are known then, pointers are aligned."""
    num_warps = options.pop("num_warps")
    known = {name: value for name, value in options.items() if name in kernel.arg_names}
    known |= {name: 1 for name, value in sizes.items() if value == 1}
    signature = {name: f"*{x if name in IN_HALF else acc}" for name in kernel.arg_names}
    signature |= dict.fromkeys(["length", *sizes], "i32") | dict.fromkeys(known, "constexpr")
    aligned = [i for i, name in enumerate(kernel.arg_names) if signature[name].startswith("*")]
    source = ASTSource(kernel, signature, known, {(i,): [["tt.divisibility", 16]] for i in aligned})
    triton.compile(
        source, target=TARGET, options={"num_warps": num_warps, "enable_fp_fusion": True}
    )


for x, acc, (n, c) in (("bf16", "fp32", (1296, 32)), ("fp64", "fp64", (1, 1))):
    for kernel in (temporal_norm._forward_kernel, temporal_norm._backward_kernel):
        sizes = {"n_positions": n, "n_channels": c}
        compile_kernel(kernel, x, acc, sizes, **temporal_norm._blocks(n, c)[1])
for acc, (h, p, n) in (("fp32", (32, 4, 128)), ("fp64", (1, 1, 1))):
    for kernel in (ssm_scan._forward_kernel, ssm_scan._backward_kernel):
        sizes = {"n_heads": h, "head_dim": p, "d_state": n}
        compile_kernel(kernel, acc, acc, sizes, **ssm_scan._blocks(p, n))
