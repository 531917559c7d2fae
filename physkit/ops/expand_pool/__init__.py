"""A linear layer, relu6 and the mean over space, as one. The maths is in README.md beside it."""

from physkit.core.registry import Registry

BACKENDS = Registry(
    "expand_pool backend",
    {
        "reference": "physkit.ops.expand_pool.reference:expand_pool",
        "native": "physkit.ops.expand_pool.native:expand_pool",
    },
)
