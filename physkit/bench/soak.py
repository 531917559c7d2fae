"""`physkit bench soak`: hours of a session's life in minutes."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.errors import InputError
from physkit.core.table import labelled

if TYPE_CHECKING:
    import numpy as np

    from physkit.runtime.session import Session

BLOCK = 900
"""Frames between two looks at the clock: half a minute of a stream."""
MOST_SPREAD, MOST_GROWTH_MB = 2.0, 8.0
"""An hour's spread may be so many times the first's, or a part of it; memory may grow so much."""
WORD = 300
"""Frames of the passage that is read at the start and at the end, each time from the beginning."""


@dataclass(frozen=True)
class BenchSoakConfig:
    """Reads hours of frames, looped, at jittered times, with gaps and frames out of order, and says
    what became of the session."""

    artifact: str
    """A file of physkit export, or weights."""
    hours: float = 10.0
    """Length of the simulated stream."""
    fps: float = 30.0
    """Mean frame rate of the stream in Hz."""
    jitter: float = 0.3
    """Standard deviation of a frame's duration, as a share of it."""
    gap_every_s: float = 600.0
    """Mean time between gaps of seconds."""
    clip: str = "synthetic"
    """Video or crops file that is looped; synthetic: a person drawn on the spot."""
    seed: int = 0
    """Of the times."""

    def __post_init__(self) -> None:
        for option in ("hours", "fps", "gap_every_s"):
            if not 0 < getattr(self, option) < math.inf:
                raise InputError(f"--{option} {getattr(self, option)}: must be above 0, and finite")
        if self.hours * 3600 * self.fps < 2 * BLOCK:
            raise InputError(f"--hours {self.hours}: under a minute of frames; give more")
        if not 0 <= self.jitter <= 1:
            raise InputError(f"--jitter {self.jitter}: must be 0 to 1")


@dataclass(frozen=True)
class SoakResult:
    """What hours did to a session."""

    artifact: str
    """The file."""
    runtime: str
    """What ran it."""
    hours: float
    """Length of the stream."""
    n_frames: int
    """Frames read."""
    n_gaps: int
    """Gaps after which the stream began anew."""
    n_refused: int
    """Frames out of order, each of which has to be refused."""
    n_not_finite: int
    """Samples of pulse that are NaN or infinite."""
    largest_pulse: float
    """Of any sample."""
    spread_by_hour: tuple[float, ...]
    """Standard deviation of the pulse in each hour."""
    rss_growth_mb: float
    """Memory of the process at the end less that after the first minute of the stream, in units of
    1,000,000 bytes."""
    is_unchanged: bool
    """Whether a passage reads bit by bit as it did before the hours."""
    resumes_exactly: bool
    """Whether the state at the end, saved and loaded, goes on bit by bit."""
    frames_per_s: float
    """Mean speed."""

    @property
    def exit_status(self) -> int:
        """1 where the session did not survive as it was."""
        is_steady = all(
            1 / MOST_SPREAD < x / self.spread_by_hour[0] < MOST_SPREAD for x in self.spread_by_hour
        )
        is_small = self.rss_growth_mb < MOST_GROWTH_MB
        is_exact = self.is_unchanged and self.resumes_exactly
        return int(bool(self.n_not_finite) or not (is_steady and is_small and is_exact))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """One figure a line."""
        spread = ", ".join(f"{x:.3f}" for x in self.spread_by_hour)
        return labelled(
            [
                ("stream", f"{self.hours:g} h, {self.n_frames} frames, {self.n_gaps} gaps"),
                ("out of order", f"{self.n_refused} frames, all refused"),
                ("not finite", f"{self.n_not_finite} samples; largest {self.largest_pulse:.2f}"),
                ("spread by hour", spread),
                ("memory", f"{self.rss_growth_mb:+.1f} MB"),
                ("reads as at first", "yes, bit by bit" if self.is_unchanged else "NO"),
                ("resumes", "bit by bit" if self.resumes_exactly else "NOT exactly"),
                ("speed", f"{self.frames_per_s:.0f} frames/s ({self.runtime})"),
            ]
        )


