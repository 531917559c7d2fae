"""What the processes of one training have to do together."""

from typing import TypeVar, cast

import torch
from torch import distributed

from physkit.core.errors import InputError

T = TypeVar("T")


def gathered(value: T) -> list[T]:
    """The value of every process, in their order."""
    if not _is_shared():
        return [value]
    values: list[T | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return [cast(T, value) for value in values]


def raise_together(problem: str | None) -> None:
    """Raises InputError in every process where one has a problem: else the others would wait."""
    if not _is_shared():
        if problem is not None:
            raise InputError(problem)
        return
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    count = torch.tensor(int(problem is not None), device=device)
    distributed.all_reduce(count)
    if count.item():
        problems = sorted({text for text in gathered(problem or "") if text})
        raise InputError("; ".join(problems))


def _is_shared() -> bool:
    return distributed.is_available() and distributed.is_initialized()
