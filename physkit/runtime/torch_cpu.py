"""How torch uses the CPU for a while: threads, and what it makes of the smallest numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_DENORMAL = np.float32(1e-40)


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Torch on so many threads (None: half of what it has) inside, and as it was afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or max(1, before // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Denormal numbers count as zero inside; as they did before afterwards.

    A state that nothing drives decays into denormal numbers and stays there, and arithmetic on
    those is a third slower: 10 minutes of video begin at 270 frames/s and end at 200.
    """
    import torch

    before = bool(_DENORMAL * np.float32(1) == 0)  # torch does not tell
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
