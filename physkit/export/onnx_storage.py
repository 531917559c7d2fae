"""How an ONNX graph keeps its weights and its states; it computes in float32 all the same."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from physkit.core.artifact import ArtifactCard, Precision

FEWEST_VALUES = 1024
"""A smaller tensor is not worth an operator."""


def weights_as(model: onnx.ModelProto, precision: Precision) -> None:
    """Large float32 weights as float16, or for int8 as one scale a column; both are read once.

    The operators that restore them depend on constants alone, so a runtime runs them when it loads.
    """
    graph, nodes = model.graph, []
    for weight in list(graph.initializer):
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < FEWEST_VALUES:
            continue
        values, name = numpy_helper.to_array(weight), weight.name
        graph.initializer.remove(weight)
        is_matrix = values.ndim == 2 and min(values.shape) > 1
        if precision == "int8" and is_matrix:
            nodes += _as_int8(graph, name, values)
        else:
            nodes += _as_half(graph, name, values)
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])


def states_as(model: onnx.ModelProto, card: ArtifactCard) -> None:
    """States in and out in the dtype of the card; they are float32 in between."""
    graph, half = model.graph, onnx.TensorProto.FLOAT16
    names = [spec.name for spec in card.states if spec.dtype == "float16"]
    if not names:
        return
    wide = {name: f"v.wide_{name}" for name in names} | {
        f"new_{name}": f"v.new_wide_{name}" for name in names
    }
    for node in graph.node:
        node.input[:] = [wide.get(name, name) for name in node.input]
        node.output[:] = [wide.get(name, name) for name in node.output]
    widen = [
        helper.make_node("Cast", [name], [wide[name]], to=onnx.TensorProto.FLOAT) for name in names
    ]
    narrow = [
        helper.make_node("Cast", [wide[f"new_{name}"]], [f"new_{name}"], to=half) for name in names
    ]
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*widen, *others, *narrow])
    for entry in (*graph.input, *graph.output):
        if entry.name in wide:
            entry.type.tensor_type.elem_type = half


def _as_half(graph: onnx.GraphProto, name: str, values: np.ndarray) -> list[onnx.NodeProto]:
    kept = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
    graph.initializer.append(kept)
    return [helper.make_node("Cast", [kept.name], [name], to=onnx.TensorProto.FLOAT)]


def _as_int8(graph: onnx.GraphProto, name: str, values: np.ndarray) -> list[onnx.NodeProto]:
    """One scale for each row or column, whichever there are more of."""
    axis = int(np.argmin(values.shape))
    scale = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-12) / 127
    kept = numpy_helper.from_array(np.round(values / scale).astype(np.int8), f"{name}.int8")
    scales = numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale")
    graph.initializer.extend([kept, scales])
    wide = f"{name}.wide"
    return [
        helper.make_node("Cast", [kept.name], [wide], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [wide, scales.name], [name]),
    ]
