"""`physkit bench prep`: frames a second of preparation, beside a straightforward OpenCV loop."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.bench.lap import Lap, laps_in_turns
from physkit.bench.report import SPEEDS, speed_cells
from physkit.core.errors import InputError
from physkit.core.table import cell, table

if TYPE_CHECKING:
    from physkit.core.machine import Machine

REFERENCE_ROW = "opencv-loop"
SAME_VIDEO = frozenset({REFERENCE_ROW, "prep-avi"})
"""Rows that read the same recording, and so can be compared."""
SHORT_S = 10.0
"""Length of the images and of the compressed clip that are made, in seconds."""


@dataclass(frozen=True)
class BenchPrepConfig:
    """Measure the preparation of one recording by one worker, from the file to the store."""

    clip: str | None = None
    """Compressed video for the row prep-h264; a synthetic one when None."""
    seconds: float = 60.0
    """Length of the uncompressed recording, about that of UBFC-rPPG's own; it takes 28 MB a second
    of disk while this runs."""
    repeats: int = 5
    """Measurements of each row; they take turns, so that a slow moment hits all alike."""
    windows: int = 200
    """Windows in each measurement of the row windows."""

    def __post_init__(self) -> None:
        if min(self.repeats, self.windows) < 1:
            raise InputError(
                f"--repeats {self.repeats} --windows {self.windows}: each must be at least 1"
            )
        if not self.seconds >= SHORT_S:
            raise InputError(f"--seconds {self.seconds}: must be at least {SHORT_S:.0f}")
        if self.clip is not None and not Path(self.clip).is_file():
            raise InputError(f"{self.clip}: no such file; give a video as --clip")


@dataclass(frozen=True)
class PrepRow:
    """One kind of work: its speeds and its memory, or why it has none."""

    name: str
    """What was done, such as prep-avi."""
    frames_per_s_all: tuple[float, ...] = ()
    """One speed a repeat."""
    ratio: float | None = None
    """Median over the repeats of the speed beside that of the loop in the same turn; None for
    another video than the loop's."""
    peak_rss_mb: float | None = None
    """Most memory its process has held, in units of 1024 * 1024 bytes."""
    cpu_ms_per_frame: float | None = None
    """Median over the repeats of the time that a frame takes of all cores together."""
    error: str | None = None
    """Why it could not run."""

    @property
    def frames_per_s(self) -> float | None:
        """Median over the repeats; None where it could not run."""
        return statistics.median(self.frames_per_s_all) if self.frames_per_s_all else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `error` only where there is one."""
        fields = {"name": self.name, "frames_per_s": self.frames_per_s} | asdict(self)
        fields["frames_per_s_all"] = list(self.frames_per_s_all)
        if self.error is None:
            del fields["error"]
        return fields

    def cells(self) -> tuple[str, ...]:
        """A row of the table; of its columns only the last where it could not run."""
        if self.error is not None:
            return (self.name, *[""] * 6, self.error)
        speeds = (*speed_cells(self.frames_per_s_all, ".0f"), cell(self.ratio, ".2f"))
        cost = cell(self.cpu_ms_per_frame, ".2f"), cell(self.peak_rss_mb, ".0f")
        return (self.name, *speeds, *cost, "")


@dataclass(frozen=True)
class PrepReport:
    """Rows measured in one run on one machine."""

    machine: "Machine"
    """Where they were measured."""
    commit: str
    """Commit of the source."""
    rows: tuple[PrepRow, ...]
    """One kind of work each."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [row.to_dict() for row in self.rows]
        return {"machine": asdict(self.machine), "commit": self.commit, "rows": rows}

    def lines(self) -> list[str]:
        """An aligned table; `ratio` is to the loop on the same video, `CPU ms` are for a frame."""
        machine = self.machine
        head = ("work", *SPEEDS, "ratio", "CPU ms", "RSS MB", "")
        return [
            f"{machine.cpu}, {machine.cores} cores, commit {self.commit}",
            *table(head, [row.cells() for row in self.rows]),
        ]


