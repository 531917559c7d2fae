"""Where FacePhys begins to learn from: weights through which a pulse already passes.

With random weights a pulse is lost on the way: each TemporalNorm lifts what the convolution before
it left of the noise to the same strength, and the ReLU6s cut it. The best linear reading of the
features before the last layer then has a correlation of 0.0 with the pulse, and learning first has
to find it. From here on it has 0.5, and is found in minutes on a CPU.

So everything begins nearly linear. Colours are mixed such that brightness cancels; convolutions
copy, in the middle of what ReLU6 lets through; blocks average neighbours; SSMs are filters with
constant gates, tuned over the range of heart rates.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from physkit.models.facephys.blocks import Block, SSConv
from physkit.nn.ssm import SSM

SKIN_RGB = (0.55, 0.42, 0.35)
"""Skin in a well-exposed picture: what changes along it is brightness, which a pulse hardly is."""
CHROMA_GAIN = 3.0
"""Differences of colours are that much smaller than the colours."""
PICTURE_LOG_VAR = -8.0
"""Log-variance of a pixel over time: what moves little must not wait until a wide guess is gone."""
MIDDLE = 3.0
"""The middle of what ReLU6 lets through."""
COPY_NOISE = 0.1
"""Random weights beside the copying ones, relative to the usual: all filters must differ."""
NORM_GAIN = 0.7
"""Of a TemporalNorm; four standard deviations then pass through ReLU6."""
STEER_GAIN = 0.1
"""How much of an SSM is heard at first, relative to the usual."""
GATE_GAIN, FILTER_GAIN, TAPS_GAIN = 0.1, 0.3, 0.2
"""Of what changes an SSM's gates, its filters (B, C, step) and its short convolution with the
input, relative to the usual."""
INPUT_BIAS, FILTER_BIAS, GATE_BIAS = 2.0, 0.5, 2.0
"""What an SSM's input, its B and C, and the head's gates are without any input."""


@torch.no_grad()
def start_weights(blocks: Sequence[Block], head_in: nn.Linear, head: Sequence[SSM]) -> None:
    """Sets the weights of a new network; random in part, by torch's generator."""
    for number, block in enumerate(blocks):
        _start_block(block, is_first=number == 0)
    _start_head(blocks[-1], head_in, head)


def _start_block(block: Block, *, is_first: bool) -> None:
    first, second = block.convs
    if is_first:
        skin = torch.tensor(SKIN_RGB)
        weight = block.project.weight
        weight -= torch.outer(weight @ skin, skin) / (skin @ skin)
        weight *= CHROMA_GAIN
        # What is left of skin is what its colour differs by.
        first.norm.mean0.copy_((weight @ skin).expand_as(first.norm.mean0))
        first.norm.log_var0.fill_(PICTURE_LOG_VAR)
    else:
        nn.init.orthogonal_(block.project.weight)
        first.norm.log_var0.fill_(-2.0)
    second.norm.mean0.fill_(MIDDLE)
    second.norm.log_var0.fill_(-1.0)
    for conv in block.convs:
        _start_conv(conv)
    _copy(block.downsample.weight)
    nn.init.constant_(block.downsample.bias, -MIDDLE)  # type: ignore[arg-type]


def _start_conv(conv: SSConv) -> None:
    conv.norm.gamma.fill_(NORM_GAIN)
    _copy(conv.conv_in.weight)
    _copy(conv.conv_out.weight)
    nn.init.zeros_(conv.conv_in.bias)  # type: ignore[arg-type]
    nn.init.constant_(conv.conv_out.bias, MIDDLE)  # type: ignore[arg-type]
    nn.init.kaiming_normal_(conv.expand.weight, nonlinearity="relu")
    conv.steer.weight *= STEER_GAIN
    _start_ssm(conv.ssm)


def _copy(weight: Tensor) -> None:
    """A convolution that copies each channel: its middle, or the mean of two by two."""
    nn.init.normal_(weight, std=COPY_NOISE * weight[0].numel() ** -0.5)
    side = weight.shape[-1]
    middle = slice(None) if side % 2 == 0 else side // 2
    channels = torch.arange(len(weight))
    weight[channels, channels, middle, middle] += 1.0 if side % 2 else side**-2


def _start_ssm(ssm: SSM) -> None:
    """A bank of filters whose gates, B, C and steps hardly depend on the input."""
    gates, inputs = 2 * ssm.d_inner, ssm.d_inner
    ssm.conv_weight.mul_(TAPS_GAIN)
    ssm.conv_weight[-1] += 1.0
    ssm.conv_bias[:inputs] = INPUT_BIAS
    ssm.conv_bias[inputs:] = FILTER_BIAS
    weight = ssm.in_proj.weight
    nn.init.kaiming_normal_(weight, nonlinearity="linear")
    weight[:gates] *= GATE_GAIN
    weight[gates + inputs :] *= FILTER_GAIN
    weight[-ssm.n_heads :] *= FILTER_GAIN


def _start_head(last: Block, head_in: nn.Linear, head: Sequence[SSM]) -> None:
    """The first channel is constant, from the last block on: it holds the head's gates open."""
    last.downsample.weight[0] = 0.0
    nn.init.ones_(last.downsample.bias[:1])  # type: ignore[index]
    nn.init.eye_(head_in.weight)
    for ssm in head:
        _start_ssm(ssm)
        ssm.in_proj.weight[: 2 * ssm.d_inner, 0] = GATE_BIAS
        # A filter answers a constant with a positive number, in both of its parts.
        ssm.out_proj.weight[0] = 1 / (2 * ssm.d_inner)
