"""Causal standardisation over time. The maths is in README.md beside this file."""

from physkit.core.registry import Registry

BACKENDS = Registry(
    "temporal_norm backend",
    {
        "reference": "physkit.ops.temporal_norm.reference:temporal_norm",
        "scan": "physkit.ops.temporal_norm.scan:temporal_norm",
        "native": "physkit.ops.temporal_norm.native:temporal_norm",
    },
)
