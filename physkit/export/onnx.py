"""ONNX artifacts, written by torch's exporter from the form of the step that ONNX runtimes like."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from physkit.core.artifact import METADATA_KEY, ArtifactCard
from physkit.core.errors import InputError
from physkit.core.files import whole_file
from physkit.core.units import NOMINAL_DT_S
from physkit.export.onnx_chunk import as_chunk
from physkit.export.onnx_int8 import in_int8
from physkit.export.onnx_step import OnnxStep
from physkit.export.onnx_storage import states_as, weights_as
from physkit.export.target import ExportRequest, ExportTarget, make_card
from physkit.models.facephys.network import FacePhys

OPSET = 23
PRODUCER = "physkit"


class OnnxTarget(ExportTarget):
    """For ONNX Runtime; what is not int8 also for other runtimes of ONNX.

    Tracing takes longest, so artifacts that one object writes in turn share a graph where they can;
    the network may not change in between.
    """

    suffix = ".onnx"
    calibrates_int8 = True

    def __init__(self) -> None:
        self._last: tuple[FacePhys, float | None, onnx.ModelProto] | None = None

    def write(self, net: FacePhys, request: ExportRequest, path: Path) -> ArtifactCard:
        if request.precision == "int8" and not request.calibration:
            raise InputError(
                f"{path}: int8 for ONNX Runtime is static; give crops to calibrate it by"
            )
        step = OnnxStep(net, fixed_dt_s=request.fixed_dt_s).eval().requires_grad_(False)
        states = step.init_state()
        card = make_card(net, request, order="chw", states=states)
        model = self._graph_of(net, step, card)
        if request.precision == "int8":
            model = in_int8(model, card, states, request.calibration)
        if request.precision != "fp32":
            weights_as(model, request.precision)
        if request.form == "chunk":
            model = as_chunk(model, card)
        states_as(model, card)
        model.metadata_props.add(key=METADATA_KEY, value=card.to_json())
        onnx.checker.check_model(model)
        with whole_file(path) as unfinished:
            unfinished.write_bytes(model.SerializeToString())
        return card

    def _graph_of(self, net: FacePhys, step: OnnxStep, card: ArtifactCard) -> onnx.ModelProto:
        if self._last is None or self._last[0] is not net or self._last[1] != step.fixed_dt_s:
            self._last = (net, step.fixed_dt_s, _exported(step, card))
        model = onnx.ModelProto()
        model.CopyFrom(self._last[2])
        return model


def _exported(step: OnnxStep, card: ArtifactCard) -> onnx.ModelProto:
    """The graph of one step in float32, its inputs and outputs named as the card says."""
    states = step.init_state()
    frames = torch.zeros(1, card.height, card.width, 3)
    dt_s = [torch.full((1,), NOMINAL_DT_S)] if step.fixed_dt_s is None else []
    model = graph_of(step, (frames, *dt_s, *states.values()))
    inputs = ["frames", *(["dt_s"] if dt_s else []), *states]
    rename(model.graph, inputs, ["pulse", *(f"new_{name}" for name in states)])
    return model


def graph_of(module: nn.Module, inputs: Sequence[Tensor]) -> onnx.ModelProto:
    """What torch's exporter makes of it, without the traces of our source in every node."""
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module, tuple(inputs), dynamo=True, opset_version=OPSET, verbose=False
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    model.producer_name, model.doc_string = PRODUCER, ""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for entry in (*model.graph.node, *model.graph.input, *model.graph.output):
        del entry.metadata_props[:]
        entry.doc_string = ""
    for entry in model.graph.initializer:
        del entry.metadata_props[:]
    return model


def rename(graph: onnx.GraphProto, inputs: list[str], outputs: list[str]) -> None:
    """Inputs and outputs by position; nothing inside may have their names."""
    names = {entry.name: name for entry, name in zip(graph.input, inputs, strict=True)}
    inner = [name for node in graph.node for name in node.output]
    names |= {name: f"v.{name}" for name in inner}
    names |= {entry.name: f"w.{entry.name}" for entry in graph.initializer}
    names |= {entry.name: name for entry, name in zip(graph.output, outputs, strict=True)}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for entry in (*graph.input, *graph.output, *graph.initializer):
        entry.name = names[entry.name]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of operators that are none of ours."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
