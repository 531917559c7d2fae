"""Driving any pulse model over a stream of crops with gaps."""

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.core.units import MAX_GAP_S, frame_durations_s
from physkit.inference.crops import TimedCrop
from physkit.inference.faces import NO_FACE
from physkit.nn.streaming import PulseModel

Read = TypeVar("Read")
ReadRows = Callable[[np.ndarray], np.ndarray]
"""Rows (t ...) of an extra input at frames of a stream, given by number in ascending order."""


class StretchReader(ABC):
    """What reads the pulse of one unbroken stretch of crops after the other."""

    warmup_s: float
    """Seconds of a stretch that are worth reading twice, first only to settle the state."""
    can_stream: bool = True
    """Whether pulse comes while frames do. False: all of it comes from `finish`."""

    @abstractmethod
    def begin(self) -> None:
        """A new stretch, from the initial state."""

    def locate(self, frames: Sequence[int]) -> None:  # noqa: B027 - most need not know
        """Which frames of the stream the next `read` gives, for what reads more than pictures."""

    @abstractmethod
    def read(self, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        """Pulse (k,) of the next crops (n h w 3), uint8 or float32 in [0, 1], and dt_s (n,).

        k = n, or fewer where samples are owed: they come with a later read or with `finish`.
        """

    def settle(self, crops: np.ndarray, dt_s: np.ndarray) -> None:
        """Reads the next crops for the state alone; only where there is a `warmup_s`."""
        self.read(crops, dt_s)

    @abstractmethod
    def finish(self) -> np.ndarray:
        """Pulse (k,) still owed when the stretch ends."""

    def notes(self) -> tuple[str, ...]:
        """What to tell the user of how the frames so far were read."""
        return ()

    def check_length(self, name: str) -> None:  # noqa: B027 - most read stretches of any length
        """Raises InputError, naming the input, where no stretch so far was long enough to read."""

    def remarks(self) -> list[dict[str, Any]]:
        """What the model says of the clips read so far, as JSON; see `PulseModel.remarks`."""
        return []


class ModelReader(StretchReader):
    """Any pulse model, in torch.

    extras: gives the rows of what the model reads beside frames, by name, at frames of the stream.
    Raises InputError where the model reads more than it is given.
    """

    def __init__(
        self,
        model: PulseModel[Any],
        device: torch.device,
        extras: Mapping[str, ReadRows] | None = None,
    ) -> None:
        missing = sorted(set(model.extras) - set(extras or {}))
        if missing and model.needs_extras:
            raise InputError(
                f"{type(model).__name__} reads '{missing[0]}' beside frames, which only prepared "
                "stores hold; use physkit evaluate"
            )
        self._extras = extras or {}
        self._rows: dict[str, torch.Tensor] = {}
        self.warmup_s, self.can_stream = model.warmup_s, model.can_stream
        self._model = model.to(device)
        self._device = device
        self._state: Any = None

    def begin(self) -> None:
        self._state = None

    def locate(self, frames: Sequence[int]) -> None:
        self._rows = {
            name: torch.from_numpy(read(np.asarray(frames)))[None].to(self._device)
            for name, read in self._extras.items()
        }

    def read(self, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        clip = torch.from_numpy(crops).to(self._device)
        clip = clip.float().div_(255) if clip.dtype == torch.uint8 else clip.float()
        durations_s = torch.from_numpy(dt_s.astype(np.float32)).to(self._device)
        with torch.inference_mode():
            given = (self._rows,) if self._rows else ()
            pulse, self._state = self._model(clip[None], durations_s[None], self._state, *given)
            answer: np.ndarray = pulse[0].cpu().numpy()
        return answer

    def finish(self) -> np.ndarray:
        if self._state is None:
            return np.zeros(0, np.float32)
        with torch.inference_mode():
            owed: np.ndarray = self._model.finish(self._state)[0].cpu().numpy()
        self._state = None
        return owed

    def remarks(self) -> list[dict[str, Any]]:
        return self._model.remarks()


class PulseStream:
    """Crops in, in order of time; one pulse sample a frame out, NaN where no face was seen.

    Memory holds about `chunk_frames` crops, those that settle a state, and two numbers for every
    frame so far. A new segment, or a gap of more than `MAX_GAP_S`, starts a new stretch from the
    initial state; a shorter gap is told to the reader as one long frame time. A stretch's first
    `reader.warmup_s` seconds are read twice: once to settle the state, then for their pulse.

    `push` reads all that can be read. Where frames must not wait for that, `take` each and call
    `work` while there is time.
    """

    def __init__(self, reader: StretchReader, *, chunk_frames: int) -> None:
        self._reader = reader
        self._chunk_frames = chunk_frames
        self._times_s = array("d")
        self._samples = array("d")
        self._face_numbers = array("i")
        self._owed: deque[int] = deque()
        self._waiting: list[np.ndarray] = []
        self._waiting_at: list[int] = []
        self._waiting_s: list[float] = []
        self._segment: int | None = None
        self._latest_s: float | None = None
        self._read_s: float | None = None
        self._n_settled = 0
        self._is_settled = False
        self.n_seen = 0
        self.n_answered = 0

    @property
    def n_frames(self) -> int:
        """Frames taken so far."""
        return len(self._times_s)

    @property
    def face_numbers(self) -> np.ndarray:
        """The face of each frame so far (t,); `NO_FACE` where none was seen."""
        return np.array(self._face_numbers, np.int64)

    @property
    def is_up_to_date(self) -> bool:
        """Whether the state is settled and no frame but the latest waits to be read."""
        return self._is_settled and len(self._waiting) <= 1

    def push(self, item: TimedCrop) -> None:
        """Take the next frame, and read what can be read."""
        self.take(item)
        while self.work():
            pass

    def take(self, item: TimedCrop) -> None:
        """Take the next frame; only where it begins a new stretch is the last one read to its end.

        In order of time.
        """
        self._times_s.append(item.timestamp_s)
        self._samples.append(np.nan)
        number = NO_FACE if item.crop is None else item.face_number
        self._face_numbers.append(NO_FACE if number is None else number)
        if item.crop is None:
            return
        if self._is_new_stretch(item):
            self._close()
            self._reader.begin()
            self._n_settled, self._is_settled = 0, self._reader.warmup_s == 0
        self._owed.append(len(self._samples) - 1)
        self._waiting.append(item.crop)
        self._waiting_at.append(len(self._samples) - 1)
        self._waiting_s.append(item.timestamp_s)
        self._segment, self._latest_s = item.segment, item.timestamp_s
        self.n_seen += 1

    def work(self) -> bool:
        """Read a chunk of what waits, or settle the state by it. False: too few frames wait."""
        return self._work(is_over=False)

    def finish(self) -> Pulse:
        """The pulse of all frames."""
        self._close()
        return Pulse(np.array(self._samples), np.array(self._times_s))

    def recent(self, window_s: float) -> Pulse:
        """A copy of the pulse of the last so many seconds of the face that was seen last.

        NaN where it was not seen, and where a sample is owed.
        """
        first = bisect_left(self._times_s, self._times_s[-1] - window_s) if self._times_s else 0
        numbers = np.array(self._face_numbers[first:])
        seen = numbers[numbers != NO_FACE]
        samples = np.array(self._samples[first:])
        if seen.size:
            samples[numbers != seen[-1]] = np.nan
        return Pulse(samples, np.array(self._times_s[first:]))

    def _is_new_stretch(self, item: TimedCrop) -> bool:
        last_s = self._latest_s
        if last_s is None:
            return True
        return item.segment != self._segment or item.timestamp_s - last_s > MAX_GAP_S

    def _close(self) -> None:
        """Ends the stretch: the samples still owed are asked for."""
        if self._latest_s is None:
            return
        while self._work(is_over=True):
            pass
        self._deliver(self._reader.finish())
        self._latest_s = self._read_s = None

    def _work(self, *, is_over: bool) -> bool:
        n, least = len(self._waiting), 1 if is_over else self._chunk_frames
        if self._read_s is None and n < 2 and not is_over:
            return False  # two frames tell a duration
        if not self._is_settled:
            age_s = np.subtract(self._waiting_s, self._waiting_s[0])
            n_left = int(np.count_nonzero(age_s <= self._reader.warmup_s)) - self._n_settled
            is_whole = is_over or age_s[-1] >= self._reader.warmup_s
            if n_left > 0 and (is_whole or n_left >= least):
                n_left = min(n_left, self._chunk_frames)
                self._read(self._n_settled, n_left, use=self._reader.settle)
                self._n_settled += n_left
                return True
            if not is_whole:
                return False
            self._is_settled = True
        if n == 0 or n < least:
            return False
        n = min(n, self._chunk_frames)
        self._deliver(self._read(0, n, use=self._reader.read))
        self._read_s = self._waiting_s[n - 1]
        del self._waiting[:n], self._waiting_s[:n], self._waiting_at[:n]
        return True

    def _read(self, first: int, n: int, *, use: Callable[[np.ndarray, np.ndarray], Read]) -> Read:
        part = slice(first, first + n)
        self._reader.locate(self._waiting_at[part])
        return use(np.stack(self._waiting[part]), self._durations_s()[part])

    def _durations_s(self) -> np.ndarray:
        dt_s, _ = frame_durations_s(np.array(self._waiting_s), before_s=self._read_s)
        return dt_s.astype(np.float32)

    def _deliver(self, pulse: np.ndarray) -> None:
        for value in pulse.tolist():
            self._samples[self._owed.popleft()] = value
        self.n_answered += len(pulse)
