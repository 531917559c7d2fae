"""The Mamba-2 block between its two projections. The maths is in README.md beside this file."""

from physkit.core.registry import Registry

BACKENDS = Registry(
    "ssm_mixer backend",
    {
        "reference": "physkit.ops.ssm_mixer.composed:around_reference",
        "chunked": "physkit.ops.ssm_mixer.composed:around_chunked",
        "native": "physkit.ops.ssm_mixer.native:ssm_mixer",
        "triton": "physkit.ops.ssm_mixer.triton:ssm_mixer",
    },
    extras={"triton": "triton"},
)
