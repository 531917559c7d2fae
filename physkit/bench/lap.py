"""One measurement, taken in a process that holds nothing else."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter, process_time

from physkit.core.errors import PhyskitError
from physkit.core.workers import WorkerDeath, WorkerProcess

SECONDS_A_FRAME = 1 / 30


@dataclass(frozen=True)
class Lap:
    """One measurement."""

    n_frames: int
    """Frames that were handled."""
    duration_s: float
    """How long it took."""
    cpu_s: float
    """What it took of all cores together."""
    peak_rss_mb: float
    """Most memory that the process has held so far, in units of 1024 * 1024 bytes."""

    @property
    def frames_per_s(self) -> float:
        """Frames a second of wall-clock time."""
        return self.n_frames / self.duration_s


class Watch:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._start_s, self._start_cpu_s = perf_counter(), process_time()

    def lap(self, n_frames: int) -> Lap:
        """All that was done since, on so many frames."""
        from physkit.core.machine import peak_rss_mb

        duration_s = perf_counter() - self._start_s
        return Lap(n_frames, duration_s, process_time() - self._start_cpu_s, peak_rss_mb())


def laps_in_turns(
    rows: Mapping[str, Callable[[], Lap]], repeats: int
) -> tuple[dict[str, list[Lap]], dict[str, str]]:
    """Laps and errors by row, each in a process of its own; the first lap of each is not counted.

    Rows take turns, so that a slow moment of the machine hits all alike.
    """
    laps: dict[str, list[Lap]] = {name: [] for name in rows}
    errors: dict[str, str] = {}
    with ExitStack() as stack:
        homes = {}
        for name in rows:
            homes[name] = WorkerProcess()
            stack.callback(homes[name].stop)
        for turn in range(repeats + 1):
            for name, work in rows.items():
                if name in errors:
                    continue
                try:
                    (lap,) = homes[name].run(_measured, work)
                except PhyskitError as error:
                    errors[name] = str(error)
                    continue
                if isinstance(lap, WorkerDeath):
                    errors[name] = lap.cause
                elif turn > 0:
                    laps[name].append(lap)
    return laps, errors


def _measured(work: Callable[[], Lap]) -> list[Lap]:
    return [work()]
