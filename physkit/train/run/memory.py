"""Whether a training fits into memory, asked before it starts."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch

from physkit.core.errors import InputError
from physkit.core.machine import MB, available_mb
from physkit.data.windows.sampling import RandomWindows
from physkit.nn.streaming import PulseModel
from physkit.train.memory import Clips, clips_of, training_bytes
from physkit.train.module import module_class
from physkit.train.run.config import FitConfig

LOADER_MB = 500
"""What a process that reads windows may come to need."""
GB = 1e9
LEAST_FRAMES = 32


def check_memory(
    config: FitConfig, net: PulseModel[Any], windows: RandomWindows, *, on_gpu: bool
) -> tuple[str, ...]:
    """A note where the memory could not be counted.

    Raises InputError, with a setting that fits, where training would take more than there is.
    """
    n_local = 1 if on_gpu else config.trainer.devices
    clips = clips_of(
        net,
        batch=-(-config.data.batch_size // (config.trainer.n_processes)),
        frames=config.data.n_frames,
        size_px=windows.table.size_px,
        checkpoint_frames=config.trainer.checkpoint_frames,
        extras={name: torch.from_numpy(rows)[0] for name, rows in windows[0].extras.items()}
        if net.extras
        else {},
    )

    def needed(asked: Clips) -> float:
        return n_local * training_bytes(net, asked, precision=config.trainer.precision)

    try:
        most = needed(clips)
    except InputError as error:
        return (f"memory was not estimated: {error}",)
    free = _free_bytes(config, on_gpu=on_gpu)
    if most <= free:
        return ()
    fitting = (words for words, asked in _smaller(config, clips) if needed(asked) <= free)
    suggestion = next(fitting, "take a smaller network")
    raise InputError(
        f"training on {clips.batch} clips of {clips.frames} frames takes about {most / GB:.1f} GB, "
        f"and {max(free, 0) / GB:.1f} GB can be had: {suggestion}, or set --run.memory_gb higher"
    )


def _free_bytes(config: FitConfig, *, on_gpu: bool) -> float:
    if config.run.memory_gb is not None:
        return config.run.memory_gb * GB
    if on_gpu:
        return float(torch.cuda.mem_get_info()[0])
    loaders = config.trainer.devices * (config.run.workers + min(config.run.workers, 1))
    return MB * (available_mb() - LOADER_MB * loaders)


def _smaller(config: FitConfig, clips: Clips) -> Iterator[tuple[str, Clips]]:
    """Settings that take less, those that change least of the result first, in words."""
    n_processes = config.trainer.n_processes
    for batch in range(clips.batch - 1, 0, -1):
        if clips.batch % batch == 0:
            total, accumulate = batch * n_processes, config.optim.accumulate * clips.batch // batch
            words = f"take --data.batch_size {total} --optim.accumulate {accumulate}"
            yield words, dataclasses.replace(clips, batch=batch)
    single = dataclasses.replace(clips, batch=1)
    batch_words = f"--data.batch_size {n_processes} " if clips.batch > 1 else ""
    frames = clips.frames
    while module_class(config.model.model).recomputes and frames > LEAST_FRAMES:
        frames = -(-frames // 2)
        words = f"take {batch_words}--trainer.checkpoint_frames {frames}"
        yield words, dataclasses.replace(single, checkpoint_frames=frames)
    frames = clips.frames
    while frames > LEAST_FRAMES:
        frames //= 2
        words = f"take {batch_words}--data.n_frames {frames}"
        yield words, dataclasses.replace(single, frames=frames)
