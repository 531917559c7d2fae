"""The complex diagonal state-space recurrence. The maths is in README.md beside this file."""

from physkit.core.registry import Registry

BACKENDS = Registry(
    "ssm_scan backend",
    {
        "reference": "physkit.ops.ssm_scan.reference:ssm_scan",
        "chunked": "physkit.ops.ssm_scan.chunked:ssm_scan",
        "native": "physkit.ops.ssm_scan.native:ssm_scan",
    },
)
