"""How many threads torch may use while a pipeline runs."""

from collections.abc import Iterator
from contextlib import contextmanager


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
