"""One small class over every deployed FacePhys and every runtime.

Imports nothing but NumPy before a file is opened, and then only what runs that file.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from physkit.core.artifact import ArtifactCard
from physkit.core.errors import InputError
from physkit.core.tensor_file import read_arrays, write_arrays
from physkit.core.units import MAX_GAP_S, frame_durations_s
from physkit.runtime.engines import BY_SUFFIX, ENGINES
from physkit.runtime.engines.base import Engine, as_engine, as_file

LONGEST_DT_S = 1.0
"""Longest `dt_s`; after a longer gap start a new stream."""
FIXED_TOLERANCE = 0.05
"""Largest relative error of `dt_s` for an artifact that was made for one frame rate."""


class Session:
    """A FacePhys with the state of one stream.

    artifact: a file of `physkit export` (.onnx, .tflite, .jax), or FacePhys weights (.safetensors,
      .h5), which torch runs.
    runtime: a name in `physkit.runtime.engines.ENGINES`; auto: by the suffix of the file.
    threads: CPU threads that the runtime may use.
    device: torch device of the torch runtimes; on a GPU a step is one CUDA graph.

    Raises InputError or WeightsError for a file that cannot be used, MissingExtraError for a
    runtime that is not installed.
    """

    def __init__(
        self,
        artifact: str | Path,
        *,
        runtime: str = "auto",
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        path = Path(artifact)
        if runtime == "auto":
            runtime = _runtime_of(path)
        if threads < 1:
            raise InputError(f"threads {threads}: must be at least 1")
        if not path.is_file():
            raise InputError(f"{path}: no such file; make one by physkit export")
        self.path, self.runtime = path, runtime
        self._engine: Engine = ENGINES[runtime](path, threads=threads, device=device)
        self._last_s: float | None = None

    @property
    def card(self) -> ArtifactCard:
        """The contract of the artifact: its input, its states, its weights."""
        return self._engine.card

    def step(self, frame: np.ndarray, dt_s: float) -> float:
        """A sample of pulse, unitless, for one face crop.

        frame: (height, width, 3) RGB, uint8, or floating in [0, 1].
        dt_s: seconds since the frame before; of a stream's first frame, its duration.
        Raises InputError, and leaves the stream as it was, for any other frame or time.
        """
        if self.card.n_frames != 1:
            raise InputError(
                f"{self.path}: takes {self.card.n_frames} frames at once; use advance or run, or "
                "an artifact of the form step"
            )
        pulse = self._engine.advance(self._checked(frame)[None], self._checked_dt_s(dt_s))
        if self._last_s is not None:
            self._last_s += dt_s
        return float(pulse[0])

    def advance(self, frames: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        """Pulse (n,) of as many frames as the artifact takes at once, each as `step` takes it."""
        n = self.card.n_frames
        if len(frames) != n or len(dt_s) != n:
            raise InputError(
                f"{len(frames)} frames and {len(dt_s)} durations: {self.path} takes {n} at once"
            )
        crops = np.stack([self._checked(frame) for frame in frames])
        durations = np.concatenate([self._checked_dt_s(float(each)) for each in dt_s])
        pulse = self._engine.advance(crops, durations)
        if self._last_s is not None:
            self._last_s += float(np.sum(dt_s))
        return pulse

    def run(
        self, frames: Iterable[np.ndarray], timestamps_s: Sequence[float] | np.ndarray
    ) -> np.ndarray:
        """Pulse (t,) of face crops at increasing times in seconds; continues the last run.

        The first frame, and the first one after calls of `step`, get the duration of the next
        frame. After more than MAX_GAP_S without a frame a new stream starts. Raises InputError
        before the first frame if the times do not increase from the end of the last run on, or do
        not fit the artifact's chunks or rate; and at a frame that cannot be used: the frames before
        it have then been read.
        """
        times_s = np.asarray(timestamps_s, np.float64)
        dt_s, is_new = self._durations(times_s)
        n = self.card.n_frames
        self._check_chunks(is_new)
        pulses, crops = [], iter(frames)
        for first in range(0, len(times_s), n):
            chunk = [self._checked(frame) for frame in islice(crops, n)]
            if len(chunk) < n:
                raise InputError(
                    f"frames: {first + len(chunk)} for {len(times_s)} times; give both"
                )
            if is_new[first]:
                self._engine.set_states(self._engine.initial)
            pulses.append(self._engine.advance(np.stack(chunk), dt_s[first : first + n]))
            self._last_s = float(times_s[first + n - 1])
        return np.concatenate(pulses) if pulses else np.zeros(0, np.float32)

    def reset(self) -> None:
        """Starts a new stream."""
        self._engine.set_states(self._engine.initial)
        self._last_s = None

    def states(self) -> dict[str, np.ndarray]:
        """A copy of every state, as `card.states` describes them."""
        return self._engine.states()

    def save_state(self, path: str | Path) -> None:
        """Writes the states, exactly, as safetensors."""
        metadata = {"weights_sha256": self.card.weights_sha256, "model": self.card.model}
        if self._last_s is not None:
            metadata["last_s"] = self._last_s.hex()
        write_arrays(Path(path), as_file(self._engine.states(), self.card), metadata)

    def load_state(self, path: str | Path) -> None:
        """Continues from saved states, which may come from another runtime of the same weights.

        Raises InputError, and leaves the stream as it was, for a file that does not fit.
        """
        file = Path(path)
        arrays, metadata = read_arrays(file)
        if metadata.get("weights_sha256") != self.card.weights_sha256:
            raise InputError(
                f"{file}: states of other weights than {self.path}; reset, or save anew"
            )
        self._engine.set_states(as_engine(arrays, self.card, path=file))
        self._last_s = float.fromhex(metadata["last_s"]) if "last_s" in metadata else None

    def _checked(self, frame: np.ndarray) -> np.ndarray:
        """The frame as float32 in [0, 1]."""
        frame, card = np.asarray(frame), self.card
        size = (card.height, card.width, 3)
        if frame.shape != size:
            raise InputError(f"frame {frame.shape}: the model reads {size} crops; resize the face")
        if frame.dtype == np.uint8:
            return frame.astype(np.float32) / 255
        if not np.issubdtype(frame.dtype, np.floating):
            raise InputError(f"frame of {frame.dtype}: give uint8, or floating in [0, 1]")
        frame = np.ascontiguousarray(frame, np.float32)
        low, high = float(frame.min()), float(frame.max())
        if not (low >= 0 and high <= 1):  # NaN is neither
            raise InputError(f"frame from {low:.4g} to {high:.4g}: {card.pixels} is read; scale it")
        return frame

    def _checked_dt_s(self, dt_s: float) -> np.ndarray:
        if not (math.isfinite(dt_s) and 0 < dt_s <= LONGEST_DT_S):
            raise InputError(
                f"dt_s {dt_s}: must be above 0 and at most {LONGEST_DT_S} s; reset after a gap"
            )
        duration_s = np.array([dt_s], np.float32)
        self._check_rate(duration_s)
        return duration_s

    def _durations(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Duration of each frame, and whether a new stream starts at it."""
        if times_s.ndim != 1 or not np.isfinite(times_s).all():
            raise InputError("timestamps_s: one finite number a frame is needed")
        dt_s, is_new = frame_durations_s(times_s, before_s=self._last_s)
        is_late = (dt_s <= 0) & ~is_new
        if is_late.any():
            wrong = int(np.argmax(is_late))
            raise InputError(
                f"timestamps_s[{wrong}] {times_s[wrong]:.4f} s: not after the frame before it; "
                "give frames in order, each once"
            )
        self._check_rate(dt_s[~is_new])
        is_new[:1] &= self._last_s is not None  # else the state is whatever was loaded or stepped
        return dt_s.astype(np.float32), is_new

    def _check_rate(self, dt_s: np.ndarray) -> None:
        """Raises InputError unless an artifact for one rate is given frames at that rate."""
        fixed_s = self.card.fixed_dt_s
        if fixed_s is None or np.isclose(dt_s, fixed_s, rtol=FIXED_TOLERANCE, atol=0).all():
            return
        worst_s = float(dt_s[np.argmax(np.abs(dt_s - fixed_s))])
        raise InputError(
            f"dt_s {worst_s:.4g}: {self.path} was made for {fixed_s:.4g} s a frame; use one that "
            "takes true times"
        )

    def _check_chunks(self, is_new: np.ndarray) -> None:
        n = self.card.n_frames
        other = "or use an artifact of the form step"
        if len(is_new) % n:
            raise InputError(f"{len(is_new)} frames: {self.path} takes {n} at once; pad, {other}")
        if np.delete(is_new, np.s_[::n]).any():
            raise InputError(
                f"timestamps_s: more than {MAX_GAP_S} s without a frame inside a chunk of {n} "
                f"frames; cut there, {other}"
            )


def _runtime_of(path: Path) -> str:
    if path.suffix not in BY_SUFFIX:
        known = ", ".join(BY_SUFFIX)
        raise InputError(
            f"{path}: no file that a session runs ({known}); make one by physkit export"
        )
    return BY_SUFFIX[path.suffix]
