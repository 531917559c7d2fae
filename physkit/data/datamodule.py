"""Windows of stores as batches: the same for any number of processes, from any position on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from physkit.core.errors import InputError, PhyskitError
from physkit.data.windows.reader import Window
from physkit.data.windows.sampling import RandomWindows, SlidingWindows


class Batch(NamedTuple):
    """Windows of equal length, and whose they are."""

    frames: Tensor
    """(b t h w 3): uint8 grey levels, or float32 in the form that was asked for."""
    pulse: Tensor
    """(b t) float32: the label at the frames' times."""
    dt_s: Tensor
    """(b t) float32: seconds since the frame before."""
    timestamps_s: Tensor
    """(b t) float64: time of each frame in its recording."""
    fps: Tensor
    """(b) float32: frames a second, from the first frame to the last."""
    recordings: tuple[str, ...]
    """Store and name of each recording."""
    subjects: tuple[str, ...]
    """The people."""
    extras: Mapping[str, Tensor]
    """What a network reads beside frames, by name: (b t ...)."""


class WindowBatches(Sampler[list[int]]):
    """Which windows are in each batch of one process; without an end.

    Batch n of all processes together holds windows n batch_size to (n + 1) batch_size, in order of
    the processes, so that the number of processes changes nothing of what is trained on.
    """

    def __init__(self, *, batch_size: int, start: int, rank: int, n_processes: int) -> None:
        if batch_size % n_processes:
            raise ValueError(f"{batch_size} windows cannot be shared among {n_processes} processes")
        self.batch_size = batch_size
        self.start = start
        self._part = slice(rank * batch_size // n_processes, (rank + 1) * batch_size // n_processes)

    def __iter__(self) -> Iterator[list[int]]:
        first = self.start
        while True:
            yield list(range(first, first + self.batch_size))[self._part]
            first += self.batch_size


class _Told(Dataset[Window | PhyskitError]):
    """Windows by index; one that cannot be read comes as the error that says why.

    An error raised in a worker process would arrive with a traceback as its message.
    """

    def __init__(self, windows: RandomWindows | SlidingWindows) -> None:
        self.windows = windows

    def __getitem__(self, index: int) -> Window | PhyskitError:
        try:
            return self.windows[index]
        except PhyskitError as error:
            return error


class WindowData(LightningDataModule):
    """Batches of random windows to train on, and single windows to validate by.

    batch_size: windows in a batch over all processes.
    workers: processes that read training windows; 0 reads in the training process.
    """

    allow_zero_length_dataloader_with_multiple_devices = True  # fewer windows than processes

    def __init__(
        self,
        train: RandomWindows,
        validation: SlidingWindows,
        *,
        batch_size: int = 1,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.windows = train
        self.validation_windows = validation
        self.batch_size = batch_size
        self.workers = workers
        self._start = 0

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches from the position of the checkpoint on, or from the first."""
        n_processes = self._n_processes
        batches = WindowBatches(
            batch_size=self.batch_size, start=self._start, rank=self._rank, n_processes=n_processes
        )
        return _loader(self.windows, batches, workers=self.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """This process's share of the validation windows, one at a time."""
        mine = range(self._rank, len(self.validation_windows), self._n_processes)
        single = [[index] for index in mine]
        return _loader(self.validation_windows, single, workers=min(self.workers, 1))

    def state_dict(self) -> dict[str, Any]:
        """How many windows were trained on: what workers read ahead does not count."""
        n_batches = self.trainer.fit_loop.total_batch_idx + 1 if self.trainer else 0
        return {"n_windows": n_batches * self.batch_size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after so many windows."""
        self._start = int(state_dict["n_windows"])

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _n_processes(self) -> int:
        return self.trainer.world_size if self.trainer else 1


def opened(batch: Batch | PhyskitError) -> Batch:
    """The batch; raises the error that came in its place."""
    if isinstance(batch, PhyskitError):
        raise batch
    return batch


def collate(windows: Sequence[Window | PhyskitError]) -> Batch | PhyskitError:
    """Windows as a batch, or the first error among them."""
    for window in windows:
        if isinstance(window, PhyskitError):
            return window
        if np.ptp(window.pulse) == 0:
            return InputError(
                f"{window.store}/{window.recording}: the label is flat from {window.start_s:.1f} s "
                "on; take longer windows or remove the recording"
            )
    good = [window for window in windows if isinstance(window, Window)]
    return Batch(
        frames=torch.from_numpy(np.stack([window.frames for window in good])),
        pulse=torch.from_numpy(np.stack([window.pulse for window in good])),
        dt_s=torch.from_numpy(np.stack([window.dt_s for window in good])),
        timestamps_s=torch.from_numpy(np.stack([window.timestamps_s for window in good])),
        fps=torch.tensor([_fps(window) for window in good]),
        recordings=tuple(f"{window.store}/{window.recording}" for window in good),
        subjects=tuple(window.subject for window in good),
        extras={
            name: torch.from_numpy(np.stack([window.extras[name] for window in good]))
            for name in good[0].extras
        },
    )


def _fps(window: Window) -> float:
    span_s = float(window.timestamps_s[-1] - window.timestamps_s[0])
    return (window.timestamps_s.shape[0] - 1) / span_s if span_s > 0 else float("nan")


def _loader(
    windows: RandomWindows | SlidingWindows,
    batches: Sampler[list[int]] | list[list[int]],
    *,
    workers: int,
) -> DataLoader[Any]:
    return DataLoader(
        _Told(windows),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        # Not forked: the libraries of the parent may hold locks that no thread of a child frees.
        multiprocessing_context="spawn" if workers else None,
        generator=torch.Generator(),  # else each pass over it draws from the global one
        pin_memory=torch.cuda.is_available(),
    )
