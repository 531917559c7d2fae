"""Runtimes of a session; each is imported when a file for it is opened."""

from physkit.core.registry import Registry

ENGINES = Registry(
    "runtime",
    {
        "torch": "physkit.runtime.engines.torch_eager:TorchEngine",
        "torch-compiled": "physkit.runtime.engines.torch_compiled:CompiledTorchEngine",
        "onnx": "physkit.runtime.engines.onnx:OnnxEngine",
        "litert": "physkit.runtime.engines.litert:LiteRTEngine",
        "jax": "physkit.runtime.engines.jax:JaxEngine",
    },
    extras={"onnx": "onnx", "litert": "litert", "jax": "jax"},
)
"""What can run a deployed FacePhys."""

BY_SUFFIX = {
    ".onnx": "onnx",
    ".tflite": "litert",
    ".jax": "jax",
    ".safetensors": "torch",
    ".h5": "torch",
}
"""Default runtime of a file, by its suffix."""
