"""A step's graph, repeated: the chunk form, which hands each frame's states to the next."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

PER_FRAME = ("frames", "dt_s")
"""Inputs of which every frame has its own."""
PULSE, NEW = "pulse", "new_"


def unrolled(tree: Any, n_frames: int) -> None:
    """Turns the graph of one frame into that of `n_frames`, in place; weights are there once."""
    (graph,), (signature,) = tree.subgraphs, tree.signatureDefs
    inputs = {_text(entry.name): entry.tensorIndex for entry in signature.inputs}
    outputs = {_text(entry.name): entry.tensorIndex for entry in signature.outputs}
    work = _Unrolling(tree, graph, [b is not None and _has_data(b) for b in tree.buffers])
    once, each = work.by_dependence(graph.operators)
    clip = {k: work.longer(inputs[k], n_frames) for k in PER_FRAME if k in inputs}
    graph.operators = list(once)
    states = {k: number for k, number in inputs.items() if k not in PER_FRAME}
    pulses = []
    for t in range(n_frames):
        renamed = {inputs[k]: states[k] for k in states}
        renamed |= {inputs[k]: work.frame(clip[k], inputs[k], t) for k in clip}
        work.repeat(each, renamed)
        states = {k: renamed[outputs[NEW + k]] for k in states}
        pulses.append(renamed[outputs[PULSE]])
    ends = {NEW + k: number for k, number in states.items()} | {PULSE: work.joined(pulses)}
    for entry in signature.inputs:
        entry.tensorIndex = clip.get(_text(entry.name), entry.tensorIndex)
    for entry in signature.outputs:
        entry.tensorIndex = ends[_text(entry.name)]
    number_of = {inputs[k]: number for k, number in clip.items()}
    graph.inputs = [number_of.get(int(number), int(number)) for number in graph.inputs]
    end_of = {outputs[k]: number for k, number in ends.items()}
    graph.outputs = [end_of[int(number)] for number in graph.outputs]


@dataclass
class _Unrolling:
    tree: Any
    graph: Any
    has_data: list[bool]
    constant: set[int] = field(default_factory=set)

    def by_dependence(self, operators: Iterable[Any]) -> tuple[list[Any], list[Any]]:
        """Operators of weights alone, which run once, and all others."""
        tensors = self.graph.tensors
        self.constant = {k for k, x in enumerate(tensors) if self.has_data[x.buffer]}
        once, each = [], []
        for operator in operators:
            if all(number in self.constant or number < 0 for number in operator.inputs):
                once.append(operator)
                self.constant.update(int(number) for number in operator.outputs)
            else:
                each.append(operator)
        return once, each

    def repeat(self, operators: list[Any], renamed: dict[int, int]) -> None:
        """The operators again, on the tensors in `renamed` and on new ones, which it then holds."""
        for operator in operators:
            again = copy.copy(operator)
            again.inputs = [self._renamed(int(number), renamed) for number in operator.inputs]
            again.outputs = [self._new(int(number), renamed) for number in operator.outputs]
            self.graph.operators.append(again)

    def _renamed(self, number: int, renamed: dict[int, int]) -> int:
        return number if number < 0 or number in self.constant else renamed[number]

    def _new(self, number: int, renamed: dict[int, int]) -> int:
        renamed[number] = self._add(copy.copy(self.graph.tensors[number]))
        return renamed[number]

    def _add(self, tensor: Any) -> int:
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def longer(self, number: int, n_frames: int) -> int:
        """A tensor like this one, of `n_frames` frames."""
        tensor = copy.copy(self.graph.tensors[number])
        tensor.shape = [n_frames, *tensor.shape[1:]]
        return self._add(tensor)

    def frame(self, clip: int, like: int, t: int) -> int:
        """Frame `t` of a clip."""
        shape = [int(n) for n in self.graph.tensors[like].shape]
        begin = self._numbers([t, *[0] * (len(shape) - 1)])
        out = self._add(copy.copy(self.graph.tensors[like]))
        options = (schema.BuiltinOptions.SliceOptions, schema.SliceOptionsT())
        self._operator("SLICE", [clip, begin, self._numbers(shape)], out, options)
        return out

    def joined(self, pulses: list[int]) -> int:
        """One tensor of all samples."""
        out = self.longer(pulses[0], len(pulses))
        options = schema.ConcatenationOptionsT()
        kind = schema.BuiltinOptions.ConcatenationOptions
        self._operator("CONCATENATION", pulses, out, (kind, options))
        return out

    def _numbers(self, numbers: list[int]) -> int:
        buffer, tensor = schema.BufferT(), schema.TensorT()
        buffer.data = np.frombuffer(np.array(numbers, "<i4").tobytes(), np.uint8)
        self.tree.buffers.append(buffer)
        tensor.shape, tensor.type = [len(numbers)], schema.TensorType.INT32
        tensor.buffer = len(self.tree.buffers) - 1
        return self._add(tensor)

    def _operator(
        self, name: str, inputs: list[int], output: int, options: tuple[int, Any]
    ) -> None:
        code = getattr(schema.BuiltinOperator, name)
        known = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in self.tree.operatorCodes]
        operator = schema.OperatorT()
        operator.opcodeIndex = known.index(code)  # a step slices and joins too
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType, operator.builtinOptions = options
        self.graph.operators.append(operator)


def _has_data(buffer: Any) -> bool:
    return buffer.data is not None and len(buffer.data) > 0


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
