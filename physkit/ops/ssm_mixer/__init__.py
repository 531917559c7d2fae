"""The Mamba-2 block between its two projections. The maths is in README.md beside this file."""

from physkit.core.registry import Registry

BACKENDS = Registry(
    "ssm_mixer backend",
    {
        "reference": "physkit.ops.ssm_mixer.composed:with_reference_scan",
        "chunked": "physkit.ops.ssm_mixer.composed:with_chunked_scan",
        "native": "physkit.ops.ssm_mixer.native:ssm_mixer",
        "triton": "physkit.ops.ssm_mixer.composed:with_triton_scan",
    },
    extras={"triton": "triton"},
)
