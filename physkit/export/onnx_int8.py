"""Convolutions of an exported step in int8, with ranges read off calibration clips.

Only the 3x3 convolutions and the expansions after them: TemporalNorm, the recurrences and the head
stay in float32, for they are sensitive and cheap. A convolution that TemporalNorm reads gives each
channel a scale of its own, so that a small channel's variation is kept; relu6 is the range that the
integers have. The mean over space is an exact sum of integers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, helper, numpy_helper
from torch import Tensor

from physkit.core.artifact import ArtifactCard
from physkit.core.errors import InputError
from physkit.export.target import Calibration

LEVELS, MOST = 255, 127
"""Steps of an unsigned activation; largest signed weight."""
RUNTIME_DOMAIN = "com.microsoft"
"""Whose convolution takes channels last, as its integer kernels do; that of ONNX does not."""
CHANNELS_LAST, CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
FEWEST_SCALE = 1e-8
"""For a channel that is always 0."""


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of each channel (c,); 0 is within."""

    low: np.ndarray
    high: np.ndarray

    def scale(self) -> np.ndarray:
        """Of one step, a channel."""
        scale: np.ndarray = np.maximum(self.high - self.low, FEWEST_SCALE) / LEVELS
        return scale.astype(np.float32)

    def whole(self) -> tuple[np.float32, np.uint8]:
        """Scale and zero point of all channels together."""
        low, high = self.low.min(), self.high.max()
        scale = np.float32(max(high - low, FEWEST_SCALE) / LEVELS)
        return scale, np.uint8(np.clip(round(-low / scale), 0, LEVELS))


@dataclass(frozen=True)
class Branch:
    """What reads a batch normalisation: convolutions, then relu6, then maybe a mean over space."""

    convs: tuple[NodeProto, ...]
    clip: NodeProto
    mean: tuple[NodeProto, ...]
    """AveragePool and Reshape, or nothing."""


def in_int8(
    model: onnx.ModelProto,
    card: ArtifactCard,
    states: Mapping[str, Tensor],
    calibration: Sequence[Calibration],
) -> onnx.ModelProto:
    """The graph with its SSConvs' convolutions in int8; `model` is used up."""
    branches = list(_branches(model.graph))
    seen = [conv.input[0] for branch in branches for conv in branch.convs]
    seen += [branch.clip.output[0] for branch in branches]
    ranges = _ranges(model, card, states, calibration, seen)
    weights = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    rewriting = _Rewriting(model.graph, weights, ranges)
    for branch in branches:
        rewriting.replace(branch)
    return rewriting.done(model)


def _branches(graph: onnx.GraphProto) -> Iterator[Branch]:
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def after(node: NodeProto) -> NodeProto:
        (reader,) = readers[node.output[0]]
        return reader

    for norm in graph.node:
        if norm.op_type != "BatchNormalization":
            continue
        convs = [after(norm)]
        while (last := after(convs[-1])).op_type == "Conv":
            convs.append(last)
        if len(convs) == 1:
            yield Branch((convs[0],), last, ())
        else:
            pool = after(last)
            yield Branch(tuple(convs), last, (pool, after(pool)))