def run(config: BenchSoakConfig, *, progress: bool = False) -> SoakResult:
    """Simulate. Raises InputError for a file that a session cannot run."""
    import time

    import numpy as np
    import psutil

    from physkit.core.progress import ProgressBar
    from physkit.inference.clip import read_clip
    from physkit.runtime.session import Session

    session = Session(config.artifact)
    n = session.card.n_frames
    if n != 1:
        raise InputError(f"{config.artifact}: takes {n} frames at once; give one of the form step")
    frames = read_clip(config.clip, size=session.card.height).frames
    before = _passage(session, frames)
    process, began_s = psutil.Process(), time.monotonic()
    pulses: list[np.ndarray] = []
    n_refused = n_gaps = n_read = 0
    rss_at_first = 0
    total = int(config.hours * 3600 * config.fps)
    with ProgressBar(total=total, unit="frame", shown=progress) as bar:
        for times_s, gaps in _times(config, total):
            crops = frames[np.arange(n_read, n_read + len(times_s)) % len(frames)]
            pulses.append(session.run(crops, times_s))
            n_refused += _is_refused(session, crops[0], times_s[0])
            n_read, n_gaps = n_read + len(times_s), n_gaps + gaps
            bar.update(len(times_s))
            if len(pulses) == 2:
                rss_at_first = process.memory_info().rss
    rss_growth = process.memory_info().rss - rss_at_first if len(pulses) > 1 else 0
    duration_s = time.monotonic() - began_s
    resumes = _resumes(session, frames)
    pulse = np.concatenate(pulses)
    finite, n_hours = np.nan_to_num(pulse), max(1, round(config.hours))
    session.reset()
    return SoakResult(
        artifact=config.artifact,
        runtime=session.runtime,
        hours=config.hours,
        n_frames=len(pulse),
        n_gaps=n_gaps,
        n_refused=n_refused,
        n_not_finite=int(np.count_nonzero(~np.isfinite(pulse))),
        largest_pulse=float(np.abs(finite).max()),
        spread_by_hour=tuple(float(part.std()) for part in np.array_split(finite, n_hours)),
        rss_growth_mb=rss_growth / 1e6,
        is_unchanged=bool(np.array_equal(before, _passage(session, frames))),
        resumes_exactly=resumes,
        frames_per_s=len(pulse) / duration_s,
    )


def _times(config: BenchSoakConfig, total: int) -> "Iterator[tuple[np.ndarray, int]]":
    """Blocks of rising times in seconds, and how many gaps of seconds begin in each."""
    import numpy as np

    rng = np.random.default_rng(config.seed)
    now_s = 0.0
    for first in range(0, total, BLOCK):
        n = min(BLOCK, total - first)
        jitter = 1 + config.jitter * rng.standard_normal(n)
        steps_s = np.clip(jitter, 0.1, 3) / config.fps
        gaps = rng.random(n) < 1 / (config.gap_every_s * config.fps)
        steps_s[gaps] += rng.uniform(2, 10, np.count_nonzero(gaps))
        times_s = now_s + np.cumsum(steps_s)
        now_s = float(times_s[-1])
        yield times_s, int(np.count_nonzero(gaps))


def _is_refused(session: "Session", crop: "np.ndarray", late_s: float) -> bool:
    """Whether a frame that comes after younger ones is. Raises where it is read."""
    try:
        session.run(crop[None], [late_s])
    except InputError:
        return True
    raise AssertionError(f"{session.path}: read a frame out of order")


def _passage(session: "Session", frames: "np.ndarray") -> "np.ndarray":
    """Pulse of the clip's first frames, from the beginning."""
    import numpy as np

    session.reset()
    return np.array([session.step(frame, 1 / 30) for frame in frames[:WORD]])


def _resumes(session: "Session", frames: "np.ndarray") -> bool:
    """Whether a session that loads the state of this one goes on as it does."""
    import tempfile

    import numpy as np

    other = type(session)(session.path, runtime=session.runtime)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "state.safetensors")
        session.save_state(file)
        other.load_state(file)
    mine, its = ([each.step(x, 1 / 30) for x in frames[:WORD]] for each in (session, other))
    return bool(np.array_equal(mine, its))
