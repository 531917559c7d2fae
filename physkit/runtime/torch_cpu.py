"""Context managers for torch on the CPU: number of threads, flushing of denormal numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_DENORMAL = np.float32(1e-40)


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Torch with so many threads (None: half of its threads) inside; restored afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or max(1, before // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Denormal numbers are flushed to zero inside; the setting is restored afterwards.

    A state without input decays into denormal numbers and stays there, and arithmetic on those is
    a third slower: 10 minutes of video start at 270 frames/s and end at 200.
    """
    import torch

    before = bool(_DENORMAL * np.float32(1) == 0)  # torch has no getter
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
