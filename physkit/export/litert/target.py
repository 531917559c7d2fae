"""Writes .tflite artifacts by litert-torch and ai-edge-quantizer."""

import contextlib
import copy
import io
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from physkit.core.artifact import ArtifactCard, Precision
from physkit.core.files import whole_file
from physkit.export.litert.flatbuffer import finished, sorted_by_weights
from physkit.export.litert.lowered import LoweredStep
from physkit.export.target import ExportRequest, ExportTarget, make_card
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import STRIDE
from physkit.nn.ssm import NOMINAL_FPS

Rule = dict[str, Any]
WEIGHTED = ("CONV_2D", "FULLY_CONNECTED")
"""Operators with nearly all of the weights."""
HALF: tuple[str, Rule, Rule] = (
    "float_casting",
    {"num_bits": 16, "dtype": "FLOAT", "granularity": "TENSORWISE"},
    {"compute_precision": "FLOAT", "explicit_dequantize": True},
)
INT8: tuple[str, Rule, Rule] = (
    "min_max_uniform_quantize",
    {"num_bits": 8, "dtype": "INT", "granularity": "CHANNELWISE"},
    {"compute_precision": "INTEGER", "explicit_dequantize": False},
)

STDERR = 2
"""File descriptor of standard error."""


class LiteRTTarget(ExportTarget):
    """LiteRT, whose CPU kernels are XNNPACK's; builtin operators only.

    Conversion takes longest, so artifacts that one object writes in turn share it where they can;
    the network may not change in between.
    """

    suffix = ".tflite"

    def __init__(self) -> None:
        self._last: tuple[FacePhys, ArtifactCard, bytes] | None = None

    def write(self, net: FacePhys, request: ExportRequest, path: Path) -> ArtifactCard:
        given, net = net, copy.deepcopy(net).float().cpu().eval()
        step = LoweredStep(net, request).eval()
        states = {name: x.contiguous() for name, x in step.init_state().items()}
        card = make_card(net, request, order="hwc", states=states)
        exact = replace(card, precision="fp32")
        if self._last is None or self._last[0] is not given or self._last[1] != exact:
            self._last = given, exact, _convert(step, _sample(net, request, states))
        model = self._last[2]
        if request.precision != "fp32":
            model = _quantise(model, request.precision, net.config.channels)
        with whole_file(path) as unfinished:
            unfinished.write_bytes(finished(model, card))
        return card


def _sample(net: FacePhys, request: ExportRequest, states: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs of one frame by name, in the order of the artifact's."""
    sample = {"frames": torch.rand(1, net.config.height, net.config.width, 3)}
    if request.fixed_dt_s is None:
        sample["dt_s"] = torch.full((1,), 1 / NOMINAL_FPS)
    dtype = getattr(torch, request.state_dtype)
    return sample | {name: x.to(dtype) for name, x in states.items()}


def _convert(module: torch.nn.Module, sample: dict[str, Tensor]) -> bytes:
    for weight in module.parameters():  # the converter takes the bytes as they lie in memory
        weight.data = weight.data.contiguous()
    with _silence():
        import litert_torch

        edge = litert_torch.signature("serving_default", module, sample_kwargs=sample).convert()
        model: bytes = edge.model_content()
    return model


def _quantise(model: bytes, precision: Precision, channels: int) -> bytes:
    """The model with weights in fewer bits. int8: large weights, each output channel with a scale
    of its own; what they are multiplied with is rounded by the range that it has at each frame.

    Half precision, and multiplied in float32: the layers that widen before the mean, which have so
    few products an input that rounding it costs what it saves; and the stride-2 convolutions, whose
    input no TemporalNorm has scaled: rounded, they alone take the correlation from 0.9999 to 0.999.
    """
    recipe = [_rule(name, ".*", HALF) for name in WEIGHTED]
    if precision == "int8":
        model = sorted_by_weights(model, (STRIDE * channels) ** 2 + 1)
        recipe = [*recipe, *(_rule(name, "large_", INT8) for name in WEIGHTED)]
    with _silence():
        from ai_edge_quantizer import quantizer

        worker = quantizer.Quantizer(model)
        worker.load_quantization_recipe(recipe)
        quantised = worker.quantize().quantized_model
    return bytes(quantised)


def _rule(operation: str, names: str, kind: tuple[str, Rule, Rule]) -> Rule:
    """An entry of a recipe of ai-edge-quantizer."""
    algorithm, weights, config = kind
    config = config | {"weight_tensor_config": weights | {"symmetric": True}}
    return {
        "regex": names,
        "operation": operation,
        "algorithm_key": algorithm,
        "op_config": config | {"skip_checks": False, "min_weight_elements": 0},
    }


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps what the converters write about their progress off the terminal.

    Some of it comes from C++, past Python's own streams; what goes wrong is raised all the same.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    sys.stderr.flush()
    terminal = os.dup(STDERR)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            os.dup2(nowhere.fileno(), STDERR)
            yield
    finally:
        os.dup2(terminal, STDERR)
        os.close(terminal)
        logging.disable(level)
