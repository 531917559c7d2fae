"""Networks that count frames at one rate, over frames that came at another."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from physkit.core.errors import InputError
from physkit.inference.stream import ModelReader, ReadRows, StretchReader
from physkit.nn.streaming import PulseModel

RATE_TOLERANCE = 0.05
"""Share by which frames may be quicker or slower than a network's rate and are read as they are."""


def make_reader(
    model: PulseModel[Any], device: torch.device, extras: Mapping[str, ReadRows] | None = None
) -> StretchReader:
    """What reads a model's pulse off frames at their true times.

    Raises InputError as `ModelReader` does.
    """
    reader = ModelReader(model, device, extras)
    if model.trained_fps is None or extras:
        return reader
    return EvenReader(
        reader, fps=model.trained_fps, least_frames=model.least_frames, title=type(model).__name__
    )


class EvenReader(StretchReader):
    """A reader of frames at `fps`, given frames at any rate, each stretch by its own true times.

    Pictures and pulse are interpolated linearly. Frames that come at the reader's rate, within
    `RATE_TOLERANCE` at a stretch's beginning, are given as they are.
    least_frames: of a stretch, which `check_length` asks for. title: the network, in messages.
    """

    def __init__(
        self, reader: StretchReader, *, fps: float, least_frames: int | None, title: str
    ) -> None:
        self._reader, self._fps, self._title = reader, fps, title
        self._least_frames = least_frames
        self.warmup_s, self.can_stream = reader.warmup_s, reader.can_stream
        self._longest_s = 0.0
        self._resampled_fps: float | None = None
        self.begin()

    def begin(self) -> None:
        self._reader.begin()
        self._is_even: bool | None = None
        self._restart()

    def _restart(self) -> None:
        """From a clock of 0."""
        self._time_s = 0.0
        self._last: np.ndarray | None = None
        self._n_given = 0  # frames of the even clock
        self._even_pulse: list[float] = []
        self._waiting_s: list[float] = []

    def settle(self, crops: np.ndarray, dt_s: np.ndarray) -> None:
        self._through(self._reader.settle, crops, dt_s)
        self._restart()

    def read(self, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        pulse = self._through(self._reader.read, crops, dt_s)
        self._longest_s = max(self._longest_s, self._time_s + 1 / self._fps)
        if self._is_even:
            return np.zeros(0, np.float32) if pulse is None else pulse
        self._even_pulse.extend([] if pulse is None else pulse.tolist())
        reached_s = (len(self._even_pulse) - 1) / self._fps
        return self._answer(int(np.searchsorted(self._waiting_s, reached_s, side="right")))

    def finish(self) -> np.ndarray:
        owed = self._reader.finish()
        if self._is_even:
            return owed
        self._even_pulse.extend(owed.tolist())
        return self._answer(len(self._waiting_s))

    def notes(self) -> tuple[str, ...]:
        if self._resampled_fps is None:
            return ()
        return (
            (
                f"{self._title} reads {self._fps:g} frames/s: those at {self._resampled_fps:.3g} "
                "were interpolated by their true times"
            ),
        )

    def check_length(self, name: str) -> None:
        needed_s = (self._least_frames or 0) / self._fps
        if self._longest_s < needed_s * (1 - RATE_TOLERANCE):
            raise InputError(
                f"{name}: shows a face for {self._longest_s:.1f} s at a stretch, {self._title} "
                f"reads clips of {needed_s:.1f} s ({self._least_frames} frames at {self._fps:g} "
                "frames/s); give a longer video, or choose another --model"
            )

    def _answer(self, n: int) -> np.ndarray:
        """Pulse at the first n of the times that wait."""
        now, self._waiting_s = self._waiting_s[:n], self._waiting_s[n:]
        if not n or not self._even_pulse:
            return np.zeros(n, np.float32)
        at = np.arange(len(self._even_pulse)) / self._fps
        return np.interp(now, at, self._even_pulse).astype(np.float32)

    def _through(
        self,
        use: Callable[[np.ndarray, np.ndarray], np.ndarray | None],
        crops: np.ndarray,
        dt_s: np.ndarray,
    ) -> np.ndarray | None:
        """What the reader makes of these frames, on its clock."""
        if self._is_even is None:
            fps = 1 / float(np.median(dt_s[1:] if len(dt_s) > 1 else dt_s))
            self._is_even = abs(fps / self._fps - 1) < RATE_TOLERANCE
            if not self._is_even and self._resampled_fps is None:
                self._resampled_fps = fps
        first_s = self._time_s if self._last is not None else -float(dt_s[0])
        times_s = first_s + np.cumsum(dt_s, dtype=np.float64)
        self._time_s = float(times_s[-1])
        if self._is_even:
            self._last = crops[-1]
            return use(crops, dt_s)
        self._waiting_s.extend(times_s.tolist())
        if self._last is not None:
            crops = np.concatenate([self._last[None], crops])
            times_s = np.concatenate([[first_s], times_s])
        self._last = crops[-1]
        clock_s = np.arange(self._n_given, int(times_s[-1] * self._fps + 1e-6) + 1) / self._fps
        if not len(clock_s):
            return None
        self._n_given += len(clock_s)
        return use(_between(crops, times_s, clock_s), np.full(len(clock_s), 1 / self._fps))


def _between(crops: np.ndarray, times_s: np.ndarray, clock_s: np.ndarray) -> np.ndarray:
    """Pictures at other times, float32 in [0, 1]."""
    if len(crops) == 1:
        at, share = np.zeros(len(clock_s), int), np.zeros(len(clock_s))
        after = at
    else:
        at = np.clip(np.searchsorted(times_s, clock_s, side="right") - 1, 0, len(crops) - 2)
        after = at + 1
        share = np.clip((clock_s - times_s[at]) / (times_s[after] - times_s[at]), 0, 1)
    scale = np.float32(1 / 255 if crops.dtype == np.uint8 else 1)
    weight = share.astype(np.float32)[:, None, None, None]
    before, later = crops[at].astype(np.float32), crops[after].astype(np.float32)
    mixed: np.ndarray = (before + weight * (later - before)) * scale
    return mixed
