"""A crop at fractions of a pixel, by an affine matrix. The maths is in README.md beside it."""

from physkit.core.registry import Registry

BACKENDS = Registry("warp backend", {"reference": "physkit.ops.warp.reference:warp"})