def run(config: BenchPrepConfig) -> PrepReport:
    """Speeds of the loop, of preparing raw, compressed and PNG recordings, and of window reading.

    Raises PhyskitError where the recordings cannot be made.
    """
    # imported here: the command line reads this module for its options only
    import tempfile

    from physkit.core.machine import this_commit, this_machine

    with tempfile.TemporaryDirectory(prefix="physkit-bench-") as name:
        laps, errors = laps_in_turns(_rows(config, Path(name)), config.repeats)
    rows = tuple(_row(name, laps, errors.get(name)) for name in laps)
    return PrepReport(this_machine(), this_commit(), rows)


def _rows(config: BenchPrepConfig, folder: Path) -> dict[str, Callable[[], Lap]]:
    """What is timed, by name; the recordings are made in `folder`."""
    from physkit.bench.prep_rows import opencv_loop, prepared, windows_read

    raw, images, clip = (folder / name for name in ("raw", "images", "clip"))
    _synthesise(raw, "ubfc", config.seconds)
    _synthesise(images, "pure", SHORT_S)
    _lay_out_clip(clip, None if config.clip is None else Path(config.clip))
    store = folder / "prep-avi.zarr"
    prepared(raw, "ubfc", store)
    return {
        REFERENCE_ROW: partial(opencv_loop, raw / "subject1" / "vid.avi"),
        "prep-avi": partial(prepared, raw, "ubfc", store),
        "prep-h264": partial(prepared, clip, "ubfc", folder / "prep-h264.zarr"),
        "prep-png": partial(prepared, images, "pure", folder / "prep-png.zarr"),
        "windows": partial(windows_read, store, config.windows),
    }


def _synthesise(root: Path, layout: str, seconds: float) -> None:
    from physkit.synth.write import SynthConfig
    from physkit.synth.write import run as run_synth

    run_synth(SynthConfig(layout, str(root), subjects=1, seconds=seconds, workers=1))


def _lay_out_clip(root: Path, clip: Path | None) -> None:
    """A compressed video in the layout of UBFC-rPPG, beside a label at the times of its frames."""
    import shutil

    import numpy as np

    from physkit.media.open import open_frames
    from physkit.synth.clip import ClipConfig, synthesise_clip

    folder = root / "subject1"
    folder.mkdir(parents=True)
    if clip is None:
        clip = synthesise_clip(root / "clip.mp4", config=ClipConfig(duration_s=SHORT_S)).path
    shutil.copyfile(clip, folder / "vid.avi")  # decoders go by what a file holds
    with open_frames(folder / "vid.avi") as frames:
        times_s = np.array([frame.timestamp_s for frame in frames])
    label = (np.sin(2 * np.pi * 1.2 * times_s), np.full(len(times_s), 72.0), times_s)
    lines = [" ".join(f"{value:.9e}" for value in values) for values in label]
    (folder / "ground_truth.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
    (root / "clip.mp4").unlink(missing_ok=True)


def _row(name: str, laps: Mapping[str, list[Lap]], error: str | None) -> PrepRow:
    if error is not None:
        return PrepRow(name, error=error)
    speeds = [lap.frames_per_s for lap in laps[name]]
    ratio = None
    if name in SAME_VIDEO and laps[REFERENCE_ROW]:
        loop = [lap.frames_per_s for lap in laps[REFERENCE_ROW]]
        ratio = statistics.median(s / of for s, of in zip(speeds, loop, strict=True))
    return PrepRow(
        name,
        tuple(speeds),
        ratio,
        peak_rss_mb=max(lap.peak_rss_mb for lap in laps[name]),
        cpu_ms_per_frame=statistics.median(1000 * lap.cpu_s / lap.n_frames for lap in laps[name]),
    )
