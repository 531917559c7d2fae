"""The published FacePhys files: Keras 3 weights in HDF5, and the gzipped JSON of a warm state.

KegangWangCCNU/FacePhys-Release; the tables below map our names to theirs.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from einops import EinopsError, rearrange
from torch import Tensor

from physkit.core.errors import InputError, WeightsError
from physkit.models.facephys.blocks import SSConvState
from physkit.models.facephys.network import FacePhysState
from physkit.nn.ssm import SSMState
from physkit.nn.temporal_norm import TemporalNormState
from physkit.weights.importers import WeightsImporter
from physkit.weights.keras import check_layout, holds

N_BLOCKS, N_CONVS, N_HEAD = 4, 2, 2

_LINEAR = "i o -> o i"
_CONV = "h w i o -> o i h w"
_SAME = "... -> ..."


class Entry(NamedTuple):
    """The place of one of our parameters in the published file."""

    ours: str
    theirs: str
    axes: str
    """The change of axes, as an einops pattern."""
    part: int | None = None
    """0 or 1: ours is the real or the imaginary part, which the pattern puts first."""


def _numbered(name: str, index: int) -> str:
    return name if index == 0 else f"{name}_{index}"


def _ssm_entries(ours: str, theirs: str) -> Iterator[Entry]:
    yield Entry(f"{ours}.in_proj.weight", f"{theirs}/in_proj/vars/0", _LINEAR)
    yield Entry(f"{ours}.conv_weight", f"{theirs}/conv1d/vars/0", "1 k c 1 -> k c")
    yield Entry(f"{ours}.conv_bias", f"{theirs}/conv1d/vars/1", _SAME)
    yield Entry(f"{ours}.a_log_real", f"{theirs}/vars/0", "heads part -> part heads", 0)
    yield Entry(f"{ours}.a_imag", f"{theirs}/vars/0", "heads part -> part heads", 1)
    yield Entry(f"{ours}.dt_bias", f"{theirs}/vars/1", _SAME)
    yield Entry(f"{ours}.skip", f"{theirs}/vars/2", "half_heads 1 -> half_heads")
    yield Entry(f"{ours}.rows0", f"{theirs}/vars/3", "1 k c -> k c")
    yield Entry(f"{ours}.real0", f"{theirs}/vars/4", "1 1 heads p n part -> part heads p n", 0)
    yield Entry(f"{ours}.imag0", f"{theirs}/vars/4", "1 1 heads p n part -> part heads p n", 1)
    yield Entry(f"{ours}.norm_weight", f"{theirs}/norm/vars/0", _SAME)
    yield Entry(f"{ours}.out_proj.weight", f"{theirs}/out_proj/vars/0", _LINEAR)


def _ssconv_entries(ours: str, theirs: str) -> Iterator[Entry]:
    for name, conv in (("conv_in", "conv1/layers/conv2d"), ("conv_out", "conv2")):
        yield Entry(f"{ours}.{name}.weight", f"{theirs}/{conv}/vars/0", _CONV)
        yield Entry(f"{ours}.{name}.bias", f"{theirs}/{conv}/vars/1", _SAME)
    yield Entry(f"{ours}.expand.weight", f"{theirs}/conv1/layers/dense/vars/0", _LINEAR)
    yield Entry(f"{ours}.expand.bias", f"{theirs}/conv1/layers/dense/vars/1", _SAME)
    yield Entry(f"{ours}.steer.weight", f"{theirs}/proj/vars/0", _LINEAR)
    for index, name in enumerate(("log_half_life", "gamma", "beta")):
        yield Entry(f"{ours}.norm.{name}", f"{theirs}/tn/vars/{index}", _SAME)
    yield Entry(f"{ours}.norm.mean0", f"{theirs}/tn/vars/3", "1 1 h w c -> h w c")
    yield Entry(f"{ours}.norm.log_var0", f"{theirs}/tn/vars/4", "1 1 h w c -> h w c")
    yield from _ssm_entries(f"{ours}.ssm", f"{theirs}/ssm")


def _entries() -> Iterator[Entry]:
    for i in range(N_BLOCKS):
        block = f"layers/sequential/layers/{_numbered('ssc_block', i)}"
        yield Entry(f"blocks.{i}.project.weight", f"{block}/in_proj/vars/0", _LINEAR)
        for j in range(N_CONVS):
            theirs = f"{block}/ssc/layers/{_numbered('ss_conv', j)}"
            yield from _ssconv_entries(f"blocks.{i}.convs.{j}", theirs)
        yield Entry(f"blocks.{i}.downsample.weight", f"{block}/ds/vars/0", _CONV)
        yield Entry(f"blocks.{i}.downsample.bias", f"{block}/ds/vars/1", _SAME)
    yield Entry("head_in.weight", "layers/sequential_1/layers/dense/vars/0", _LINEAR)
    for i in range(N_HEAD):
        yield from _ssm_entries(f"head.{i}", f"head/layers/{_numbered('ss_mr_ppg', i)}")
    yield Entry("head_out.weight", "head/layers/dense/vars/0", _LINEAR)
    yield Entry("head_out.bias", "head/layers/dense/vars/1", _SAME)


def read_keras_weights(path: Path) -> dict[str, Tensor]:
    """Parameters of the published FacePhys from `FacePhys.weights.h5`, float32, by our names.

    Raises WeightsError for a damaged file or another model's.
    """
    check_layout(path)
    try:
        with h5py.File(path, "r") as file:
            return {entry.ours: _tensor(file, path, entry) for entry in _entries()}
    except (OSError, RuntimeError, KeyError, MemoryError) as error:  # what h5py makes of damage
        raise WeightsError(f"{path}: damaged HDF5 file ({error}); download it again") from error


def _tensor(file: h5py.File, path: Path, entry: Entry) -> Tensor:
    fix = "give the FacePhys.weights.h5 of FacePhys-Release"
    if entry.theirs not in file:
        raise WeightsError(
            f"{path}: not the published FacePhys, it has no tensor '{entry.theirs}'; {fix}"
        )
    dataset = file[entry.theirs]
    try:
        array = rearrange(np.asarray(dataset, dtype=np.float32), entry.axes)
    except (EinopsError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: not the published FacePhys, '{entry.theirs}' is {dataset}; {fix}"
        ) from error
    return torch.from_numpy(np.array(array if entry.part is None else array[entry.part]))


def read_state(path: Path) -> FacePhysState:
    """A warm state from the published `state.gz`, rounded to one decimal there; batch of 1.

    Raises InputError for a damaged file or one that holds other states.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            arrays = [np.asarray(x, dtype=np.float32) for x in json.load(file).values()]
        return state_from_arrays(arrays)
    except (OSError, EOFError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: not a published FacePhys state ({error}); "
            "give the state.gz of FacePhys-Release"
        ) from error


