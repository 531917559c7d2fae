"""Deployable artifacts of a trained FacePhys, and the proof that they are the same network."""

from physkit.core.registry import Registry

TARGETS = Registry(
    "export target",
    {
        "onnx": "physkit.export.onnx:OnnxTarget",
        "litert": "physkit.export.litert.target:LiteRTTarget",
        "jax": "physkit.export.jax.target:JaxTarget",
    },
    extras={"onnx": "export", "litert": "export", "jax": "export"},
)
"""What a network can be exported to."""
