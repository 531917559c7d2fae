"""The selective state-space recurrence of Mamba; see README.md."""

from physkit.core.registry import Registry

BACKENDS = Registry(
    "selective scan backend",
    {
        "reference": "physkit.ops.selective_scan.reference:selective_scan",
        "scan": "physkit.ops.selective_scan.scan:selective_scan",
    },
)
"""Forms of the op by name."""
