"""Driving any pulse model over a stream of crops with gaps."""

from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

from physkit.core.types import Pulse
from physkit.core.units import MAX_GAP_S, NOMINAL_DT_S
from physkit.nn.streaming import PulseModel
from physkit.pipelines.crops import TimedCrop


class PulseStream:
    """Crops in, in order of time; one pulse sample a frame out, NaN where no face was seen.

    Memory holds about `chunk_frames` crops, and two numbers for every frame so far.
    A new segment, or a gap of more than `MAX_GAP_S`, starts a new stretch from the model's initial
    state; a shorter gap is told to the model as one long frame time. A stretch's first
    `model.warmup_s` seconds are read twice: once to settle the state, then for their pulse.
    """

    def __init__(self, model: PulseModel[Any], *, chunk_frames: int, device: torch.device) -> None:
        self._model = model.to(device)
        self._device = device
        self._chunk_frames = chunk_frames
        self._state: Any = None
        self._times_s: list[float] = []
        self._samples: list[float] = []
        self._pending: list[np.ndarray] = []
        self._pending_times_s: list[float] = []
        self._owed: deque[int] = deque()
        self._segment: int | None = None
        self._last_seen_s: float | None = None
        self.n_seen = 0

    def push(self, item: TimedCrop) -> None:
        """Take the next frame."""
        self._times_s.append(item.timestamp_s)
        self._samples.append(np.nan)
        if item.crop is None:
            return
        if self._is_new_stretch(item):
            self._close()
        self._owed.append(len(self._samples) - 1)
        self._pending.append(item.crop)
        self._pending_times_s.append(item.timestamp_s)
        self._segment, self.n_seen = item.segment, self.n_seen + 1
        if len(self._pending) >= self._chunk_frames and self._is_settled():
            self._flush()

    def finish(self) -> Pulse:
        """The pulse of all frames."""
        self._close()
        return Pulse(np.array(self._samples), np.array(self._times_s))

    def _is_new_stretch(self, item: TimedCrop) -> bool:
        last_s = self._pending_times_s[-1] if self._pending_times_s else self._last_seen_s
        if last_s is None:
            return False
        return item.segment != self._segment or item.timestamp_s - last_s > MAX_GAP_S

    def _is_settled(self) -> bool:
        """Whether the state is, or all that settles it is pending: two frames tell a duration."""
        times_s = self._pending_times_s
        is_ready = len(times_s) > 1 and times_s[-1] - times_s[0] >= self._model.warmup_s
        return self._state is not None or is_ready

    def _close(self) -> None:
        """Ends the stretch: the samples still owed are asked for."""
        self._flush()
        if self._state is not None:
            with torch.inference_mode():
                self._deliver(self._model.finish(self._state))
        self._state, self._last_seen_s = None, None

    def _flush(self) -> None:
        if not self._pending:
            return
        clip = torch.from_numpy(np.stack(self._pending)).to(self._device)
        clip = clip.float().div_(255) if clip.dtype == torch.uint8 else clip.float()
        dt_s = torch.tensor([self._durations_s()], dtype=torch.float32, device=self._device)
        with torch.inference_mode():
            if self._state is None and self._model.warmup_s > 0:
                age_s = np.array(self._pending_times_s) - self._pending_times_s[0]
                n = int(np.count_nonzero(age_s <= self._model.warmup_s))
                _, self._state = self._model(clip[None, :n], dt_s[:, :n])
            pulse, self._state = self._model(clip[None], dt_s, self._state)
            self._deliver(pulse)
        self._last_seen_s = self._pending_times_s[-1]
        self._pending.clear()
        self._pending_times_s.clear()

    def _durations_s(self) -> list[float]:
        """Time since the frame before; a stretch's first frame is taken to last like its second."""
        steps = np.diff(self._pending_times_s).tolist()
        if self._last_seen_s is not None:
            first = self._pending_times_s[0] - self._last_seen_s
        else:
            first = steps[0] if steps else NOMINAL_DT_S
        return [first, *steps]

    def _deliver(self, pulse: Tensor) -> None:
        for value in pulse[0].tolist():
            self._samples[self._owed.popleft()] = value
