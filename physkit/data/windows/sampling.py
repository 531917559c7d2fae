"""Windows out of stores: drawn at random for training, one after the other for evaluation.

Both read by time, straight from the chunks on disk, and can be handed to worker processes.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from physkit.core.errors import InputError
from physkit.data.extras import extra_readers
from physkit.data.windows.augment import draw_look, time_scale
from physkit.data.windows.config import (
    AugmentConfig,
    RandomWindowsConfig,
    SlidingWindowsConfig,
    Weighting,
    WindowSource,
)
from physkit.data.windows.reader import ROUNDING_S, Place, Window, WindowReader
from physkit.data.windows.table import Stretch, UsableRecording, WindowTable, window_table

SHORTEST_S = 2.0
"""A whole stretch shorter than this, a beat at 30 bpm, is no recording to evaluate."""


class RandomWindows:
    """Windows drawn from the usable stretches of recordings, epoch after epoch.

    Window `index` of `epoch` depends on the seed, the epoch and the index alone, and so is the same
    in every process. Can be indexed past the first epoch: `windows[i]` is window
    `i % len(windows)` of epoch `i // len(windows)`, so that a sampler resumes at any `i`.
    extras: names of what windows hold beside frames; see `physkit.data.extras`.
    grid_frames: windows begin at multiples of so many frames of the recording; None: anywhere.
    Raises InputError where no recording is as long as a window, and for a grid where windows are
    not of the frames as they are stored.
    """

    def __init__(
        self,
        sources: Sequence[WindowSource],
        config: RandomWindowsConfig,
        *,
        extras: Sequence[str] = (),
        grid_frames: int | None = None,
    ) -> None:
        if grid_frames is not None and not (config.augment is None and config.content.fps is None):
            changed = "augment" if config.augment else f"content.clock {config.content.clock}"
            raise InputError(
                f"--data.{changed}: the network reads caches of the store, which were made of its "
                "frames as they are; set data.augment to null and leave data.content.clock out, or "
                "train without caches (model.caches false)"
            )
        self.config = config
        self.table = window_table(sources)
        self._reader = WindowReader(config.content, extra_readers(extras))
        self._grid = grid_frames or 1
        roomy, short = _with_room(
            self.table, self._reader, lambda _: config.n_frames, grid=self._grid
        )
        self._stretches = roomy
        self._ends = np.cumsum(_weights(roomy, config.weighting))
        room = sum(self._reader.room(stretch) // config.n_frames for _, stretch in roomy)
        self._n_windows = config.windows_per_epoch or room
        self.left_out = (*self.table.unusable, *self.table.left_out, *short)
        """What is not drawn from, and why; one sentence each."""

    def __len__(self) -> int:
        """Windows in an epoch."""
        return self._n_windows

    def __getitem__(self, index: int) -> Window:
        if index < 0:
            raise IndexError(index)
        return self.draw(*divmod(index, len(self)))

    def __iter__(self) -> Iterator[Window]:
        return self.epoch(0)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Window]:
        """The windows of one epoch in order, from `start` on."""
        for index in range(start, len(self)):
            yield self.draw(epoch, index)

    def draw(self, epoch: int, index: int) -> Window:
        """Window `index` of `epoch`. Raises InputError for a damaged recording."""
        # one stream for each purpose: turning a dial leaves the other draws as they are
        seeds = np.random.SeedSequence((self.config.seed or 0, epoch, index)).spawn(3)
        where, tempo, look = (np.random.Generator(np.random.Philox(seed)) for seed in seeds)
        chosen, moment = where.random(2).tolist()
        number = int(np.searchsorted(self._ends, chosen * self._ends[-1], side="right"))
        recording, stretch = self._stretches[min(number, len(self._stretches) - 1)]
        place = self._place(recording, stretch, moment, 1.0)
        augment = self.config.augment
        if augment is None:
            return self._reader.read(place)
        factor = self._time_scale(augment, tempo, place)
        if factor != 1.0:
            place = self._place(recording, stretch, moment, factor)
        return self._reader.read(place, time_scale=factor, look=draw_look(look, augment))

    def _place(
        self, recording: UsableRecording, stretch: Stretch, moment: float, factor: float
    ) -> Place:
        """The window that begins at the share `moment` of all possible starts."""
        n_frames = self.config.n_frames
        starts = self._reader.starts(recording, stretch, n_frames=n_frames, time_scale=factor)
        starts = starts[starts % self._grid == 0]
        return Place(recording, stretch, int(starts[int(moment * len(starts))]), n_frames)

    def _time_scale(self, augment: AugmentConfig, rng: np.random.Generator, place: Place) -> float:
        """1 unless this window is one of those that are scaled."""
        chosen, reach = rng.random(2).tolist()
        if chosen >= augment.time_scale.share:
            return 1.0
        return time_scale(
            augment.time_scale,
            heart_rate_bpm=self._reader.heart_rate_bpm(place),
            longest=self._reader.longest_time_scale(
                place.recording, place.stretch, n_frames=place.n_frames
            ),
            place=reach,
        )


@dataclass(frozen=True)
class Slot:
    """When a listed window begins."""

    recording: UsableRecording
    """The recording."""
    stretch: Stretch
    """The unbroken stretch of it."""
    from_s: float
    """Time in the recording from which on its first frame is looked for."""
    n_frames: int
    """How many frames it has."""


class SlidingWindows:
    """Windows side by side or overlapping, in the order of the recordings and of time.

    What remains of a stretch after its last window is left out. A window begins at the first frame
    at or after its moment.
    extras: names of what windows hold beside frames; see `physkit.data.extras`.
    Raises InputError where no recording is as long as a window.
    """

    def __init__(
        self,
        sources: Sequence[WindowSource],
        config: SlidingWindowsConfig,
        *,
        extras: Sequence[str] = (),
    ) -> None:
        self.config = config
        self.table = window_table(sources)
        self._reader = WindowReader(config.content, extra_readers(extras))
        roomy, short = _with_room(self.table, self._reader, self._n_frames)
        self.slots = tuple(slot for entry in roomy for slot in self._slots(*entry))
        """When each window begins."""
        self.left_out = (*self.table.unusable, *self.table.left_out, *short)
        """What is not listed, and why; one sentence each."""

    def __len__(self) -> int:
        return len(self.slots)

    def __getitem__(self, index: int) -> Window:
        """Raises InputError for a damaged recording."""
        slot = self.slots[index]
        start = self._reader.first_start(
            slot.recording, slot.stretch, from_s=slot.from_s, n_frames=slot.n_frames
        )
        return self._reader.read(Place(slot.recording, slot.stretch, start, slot.n_frames))

    def __iter__(self) -> Iterator[Window]:
        return (self[index] for index in range(len(self)))

    def _n_frames(self, recording: UsableRecording) -> int:
        """Frames of that recording's windows; of whole stretches, the fewest."""
        window_s = SHORTEST_S if self.config.window_s is None else self.config.window_s
        return max(1, round(window_s * self._reader.rate(recording)))

    def _slots(self, recording: UsableRecording, stretch: Stretch) -> Iterator[Slot]:
        if self.config.window_s is None:
            yield Slot(recording, stretch, stretch.start_s, self._reader.room(stretch))
            return
        n_frames = self._n_frames(recording)
        step_s = self.config.step_s or self.config.window_s
        spare_s = self._reader.spare_s(stretch, n_frames=n_frames)
        for number in range(math.floor(spare_s / step_s + ROUNDING_S) + 1):
            yield Slot(recording, stretch, stretch.start_s + number * step_s, n_frames)


