"""The networks of the wheel `open-rppg`: where each of our parameters lies in its Keras files."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from physkit.weights.importers import WeightsImporter
from physkit.weights.keras import (
    CONV1D,
    CONV2D,
    CONV3D,
    DEPTHWISE,
    LINEAR,
    POINTWISE,
    Entry,
    batch_norm,
    holds,
    layer,
    layer_norm,
    read_keras,
)
from physkit.weights.merppg import read_merppg

MAGIC = b"\x89HDF\r\n\x1a\n"
BATCH_NORM = "layers/batch_normalization"
TORCH_EPS, KERAS_EPS = 1e-5, 1e-3
"""What torch and Keras add to a variance, where nobody says otherwise."""


def numbered(name: str, index: int) -> str:
    """How Keras calls the layers of one kind."""
    return name if index == 0 else f"{name}_{index}"


def physnet() -> Iterator[Entry]:
    """PhysNet on plain RGB of 32x32 pixels."""
    normed = partial(batch_norm, more_eps=KERAS_EPS - TORCH_EPS)
    for i in range(9):
        yield from layer(f"encoder.{i}.conv", f"ConvBlock{i + 1}/layers/conv3d", CONV3D)
        yield from normed(f"encoder.{i}.norm", f"ConvBlock{i + 1}/{BATCH_NORM}")
    for i in range(2):
        theirs = f"layers/sequential_{9 + i}"
        axes = "t h w o i -> i o t h w"
        yield from layer(f"decoder.{i}.conv", f"{theirs}/layers/conv3d_transpose", axes)
        yield from normed(f"decoder.{i}.norm", f"{theirs}/{BATCH_NORM}")
    yield from layer("head", "convBlock10", CONV3D)


def tscan() -> Iterator[Entry]:
    """TS-CAN."""
    for i in range(2):
        for ours, theirs in (("motion", "d"), ("appearance", "g")):
            for j in range(2):
                name = f"inner/{theirs}{i + 1}/layers/{numbered('conv2d', j)}"
                yield from layer(f"{ours}.{i}.conv{j + 1}", name, CONV2D)
        yield from layer(f"attention.{i}", f"inner/attn{i + 1}/layers/conv2d", CONV2D)
    yield from layer("hidden", "inner/d/layers/dense", LINEAR)
    yield from layer("head", "inner/d/layers/dense_1", LINEAR)


def efficientphys() -> Iterator[Entry]:
    """EfficientPhys."""
    yield from batch_norm("norm", "bn")
    for i in range(2):
        for j in range(2):
            name = f"layers/{numbered('conv2d', 2 * i + j)}"
            yield from layer(f"stages.{i}.conv{j + 1}", name, CONV2D)
        yield from layer(f"stages.{i}.attention", f"attc{i + 1}", CONV2D)
    yield from layer("hidden", "dense1", LINEAR)
    yield from layer("head", "dense2", LINEAR)


def normed_conv(ours: str, theirs: str, conv: str = "conv3d", *, bias: bool) -> Iterator[Entry]:
    """A convolution and the batch normalisation after it, in a sequence on both sides."""
    yield from layer(f"{ours}.0", f"{theirs}/layers/{conv}", CONV3D, bias=bias)
    yield from batch_norm(f"{ours}.1", f"{theirs}/{BATCH_NORM}")


def physformer() -> Iterator[Entry]:
    """PhysFormer."""
    for i in range(3):
        yield from normed_conv(f"stems.{i}", f"layers/{numbered('sequential', i)}", bias=True)
    yield from layer("embed", "layers/conv3d", CONV3D)
    for i in range(12):
        part = numbered("transformer_st_tdc_gra_sharp", i // 4)
        theirs = f"layers/{part}/blocks/{numbered('block_st_tdc_gra_sharp', i % 4)}"
        ours = f"layers.{i}"
        for name, kind in (("query", "proj_q"), ("key", "proj_k")):
            conv = f"{theirs}/attn/{kind}"
            yield from normed_conv(f"{ours}.attention.{name}", conv, "cdc", bias=False)
        value = f"{theirs}/attn/proj_v/layers/conv3d"
        yield from layer(f"{ours}.attention.value", value, CONV3D, bias=False)
        yield from layer(f"{ours}.attention.out", f"{theirs}/proj", LINEAR)
        for name, kind in (("widen", "fc1"), ("mix", "STConv"), ("narrow", "fc2")):
            conv = f"{theirs}/pwff/{kind}"
            yield from normed_conv(f"{ours}.forward_part.{name}", conv, bias=False)
        for name in ("norm1", "norm2"):
            yield from layer_norm(f"{ours}.{name}", f"{theirs}/{name}")
    for i in range(2):
        yield from normed_conv(f"upsample.{i}", f"layers/sequential_{3 + i}", bias=True)
    yield from layer("head", "ConvBlockLast", "1 i o -> o i")


def mamba(ours: str, theirs: str) -> Iterator[Entry]:
    """The block of Mamba."""
    yield from layer(f"{ours}.in_proj", f"{theirs}/in_projection", LINEAR, bias=False)
    yield from layer(f"{ours}.conv", f"{theirs}/conv1d", DEPTHWISE)
    yield from layer(f"{ours}.x_proj", f"{theirs}/x_projection", LINEAR, bias=False)
    yield from layer(f"{ours}.delta_proj", f"{theirs}/delta_t_projection", LINEAR)
    yield Entry(f"{ours}.a_log", f"{theirs}/vars/0")
    yield Entry(f"{ours}.skip", f"{theirs}/vars/1")
    yield from layer(f"{ours}.out_proj", f"{theirs}/out_projection", LINEAR, bias=False)


def rhythmmamba() -> Iterator[Entry]:
    """RhythmMamba."""
    stems = (("frame", "stem11"), ("change", "stem12"), ("fused", "stem21"), ("changed", "stem22"))
    for ours, theirs in stems:
        yield from layer(f"stem.{ours}.conv", f"Fusion_Stem/{theirs}/layers/conv2d", CONV2D)
        yield from batch_norm(f"stem.{ours}.norm", f"Fusion_Stem/{theirs}/{BATCH_NORM}")
    yield from layer("embed", "layers/sequential/layers/conv3d", CONV3D)
    yield from batch_norm("norm", f"layers/sequential/{BATCH_NORM}")
    for i in range(24):
        ours, theirs = f"blocks.{i}", f"blocks/layers/{numbered('block_mamba', i)}"
        yield from mamba(f"{ours}.mamba", f"{theirs}/attn/mamba")
        yield from layer_norm(f"{ours}.norm_in", f"{theirs}/attn/norm")
        for j in range(2):
            name = numbered("layer_normalization", j)
            yield from layer_norm(f"{ours}.norm{j + 1}", f"{theirs}/layers/{name}")
        inner, ffn = f"{ours}.frequencies", f"{theirs}/layers/frequencydomain_ffn"
        for number, name in enumerate(("widen", "narrow"), start=1):
            conv = f"{ffn}/fc{number}/layers/conv1d"
            yield from layer(f"{inner}.{name}", conv, CONV1D, bias=False)
            yield from batch_norm(f"{inner}.norm{number}", f"{ffn}/fc{number}/{BATCH_NORM}")
        for number, name in enumerate(("real", "imag", "bias_real", "bias_imag")):
            yield Entry(f"{inner}.{name}", f"{ffn}/vars/{number}")
    yield from layer("head", "ConvBlockLast", "1 i o -> o i")


def physmamba() -> Iterator[Entry]:
    """PhysMamba."""
    convs = {f"stem.{i}": f"conv_block{i + 1}" for i in range(3)}
    convs |= {"slow_in": "conv_block4", "fast_in": "conv_block5", "fast_out": "conv_block6"}
    convs |= {f"tell.{i}": f"fuse_{i + 1}/conv" for i in range(2)}
    convs |= {"slow_out": "layers/sequential_12", "join": "layers/sequential_13"}
    for ours, theirs in convs.items():
        yield from layer(f"{ours}.conv", f"{theirs}/layers/conv3d", CONV3D)
        yield from batch_norm(f"{ours}.norm", f"{theirs}/{BATCH_NORM}")
    for i in range(6):
        ours, theirs = f"{('slow', 'fast')[i // 3]}.{i % 3}", f"block{i + 1}/layers"
        yield from layer(f"{ours}.conv", f"{theirs}/cdc", CONV3D, bias=False)
        yield from batch_norm(f"{ours}.norm", f"{theirs}/batch_normalization")
        yield from mamba(f"{ours}.mamba", f"{theirs}/mamba_layer/mamba")
        for name in ("norm1", "norm2"):
            yield from layer_norm(f"{ours}.{name}", f"{theirs}/mamba_layer/{name}")
        for j, part in enumerate(("mamba_layer/channel_att", "channel_attention3d")):
            for k, name in enumerate(("narrow", "widen")):
                conv = f"{theirs}/{part}/fc/layers/{numbered('conv3d', k)}"
                yield from layer(f"{ours}.attention.{j}.{name}", conv, POINTWISE, bias=False)
    yield from layer("head", "conv_last", POINTWISE)


def mamba2(ours: str, theirs: str) -> Iterator[Entry]:
    """The block of Mamba-2 with real poles."""
    yield from layer(f"{ours}.in_proj", f"{theirs}/in_proj", LINEAR, bias=False)
    yield from layer(f"{ours}.conv", f"{theirs}/conv1d", DEPTHWISE)
    for number, name in enumerate(("dt_bias", "a_log")):
        yield Entry(f"{ours}.{name}", f"{theirs}/vars/{number}")
    yield Entry(f"{ours}.skip", f"{theirs}/vars/2", "heads 1 -> heads")
    yield Entry(f"{ours}.norm.weight", f"{theirs}/norm/vars/0")
    yield from layer(f"{ours}.out_proj", f"{theirs}/out_proj", LINEAR, bias=False)


def merppg() -> Iterator[Entry]:
    """ME-rPPG, without the state that it begins with."""
    conv = "1 h w i o -> o i h w"
    for i in range(4):
        ours, theirs = f"blocks.{i}", f"layers/sequential/layers/{numbered('ssc_block', i)}"
        yield from layer(f"{ours}.project", f"{theirs}/in_proj", LINEAR, bias=False)
        yield from layer(f"{ours}.downsample", f"{theirs}/ds", conv)
        for j in range(2):
            mine, part = f"{ours}.convs.{j}", f"{theirs}/ssc/layers/{numbered('ss_conv', j)}"
            yield from layer(f"{mine}.conv_in", f"{part}/conv1/layers/conv3d", conv)
            yield from layer(f"{mine}.expand", f"{part}/conv1/layers/dense", LINEAR)
            yield from mamba2(f"{mine}.ssm", f"{part}/mamba")
            yield from layer(f"{mine}.steer", f"{part}/proj", LINEAR, bias=False)
            yield from layer(f"{mine}.conv_out", f"{part}/conv2", conv)
    yield from layer("head_in", "layers/sequential_1/layers/dense", LINEAR, bias=False)
    for i in range(2):
        yield from mamba2(f"head.{i}", f"head/layers/{numbered('mamba2', i)}")
    yield from layer("head_out", "head/layers/dense", LINEAR)


def importer(
    model: str,
    title: str,
    marker: str,
    entries: Callable[[], Iterator[Entry]],
    config: Mapping[str, Any] = MappingProxyType({}),
) -> WeightsImporter:
    """An importer of Keras files. marker: a tensor that no other network's file has."""
    return WeightsImporter(
        model=model,
        title=f"a {title} of open-rppg",
        file_format="Keras 3 HDF5",
        magic=MAGIC,
        read=lambda path: read_keras(path, title, list(entries())),
        is_of=holds(marker),
        config=config,
    )


PHYSNET = importer(
    "physnet",
    "PhysNet",
    "convBlock10",
    physnet,
    {"height": 32, "width": 32, "frames": 128, "input": "rgb", "output": "pulse"},
)
TSCAN = importer("tscan", "TS-CAN", "inner/attn1", tscan)
EFFICIENTPHYS = importer("efficientphys", "EfficientPhys", "attc1", efficientphys)
PHYSFORMER = importer("physformer", "PhysFormer", "layers/transformer_st_tdc_gra_sharp", physformer)
RHYTHMMAMBA = importer("rhythmmamba", "RhythmMamba", "Fusion_Stem", rhythmmamba)
MERPPG = dataclasses.replace(
    importer("merppg", "ME-rPPG", "head/layers/mamba2", merppg),
    read=partial(read_merppg, entries=merppg),
)
PHYSMAMBA = importer("physmamba", "PhysMamba", "fuse_1", physmamba)