def state_from_arrays(arrays: Sequence[np.ndarray]) -> FacePhysState:
    """The 46 states in the published order (they are the inputs of `model.onnx`) as ours.

    For each SSConv: real, imaginary, rows, variance, mean; then for each head SSM: real,
    imaginary, rows. Raises ValueError for another number of them.
    """
    n_convs = N_BLOCKS * N_CONVS
    if len(arrays) != 5 * n_convs + 3 * N_HEAD:
        raise ValueError(f"{len(arrays)} states, not {5 * n_convs + 3 * N_HEAD}")
    tensors = [torch.from_numpy(np.array(x, dtype=np.float32)) for x in arrays]
    convs = []
    for i in range(n_convs):
        real, imag, rows, var, mean = tensors[5 * i : 5 * i + 5]
        norm = TemporalNormState(mean.squeeze(1), var.squeeze(1))
        convs.append(SSConvState(SSMState(real, imag, rows), norm))
    head = [SSMState(*tensors[i : i + 3]) for i in range(5 * n_convs, len(tensors), 3)]
    return FacePhysState(tuple(convs), tuple(head))


def arrays_from_state(state: FacePhysState) -> list[np.ndarray]:
    """The inverse of `state_from_arrays`."""
    tensors: list[Tensor] = []
    for ssm, norm in state.convs:
        tensors += [*ssm, norm.var.unsqueeze(1), norm.mean.unsqueeze(1)]
    for ssm in state.head:
        tensors += ssm
    return [x.detach().cpu().numpy() for x in tensors]


IMPORTER = WeightsImporter(
    model="facephys",
    title="FacePhys.weights.h5",
    file_format="Keras 3 HDF5",
    magic=b"\x89HDF\r\n\x1a\n",
    read=read_keras_weights,
    is_of=holds("head/layers/ss_mr_ppg"),
)
"""The published FacePhys."""