def _ranges(
    model: onnx.ModelProto,
    card: ArtifactCard,
    states: Mapping[str, Tensor],
    calibration: Sequence[Calibration],
    names: list[str],
) -> dict[str, Range]:
    """Of tensors (1 c h w) over all clips, each of which is a stream of its own."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    probed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(
        probed.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    axes = (0, 2, 3)
    low: dict[str, np.ndarray] = {}
    high: dict[str, np.ndarray] = {}
    for clip in calibration:
        for values in _tensors(session, card, states, clip):
            for name, value in zip(names, values, strict=True):
                low[name] = np.minimum(low.get(name, 0), value.min(axis=axes))
                high[name] = np.maximum(high.get(name, 0), value.max(axis=axes))
    return {name: Range(low[name], high[name]) for name in names}


def _tensors(
    session: onnxruntime.InferenceSession,
    card: ArtifactCard,
    states: Mapping[str, Tensor],
    clip: Calibration,
) -> Iterator[list[np.ndarray]]:
    """What the session puts out beside pulse and states, frame by frame."""
    frames, dt_s = clip.frames, clip.dt_s
    if frames.ndim != 4 or frames.shape[1:] != (card.height, card.width, 3) or len(frames) < 2:
        raise InputError(
            f"calibration frames {frames.shape}: give (t, {card.height}, {card.width}, 3) crops"
        )
    state = {name: value.numpy() for name, value in states.items()}
    for frame, duration_s in zip(frames, dt_s, strict=True):
        inputs = {"frames": frame[None].astype(np.float32), **state}
        if card.fixed_dt_s is None:
            inputs["dt_s"] = np.array([duration_s], np.float32)
        _, *found = session.run(None, inputs)
        state = dict(zip(state, found[: len(state)], strict=True))
        yield found[len(state) :]


class _Rewriting:
    """Replaces branches of a graph, one by one."""

    def __init__(
        self,
        graph: onnx.GraphProto,
        weights: Mapping[str, np.ndarray],
        ranges: Mapping[str, Range],
    ) -> None:
        self._graph, self._weights, self._ranges = graph, weights, ranges
        self._new: dict[str, list[NodeProto]] = {}
        self._gone: set[str] = set()

    def replace(self, branch: Branch) -> None:
        """Quantise what enters, convolve, and restore what leaves."""
        first, out = branch.convs[0].input[0], branch.clip.output[0]
        scale, zero = self._ranges[first].whole()
        name = f"{out}.entering"
        nodes = [
            self._node("QuantizeLinear", [first, scale, zero], f"{name}.chw"),
            self._node("Transpose", [f"{name}.chw"], name, perm=CHANNELS_LAST),
        ]
        for conv, after in pairwise([*branch.convs, None]):
            channels, leaving = self._leaving(branch, after)
            nodes += self._conv(conv, name, (scale, zero), channels, leaving)
            (name,), (scale, zero) = nodes[-1].output, leaving
        if branch.mean:
            nodes += self._mean(branch, name, scale)
        else:
            nodes += [
                self._node("Transpose", [name], f"{name}.chw", perm=CHANNELS_FIRST),
                self._node(
                    "DequantizeLinear",
                    [f"{name}.chw", channels, np.zeros(len(channels), np.uint8)],
                    out,
                    axis=1,
                ),
            ]
        old = [*branch.convs, branch.clip, *branch.mean]
        self._new[old[-1].output[0]] = nodes
        self._gone |= {node.output[0] for node in old}

    def done(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """The new graph, without the weights that nothing reads any more."""
        nodes = []
        for node in self._graph.node:
            output = node.output[0]
            nodes += self._new.get(output, [] if output in self._gone else [node])
        read = {name for node in nodes for name in node.input}
        kept = [entry for entry in self._graph.initializer if entry.name in read]
        new = onnx.ModelProto()
        new.CopyFrom(model)
        del new.graph.node[:], new.graph.initializer[:]
        new.graph.node.extend(nodes)
        new.graph.initializer.extend(kept)
        new.opset_import.add(domain=RUNTIME_DOMAIN, version=1)
        return new

    def _leaving(
        self, branch: Branch, after: NodeProto | None
    ) -> tuple[np.ndarray, tuple[np.float32, np.uint8]]:
        """What each channel is divided by, then scale and zero point of what a convolution gives.

        after: the convolution that reads it, or None for the last.
        """
        if after is not None:
            return np.ones(1, np.float32), self._ranges[after.input[0]].whole()
        out = self._ranges[branch.clip.output[0]]
        if branch.mean:
            return np.ones(1, np.float32), out.whole()
        return out.scale(), (np.float32(1), np.uint8(0))

    def _conv(
        self,
        conv: NodeProto,
        name: str,
        entering: tuple[np.float32, np.uint8],
        channels: np.ndarray,
        leaving: tuple[np.float32, np.uint8],
    ) -> list[NodeProto]:
        weight = self._weights[conv.input[1]]
        has_bias = len(conv.input) > 2  # the exporter drops one that is 0
        bias = self._weights[conv.input[2]] if has_bias else np.zeros(len(weight), np.float32)
        weight = weight / channels[:, None, None, None]
        scale = np.maximum(np.abs(weight).max(axis=(1, 2, 3)), FEWEST_SCALE) / MOST
        whole = np.round(weight / scale[:, None, None, None]).astype(np.int8)
        whole_bias = np.round(bias / channels / (scale * entering[0])).astype(np.int32)
        scale = scale.astype(np.float32)
        inputs = [name, *entering, whole, scale, np.zeros(len(scale), np.int8), *leaving]
        attributes = {x.name: helper.get_attribute_value(x) for x in conv.attribute}
        attributes |= {"domain": RUNTIME_DOMAIN, "channels_last": 1}
        out = f"{conv.output[0]}.int8"
        return [self._node("QLinearConv", [*inputs, whole_bias], out, **attributes)]

    def _mean(self, branch: Branch, name: str, scale: np.float32) -> list[NodeProto]:
        pool, flat = branch.mean
        (size,) = (
            helper.get_attribute_value(x) for x in pool.attribute if x.name == "kernel_shape"
        )
        n = int(np.prod(size))
        by_position, total, real = (f"{name}.{x}" for x in ("flat", "sum", "real"))
        return [
            self._node("Reshape", [name, np.array([n, -1])], by_position),
            self._node("MatMulInteger", [np.ones((1, n), np.uint8), by_position], total),
            self._node("Cast", [total], real, to=onnx.TensorProto.FLOAT),
            self._node("Mul", [real, np.float32(scale / n)], flat.output[0]),
        ]

    def _node(self, op: str, inputs: list[object], output: str, **attributes: object) -> NodeProto:
        """Arrays among the inputs become constants."""
        names = []
        for position, value in enumerate(inputs):
            if isinstance(value, str):
                names.append(value)
                continue
            name = f"w.{output}.{position}"
            self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
            names.append(name)
        return helper.make_node(op, names, [output], **attributes)
