"""The Mamba-2 block between its projections around the scan as a Triton kernel."""

from torch import Tensor

from physkit.ops.ssm_mixer.composed import composed
from physkit.ops.ssm_scan.triton import ssm_scan


def ssm_mixer(*inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output (b t d2), and the rows and the complex state after the last frame; see composed.py."""
    return composed(ssm_scan, *inputs)
