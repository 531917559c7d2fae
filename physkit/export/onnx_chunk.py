"""A chunk of frames in one call: the graph of the step, repeated by the runtime."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from physkit.core.artifact import ArtifactCard

INSIDE = "step."
"""What names of the step begin with, for they may not be those around it."""


def as_chunk(step: onnx.ModelProto, card: ArtifactCard) -> onnx.ModelProto:
    """The graph of `card.n_frames` steps from the graph of one, by a Scan; `step` is used up."""
    n, states = card.n_frames, [spec.name for spec in card.states]
    body = step.graph
    _prefix(body)
    by_name = {entry.name: entry for entry in (*body.input, *body.output)}
    read = ["frames"] if card.fixed_dt_s is not None else ["frames", "dt_s"]
    after = [f"new_{name}" for name in states]
    del body.input[:], body.output[:]
    body.input.extend(by_name[INSIDE + name] for name in [*states, *read])
    body.output.extend(by_name[INSIDE + name] for name in [*after, "pulse"])
    # One frame of the scan is a whole input of the step.
    nodes = [helper.make_node("Unsqueeze", [x, "w.axis"], [f"v.{x}"]) for x in read]
    nodes += [
        helper.make_node(
            "Scan",
            [*states, *(f"v.{x}" for x in read)],
            [*after, "v.pulse"],
            body=body,
            num_scan_inputs=len(read),
        ),
        helper.make_node("Squeeze", ["v.pulse", "w.axis"], ["pulse"]),
    ]
    shapes = {"frames": [n, card.height, card.width, 3], "dt_s": [n], "pulse": [n]}
    shapes |= {spec.name: list(spec.shape) for spec in card.states}
    shapes |= {f"new_{spec.name}": list(spec.shape) for spec in card.states}

    def described(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name])

    graph = helper.make_graph(
        nodes,
        "chunk",
        [described(name) for name in [*read, *states]],
        [described(name) for name in ["pulse", *after]],
        [numpy_helper.from_array(np.array([1]), "w.axis")],
    )
    chunk = onnx.ModelProto()
    chunk.CopyFrom(step)
    chunk.graph.CopyFrom(graph)
    return chunk


def _prefix(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        node.input[:] = [name and INSIDE + name for name in node.input]
        node.output[:] = [name and INSIDE + name for name in node.output]
    for entry in (*graph.input, *graph.output, *graph.initializer):
        entry.name = INSIDE + entry.name
