"""The last touches to a .tflite: its card, and nothing in it that no runtime needs."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from physkit.core.artifact import METADATA_KEY, TFLITE_IDENTIFIER, ArtifactCard
from physkit.export.litert.unroll import unrolled

KEPT = (b"min_runtime_version",)
"""Metadata of the converter's that runtimes read."""


def sorted_by_weights(model: bytes, fewest: int) -> bytes:
    """The model, each tensor called `large_<n>`, or `small_<n>` where it comes of fewer weights
    than `fewest`: by such names the quantiser is told what to do with an operator."""
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    (graph,) = tree.subgraphs
    for number, tensor in enumerate(graph.tensors):
        tensor.name = f"large_{number}"
    for operator in graph.operators:
        weights = graph.tensors[operator.inputs[1]] if len(operator.inputs) > 1 else None
        if weights is not None and np.prod(weights.shape) < fewest:
            for number in operator.outputs:
                graph.tensors[number].name = f"small_{number}"
    return _packed(tree, len(model))


def finished(model: bytes, card: ArtifactCard) -> bytes:
    """The model, for as many frames as its card says, with the card in the metadata.

    Signatures keep the names of inputs and outputs. A tensor's own name repeats where in the module
    it was made: a tenth of an int8 file.
    """
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    for buffer in tree.buffers:
        _bring_inside(buffer, model)
    if card.n_frames > 1:
        unrolled(tree, card.n_frames)
    for graph in tree.subgraphs:
        for number, tensor in enumerate(graph.tensors):
            tensor.name = str(number)
    tree.metadata = [entry for entry in tree.metadata or [] if entry.name in KEPT]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(card.to_json().encode(), np.uint8)
    entry.name, entry.buffer = METADATA_KEY, len(tree.buffers)
    tree.buffers.append(buffer)
    tree.metadata.append(entry)
    return _packed(tree, len(model))


def _packed(tree: Any, size: int) -> bytes:
    builder = _Sharing(size)
    builder.Finish(tree.Pack(builder), TFLITE_IDENTIFIER)
    return bytes(builder.Output())


def _bring_inside(buffer: Any, model: bytes) -> None:
    """Data that the quantiser left behind the model, where only an unchanged model finds them."""
    if buffer.offset > 1:  # 0 and 1 say that there are none
        buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0


class _Sharing(flatbuffers.Builder):  # type: ignore[misc]
    """Writes equal vectors once: a shape, an axis, or the zeros that every int8 channel has."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]