def _with_room(
    table: WindowTable,
    reader: WindowReader,
    n_frames: Callable[[UsableRecording], int],
    *,
    grid: int = 1,
) -> tuple[list[tuple[UsableRecording, Stretch]], list[str]]:
    """The stretches that hold a window of so many frames; a sentence on each recording without.

    Raises InputError, naming the recording that comes nearest, where there are none.
    """
    roomy: list[tuple[UsableRecording, Stretch]] = []
    short: dict[str, float] = {}
    for recording in table.recordings:
        if not recording.stretches:
            short[f"{recording.place}: no two frames with both a face and a label"] = 0.0
            continue
        asked = n_frames(recording)
        found = [s for s in recording.stretches if reader.room(s) >= asked + -s.start % grid]
        roomy += [(recording, stretch) for stretch in found]
        if not found:
            longest = max(reader.room(stretch) for stretch in recording.stretches)
            problem = f"at most {longest} frames in a row, and a window has {asked}"
            short[f"{recording.place}: {problem}"] = longest / asked
    if not roomy:
        nearest = max(short, key=short.__getitem__)
        raise InputError(f"{nearest}; no recording has more: take shorter windows")
    return roomy, list(short)


def _weights(stretches: list[tuple[UsableRecording, Stretch]], weighting: Weighting) -> list[float]:
    """How often each stretch is drawn, relative to the others."""
    durations_s = [stretch.n_frames / recording.fps for recording, stretch in stretches]
    if weighting == "duration":
        return durations_s
    of = [r.place if weighting == "equal" else r.store for r, _ in stretches]
    total: defaultdict[str, float] = defaultdict(float)
    for name, duration_s in zip(of, durations_s, strict=True):
        total[name] += duration_s
    return [duration_s / total[name] for name, duration_s in zip(of, durations_s, strict=True)]
